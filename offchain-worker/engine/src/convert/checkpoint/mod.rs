//! A checkpoint's tensors under their Hugging Face names, whatever file format they lie in.
//!
//! Files are memory-mapped and their tensor tables checked when opened; a tensor is read only when asked for, so a checkpoint
//! larger than memory can be converted. [`safetensors`] and the [GGUF reader](super::gguf) make the table; reading is the same
//! for both.

mod blocks;
mod safetensors;
mod storage;

pub(super) use blocks::Block;
pub(super) use storage::{Change, Storage};

use super::{
    error::{ConvertError, Result},
    gguf::Naming,
};
use crate::package::Bytes;
use candle_core::{DType, Device, Shape, Tensor};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

/// A row scale expresses maxima below this.
pub const WEIGHT_LIMIT: f32 = (1u32 << 30) as f32;

/// An open checkpoint. Cloning shares the mapping.
#[derive(Clone)]
pub struct Checkpoint {
    /// The file that lists the tensors: the single file or the index.
    listing: PathBuf,
    files: Arc<Vec<MappedFile>>,
    tensors: Arc<BTreeMap<String, Entry>>,
    /// How the files name tensors, if not as Hugging Face does.
    naming: Option<&'static Naming>,
}

/// A file of tensors.
pub(super) struct MappedFile {
    /// For errors.
    pub path: PathBuf,
    /// Its bytes. A file changed under the mapping gives other weights, and so another root.
    pub bytes: Bytes,
}

/// Where and how a tensor is stored.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    /// Index of its file.
    pub file: usize,
    /// Type of its values.
    pub storage: Storage,
    /// Row-major: the last is the length of a row.
    pub shape: Vec<usize>,
    /// Byte range in the file.
    pub start: usize,
    /// End of the range, exclusive. As many bytes as storage and shape ask for.
    pub end: usize,
    /// What was done to the values when they were stored, to be undone when they are read.
    pub change: Change,
}

impl Checkpoint {
    /// Opens the safetensors files in `folder`.
    pub fn open(folder: &Path) -> Result<Self> {
        safetensors::open(folder)
    }

    /// `listing` is named where a tensor is missing. The entries' ranges must lie in their files.
    pub(super) fn new(
        listing: PathBuf,
        files: Vec<MappedFile>,
        tensors: BTreeMap<String, Entry>,
        naming: Option<&'static Naming>,
    ) -> Self {
        Self { listing, files: Arc::new(files), tensors: Arc::new(tensors), naming }
    }

    /// Names of all tensors, ascending.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// The file that holds `tensor`, or the listing if there is none.
    pub fn path_of(&self, tensor: &str) -> &Path {
        self.tensors.get(tensor).map_or(&self.listing, |entry| &self.files[entry.file].path)
    }

    /// Checks that `tensor` is there, of `shape` and of a readable type, without reading its data.
    pub fn check(&self, tensor: &str, shape: &[usize]) -> Result<()> {
        self.entry(tensor, shape).map(|_| ())
    }

    fn entry(&self, tensor: &str, shape: &[usize]) -> Result<&Entry> {
        let entry = self.tensors.get(tensor).ok_or_else(|| self.missing(tensor))?;
        if entry.shape != shape {
            return Err(ConvertError::TensorShape {
                path: self.path_of(tensor).into(),
                tensor: self.described(tensor),
                expected: shape.into(),
                found: entry.shape.clone(),
            });
        }
        self.readable(tensor, entry)?;
        Ok(entry)
    }

    fn readable(&self, tensor: &str, entry: &Entry) -> Result<()> {
        match &entry.storage {
            Storage::Unread(dtype) => Err(ConvertError::TensorType {
                path: self.path_of(tensor).into(),
                tensor: self.described(tensor),
                dtype: dtype.clone(),
            }),
            _ => Ok(()),
        }
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
        self.read_rows(tensor, entry, row)
    }

    /// The vector `tensor` of `length` entries.
    pub fn vector(&self, tensor: &str, length: usize) -> Result<Vec<f32>> {
        let entry = self.entry(tensor, &[length])?;
        let mut vector = Vec::with_capacity(length);
        self.read_rows(tensor, entry, |_, values| {
            vector.extend_from_slice(values);
            Ok(())
        })?;
        Ok(vector)
    }

    /// Reads `tensor` and checks each value.
    pub fn check_values(&self, tensor: &str) -> Result<()> {
        let entry = self.tensors.get(tensor).ok_or_else(|| self.missing(tensor))?;
        self.readable(tensor, entry)?;
        self.read_rows(tensor, entry, |_, _| Ok(()))
    }

    fn missing(&self, tensor: &str) -> ConvertError {
        ConvertError::MissingTensor { path: self.listing.clone(), tensor: self.described(tensor) }
    }

    /// For errors: the name that the model's code uses, after the one in the file if that differs.
    pub fn described(&self, tensor: &str) -> String {
        match self.naming.and_then(|naming| naming.in_file(tensor)) {
            None => tensor.into(),
            Some(stored) => format!("{stored} = {tensor}"),
        }
    }

    /// The entry must be of a readable type.
    fn read_rows(&self, tensor: &str, entry: &Entry, mut row: impl FnMut(usize, &[f32]) -> Result<()>) -> Result<()> {
        let file = &self.files[entry.file];
        let bytes = &file.bytes[entry.start..entry.end];
        let columns = entry.shape.last().copied().unwrap_or(1);
        let width = match entry.storage.row_bytes(columns) {
            Some(width) if width > 0 && width <= bytes.len() => width,
            // No values: the other dimensions may be anything then, so nothing is allocated for them.
            _ => return Ok(()),
        };
        let vector = entry.shape.len() < 2;
        let mut values = vec![0f32; columns];
        for index in 0..bytes.len() / width {
            // A vector is one row; what moves rows of a matrix moves its entries.
            let source = if vector { index } else { entry.change.stored_row(index) };
            entry.storage.widen(&bytes[source * width..][..width], &mut values);
            if vector {
                entry.change.undo_in_vector(&mut values);
            }
            // False for NaN too.
            let usable = |value: &f32| value.abs() < WEIGHT_LIMIT;
            if let Some(column) = values.iter().position(|value| !usable(value)) {
                return Err(ConvertError::WeightValue {
                    path: file.path.clone(),
                    tensor: self.described(tensor),
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
        let mut values = Vec::with_capacity(shape.elem_count());
        self.read_rows(name, entry, |_, row| {
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
