//! What sentence-transformers stores beside a checkpoint: how the positions' rows become one vector
//! (`modules.json`, `1_Pooling/config.json`), and how long a text may be (`sentence_bert_config.json`).

use crate::convert::{
    config::ConfigFile,
    error::{ConvertError, Result},
};
use assay_exact::header::{limits, Pool};
use serde_json::Value;
use std::path::Path;

const MODULES: &str = "modules.json";
/// The pooling module's folder, if no `modules.json` says otherwise.
const POOLING: &str = "1_Pooling";
/// A list of modules beyond this size is refused before it is read.
const MAX_MODULES_BYTES: u64 = 1 << 20;

/// The pooling of the model in `folder`. A checkpoint that does not say is refused: a vector of the other kind would
/// be of no use, and nothing would tell.
pub fn read(folder: &Path) -> Result<Pool> {
    let modules = folder.join(MODULES);
    let pooling = if modules.exists() { pooling_folder(&modules)? } else { POOLING.to_string() };
    let config = ConfigFile::read(&folder.join(pooling).join("config.json"))?;
    let mut modes = Vec::new();
    for field in config.fields().keys().filter(|field| field.starts_with("pooling_mode_")) {
        if config.flag(field, false)? {
            modes.push(field.as_str());
        }
    }
    match modes[..] {
        ["pooling_mode_mean_tokens"] => Ok(Pool::Mean),
        ["pooling_mode_cls_token"] => Ok(Pool::First),
        _ => Err(config.problem(
            "pooling_mode_*",
            format!("[{}] is not supported; one of pooling_mode_mean_tokens, pooling_mode_cls_token", modes.join(", ")),
        )),
    }
}

/// The longest text that the model is meant for, if `sentence_bert_config.json` says.
pub fn max_length(folder: &Path) -> Result<Option<usize>> {
    let path = folder.join("sentence_bert_config.json");
    if !path.exists() {
        return Ok(None);
    }
    ConfigFile::read(&path)?.optional_size("max_seq_length", limits::CONTEXT)
}

/// The folder of the pooling module in a list of modules that has the transformer first and, at the end, at most the
/// normalization to unit length, which the exact engine always does.
fn pooling_folder(path: &Path) -> Result<String> {
    let problem =
        |field: &str, problem: String| ConvertError::Field { path: path.into(), field: field.into(), problem };
    let bytes = std::fs::metadata(path).map_err(ConvertError::io(path))?.len();
    if bytes > MAX_MODULES_BYTES {
        return Err(problem(".", format!("{bytes} bytes; at most {MAX_MODULES_BYTES} are read")));
    }
    let text = std::fs::read(path).map_err(ConvertError::io(path))?;
    let value: Value =
        serde_json::from_slice(&text).map_err(|source| ConvertError::Json { path: path.into(), source })?;
    let Value::Array(modules) = value else {
        return Err(problem(".", "the top level must be a list".into()));
    };
    let kinds: Vec<&str> = modules
        .iter()
        .map(|module| module["type"].as_str().and_then(|name| name.rsplit('.').next()).unwrap_or("?"))
        .collect();
    if !matches!(kinds[..], ["Transformer", "Pooling"] | ["Transformer", "Pooling", "Normalize"]) {
        return Err(problem(
            "type",
            format!("the modules [{}] are not supported; supported: Transformer, Pooling, Normalize", kinds.join(", ")),
        ));
    }
    let folder = modules[1]["path"].as_str().unwrap_or(POOLING);
    // A list from elsewhere must not reach outside of its folder.
    if folder.is_empty() || folder.contains(['/', '\\']) || folder.starts_with('.') {
        return Err(problem("path", format!("{folder:?} is not the name of a folder beside modules.json")));
    }
    Ok(folder.to_string())
}
