//! Values of GGUF metadata.

use std::ops::Range;

/// Types by their number in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValueType {
    U8,
    I8,
    U16,
    I16,
    U32,
    I32,
    F32,
    Bool,
    Text,
    Array,
    U64,
    I64,
    F64,
}

/// A value. Text and arrays stay in the file.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Any unsigned integer.
    Unsigned(u64),
    /// Any signed integer.
    Signed(i64),
    /// Any float. One stored as f32 is the f64 of its shortest decimal: what was written in the checkpoint's configuration,
    /// 1e-5 say, and not 9.999999747e-6.
    Float(f64),
    /// A truth value.
    Bool(bool),
    /// Byte range of a string, not yet checked to be UTF-8.
    Text(Range<usize>),
    /// Many of one type.
    Array(Array),
}

/// An array whose elements are known to lie in the file.
#[derive(Debug, Clone, PartialEq)]
pub struct Array {
    /// Type of the elements: scalar or text.
    pub kind: ValueType,
    /// Their number.
    pub count: usize,
    /// Their bytes.
    pub range: Range<usize>,
}

impl ValueType {
    /// The type of a number.
    pub fn of(id: u32) -> Option<Self> {
        use ValueType::*;
        [U8, I8, U16, I16, U32, I32, F32, Bool, Text, Array, U64, I64, F64].get(id as usize).copied()
    }

    /// Bytes of a scalar.
    pub fn bytes(self) -> Option<usize> {
        match self {
            Self::U8 | Self::I8 | Self::Bool => Some(1),
            Self::U16 | Self::I16 => Some(2),
            Self::U32 | Self::I32 | Self::F32 => Some(4),
            Self::U64 | Self::I64 | Self::F64 => Some(8),
            Self::Text | Self::Array => None,
        }
    }

    /// Decodes a scalar from as many `bytes` as it has; `None` for a truth value that is neither 0 nor 1.
    pub fn scalar(self, bytes: &[u8]) -> Option<Value> {
        let bits = bytes.iter().rev().fold(0u64, |v, b| (v << 8) | u64::from(*b));
        Some(match self {
            Self::U8 | Self::U16 | Self::U32 | Self::U64 => Value::Unsigned(bits),
            Self::I8 => Value::Signed((bits as i8).into()),
            Self::I16 => Value::Signed((bits as i16).into()),
            Self::I32 => Value::Signed((bits as i32).into()),
            Self::I64 => Value::Signed(bits as i64),
            Self::F32 => Value::Float(decimal(f32::from_bits(bits as u32))),
            Self::F64 => Value::Float(f64::from_bits(bits)),
            Self::Bool if bits > 1 => return None,
            Self::Bool => Value::Bool(bits == 1),
            Self::Text | Self::Array => return None,
        })
    }
}

/// The f64 nearest to the shortest decimal that identifies `value`.
fn decimal(value: f32) -> f64 {
    // What Display prints, FromStr reads; the other way is exact too, only less like what was meant.
    value.to_string().parse().unwrap_or(f64::from(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scalar_f32_is_the_decimal_that_was_meant() {
        for wanted in [1e-5, 1e-6, 10_000., 500_000., 0.1, 1e-30] {
            let value = ValueType::F32.scalar(&(wanted as f32).to_le_bytes());
            assert_eq!(value, Some(Value::Float(wanted)));
        }
    }

    #[test]
    fn scalar_signed_extends_its_sign() {
        assert_eq!(ValueType::I8.scalar(&[0xff]), Some(Value::Signed(-1)));
        assert_eq!(ValueType::I32.scalar(&(-7i32).to_le_bytes()), Some(Value::Signed(-7)));
        assert_eq!(ValueType::Bool.scalar(&[2]), None);
    }
}
