//! Types of stored values, and what file formats do to weights before they store them.

use super::blocks::Block;
use std::fmt;

/// How values are stored. All of these widen to f32, the numbers without loss.
#[derive(Debug, Clone, PartialEq)]
pub enum Storage {
    /// IEEE 754 binary32.
    F32,
    /// IEEE 754 binary16.
    F16,
    /// The upper half of binary32.
    BF16,
    /// Blocks of values of a row.
    Blocks(Block),
    /// Any other type, by name: such a tensor may be there but cannot be read.
    Unread(String),
}

impl fmt::Display for Storage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Blocks(block) => write!(f, "{block:?}"),
            Self::Unread(name) => f.write_str(name),
            plain => write!(f, "{plain:?}"),
        }
    }
}

impl Storage {
    /// Bytes of a row of `columns` values; `None` if such a row cannot be stored.
    pub fn row_bytes(&self, columns: usize) -> Option<usize> {
        match self {
            Self::F32 => columns.checked_mul(4),
            Self::F16 | Self::BF16 => columns.checked_mul(2),
            Self::Blocks(block) if columns.is_multiple_of(block.values()) => {
                (columns / block.values()).checked_mul(block.bytes())
            }
            Self::Blocks(_) | Self::Unread(_) => None,
        }
    }

    /// Reads one row; `bytes` has the length that [`Self::row_bytes`] gives.
    pub(super) fn widen(&self, bytes: &[u8], values: &mut [f32]) {
        match self {
            Self::F32 => {
                for (value, b) in values.iter_mut().zip(bytes.chunks_exact(4)) {
                    *value = f32::from_le_bytes([b[0], b[1], b[2], b[3]]);
                }
            }
            Self::F16 => {
                for (value, b) in values.iter_mut().zip(bytes.chunks_exact(2)) {
                    *value = half::f16::from_le_bytes([b[0], b[1]]).to_f32();
                }
            }
            Self::BF16 => {
                for (value, b) in values.iter_mut().zip(bytes.chunks_exact(2)) {
                    *value = half::bf16::from_le_bytes([b[0], b[1]]).to_f32();
                }
            }
            Self::Blocks(block) => {
                for (values, b) in values.chunks_exact_mut(block.values()).zip(bytes.chunks_exact(block.bytes())) {
                    block.widen(b, values);
                }
            }
            // `row_bytes` gives none.
            Self::Unread(_) => {}
        }
    }
}

/// What was done to a tensor's values when they were stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Nothing.
    None,
    /// Rows (or the entries of a vector) of each head went from the order of halves, where `i` and `i + D/2` rotate together,
    /// to that of pairs, where `2i` and `2i + 1` do.
    Interleaved {
        /// D: even, and a divisor of the number of rows.
        head_dim: usize,
    },
    /// 1 was added to each value.
    PlusOne,
}

impl Change {
    /// The stored row that holds row `index`.
    pub(super) fn stored_row(self, index: usize) -> usize {
        match self {
            Self::Interleaved { head_dim } => {
                let (head, entry) = (index / head_dim, index % head_dim);
                let (upper, pair) = (entry / (head_dim / 2), entry % (head_dim / 2));
                head * head_dim + 2 * pair + upper
            }
            Self::None | Self::PlusOne => index,
        }
    }

    /// Undoes the change in a whole vector.
    pub(super) fn undo_in_vector(self, values: &mut [f32]) {
        match self {
            Self::None => {}
            Self::Interleaved { .. } => {
                let stored = values.to_vec();
                for (index, value) in values.iter_mut().enumerate() {
                    *value = stored[self.stored_row(index)];
                }
            }
            // Exact from 1/2 upwards; below, where gains hardly lie, to 2^-25.
            Self::PlusOne => values.iter_mut().for_each(|value| *value -= 1.),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stored_row_undoes_reshape_and_swap() {
        // llama.cpp stores `w.reshape(heads, 2, D/2, ..).swapaxes(1, 2)`.
        let (heads, head_dim) = (3, 10);
        let rows: Vec<usize> = (0..heads * head_dim).collect();
        let mut stored = Vec::new();
        for head in 0..heads {
            for pair in 0..head_dim / 2 {
                for upper in 0..2 {
                    stored.push(rows[head * head_dim + upper * head_dim / 2 + pair]);
                }
            }
        }
        let change = Change::Interleaved { head_dim };
        let undone: Vec<usize> = rows.iter().map(|row| stored[change.stored_row(*row)]).collect();
        assert_eq!(undone, rows);
        let mut vector: Vec<f32> = stored.iter().map(|row| *row as f32).collect();
        change.undo_in_vector(&mut vector);
        assert!(vector.iter().zip(&rows).all(|(value, row)| *value == *row as f32));
    }

    #[test]
    fn widen_block_is_scale_times_quant() {
        let mut block = half::f16::from_f32(0.125).to_le_bytes().to_vec();
        block.extend((0..32).map(|i| (i * 8 - 128) as i8 as u8));
        let mut values = [0f32; 32];
        Storage::Blocks(Block::Q8_0).widen(&block, &mut values);
        assert_eq!((values[0], values[16], values[31]), (-16., 0., 15.));
        assert_eq!(Storage::Blocks(Block::Q8_0).row_bytes(32), Some(block.len()));
        assert_eq!(Storage::Blocks(Block::Q8_0).row_bytes(31), None);
    }
}
