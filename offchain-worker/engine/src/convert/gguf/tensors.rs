//! The tensor table under Hugging Face names.

use super::{
    architecture::Architecture,
    metadata::Metadata,
    reader::{Container, TensorInfo},
    rope,
};
use crate::convert::{
    checkpoint::{Change, Checkpoint, Entry, MappedFile},
    error::{ConvertError, Result},
};
use std::collections::BTreeMap;

/// Most tensors after experts are taken apart; the largest public models have a quarter of it.
const MAX_TENSORS: usize = 1 << 18;

/// Every tensor, renamed; one without a Hugging Face name keeps its own, so that it is refused under it.
pub fn checkpoint(
    metadata: &Metadata<'_>,
    container: &Container,
    architecture: &'static Architecture,
) -> Result<Checkpoint> {
    let heads = metadata.unsigned(&architecture.key("attention.head_count"))?;
    let kv_heads = metadata.unsigned(&architecture.key("attention.head_count_kv"))?.or(heads);
    let mut tensors = BTreeMap::new();
    for (stored, info) in container.tensors() {
        if stored == rope::FACTORS {
            continue; // part of the configuration
        }
        let name = architecture.naming.in_checkpoint(stored).unwrap_or_else(|| stored.clone());
        let change = match name.rsplit_once("self_attn.") {
            Some((_, "q_proj.weight" | "q_proj.bias")) if architecture.interleaved => interleaved(info, heads),
            Some((_, "k_proj.weight" | "k_proj.bias")) if architecture.interleaved => interleaved(info, kv_heads),
            _ if architecture.gains_plus_one && name.ends_with("norm.weight") => Change::PlusOne,
            _ => Change::None,
        };
        match experts(&name, info) {
            None => insert(&mut tensors, container, name, entry(info, change))?,
            Some(count) => {
                let size = (info.range.end - info.range.start) / count;
                for expert in 0..count {
                    let start = info.range.start + expert * size;
                    let part = TensorInfo {
                        storage: info.storage.clone(),
                        shape: info.shape[1..].to_vec(),
                        range: start..start + size,
                    };
                    insert(&mut tensors, container, name.replace("{}", &expert.to_string()), entry(&part, change))?;
                }
            }
        }
    }
    let file = MappedFile { path: container.path().into(), bytes: container.bytes().clone() };
    Ok(Checkpoint::new(container.path().into(), vec![file], tensors, Some(&architecture.naming)))
}

/// Undoes llama.cpp's order of rows, which serves its rotation of neighbours. Heads that do not divide the rows have no such
/// order; the shape is refused later, against the configuration.
fn interleaved(info: &TensorInfo, heads: Option<u64>) -> Change {
    let head_dim = heads
        .and_then(|heads| usize::try_from(heads).ok())
        .filter(|heads| *heads > 0 && info.shape[0].is_multiple_of(*heads))
        .map(|heads| info.shape[0] / heads);
    match head_dim {
        Some(head_dim) if head_dim > 0 && head_dim % 2 == 0 => Change::Interleaved { head_dim },
        _ => Change::None,
    }
}

/// The number of experts in a tensor of `[experts, out, in]`.
fn experts(name: &str, info: &TensorInfo) -> Option<usize> {
    (name.contains("{}") && info.shape.len() == 3).then(|| info.shape[0])
}

fn entry(info: &TensorInfo, change: Change) -> Entry {
    Entry {
        file: 0,
        storage: info.storage.clone(),
        shape: info.shape.clone(),
        start: info.range.start,
        end: info.range.end,
        change,
    }
}

fn insert(tensors: &mut BTreeMap<String, Entry>, container: &Container, name: String, entry: Entry) -> Result<()> {
    let error = |problem: String| ConvertError::Gguf { path: container.path().into(), problem };
    if tensors.len() == MAX_TENSORS {
        return Err(error(format!("more than {MAX_TENSORS} tensors, those of each expert counted")));
    }
    if tensors.contains_key(&name) {
        return Err(error(format!("two tensors are `{name}`")));
    }
    tensors.insert(name, entry);
    Ok(())
}
