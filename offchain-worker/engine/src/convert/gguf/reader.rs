//! The container: header, metadata and tensor table of a
//! [GGUF file](https://github.com/ggml-org/ggml/blob/master/docs/gguf.md), versions 2 and 3, little endian.
//!
//! Nothing is allocated on the word of a length: each is compared with what is left of the file first, arrays and strings
//! stay in the mapping, and the tables grow entry by entry.

use super::value::{Array, Value, ValueType};
use crate::{
    convert::{
        checkpoint::{Block, Storage},
        error::{ConvertError, Result},
    },
    package::Bytes,
};
use std::{
    collections::{btree_map, BTreeMap, BTreeSet},
    ops::Range,
    path::{Path, PathBuf},
};

const MAGIC: &[u8; 4] = b"GGUF";
const VERSIONS: [u32; 2] = [2, 3];
/// Limits of the format's description.
const MAX_KEY: u64 = 65_535;
const MAX_TENSOR_NAME: u64 = 64;
const MAX_DIMENSIONS: u32 = 4;
/// Models hold dozens of keys and, with their experts in one tensor each, up to thousands of tensors.
const MAX_KEYS: u64 = 1 << 16;
const MAX_TENSORS: u64 = 1 << 16;
const ALIGNMENT_KEY: &str = "general.alignment";
const DEFAULT_ALIGNMENT: u64 = 32;
/// Alignments beyond a page serve nobody.
const MAX_ALIGNMENT: u64 = 1 << 16;

/// An opened file whose tables were checked: every range lies in the file, and no two tensors overlap.
pub struct Container {
    path: PathBuf,
    bytes: Bytes,
    metadata: BTreeMap<String, Value>,
    tensors: BTreeMap<String, TensorInfo>,
}

/// An entry of the tensor table.
#[derive(Debug, Clone)]
pub struct TensorInfo {
    /// Type of its values.
    pub storage: Storage,
    /// Row-major: the last is the length of a row. The file has them the other way round.
    pub shape: Vec<usize>,
    /// Byte range in the file.
    pub range: Range<usize>,
}

impl Container {
    /// Maps and reads the tables of `path`.
    pub fn open(path: &Path) -> Result<Self> {
        let bytes = Bytes::map(path).map_err(ConvertError::io(path))?;
        let reader = Reader { path, bytes: &bytes, position: 0 };
        let (metadata, tensors) = reader.tables()?;
        Ok(Self { path: path.into(), bytes, metadata, tensors })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// All of its bytes.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Metadata by key.
    pub fn metadata(&self) -> &BTreeMap<String, Value> {
        &self.metadata
    }

    /// Tensors by name.
    pub fn tensors(&self) -> &BTreeMap<String, TensorInfo> {
        &self.tensors
    }
}

/// Reads front to back.
struct Reader<'a> {
    path: &'a Path,
    bytes: &'a [u8],
    position: usize,
}

impl<'a> Reader<'a> {
    fn tables(mut self) -> Result<(BTreeMap<String, Value>, BTreeMap<String, TensorInfo>)> {
        if self.take(4, "the magic number")? != MAGIC {
            return Err(self.error("it does not begin with \"GGUF\""));
        }
        let version = self.u32("the version")?;
        if VERSIONS.contains(&version.swap_bytes()) {
            return Err(self.error("it is big endian; convert it to little endian (gguf-convert-endian) first"));
        }
        if !VERSIONS.contains(&version) {
            return Err(self.error(format!("version {version}; versions 2 and 3 are read")));
        }
        let tensors = self.count("tensors", MAX_TENSORS)?;
        let keys = self.count("metadata keys", MAX_KEYS)?;
        let metadata = self.metadata(keys)?;
        let alignment = self.alignment(&metadata)?;
        let tensors = self.tensors(tensors, alignment)?;
        Ok((metadata, tensors))
    }

    fn metadata(&mut self, count: u64) -> Result<BTreeMap<String, Value>> {
        let mut metadata = BTreeMap::new();
        for index in 0..count {
            let key = self.text(MAX_KEY, &format!("key {index} of the metadata"))?;
            let value = self.value(&key)?;
            match metadata.entry(key) {
                btree_map::Entry::Vacant(slot) => slot.insert(value),
                btree_map::Entry::Occupied(slot) => {
                    return Err(self.error(format!("metadata key `{}` is there twice", slot.key())));
                }
            };
        }
        Ok(metadata)
    }

    fn value(&mut self, key: &str) -> Result<Value> {
        let what = format!("the value of `{key}`");
        let kind = self.value_type(key)?;
        match kind {
            ValueType::Array => {
                let kind = self.value_type(key)?;
                let count = self.u64(&what)?;
                let start = self.position;
                match kind.bytes() {
                    Some(width) => {
                        let length = count.saturating_mul(width as u64);
                        self.take(length, &what)?;
                    }
                    None if kind == ValueType::Text => {
                        for _ in 0..count {
                            let length = self.u64(&what)?;
                            self.take(length, &what)?;
                        }
                    }
                    None => return Err(self.error(format!("`{key}` is an array of arrays"))),
                }
                // The elements were just read, so their number fits.
                Ok(Value::Array(Array { kind, count: count as usize, range: start..self.position }))
            }
            ValueType::Text => {
                let length = self.u64(&what)?;
                let bytes = self.take(length, &what)?;
                let range = self.position - bytes.len()..self.position;
                Ok(Value::Text(range))
            }
            scalar => {
                let bytes = self.take(scalar.bytes().unwrap_or(0) as u64, &what)?;
                let value = scalar.scalar(bytes);
                value.ok_or_else(|| self.error(format!("{what} is a truth value of byte {}", bytes[0])))
            }
        }
    }

    fn value_type(&mut self, key: &str) -> Result<ValueType> {
        let id = self.u32(&format!("the type of `{key}`"))?;
        ValueType::of(id).ok_or_else(|| self.error(format!("`{key}` has the unknown type {id}")))
    }

    fn alignment(&self, metadata: &BTreeMap<String, Value>) -> Result<u64> {
        match metadata.get(ALIGNMENT_KEY) {
            None => Ok(DEFAULT_ALIGNMENT),
            Some(Value::Unsigned(alignment)) if *alignment > 0 && alignment % 8 == 0 && *alignment <= MAX_ALIGNMENT => {
                Ok(*alignment)
            }
            Some(Value::Unsigned(alignment)) => Err(self
                .error(format!("`{ALIGNMENT_KEY}` is {alignment}; it must be a multiple of 8 in 8..={MAX_ALIGNMENT}"))),
            Some(_) => Err(self.error(format!("`{ALIGNMENT_KEY}` must be an unsigned integer"))),
        }
    }

    fn tensors(&mut self, count: u64, alignment: u64) -> Result<BTreeMap<String, TensorInfo>> {
        let mut table = Vec::new();
        let mut names = BTreeSet::new();
        for index in 0..count {
            let name = self.text(MAX_TENSOR_NAME, &format!("the name of tensor {index}"))?;
            if !names.insert(name.clone()) {
                return Err(self.error(format!("tensor `{name}` is there twice")));
            }
            let what = format!("the description of tensor `{name}`");
            let shape = self.shape(&name, &what)?;
            let storage = self.storage(&name, &what)?;
            let offset = self.u64(&what)?;
            if offset % alignment != 0 {
                return Err(self.error(format!("tensor `{name}` begins at {offset}, not a multiple of {alignment}")));
            }
            table.push((name, shape, storage, offset));
        }
        // Data begins at the next aligned byte.
        let data = (self.position as u64).next_multiple_of(alignment);
        let mut tensors = BTreeMap::new();
        for (name, shape, storage, offset) in table {
            let size = self.size(&name, &shape, &storage)?;
            let place = || Some((data.checked_add(offset)?, data.checked_add(offset)?.checked_add(size)?));
            match place() {
                Some((start, end)) if end <= self.bytes.len() as u64 => {
                    tensors.insert(name, TensorInfo { storage, shape, range: start as usize..end as usize });
                }
                _ => {
                    return Err(self.error(format!(
                        "tensor `{name}` has {size} bytes at offset {offset}, beyond the file's {}",
                        self.bytes.len()
                    )));
                }
            }
        }
        self.no_overlap(&tensors)?;
        Ok(tensors)
    }

    fn shape(&mut self, name: &str, what: &str) -> Result<Vec<usize>> {
        let dimensions = self.u32(what)?;
        if !(1..=MAX_DIMENSIONS).contains(&dimensions) {
            return Err(
                self.error(format!("tensor `{name}` has {dimensions} dimensions; 1..={MAX_DIMENSIONS} are allowed"))
            );
        }
        let mut shape = Vec::with_capacity(dimensions as usize);
        for _ in 0..dimensions {
            match usize::try_from(self.u64(what)?) {
                Ok(0) => return Err(self.error(format!("tensor `{name}` has a dimension of 0"))),
                Ok(size) => shape.push(size),
                Err(_) => return Err(self.error(format!("tensor `{name}` is larger than memory can address"))),
            }
        }
        shape.reverse();
        Ok(shape)
    }

    fn storage(&mut self, name: &str, what: &str) -> Result<Storage> {
        let id = self.u32(what)?;
        match id {
            0 => Ok(Storage::F32),
            1 => Ok(Storage::F16),
            30 => Ok(Storage::BF16),
            _ => Block::of_ggml(id).map(Storage::Blocks).ok_or_else(|| ConvertError::TensorQuantised {
                path: self.path.into(),
                tensor: name.into(),
                dtype: type_name(id),
            }),
        }
    }

    /// Bytes of the data.
    fn size(&self, name: &str, shape: &[usize], storage: &Storage) -> Result<u64> {
        let (columns, outer) = shape.split_last().unwrap_or((&1, &[]));
        let rows = outer.iter().try_fold(1usize, |rows, size| rows.checked_mul(*size));
        let row = storage.row_bytes(*columns);
        match (row, rows) {
            (Some(row), Some(rows)) if row.checked_mul(rows).is_some() => Ok((row * rows) as u64),
            (None, _) if *columns < 1 << 32 => {
                Err(self.error(format!("tensor `{name}` has rows of {columns} values, which {storage} cannot hold")))
            }
            _ => Err(self.error(format!("tensor `{name}` of {shape:?} is larger than memory can address"))),
        }
    }

    fn no_overlap(&self, tensors: &BTreeMap<String, TensorInfo>) -> Result<()> {
        let mut ranges: Vec<_> = tensors.iter().map(|(name, info)| (info.range.clone(), name)).collect();
        ranges.sort_unstable_by_key(|(range, _)| range.start);
        for pair in ranges.windows(2) {
            let [(first, name), (second, other)] = pair else { continue };
            if second.start < first.end {
                return Err(self.error(format!("tensors `{name}` and `{other}` overlap")));
            }
        }
        Ok(())
    }

    fn count(&mut self, what: &str, most: u64) -> Result<u64> {
        let count = self.u64(&format!("the number of {what}"))?;
        if count > most {
            return Err(self.error(format!("{count} {what}; at most {most} are read")));
        }
        Ok(count)
    }

    fn text(&mut self, most: u64, what: &str) -> Result<String> {
        let length = self.u64(what)?;
        if length > most {
            return Err(self.error(format!("{what} is {length} bytes long; at most {most} are allowed")));
        }
        let bytes = self.take(length, what)?;
        match std::str::from_utf8(bytes) {
            Ok(text) => Ok(text.to_owned()),
            Err(_) => Err(self.error(format!("{what} is not UTF-8"))),
        }
    }

    fn take(&mut self, length: u64, what: &str) -> Result<&'a [u8]> {
        let rest = self.bytes.get(self.position..).unwrap_or_default();
        let taken = usize::try_from(length).ok().and_then(|length| rest.get(..length));
        match taken {
            Some(taken) => {
                self.position += taken.len();
                Ok(taken)
            }
            None => Err(self.error(format!(
                "{what} asks for {length} bytes at byte {}, {} are left; the file is truncated or damaged",
                self.position,
                rest.len()
            ))),
        }
    }

    fn u32(&mut self, what: &str) -> Result<u32> {
        Ok(self.take(4, what)?.iter().rev().fold(0, |v, b| (v << 8) | u32::from(*b)))
    }

    fn u64(&mut self, what: &str) -> Result<u64> {
        Ok(self.take(8, what)?.iter().rev().fold(0, |v, b| (v << 8) | u64::from(*b)))
    }

    fn error(&self, problem: impl Into<String>) -> ConvertError {
        ConvertError::Gguf { path: self.path.into(), problem: problem.into() }
    }
}

/// The name of a type that is not read, from ggml's list.
fn type_name(id: u32) -> String {
    let name = match id {
        9 => "Q8_1",
        10 => "Q2_K",
        11 => "Q3_K",
        15 => "Q8_K",
        16 => "IQ2_XXS",
        17 => "IQ2_XS",
        18 => "IQ3_XXS",
        19 => "IQ1_S",
        20 => "IQ4_NL",
        21 => "IQ3_S",
        22 => "IQ2_S",
        23 => "IQ4_XS",
        24 => "I8",
        25 => "I16",
        26 => "I32",
        27 => "I64",
        28 => "F64",
        29 => "IQ1_M",
        34 => "TQ1_0",
        35 => "TQ2_0",
        39 => "MXFP4",
        40 => "NVFP4",
        41 => "Q1_0",
        _ => return format!("the unknown type {id}"),
    };
    name.into()
}
