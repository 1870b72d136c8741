//! A Hugging Face checkpoint: one `model.safetensors`, or shards named by `model.safetensors.index.json`.
//!
//! Files are memory-mapped and their headers checked when opened; a tensor is read only when asked for, so a checkpoint
//! larger than memory can be converted.

use super::{
    config::ConfigFile,
    error::{ConvertError, Result},
};
use candle_core::{DType, Device, Shape, Tensor};
use memmap2::Mmap;
use safetensors::{tensor::Metadata, Dtype, SafeTensors};
use std::{
    collections::BTreeMap,
    fs::File,
    path::{Path, PathBuf},
    sync::Arc,
};

/// A row scale expresses maxima below this.
pub const WEIGHT_LIMIT: f32 = (1u32 << 30) as f32;

const SINGLE: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";

/// An open checkpoint. Cloning shares the mapping.
#[derive(Clone)]
pub struct Checkpoint {
    /// The file that lists the tensors: the single file or the index.
    listing: PathBuf,
    shards: Arc<Vec<Shard>>,
    tensors: Arc<BTreeMap<String, Entry>>,
}

struct Shard {
    path: PathBuf,
    map: Mmap,
}

#[derive(Debug, Clone)]
struct Entry {
    shard: usize,
    dtype: Dtype,
    shape: Vec<usize>,
    /// Byte range in the file.
    start: usize,
    end: usize,
}

impl Checkpoint {
    /// Opens the checkpoint in `folder`.
    pub fn open(folder: &Path) -> Result<Self> {
        let index = folder.join(INDEX);
        let single = folder.join(SINGLE);
        let (listing, files) =
            if index.exists() { (index.clone(), shard_files(folder, &index)?) } else { (single.clone(), vec![single]) };
        let mut shards = Vec::with_capacity(files.len());
        let mut tensors = BTreeMap::new();
        for path in files {
            let file = File::open(&path).map_err(ConvertError::io(&path))?;
            // SAFETY: the mapping is read only; a file changed under it gives other weights, and so another root, but
            // every access stays inside the length checked below.
            let map = unsafe { Mmap::map(&file) }.map_err(ConvertError::io(&path))?;
            let (header, metadata) = read_header(&path, &map)?;
            for (name, info) in metadata.tensors() {
                let (start, end) = info.data_offsets;
                let entry = Entry {
                    shard: shards.len(),
                    dtype: info.dtype,
                    shape: info.shape.clone(),
                    start: header + start,
                    end: header + end,
                };
                if tensors.insert(name.clone(), entry).is_some() {
                    return Err(ConvertError::Safetensors {
                        path,
                        problem: format!("tensor `{name}` is also in another shard"),
                    });
                }
            }
            shards.push(Shard { path, map });
        }
        Ok(Self { listing, shards: Arc::new(shards), tensors: Arc::new(tensors) })
    }

    /// Names of all tensors, ascending.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// The file that holds `tensor`, or the listing if there is none.
    pub fn path_of(&self, tensor: &str) -> &Path {
        self.tensors.get(tensor).map_or(&self.listing, |entry| &self.shards[entry.shard].path)
    }

    /// Checks that `tensor` is there, of `shape` and of a readable type, without reading its data.
    pub fn check(&self, tensor: &str, shape: &[usize]) -> Result<()> {
        self.entry(tensor, shape).map(|_| ())
    }

    fn entry(&self, tensor: &str, shape: &[usize]) -> Result<&Entry> {
        let entry = self.tensors.get(tensor).ok_or_else(|| self.missing(tensor))?;
        let path = || self.shards[entry.shard].path.clone();
        if entry.shape != shape {
            return Err(ConvertError::TensorShape {
                path: path(),
                tensor: tensor.into(),
                expected: shape.into(),
                found: entry.shape.clone(),
            });
        }
        if !matches!(entry.dtype, Dtype::F32 | Dtype::F16 | Dtype::BF16) {
            return Err(ConvertError::TensorType {
                path: path(),
                tensor: tensor.into(),
                dtype: format!("{:?}", entry.dtype),
            });
        }
        Ok(entry)
    }

    /// Calls `row` with each row of the matrix `tensor` of `[rows, columns]`, in order, as f32 (every supported type widens
    /// without loss). NaN, infinity and magnitudes of
    /// [`WEIGHT_LIMIT`] are refused.
    pub fn for_each_row(
        &self,
        tensor: &str,
        [rows, columns]: [usize; 2],
        row: impl FnMut(usize, &[f32]) -> Result<()>,
    ) -> Result<()> {
        let entry = self.entry(tensor, &[rows, columns])?;
        self.read_rows(tensor, entry, columns, row)
    }

    /// The vector `tensor` of `length` entries.
    pub fn vector(&self, tensor: &str, length: usize) -> Result<Vec<f32>> {
        let entry = self.entry(tensor, &[length])?;
        let mut vector = Vec::with_capacity(length);
        self.read_rows(tensor, entry, length, |_, values| {
            vector.extend_from_slice(values);
            Ok(())
        })?;
        Ok(vector)
    }

    /// Reads `tensor` and checks each value.
    pub fn check_values(&self, tensor: &str) -> Result<()> {
        let Some(entry) = self.tensors.get(tensor) else {
            return Err(self.missing(tensor));
        };
        let columns = entry.shape.last().copied().unwrap_or(1);
        self.read_rows(tensor, entry, columns, |_, _| Ok(()))
    }

    fn missing(&self, tensor: &str) -> ConvertError {
        ConvertError::MissingTensor { path: self.listing.clone(), tensor: tensor.into() }
    }

    fn read_rows(
        &self,
        tensor: &str,
        entry: &Entry,
        columns: usize,
        mut row: impl FnMut(usize, &[f32]) -> Result<()>,
    ) -> Result<()> {
        let shard = &self.shards[entry.shard];
        let bytes = &shard.map[entry.start..entry.end];
        let width = entry.dtype.bitsize() / 8;
        let mut values = vec![0f32; columns];
        for (index, bytes) in bytes.chunks_exact(columns * width).enumerate() {
            widen(entry.dtype, bytes, &mut values);
            // False for NaN too.
            let usable = |value: &f32| value.abs() < WEIGHT_LIMIT;
            if let Some(column) = values.iter().position(|value| !usable(value)) {
                return Err(ConvertError::WeightValue {
                    path: shard.path.clone(),
                    tensor: tensor.into(),
                    row: index,
                    column,
                    value: values[column],
                });
            }
            row(index, &values)?;
        }
        Ok(())
    }
}

fn widen(dtype: Dtype, bytes: &[u8], values: &mut [f32]) {
    match dtype {
        Dtype::F32 => {
            for (value, b) in values.iter_mut().zip(bytes.chunks_exact(4)) {
                *value = f32::from_le_bytes([b[0], b[1], b[2], b[3]]);
            }
        }
        Dtype::F16 => {
            for (value, b) in values.iter_mut().zip(bytes.chunks_exact(2)) {
                *value = half::f16::from_le_bytes([b[0], b[1]]).to_f32();
            }
        }
        // `entry` lets only three types through.
        _ => {
            for (value, b) in values.iter_mut().zip(bytes.chunks_exact(2)) {
                *value = half::bf16::from_le_bytes([b[0], b[1]]).to_f32();
            }
        }
    }
}

/// Length of the header with its size field, and the tensor table, whose offsets are checked against the file.
fn read_header(path: &Path, map: &Mmap) -> Result<(usize, Metadata)> {
    let invalid = |error: safetensors::SafeTensorError| ConvertError::Safetensors {
        path: path.into(),
        problem: error.to_string(),
    };
    let (length, metadata) = SafeTensors::read_metadata(map).map_err(invalid)?;
    let (header, expected) = (length + 8, metadata.data_len());
    if header.checked_add(expected) != Some(map.len()) {
        return Err(ConvertError::Safetensors {
            path: path.into(),
            problem: format!(
                "the header describes {expected} bytes of tensors, the file holds {}",
                map.len().saturating_sub(header)
            ),
        });
    }
    Ok((header, metadata))
}

/// The distinct shard files that the index names, ascending.
fn shard_files(folder: &Path, index: &Path) -> Result<Vec<PathBuf>> {
    let file = ConfigFile::read(index)?;
    let map = file.object("weight_map")?.ok_or_else(|| file.problem("weight_map", "missing"))?;
    let mut names = std::collections::BTreeSet::new();
    for tensor in map.fields().keys() {
        let name = map.text(tensor)?.ok_or_else(|| map.problem(tensor, "missing"))?;
        // An index from elsewhere must not reach outside its folder.
        if name.contains(['/', '\\']) || !name.ends_with(".safetensors") {
            return Err(map.problem(tensor, format!("{name:?} is not the name of a .safetensors file in this folder")));
        }
        names.insert(name.to_string());
    }
    if names.is_empty() {
        return Err(file.problem("weight_map", "names no file"));
    }
    Ok(names.into_iter().map(|name| folder.join(name)).collect())
}

/// The float reference reads its weights through candle's `VarBuilder`.
impl candle_nn::var_builder::SimpleBackend for Checkpoint {
    fn get(
        &self,
        shape: Shape,
        name: &str,
        _: candle_nn::Init,
        dtype: DType,
        device: &Device,
    ) -> candle_core::Result<Tensor> {
        let entry = self.entry(name, shape.dims()).map_err(candle_core::Error::wrap)?;
        let columns = *entry.shape.last().unwrap_or(&1);
        let mut values = Vec::with_capacity(shape.elem_count());
        self.read_rows(name, entry, columns, |_, row| {
            values.extend_from_slice(row);
            Ok(())
        })
        .map_err(candle_core::Error::wrap)?;
        Tensor::from_vec(values, shape, device)?.to_dtype(dtype)
    }

    fn get_unchecked(&self, name: &str, dtype: DType, device: &Device) -> candle_core::Result<Tensor> {
        let shape = match self.tensors.get(name) {
            Some(entry) => Shape::from(entry.shape.clone()),
            None => {
                return Err(candle_core::Error::CannotFindTensor { path: name.into() }.bt());
            }
        };
        candle_nn::var_builder::SimpleBackend::get(self, shape, name, candle_nn::Init::Const(0.), dtype, device)
    }

    fn contains_tensor(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }
}
