//! A GGUF file as the source of a conversion.
//!
//! ```text
//! metadata ─ config ──── ConfigFile, as config.json would be ─ families
//! tensors ── tensors ─── Checkpoint under Hugging Face names
//! tokenizer.ggml.* ───── tokenizer.json, chat template
//! ```
//!
//! Every family that the converter knows works from either source: this module only undoes what llama.cpp's converter does
//! to a Hugging Face checkpoint. Its facts are those of `convert_hf_to_gguf.py` and `gguf-py/gguf/tensor_mapping.py` in
//! <https://github.com/ggml-org/llama.cpp>.

mod architecture;
mod config;
mod merges;
mod metadata;
mod reader;
mod rope;
mod tensors;
#[cfg(test)]
mod tests;
mod tokenizer;
mod value;

pub(super) use architecture::Naming;

use super::{
    checkpoint::Checkpoint,
    config::ConfigFile,
    error::{ConvertError, Result},
};
use crate::chat::ChatTemplate;
use architecture::Architecture;
use metadata::Metadata;
use reader::Container;
use std::path::Path;

/// An opened file.
pub struct Gguf {
    container: Container,
    architecture: &'static Architecture,
}

impl Gguf {
    /// Opens `path` and checks its tables.
    pub fn open(path: &Path) -> Result<Self> {
        let container = Container::open(path)?;
        let architecture = {
            let metadata = Metadata::new(&container);
            if let Some(parts @ 2..) = metadata.unsigned("split.count")? {
                return Err(metadata.problem(
                    "split.count",
                    format!("one of {parts} parts; join them first (llama-gguf-split --merge)"),
                ));
            }
            Architecture::of(&metadata)?
        };
        Ok(Self { container, architecture })
    }

    /// What the checkpoint's `config.json` says, as far as the converter reads it.
    pub fn config(&self) -> Result<ConfigFile> {
        config::read(&Metadata::new(&self.container), &self.container, self.architecture)
    }

    /// The tensors under their Hugging Face names.
    pub fn checkpoint(&self) -> Result<Checkpoint> {
        tensors::checkpoint(&Metadata::new(&self.container), &self.container, self.architecture)
    }

    /// A `tokenizer.json` that does what the metadata's tokenizer does.
    pub fn tokenizer_json(&self) -> Result<Vec<u8>> {
        tokenizer::json(&Metadata::new(&self.container))
    }

    /// The chat template, which parses; empty if there is none.
    pub fn chat_template(&self) -> Result<Vec<u8>> {
        let (metadata, key) = (Metadata::new(&self.container), "tokenizer.chat_template");
        let template = metadata.text(key)?.unwrap_or_default().as_bytes();
        match ChatTemplate::parse(template) {
            Ok(_) => Ok(template.to_vec()),
            Err(error) => Err(metadata.problem(key, error.to_string())),
        }
    }
}

/// Whether `path` is to be read as a GGUF file: by its name or its first bytes.
pub fn is_gguf(path: &Path) -> Result<bool> {
    use std::io::Read;
    if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("gguf")) {
        return Ok(true);
    }
    let mut magic = Vec::new();
    std::fs::File::open(path).and_then(|file| file.take(4).read_to_end(&mut magic)).map_err(ConvertError::io(path))?;
    Ok(magic == b"GGUF")
}
