//! How much longer a text can become on its way through a tokenizer.
//!
//! A tokenizer comes with a package from anyone, and its steps multiply: sixty times "write `aa` for `a`" asks for 2^60 bytes
//! of a text of one. So the factors of the steps are bounded together, before the library sees the file.

use serde::{de::IgnoredAny, Deserialize};
use serde_json::Value;

/// Bytes that a byte of text may become, and pieces that a piece of it may become. Published tokenizers stay below 6,000 by
/// this count, which takes the worst case of every step for possible.
const MOST_GROWTH: u64 = 8192;
/// Pieces of a template around a text, and ids of a special token in it. Published ones have a handful.
const MOST_PIECES: usize = 64;
/// Bytes of a token; the longest in published vocabularies are runs of spaces of some hundred.
pub const MOST_TOKEN_BYTES: usize = 1024;

/// The parts of a `tokenizer.json` in which a text can grow.
#[derive(Deserialize)]
struct Parts {
    #[serde(default)]
    normalizer: Value,
    #[serde(default)]
    pre_tokenizer: Value,
    #[serde(default)]
    post_processor: Value,
    #[serde(default)]
    decoder: Value,
    #[serde(default, rename = "model")]
    _model: IgnoredAny,
}

/// Checks the syntax of the whole file, and the growth of its parts.
pub fn check(json: &[u8]) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let parts: Parts = serde_json::from_slice(json)?;
    let text = of(&parts.normalizer, "normalizer")?.saturating_mul(of(&parts.pre_tokenizer, "pre_tokenizer")?);
    for (part, growth) in [
        ("normalizer and pre_tokenizer", text),
        ("post_processor", of(&parts.post_processor, "post_processor")?),
        ("decoder", of(&parts.decoder, "decoder")?),
    ] {
        if growth > MOST_GROWTH {
            return Err(format!("{part}: a text could become more than {MOST_GROWTH} times as long").into());
        }
    }
    Ok(())
}

/// The factor of a part, 1 for a step that is not known: the library refuses it.
fn of(part: &Value, name: &str) -> Result<u64, String> {
    if part.is_null() {
        return Ok(1);
    }
    let Some(kind) = part["type"].as_str() else { return Err(format!("{name}: a step has no type")) };
    Ok(match kind {
        "Sequence" => {
            let lists = ["normalizers", "pretokenizers", "processors", "decoders"].map(|list| part[list].as_array());
            let steps = lists.into_iter().flatten().flatten();
            steps
                .map(|step| of(step, name))
                .try_fold(1u64, |product, step| Ok::<_, String>(product.saturating_mul(step?)))?
        }
        "Replace" => {
            let content = bytes(&part["content"]);
            match part["pattern"]["String"].as_str().map(str::len) {
                // An expression can match between any two characters.
                None | Some(0) => content + 1,
                Some(pattern) => content.div_ceil(pattern as u64).max(1),
            }
        }
        "Prepend" => bytes(&part["prepend"]) + 1,
        "Precompiled" => longest_mapping(part)?,
        // By Unicode's tables, in UTF-8.
        "NFC" | "NFD" => 3,
        "NFKC" | "NFKD" => 11,
        "Lowercase" => 2,
        "BertNormalizer" => 6,
        // A byte becomes a character of two; a space a mark of up to four bytes. Both may put one before the text.
        "ByteLevel" => 3,
        "Metaspace" => 8,
        "TemplateProcessing" => pieces(part, name)?,
        _ => 1,
    })
}

fn bytes(text: &Value) -> u64 {
    text.as_str().map_or(0, |text| text.len() as u64)
}

/// The number of pieces that a template makes of a text. Its special tokens must be defined: the library panics where one is
/// not.
fn pieces(part: &Value, name: &str) -> Result<u64, String> {
    let mut most = 1;
    let tokens = part["special_tokens"].as_object();
    for list in ["single", "pair"] {
        let pieces = part[list].as_array().map_or(&[][..], Vec::as_slice);
        if pieces.len() > MOST_PIECES {
            return Err(format!("{name}: {list} has {} pieces; at most {MOST_PIECES} are read", pieces.len()));
        }
        most = most.max(pieces.len());
        let mut special = pieces.iter().filter_map(|piece| piece["SpecialToken"]["id"].as_str());
        if let Some(token) = special.find(|token| tokens.is_none_or(|tokens| !tokens.contains_key(*token))) {
            return Err(format!("{name}: {list} names the special token {token:?}, which it does not define"));
        }
    }
    for (token, ids) in tokens.into_iter().flatten().filter_map(|(name, token)| Some((name, token["ids"].as_array()?)))
    {
        if ids.len() > MOST_PIECES {
            return Err(format!(
                "{name}: special token {token:?} has {} ids; at most {MOST_PIECES} are read",
                ids.len()
            ));
        }
    }
    Ok(most as u64)
}

/// The longest text that SentencePiece's character map puts in the place of a character: the map is the length of its index
/// (u32), the index, and all such texts with a zero after each.
fn longest_mapping(part: &Value) -> Result<u64, String> {
    let damaged = || "normalizer: precompiled_charsmap is not a character map in base64".to_string();
    let map = part["precompiled_charsmap"].as_str().and_then(base64).ok_or_else(damaged)?;
    let (length, rest) = map.split_first_chunk::<4>().ok_or_else(damaged)?;
    let texts = rest.get(u32::from_le_bytes(*length) as usize..).ok_or_else(damaged)?;
    Ok(texts.split(|byte| *byte == 0).map(<[u8]>::len).max().unwrap_or(0).max(1) as u64)
}

/// Decodes standard base64.
fn base64(text: &str) -> Option<Vec<u8>> {
    let text = text.trim_end_matches('=').as_bytes();
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3 + 3);
    for group in text.chunks(4) {
        let mut word = 0u32;
        for symbol in group {
            let value = match symbol {
                b'A'..=b'Z' => symbol - b'A',
                b'a'..=b'z' => symbol - b'a' + 26,
                b'0'..=b'9' => symbol - b'0' + 52,
                b'+' => 62,
                b'/' => 63,
                _ => return None,
            };
            word = word << 6 | u32::from(value);
        }
        let whole = (word << (6 * (4 - group.len()))).to_be_bytes();
        bytes.extend_from_slice(whole.get(1..group.len())?);
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn error(parts: Value) -> String {
        check(parts.to_string().as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn check_of_published_shapes_passes() {
        let replace = |from: &str, to: &str| json!({"type": "Replace", "pattern": {"String": from}, "content": to});
        let albert = json!([replace("``", "\""), replace("''", "\""), {"type": "NFKD"}, {"type": "StripAccents"},
                            {"type": "Lowercase"}, {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "}]);
        for parts in [
            json!({"normalizer": {"type": "Sequence", "normalizers": albert},
                   "pre_tokenizer": {"type": "Metaspace", "replacement": "\u{2581}", "add_prefix_space": true}}),
            json!({"normalizer": {"type": "Sequence", "normalizers": [
                       {"type": "Prepend", "prepend": "\u{2581}"}, replace(" ", "\u{2581}")]},
                   "decoder": {"type": "Sequence", "decoders": [replace("\u{2581}", " "), {"type": "Fuse"}]}}),
            json!({"normalizer": {"type": "BertNormalizer"}, "pre_tokenizer": {"type": "BertPreTokenizer"}}),
            json!({"normalizer": {"type": "NFC"}, "pre_tokenizer": {"type": "ByteLevel"}, "model": {"vocab": {}}}),
            json!({}),
        ] {
            check(parts.to_string().as_bytes()).unwrap();
        }
    }

    #[test]
    fn check_of_steps_that_multiply_is_an_error_with_its_part() {
        let double = json!({"type": "Replace", "pattern": {"String": "a"}, "content": "aa"});
        let many = vec![double.clone(); 60];
        let nested =
            (0..60).fold(double.clone(), |inner, _| json!({"type": "Sequence", "normalizers": [inner, double]}));
        for (part, value) in [
            ("normalizer", json!({"type": "Sequence", "normalizers": many})),
            ("normalizer", nested),
            ("normalizer", json!({"type": "Replace", "pattern": {"Regex": ""}, "content": "a".repeat(9000)})),
            ("normalizer", json!({"type": "Sequence", "normalizers": vec![json!({"type": "ByteLevel"}); 60]})),
            ("pre_tokenizer", json!({"type": "Sequence", "pretokenizers": vec![json!({"type": "ByteLevel"}); 60]})),
            ("decoder", json!({"type": "Sequence", "decoders": many})),
        ] {
            let error = error(json!({part: value}));
            assert!(error.contains(part) && error.contains("8192 times as long"), "{error}");
        }
        assert!(error(json!({"normalizer": {"prepend": "a"}})).contains("normalizer: a step has no type"));
    }

    #[test]
    fn check_of_a_template_of_many_pieces_is_an_error() {
        let sequence = json!({"Sequence": {"id": "A", "type_id": 0}});
        let template = |single: usize, ids: usize| {
            json!({"type": "TemplateProcessing", "single": vec![sequence.clone(); single], "pair": [],
                   "special_tokens": {"<s>": {"id": "<s>", "ids": vec![1; ids], "tokens": vec!["<s>"; ids]}}})
        };
        assert!(error(json!({"post_processor": template(65, 1)})).contains("post_processor: single has 65 pieces"));
        assert!(error(json!({"post_processor": template(3, 65)})).contains("\"<s>\" has 65 ids"));
        let twice = json!({"type": "Sequence", "processors": [template(64, 1), template(64, 1), template(3, 1)]});
        assert!(error(json!({"post_processor": twice})).contains("post_processor: a text could become"));
        check(json!({"post_processor": template(3, 1)}).to_string().as_bytes()).unwrap();
    }

    #[test]
    fn check_of_a_character_map_goes_by_its_longest_text() {
        // Four bytes of index, then "ab", "c".
        assert_eq!(base64("BAAAAAAAAABhYgBjAA=="), Some(b"\x04\0\0\0\0\0\0\0ab\0c\0".to_vec()));
        let part = |map: &str| json!({"type": "Precompiled", "precompiled_charsmap": map});
        assert_eq!(of(&part("BAAAAAAAAABhYgBjAA=="), "normalizer"), Ok(2));
        for map in ["?", "AA", "/////w==", "A"] {
            let error = error(json!({"normalizer": part(map)}));
            assert!(error.contains("precompiled_charsmap"), "{map}: {error}");
        }
        // 9,000 bytes for one character.
        let long = format!("AAAAAA{}", "YWFh".repeat(3000));
        let error = error(json!({"normalizer": part(&long)}));
        assert!(error.contains("times as long"), "{error}");
    }
}
