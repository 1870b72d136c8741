//! Typed access to `config.json`, or to what another file says in its place, with errors that name the field.

use super::error::{ConvertError, Result};
use serde_json::{Map, Value};
use std::{
    collections::BTreeMap,
    io::Read,
    path::{Path, PathBuf},
};

/// Files of a checkpoint that are held as a whole: JSON and templates. Beyond this size they are refused before they are read;
/// the largest public tokenizers have half of it.
const MAX_BYTES: u64 = 64 << 20;

/// The bytes of a file that is not of weights.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    let refuse = |bytes: u64| ConvertError::Io {
        path: path.into(),
        source: std::io::Error::other(format!("{bytes} bytes or more; at most {MAX_BYTES} are read")),
    };
    let file = std::fs::File::open(path).map_err(ConvertError::io(path))?;
    let length = file.metadata().map_err(ConvertError::io(path))?.len();
    if length > MAX_BYTES {
        return Err(refuse(length));
    }
    // A device or a pipe has no length.
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(ConvertError::io(path))?;
    match bytes.len() as u64 > MAX_BYTES {
        true => Err(refuse(bytes.len() as u64)),
        false => Ok(bytes),
    }
}

/// A JSON object of a checkpoint folder (`config.json`, `generation_config.json`, an index), or an object nested in one.
#[derive(Debug, Clone)]
pub struct ConfigFile {
    path: PathBuf,
    prefix: String,
    fields: Map<String, Value>,
    /// Where in the file a field comes from, if the file has other names.
    origins: BTreeMap<String, String>,
}

impl ConfigFile {
    /// Reads and parses the file. The top level must be an object.
    pub fn read(path: &Path) -> Result<Self> {
        let text = read(path)?;
        let value = serde_json::from_slice(&text).map_err(|source| ConvertError::Json { path: path.into(), source })?;
        match value {
            Value::Object(fields) => Ok(Self::in_memory(path, fields, BTreeMap::new())),
            other => Err(ConvertError::Field {
                path: path.into(),
                field: ".".into(),
                problem: format!("the top level must be an object, it is {}", kind(&other)),
            }),
        }
    }

    /// Fields that were read from `path`, which is no JSON file. `origins` says under which other names; errors give both.
    pub fn in_memory(path: &Path, fields: Map<String, Value>, origins: BTreeMap<String, String>) -> Self {
        Self { path: path.into(), prefix: String::new(), fields, origins }
    }

    /// The file this came from.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// An error about `field` of this file.
    pub fn problem(&self, field: &str, problem: impl Into<String>) -> ConvertError {
        let field = match self.origins.get(field) {
            None => format!("{}{field}", self.prefix),
            Some(origin) => format!("{origin} = {field}"),
        };
        ConvertError::Field { path: self.path.clone(), field, problem: problem.into() }
    }

    /// The raw value; `null` counts as absent, as in the Hugging Face libraries.
    pub fn get(&self, field: &str) -> Option<&Value> {
        self.fields.get(field).filter(|value| !value.is_null())
    }

    /// All fields.
    pub fn fields(&self) -> &Map<String, Value> {
        &self.fields
    }

    fn required<T>(&self, field: &str, value: Option<T>) -> Result<T> {
        value.ok_or_else(|| self.problem(field, "missing"))
    }

    fn typed<'a, T>(
        &'a self,
        field: &str,
        wanted: &str,
        read: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Result<Option<T>> {
        let Some(value) = self.get(field) else { return Ok(None) };
        match read(value) {
            Some(typed) => Ok(Some(typed)),
            None => Err(self.problem(field, format!("must be {wanted}, it is {}", kind(value)))),
        }
    }

    /// A size in `1..=max`; absent is `None`.
    pub fn optional_size(&self, field: &str, max: u32) -> Result<Option<usize>> {
        let value = self.typed(field, "a positive integer", Value::as_u64)?;
        match value {
            None => Ok(None),
            Some(size) if size >= 1 && size <= u64::from(max) => Ok(Some(size as usize)),
            Some(size) => Err(self.problem(field, format!("{size} is outside 1..={max}"))),
        }
    }

    /// A size in `1..=max`.
    pub fn size(&self, field: &str, max: u32) -> Result<usize> {
        let size = self.optional_size(field, max)?;
        self.required(field, size)
    }

    /// A finite number; absent is `None`.
    pub fn optional_number(&self, field: &str) -> Result<Option<f64>> {
        self.typed(field, "a number", Value::as_f64)
    }

    /// A finite number.
    pub fn number(&self, field: &str) -> Result<f64> {
        let number = self.optional_number(field)?;
        self.required(field, number)
    }

    /// A truth value, or `default`.
    pub fn flag(&self, field: &str, default: bool) -> Result<bool> {
        Ok(self.typed(field, "true or false", Value::as_bool)?.unwrap_or(default))
    }

    /// A string; absent is `None`.
    pub fn text(&self, field: &str) -> Result<Option<&str>> {
        self.typed(field, "a string", Value::as_str)
    }

    /// A nested object; absent is `None`.
    pub fn object(&self, field: &str) -> Result<Option<ConfigFile>> {
        let fields = self.typed(field, "an object", Value::as_object)?;
        Ok(fields.map(|fields| ConfigFile {
            path: self.path.clone(),
            prefix: format!("{}{field}.", self.prefix),
            fields: fields.clone(),
            origins: BTreeMap::new(),
        }))
    }

    /// One token id or a list of them, ascending and without repeats; absent is empty.
    pub fn token_ids(&self, field: &str, vocab: usize) -> Result<Vec<u32>> {
        let values = match self.get(field) {
            None => return Ok(Vec::new()),
            Some(Value::Array(values)) => values.as_slice(),
            Some(value) => std::slice::from_ref(value),
        };
        let mut ids = Vec::with_capacity(values.len());
        for value in values {
            match value.as_u64() {
                Some(id) if id < vocab as u64 => ids.push(id as u32),
                _ => return Err(self.problem(field, format!("{value} is not a token id below vocab_size {vocab}"))),
            }
        }
        ids.sort_unstable();
        ids.dedup();
        Ok(ids)
    }
}

fn kind(value: &Value) -> String {
    match value {
        Value::Null => "null".into(),
        Value::Bool(flag) => flag.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => format!("the string {text:?}"),
        Value::Array(_) => "a list".into(),
        Value::Object(_) => "an object".into(),
    }
}
