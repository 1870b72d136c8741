//! GGUF files as the source.

mod bad_input;
mod build;
mod conversion;
#[path = "../../support/gguf.rs"]
mod writer;

use super::fixture::*;
use assay_engine::convert::{self, ConvertError, Source};
use assay_exact::hash::Digest;
use build::file_of;
use std::path::PathBuf;
use writer::{File, Type, Value};

fn path(fixture: &Fixture) -> PathBuf {
    fixture.folder().join("model.gguf")
}

/// Opens the file with the fixture's tokenizer, whose kind no GGUF file has.
fn open(fixture: &Fixture, bytes: &[u8]) -> Result<Source, ConvertError> {
    fixture.write_file("model.gguf", bytes);
    fixture.write_file("own-tokenizer.json", fixture.tokenizer.to_string());
    Source::open_with(&path(fixture), Some(&fixture.folder().join("own-tokenizer.json")))
}

fn convert(fixture: &Fixture, file: &File) -> Result<Digest, ConvertError> {
    let source = open(fixture, &file.bytes())?;
    let _ = std::fs::remove_dir_all(fixture.out());
    Ok(convert::convert(&source, &fixture.out(), &text(600), &mut |_| {})?.model_root)
}
