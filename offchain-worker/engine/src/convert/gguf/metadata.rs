//! Typed access to the metadata, with errors that name the key.

use super::{
    reader::Container,
    value::{Array, Value, ValueType},
};
use crate::convert::error::{ConvertError, Result};
use std::path::Path;

/// The metadata of an opened file.
#[derive(Clone, Copy)]
pub struct Metadata<'a> {
    container: &'a Container,
}

impl<'a> Metadata<'a> {
    /// Of this file.
    pub fn new(container: &'a Container) -> Self {
        Self { container }
    }

    /// The file.
    pub fn path(&self) -> &'a Path {
        self.container.path()
    }

    /// An error about `key`.
    pub fn problem(&self, key: &str, problem: impl Into<String>) -> ConvertError {
        ConvertError::Field { path: self.container.path().into(), field: key.into(), problem: problem.into() }
    }

    /// An error about the tokenizer, with the way out.
    pub fn tokenizer_problem(&self, problem: impl std::fmt::Display) -> ConvertError {
        ConvertError::Tokenizer {
            path: self.container.path().into(),
            problem: format!("{problem}; give the model's own tokenizer.json with --tokenizer"),
        }
    }

    /// The raw value.
    pub fn get(&self, key: &str) -> Option<&'a Value> {
        self.container.metadata().get(key)
    }

    fn typed<T>(&self, key: &str, wanted: &str, read: impl FnOnce(&'a Value) -> Option<T>) -> Result<Option<T>> {
        let Some(value) = self.get(key) else { return Ok(None) };
        match read(value) {
            Some(typed) => Ok(Some(typed)),
            None => Err(self.problem(key, format!("must be {wanted}"))),
        }
    }

    /// A non-negative integer of any width; absent is `None`.
    pub fn unsigned(&self, key: &str) -> Result<Option<u64>> {
        self.typed(key, "one integer, not negative", |value| match value {
            Value::Unsigned(number) => Some(*number),
            Value::Signed(number) => u64::try_from(*number).ok(),
            _ => None,
        })
    }

    /// A finite float.
    pub fn float(&self, key: &str) -> Result<Option<f64>> {
        self.typed(key, "a finite float", |value| match value {
            Value::Float(number) if number.is_finite() => Some(*number),
            _ => None,
        })
    }

    /// A truth value.
    pub fn flag(&self, key: &str) -> Result<Option<bool>> {
        self.typed(key, "a truth value", |value| match value {
            Value::Bool(flag) => Some(*flag),
            _ => None,
        })
    }

    /// A string.
    pub fn text(&self, key: &str) -> Result<Option<&'a str>> {
        self.typed(key, "a UTF-8 string", |value| match value {
            Value::Text(range) => std::str::from_utf8(&self.container.bytes()[range.clone()]).ok(),
            _ => None,
        })
    }

    /// A list of strings, with their number.
    pub fn texts(&self, key: &str) -> Result<Option<Vec<&'a str>>> {
        let array = self.array(key, "a list of strings", |kind| kind == ValueType::Text)?;
        let Some((array, bytes)) = array else { return Ok(None) };
        let mut rest = bytes;
        // Each has at least its length of 8 bytes in the file: `count` is not a mere claim.
        let mut texts = Vec::with_capacity(array.count);
        for index in 0..array.count {
            let text = rest.split_at_checked(8).and_then(|(length, after)| {
                let length = length.iter().rev().fold(0u64, |v, b| (v << 8) | u64::from(*b));
                let (text, after) = after.split_at_checked(usize::try_from(length).ok()?)?;
                rest = after;
                std::str::from_utf8(text).ok()
            });
            texts.push(text.ok_or_else(|| self.problem(key, format!("entry {index} is not UTF-8")))?);
        }
        Ok(Some(texts))
    }

    /// A list of floats.
    pub fn floats(&self, key: &str) -> Result<Option<Vec<f32>>> {
        let array = self.array(key, "a list of 32-bit floats", |kind| kind == ValueType::F32)?;
        Ok(array
            .map(|(_, bytes)| bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()))
    }

    /// A list of 32-bit integers of either sign, as i32.
    pub fn integers(&self, key: &str) -> Result<Option<Vec<i32>>> {
        let wanted = |kind| matches!(kind, ValueType::I32 | ValueType::U32);
        let array = self.array(key, "a list of 32-bit integers", wanted)?;
        Ok(array
            .map(|(_, bytes)| bytes.chunks_exact(4).map(|b| i32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()))
    }

    fn array(
        &self,
        key: &str,
        wanted: &str,
        fits: impl Fn(ValueType) -> bool,
    ) -> Result<Option<(&'a Array, &'a [u8])>> {
        let array = self.typed(key, wanted, |value| match value {
            Value::Array(array) if fits(array.kind) => Some(array),
            _ => None,
        })?;
        Ok(array.map(|array| (array, &self.container.bytes()[array.range.clone()])))
    }
}
