//! The checkpoint's tokenizer and chat template, and windows of tokens for calibration and scoring.

use super::{
    config::{read, ConfigFile},
    error::{ConvertError, Result},
};
use crate::{
    chat::ChatTemplate,
    tokenizer::{guarded, plain},
};
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
        let json = read(path)?;
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
        let encoding = guarded(|| self.tokenizer.encode_fast(text, special))
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

/// The special tokens that a template may name.
const SPECIAL_TOKENS: [&str; 7] =
    ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];

/// The chat template: `chat_template.jinja`, or the field of `tokenizer_config.json`; empty if there is none.
///
/// A package has no `tokenizer_config.json`: the special tokens that the template names are written before it, so that the
/// header's digest binds them too.
pub fn chat_template(folder: &Path) -> Result<Vec<u8>> {
    let config = folder.join("tokenizer_config.json");
    let config = if config.exists() { Some(ConfigFile::read(&config)?) } else { None };
    let jinja = folder.join("chat_template.jinja");
    let (path, template) = if jinja.exists() {
        let template = read(&jinja)?;
        (jinja, template)
    } else {
        let Some(config) = &config else { return Ok(Vec::new()) };
        (config.path().to_path_buf(), template_field(config)?)
    };
    if template.is_empty() {
        return Ok(template);
    }
    let mut package = Vec::new();
    for name in SPECIAL_TOKENS {
        let named = template.windows(name.len()).any(|window| window == name.as_bytes());
        if let Some(token) =
            config.as_ref().filter(|_| named).map(|config| special_token(config, name)).transpose()?.flatten()
        {
            // A JSON string is a string of the template language too.
            package.extend_from_slice(format!("{{%- set {name} = {} -%}}", serde_json::json!(token)).as_bytes());
        }
    }
    package.extend_from_slice(&template);
    match ChatTemplate::parse(&package) {
        Ok(_) => Ok(package),
        Err(error) => Err(ConvertError::ChatTemplate { path, problem: error.to_string() }),
    }
}

fn template_field(config: &ConfigFile) -> Result<Vec<u8>> {
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

/// The text of a special token, which is a string or an object that holds it.
fn special_token(config: &ConfigFile, name: &str) -> Result<Option<String>> {
    match config.get(name) {
        None => Ok(None),
        Some(serde_json::Value::String(token)) => Ok(Some(token.clone())),
        Some(value) => match value["content"].as_str() {
            Some(token) => Ok(Some(token.into())),
            None => Err(config.problem(name, "must be a string, or an object with `content`")),
        },
    }
}
