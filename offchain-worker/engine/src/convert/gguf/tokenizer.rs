//! From the tokenizer in the metadata to a `tokenizer.json`.
//!
//! Two kinds are known: byte-level BPE (`gpt2`), which comes with its merges, and SentencePiece BPE (`llama`), whose merges
//! follow from the scores. What the metadata leaves out (the pattern that splits text into words) is looked up by the name in
//! `tokenizer.ggml.pre`; a name that is not known is an error, never a guess.

use super::{merges, metadata::Metadata};
use crate::convert::error::Result;
use assay_exact::header::limits;
use serde_json::{json, Map, Value};

/// SentencePiece's mark of a space.
const SPACE: &str = "\u{2581}";
/// Words of Llama 3 and Qwen2, as in their `tokenizer.json`; they differ in the digits of a number.
const LLAMA3_WORDS: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const QWEN2_WORDS: &str =
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// Kinds of tokens.
const UNKNOWN: i32 = 2;
const CONTROL: i32 = 3;
const USER_DEFINED: i32 = 4;

/// The vocabulary with what surrounds a text.
struct Vocabulary<'a> {
    tokens: Vec<&'a str>,
    kinds: Vec<i32>,
}

/// The tokenizer as JSON.
pub fn json(metadata: &Metadata<'_>) -> Result<Vec<u8>> {
    // Some writers keep the original.
    if let Some(json) = metadata.text("tokenizer.huggingface.json")? {
        return Ok(json.as_bytes().to_vec());
    }
    let kind = metadata
        .text("tokenizer.ggml.model")?
        .ok_or_else(|| metadata.tokenizer_problem("there is no tokenizer.ggml.model"))?;
    let vocabulary = Vocabulary::read(metadata)?;
    let mut tokenizer = match kind {
        "gpt2" => byte_level(metadata, &vocabulary)?,
        "llama" => sentence_piece(metadata, &vocabulary)?,
        other => {
            return Err(metadata.tokenizer_problem(format!(
                "tokenizer.ggml.model {other:?} cannot be rebuilt, only \"gpt2\" and \"llama\""
            )))
        }
    };
    tokenizer["version"] = json!("1.0");
    tokenizer["truncation"] = Value::Null;
    tokenizer["padding"] = Value::Null;
    tokenizer["added_tokens"] = vocabulary.added();
    Ok(tokenizer.to_string().into_bytes())
}

impl<'a> Vocabulary<'a> {
    fn read(metadata: &Metadata<'a>) -> Result<Self> {
        let key = "tokenizer.ggml.tokens";
        let tokens = metadata.texts(key)?.ok_or_else(|| metadata.tokenizer_problem(format!("there is no {key}")))?;
        if tokens.is_empty() || tokens.len() > limits::VOCAB as usize {
            return Err(metadata.problem(key, format!("{} tokens; 1..={} are allowed", tokens.len(), limits::VOCAB)));
        }
        let key = "tokenizer.ggml.token_type";
        let kinds = metadata.integers(key)?.unwrap_or_else(|| vec![1; tokens.len()]);
        if kinds.len() != tokens.len() {
            return Err(metadata.problem(key, format!("{} entries for {} tokens", kinds.len(), tokens.len())));
        }
        Ok(Self { tokens, kinds })
    }

    /// Ids by token; no token may be there twice.
    fn ids(&self, metadata: &Metadata<'_>) -> Result<Map<String, Value>> {
        let mut ids = Map::new();
        for (id, token) in self.tokens.iter().enumerate() {
            if let Some(first) = ids.insert((*token).into(), id.into()) {
                return Err(metadata.tokenizer_problem(format!("token {token:?} has the ids {first} and {id}")));
            }
        }
        Ok(ids)
    }

    /// Tokens that are found in a text before it is split: control tokens, which decoding leaves out, and others.
    fn added(&self) -> Value {
        let entries = self.tokens.iter().zip(&self.kinds).enumerate();
        entries
            .filter(|(_, (_, kind))| matches!(**kind, UNKNOWN | CONTROL | USER_DEFINED))
            .map(|(id, (token, kind))| {
                json!({
                    "id": id, "content": token, "single_word": false, "lstrip": false, "rstrip": false,
                    "normalized": false, "special": *kind != USER_DEFINED,
                })
            })
            .collect()
    }

    /// The token that `key` names by its id.
    fn named(&self, metadata: &Metadata<'_>, key: &str) -> Result<Option<(usize, &'a str)>> {
        let Some(id) = metadata.unsigned(key)? else { return Ok(None) };
        let id = usize::try_from(id).unwrap_or(usize::MAX);
        match self.tokens.get(id) {
            Some(token) => Ok(Some((id, token))),
            None => Err(metadata.problem(key, format!("{id} is not below the {} tokens", self.tokens.len()))),
        }
    }

    /// The post-processor that puts bos before and eos after a text; null if neither.
    fn template(&self, metadata: &Metadata<'_>, bos_by_default: bool) -> Result<Value> {
        let mut single = vec![json!({"Sequence": {"id": "A", "type_id": 0}})];
        let mut special = Map::new();
        let mut add = |(id, token): (usize, &str)| {
            special.insert(token.into(), json!({"id": token, "ids": [id], "tokens": [token]}));
            json!({"SpecialToken": {"id": token, "type_id": 0}})
        };
        if metadata.flag("tokenizer.ggml.add_bos_token")?.unwrap_or(bos_by_default) {
            if let Some(bos) = self.named(metadata, "tokenizer.ggml.bos_token_id")? {
                single.insert(0, add(bos));
            }
        }
        if metadata.flag("tokenizer.ggml.add_eos_token")?.unwrap_or(false) {
            if let Some(eos) = self.named(metadata, "tokenizer.ggml.eos_token_id")? {
                single.push(add(eos));
            }
        }
        if special.is_empty() {
            return Ok(Value::Null);
        }
        let pair: Vec<Value> = single.iter().cloned().chain([json!({"Sequence": {"id": "B", "type_id": 0}})]).collect();
        Ok(json!({"type": "TemplateProcessing", "single": single, "pair": pair, "special_tokens": special}))
    }
}

fn byte_level(metadata: &Metadata<'_>, vocabulary: &Vocabulary<'_>) -> Result<Value> {
    let bytes = |use_regex: bool| json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": use_regex});
    let words = |pattern: &str| {
        let split = json!({"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": false});
        json!({"type": "Sequence", "pretokenizers": [split, bytes(false)]})
    };
    let pre = metadata.text("tokenizer.ggml.pre")?.unwrap_or("default");
    let llama3 = matches!(pre, "llama3" | "llama-v3" | "llama-bpe");
    let (normalizer, pre_tokenizer) = match pre {
        "gpt-2" => (Value::Null, bytes(true)),
        "qwen2" => (json!({"type": "NFC"}), words(QWEN2_WORDS)),
        "smollm" => {
            let digits = json!({"type": "Digits", "individual_digits": true});
            (Value::Null, json!({"type": "Sequence", "pretokenizers": [digits, bytes(true)]}))
        }
        _ if llama3 => (Value::Null, words(LLAMA3_WORDS)),
        other => {
            return Err(metadata.tokenizer_problem(format!(
                "tokenizer.ggml.pre {other:?} is not known, only gpt-2, llama-bpe, qwen2 and smollm"
            )))
        }
    };
    let ids = vocabulary.ids(metadata)?;
    let merges = merges::listed(metadata, &ids)?;
    Ok(json!({
        "normalizer": normalizer,
        "pre_tokenizer": pre_tokenizer,
        "post_processor": vocabulary.template(metadata, llama3)?,
        "decoder": bytes(true),
        "model": {
            "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false, "ignore_merges": llama3,
            "vocab": ids, "merges": merges,
        },
    }))
}

fn sentence_piece(metadata: &Metadata<'_>, vocabulary: &Vocabulary<'_>) -> Result<Value> {
    for key in ["tokenizer.ggml.remove_extra_whitespaces", "tokenizer.ggml.treat_whitespace_as_suffix"] {
        if metadata.flag(key)?.unwrap_or(false) {
            return Err(metadata.tokenizer_problem(format!("{key} is set, which cannot be rebuilt")));
        }
    }
    let prefix = metadata.flag("tokenizer.ggml.add_space_prefix")?.unwrap_or(true);
    let to_mark = json!({"type": "Replace", "pattern": {"String": " "}, "content": SPACE});
    let from_mark = json!({"type": "Replace", "pattern": {"String": SPACE}, "content": " "});
    let mut decoders = vec![from_mark, json!({"type": "ByteFallback"}), json!({"type": "Fuse"})];
    let normalizer = if prefix {
        decoders.push(json!({"type": "Strip", "content": " ", "start": 1, "stop": 0}));
        json!({"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": SPACE}, to_mark]})
    } else {
        to_mark
    };
    let unknown = match vocabulary.named(metadata, "tokenizer.ggml.unknown_token_id")? {
        Some((_, token)) => Some(token),
        None => {
            vocabulary.kinds.iter().position(|kind| *kind == UNKNOWN).and_then(|id| vocabulary.tokens.get(id).copied())
        }
    };
    let ids = vocabulary.ids(metadata)?;
    let merges = merges::from_scores(metadata, &vocabulary.tokens)?;
    Ok(json!({
        "normalizer": normalizer,
        "pre_tokenizer": null,
        "post_processor": vocabulary.template(metadata, true)?,
        "decoder": {"type": "Sequence", "decoders": decoders},
        "model": {
            "type": "BPE", "dropout": null, "unk_token": unknown, "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": true, "byte_fallback": true, "ignore_merges": false,
            "vocab": ids, "merges": merges,
        },
    }))
}
