//! The checkpoint's tokenizer and chat template, and windows of tokens for calibration and scoring.

use super::{
    config::ConfigFile,
    error::{ConvertError, Result},
};
use crate::tokenizer::plain;
use std::path::{Path, PathBuf};
use tokenizers::Tokenizer;

/// A tokenizer that was checked against the model.
pub struct SourceTokenizer {
    path: PathBuf,
    tokenizer: Tokenizer,
    /// The file as it is; the package commits to its bytes.
    pub json: Vec<u8>,
}

impl SourceTokenizer {
    /// Reads a `tokenizer.json` and checks that every id it can produce is below `vocab`.
    pub fn read(path: &Path, vocab: usize) -> Result<Self> {
        let json = std::fs::read(path).map_err(ConvertError::io(path))?;
        Self::parse(path, json, vocab)
    }

    /// [`Self::read`] of a file's content; `path` is for errors.
    pub fn parse(path: &Path, json: Vec<u8>, vocab: usize) -> Result<Self> {
        let path = path.to_path_buf();
        let tokenizer =
            plain(&json).map_err(|error| ConvertError::Tokenizer { path: path.clone(), problem: error.to_string() })?;
        match tokenizer.get_vocab(true).into_values().max() {
            None => Err(ConvertError::Tokenizer { path, problem: "the vocabulary is empty".into() }),
            Some(id) if id as usize >= vocab => Err(ConvertError::Vocabulary { path, id, vocab }),
            Some(_) => Ok(Self { path, tokenizer, json }),
        }
    }

    pub(super) fn encode(&self, text: &str, special: bool) -> Result<Vec<u32>> {
        let encoding = self
            .tokenizer
            .encode_fast(text, special)
            .map_err(|error| ConvertError::Tokenizer { path: self.path.clone(), problem: error.to_string() })?;
        Ok(encoding.get_ids().to_vec())
    }

    /// At most `count` windows of `length` tokens, spread evenly over `text` and not overlapping. Each begins with the ids
    /// that the tokenizer puts before a prompt, so the model sees positions as it will in use. A text shorter than one
    /// window gives one shorter window; fewer than `min(length, 64)` tokens are an error.
    pub fn windows(&self, text: &str, count: usize, length: usize) -> Result<Vec<Vec<u32>>> {
        let prefix = self.encode("", true)?;
        let ids = self.encode(text, false)?;
        let body = length.saturating_sub(prefix.len()).max(1);
        let needed = body.min(64);
        if ids.len() < needed {
            return Err(ConvertError::CalibrationTooShort { found: ids.len(), needed });
        }
        let whole = ids.len() / body;
        let starts: Vec<usize> = if whole == 0 {
            vec![0]
        } else {
            let count = count.min(whole);
            (0..count).map(|i| i * whole / count * body).collect()
        };
        Ok(starts
            .into_iter()
            .map(|start| {
                let end = (start + body).min(ids.len());
                let mut window: Vec<u32> = prefix.iter().take(length - 1).copied().collect();
                window.extend(&ids[start..end]);
                window.truncate(length);
                window
            })
            .collect())
    }
}

/// The chat template: `chat_template.jinja`, or the field of `tokenizer_config.json`; empty if there is none.
pub fn chat_template(folder: &Path) -> Result<Vec<u8>> {
    let jinja = folder.join("chat_template.jinja");
    if jinja.exists() {
        return std::fs::read(&jinja).map_err(ConvertError::io(&jinja));
    }
    let config = folder.join("tokenizer_config.json");
    if !config.exists() {
        return Ok(Vec::new());
    }
    let config = ConfigFile::read(&config)?;
    match config.get("chat_template") {
        None => Ok(Vec::new()),
        Some(serde_json::Value::String(template)) => Ok(template.clone().into_bytes()),
        // Some checkpoints hold several, as {name, template}; the one called "default" is the chat.
        Some(serde_json::Value::Array(list)) => list
            .iter()
            .find(|entry| entry["name"] == "default")
            .and_then(|entry| entry["template"].as_str())
            .map(|template| template.as_bytes().to_vec())
            .ok_or_else(|| config.problem("chat_template", "the list has no entry \"default\"")),
        Some(_) => Err(config.problem("chat_template", "must be a string or a list of templates")),
    }
}
