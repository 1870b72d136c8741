//! Safetensors: one `model.safetensors`, or shards named by `model.safetensors.index.json`.

use super::{Change, Checkpoint, Entry, MappedFile, Storage};
use crate::{
    convert::{
        config::ConfigFile,
        error::{ConvertError, Result},
    },
    package::Bytes,
};
use safetensors::{tensor::Metadata, Dtype, SafeTensors};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

const SINGLE: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";

/// Opens the checkpoint in `folder`.
pub fn open(folder: &Path) -> Result<Checkpoint> {
    let index = folder.join(INDEX);
    let single = folder.join(SINGLE);
    let (listing, paths) =
        if index.exists() { (index.clone(), shard_files(folder, &index)?) } else { (single.clone(), vec![single]) };
    let mut files = Vec::with_capacity(paths.len());
    let mut tensors = BTreeMap::new();
    for path in paths {
        let bytes = Bytes::map(&path).map_err(ConvertError::io(&path))?;
        let (header, metadata) = read_header(&path, &bytes)?;
        for (name, info) in metadata.tensors() {
            let (start, end) = info.data_offsets;
            let entry = Entry {
                file: files.len(),
                storage: storage(info.dtype),
                shape: info.shape.clone(),
                start: header + start,
                end: header + end,
                change: Change::None,
            };
            if tensors.insert(name.clone(), entry).is_some() {
                return Err(ConvertError::Safetensors {
                    path,
                    problem: format!("tensor `{name}` is also in another shard"),
                });
            }
        }
        files.push(MappedFile { path, bytes });
    }
    Ok(Checkpoint::new(listing, files, tensors, None))
}

fn storage(dtype: Dtype) -> Storage {
    match dtype {
        Dtype::F32 => Storage::F32,
        Dtype::F16 => Storage::F16,
        Dtype::BF16 => Storage::BF16,
        other => Storage::Unread(format!("{other:?}")),
    }
}

/// Length of the header with its size field, and the tensor table, whose offsets are checked against the file.
fn read_header(path: &Path, bytes: &[u8]) -> Result<(usize, Metadata)> {
    let invalid = |error: safetensors::SafeTensorError| ConvertError::Safetensors {
        path: path.into(),
        problem: error.to_string(),
    };
    let (length, metadata) = SafeTensors::read_metadata(bytes).map_err(invalid)?;
    let (header, expected) = (length + 8, metadata.data_len());
    if header.checked_add(expected) != Some(bytes.len()) {
        return Err(ConvertError::Safetensors {
            path: path.into(),
            problem: format!(
                "the header describes {expected} bytes of tensors, the file holds {}",
                bytes.len().saturating_sub(header)
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
