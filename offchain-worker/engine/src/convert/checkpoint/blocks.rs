//! Blocks of quantised values as GGUF stores them (`ggml-quants.c` in ggml). Each is widened with the products and sums of
//! ggml's own `dequantize_row_*`, in f32 and in its order.

/// How a block holds its values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(non_camel_case_types)]
pub enum Block {
    /// 32 values of 4 bits about zero, and a scale.
    Q4_0,
    /// 32 values of 4 bits, a scale and an offset.
    Q4_1,
    /// 32 values of 5 bits about zero, and a scale.
    Q5_0,
    /// 32 values of 5 bits, a scale and an offset.
    Q5_1,
    /// 32 values of 8 bits about zero, and a scale.
    Q8_0,
    /// 256 values of 4 bits; each 32 have a scale and an offset of 6 bits, which have scales of their own.
    Q4_K,
    /// The same with values of 5 bits.
    Q5_K,
    /// 256 values of 6 bits about zero; each 16 have a scale of 8 bits, which has one of its own.
    Q6_K,
}

impl Block {
    /// The block of this type in ggml's list of types.
    pub fn of_ggml(id: u32) -> Option<Self> {
        Some(match id {
            2 => Self::Q4_0,
            3 => Self::Q4_1,
            6 => Self::Q5_0,
            7 => Self::Q5_1,
            8 => Self::Q8_0,
            12 => Self::Q4_K,
            13 => Self::Q5_K,
            14 => Self::Q6_K,
            _ => return None,
        })
    }

    /// Values in a block.
    pub fn values(self) -> usize {
        match self {
            Self::Q4_0 | Self::Q4_1 | Self::Q5_0 | Self::Q5_1 | Self::Q8_0 => 32,
            Self::Q4_K | Self::Q5_K | Self::Q6_K => 256,
        }
    }

    /// Bytes of a block.
    pub fn bytes(self) -> usize {
        match self {
            Self::Q4_0 => 2 + 16,
            Self::Q4_1 => 4 + 16,
            Self::Q5_0 => 2 + 4 + 16,
            Self::Q5_1 => 4 + 4 + 16,
            Self::Q8_0 => 2 + 32,
            Self::Q4_K => 4 + 12 + 128,
            Self::Q5_K => 4 + 12 + 32 + 128,
            Self::Q6_K => 128 + 64 + 16 + 2,
        }
    }

    /// Reads one block: `bytes` of [`Self::bytes`], `values` of [`Self::values`].
    pub fn widen(self, bytes: &[u8], values: &mut [f32]) {
        match self {
            Self::Q4_0 => {
                let (d, quants) = bytes.split_at(2);
                nibbles(quants, values, |_, q| f16(d) * (i32::from(q) - 8) as f32);
            }
            Self::Q4_1 => {
                let (scales, quants) = bytes.split_at(4);
                let (d, m) = scales.split_at(2);
                nibbles(quants, values, |_, q| f16(d) * f32::from(q) + f16(m));
            }
            Self::Q5_0 => {
                let ((d, rest), values) = (bytes.split_at(2), values);
                let (high, quants) = rest.split_at(4);
                nibbles(quants, values, |i, q| f16(d) * (i32::from(q | fifth(high, i)) - 16) as f32);
            }
            Self::Q5_1 => {
                let (scales, rest) = bytes.split_at(4);
                let ((d, m), (high, quants)) = (scales.split_at(2), rest.split_at(4));
                nibbles(quants, values, |i, q| f16(d) * f32::from(q | fifth(high, i)) + f16(m));
            }
            Self::Q8_0 => {
                let (d, quants) = bytes.split_at(2);
                for (value, q) in values.iter_mut().zip(quants) {
                    *value = f16(d) * f32::from(*q as i8);
                }
            }
            Self::Q4_K => {
                let (scales, quants) = bytes.split_at(16);
                k_blocks(scales, &[0; 32], quants, values);
            }
            Self::Q5_K => {
                let (scales, rest) = bytes.split_at(16);
                let (high, quants) = rest.split_at(32);
                k_blocks(scales, high, quants, values);
            }
            Self::Q6_K => q6_k(bytes, values),
        }
    }
}

fn f16(bytes: &[u8]) -> f32 {
    half::f16::from_le_bytes([bytes[0], bytes[1]]).to_f32()
}

/// 32 values of 4 bits: the lower halves of the bytes, then the upper ones. `value` is given each one's index.
fn nibbles(quants: &[u8], values: &mut [f32], value: impl Fn(usize, u8) -> f32) {
    for (i, q) in quants.iter().enumerate() {
        values[i] = value(i, q & 15);
        values[i + 16] = value(i + 16, q >> 4);
    }
}

/// The fifth bit of value `i`, at its place.
fn fifth(high: &[u8], i: usize) -> u8 {
    (high[i / 8] >> (i % 8) & 1) << 4
}

/// Scale and offset of sub-block `i` of 8, 6 bits each, out of 12 bytes.
fn scale_and_offset(packed: &[u8], i: usize) -> (u8, u8) {
    match i {
        0..4 => (packed[i] & 63, packed[i + 4] & 63),
        _ => (packed[i + 4] & 15 | packed[i - 4] >> 6 << 4, packed[i + 4] >> 4 | packed[i] >> 6 << 4),
    }
}

/// Q4_K and Q5_K: `high` holds the fifth bits, bit `i` of each byte those of sub-block `i`.
fn k_blocks(scales: &[u8], high: &[u8], quants: &[u8], values: &mut [f32]) {
    let (d, least, packed) = (f16(&scales[..2]), f16(&scales[2..4]), &scales[4..]);
    for (i, values) in values.chunks_exact_mut(32).enumerate() {
        let (scale, offset) = scale_and_offset(packed, i);
        let (scale, offset) = (d * f32::from(scale), least * f32::from(offset));
        // Two sub-blocks share 32 bytes.
        let quants = &quants[i / 2 * 32..];
        for (l, value) in values.iter_mut().enumerate() {
            let q = quants[l] >> (i % 2 * 4) & 15 | (high[l] >> i & 1) << 4;
            *value = scale * f32::from(q) - offset;
        }
    }
}

fn q6_k(bytes: &[u8], values: &mut [f32]) {
    let (low, rest) = bytes.split_at(128);
    let (high, rest) = rest.split_at(64);
    let (scales, d) = rest.split_at(16);
    let d = f16(d);
    for (half, values) in values.chunks_exact_mut(128).enumerate() {
        let (low, high, scales) = (&low[half * 64..], &high[half * 32..], &scales[half * 8..]);
        for (i, value) in values.iter_mut().enumerate() {
            let (quarter, l) = (i / 32, i % 32);
            let q = low[l + quarter % 2 * 32] >> (quarter / 2 * 4) & 15 | (high[l] >> (quarter * 2) & 3) << 4;
            *value = d * f32::from(scales[i / 16] as i8) * (i32::from(q) - 32) as f32;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{
        quantized::{GgmlDType, QTensor},
        Device, Tensor,
    };

    const ALL: [(Block, GgmlDType, u32); 8] = [
        (Block::Q4_0, GgmlDType::Q4_0, 2),
        (Block::Q4_1, GgmlDType::Q4_1, 3),
        (Block::Q5_0, GgmlDType::Q5_0, 6),
        (Block::Q5_1, GgmlDType::Q5_1, 7),
        (Block::Q8_0, GgmlDType::Q8_0, 8),
        (Block::Q4_K, GgmlDType::Q4K, 12),
        (Block::Q5_K, GgmlDType::Q5K, 13),
        (Block::Q6_K, GgmlDType::Q6K, 14),
    ];

    #[test]
    fn widen_equals_candles_dequantization() {
        let n = 64 * 256;
        // Neither centred nor of one size: offsets and scales of all sizes are used.
        let values: Vec<f32> =
            (0..n).map(|i| ((i * 7919 % 1009) as f32 / 500. - 0.7) * (1. + (i / 40 % 9) as f32)).collect();
        let tensor = Tensor::from_vec(values, n, &Device::Cpu).unwrap();
        for (block, dtype, id) in ALL {
            assert_eq!(Block::of_ggml(id), Some(block));
            assert_eq!((block.values(), block.bytes()), (dtype.block_size(), dtype.type_size()));
            let stored = QTensor::quantize(&tensor, dtype).unwrap();
            let expected: Vec<f32> = stored.dequantize(&Device::Cpu).unwrap().to_vec1().unwrap();
            let mut found = vec![0f32; n];
            let data = stored.data().unwrap();
            for (bytes, values) in data.chunks_exact(block.bytes()).zip(found.chunks_exact_mut(block.values())) {
                block.widen(bytes, values);
            }
            let differ = found.iter().zip(&expected).filter(|(a, b)| a.to_bits() != b.to_bits()).count();
            assert_eq!(differ, 0, "{block:?}");
        }
    }
}
