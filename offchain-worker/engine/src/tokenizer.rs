//! Text to token ids and back.

mod growth;

use std::panic::AssertUnwindSafe;

use assay_exact::hash::{Blake2b, Digest, Hasher};

use growth::MOST_TOKEN_BYTES;

use crate::{
    hex::Hex,
    package::{Package, TOKENIZER_FILE},
};

/// The tokenizer of a package, checked against its header.
#[derive(Clone, Debug)]
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    vocab: u32,
}

/// Why text and ids cannot be converted.
#[derive(Debug, thiserror::Error)]
pub enum TokenizerError {
    /// A holder of some layers may lack it.
    #[error("the package was opened without {TOKENIZER_FILE}")]
    Missing,
    /// Not the tokenizer of this model.
    #[error("{TOKENIZER_FILE}: its bytes hash to {}, the header says {}", Hex(found), Hex(expected))]
    Digest {
        /// The header's digest.
        expected: Digest,
        /// That of the bytes.
        found: Digest,
    },
    /// The file cannot be read.
    #[error("{TOKENIZER_FILE}: {0}")]
    Malformed(String),
    /// The text cannot be encoded.
    #[error("cannot encode the text: {0}")]
    Encode(String),
    /// The ids cannot be decoded.
    #[error("cannot decode the ids: {0}")]
    Decode(String),
    /// The tokenizer gives ids that the model does not have.
    #[error("the text gives token id {id}; the model has {vocab} ids")]
    Vocabulary {
        /// The id.
        id: u32,
        /// Ids are below this.
        vocab: u32,
    },
}

/// Calls the library. It unwraps some of what it reads (a character map, for one) and of what follows from it later: bad input,
/// which is an error here, and not a broken state.
pub(crate) fn guarded<T>(work: impl FnOnce() -> tokenizers::Result<T>) -> tokenizers::Result<T> {
    std::panic::catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let reason = match (panic.downcast_ref::<String>(), panic.downcast_ref::<&str>()) {
            (Some(text), _) => text.as_str(),
            (_, Some(text)) => text,
            _ => "no reason given",
        };
        Err(format!("the tokenizers library fails on this file: {reason}").into())
    })
}

/// A tokenizer without the truncation and the padding that its file may ask for: they serve batches in
/// training, and would silently shorten a prompt, or add to it.
pub(crate) fn plain(json: &[u8]) -> tokenizers::Result<tokenizers::Tokenizer> {
    // Also for the syntax, an error in which the library unwraps in some of the parts.
    growth::check(json)?;
    guarded(|| {
        let mut tokenizer = tokenizers::Tokenizer::from_bytes(json)?;
        tokenizer.with_truncation(None)?;
        tokenizer.with_padding(None);
        // What fails on every text fails on none too.
        tokenizer.encode_fast("", true)?;
        match tokenizer.get_vocab(true).into_iter().find(|(token, _)| token.len() > MOST_TOKEN_BYTES) {
            None => Ok(tokenizer),
            Some((token, id)) => {
                Err(format!("token {id} has {} bytes; at most {MOST_TOKEN_BYTES} are read", token.len()).into())
            }
        }
    })
}

impl Tokenizer {
    /// The tokenizer of a package.
    pub fn load(package: &Package) -> Result<Self, TokenizerError> {
        let bytes = package.tokenizer_json().ok_or(TokenizerError::Missing)?;
        let (expected, found) = (package.header().tokenizer, Blake2b::digest(&[bytes]));
        if expected != found {
            return Err(TokenizerError::Digest { expected, found });
        }
        let inner = plain(bytes).map_err(|e| TokenizerError::Malformed(e.to_string()))?;
        Ok(Self { inner, vocab: package.header().vocab })
    }

    /// The same tokenizer, which cuts what a text has beyond `length` ids off at its end. The special ids that it
    /// adds count, and stay.
    pub fn truncating(mut self, length: usize) -> Result<Self, TokenizerError> {
        let truncation = tokenizers::TruncationParams { max_length: length, ..Default::default() };
        match self.inner.with_truncation(Some(truncation)) {
            Ok(_) => Ok(self),
            Err(error) => Err(TokenizerError::Encode(error.to_string())),
        }
    }

    /// The ids of a text, with the special ids that the tokenizer itself adds (a bos id, for models that were
    /// trained with one).
    pub fn encode(&self, text: &str) -> Result<Vec<u32>, TokenizerError> {
        self.ids(text, true)
    }

    /// The ids of a text in which special ids are written out, as a chat template gives it; none are added.
    pub fn encode_rendered(&self, text: &str) -> Result<Vec<u32>, TokenizerError> {
        self.ids(text, false)
    }

    fn ids(&self, text: &str, special: bool) -> Result<Vec<u32>, TokenizerError> {
        let encoding =
            guarded(|| self.inner.encode(text, special)).map_err(|e| TokenizerError::Encode(e.to_string()))?;
        let ids = encoding.get_ids().to_vec();
        match ids.iter().find(|id| **id >= self.vocab) {
            Some(id) => Err(TokenizerError::Vocabulary { id: *id, vocab: self.vocab }),
            None => Ok(ids),
        }
    }

    /// The text of ids, without special ids.
    pub fn decode(&self, ids: &[u32]) -> Result<String, TokenizerError> {
        guarded(|| self.inner.decode(ids, true)).map_err(|e| TokenizerError::Decode(e.to_string()))
    }

    /// Decodes ids as they are generated.
    pub fn stream(&self) -> TextStream<'_> {
        TextStream { tokenizer: self, ids: Vec::new(), start: 0, shown: 0 }
    }
}

/// Text of ids that arrive one by one. What it yields, joined, is the text of all ids.
///
/// A token may hold part of a character, and some decoders join tokens differently at the start of a text: so
/// the newest ids are decoded together with a few before them, and text is given out once it ends in a whole
/// character.
#[derive(Clone, Debug)]
pub struct TextStream<'a> {
    tokenizer: &'a Tokenizer,
    ids: Vec<u32>,
    /// Where the context of the newest ids begins.
    start: usize,
    /// Ids whose text has been given out.
    shown: usize,
}

impl TextStream<'_> {
    /// Adds an id; returns the text that is certain now, which may be empty.
    pub fn push(&mut self, id: u32) -> Result<String, TokenizerError> {
        self.ids.push(id);
        let (before, text) = self.window()?;
        // U+FFFD at the end: a character whose other bytes have not arrived.
        if text.len() <= before.len() || text.ends_with('\u{fffd}') || !text.is_char_boundary(before.len()) {
            return Ok(String::new());
        }
        let new = text[before.len()..].to_owned();
        self.start = self.shown;
        self.shown = self.ids.len();
        Ok(new)
    }

    /// What is left when no more ids come: characters that were never completed.
    pub fn finish(mut self) -> Result<String, TokenizerError> {
        let (before, text) = self.window()?;
        self.shown = self.ids.len();
        Ok(text.get(before.len()..).unwrap_or_default().to_owned())
    }

    /// The text already shown of the window, and all text of the window.
    fn window(&self) -> Result<(String, String), TokenizerError> {
        let before = self.tokenizer.decode(&self.ids[self.start..self.shown])?;
        Ok((before, self.tokenizer.decode(&self.ids[self.start..])?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The demo model's tokenizer after `change`, as the error of reading it.
    fn error_after(change: impl FnOnce(&mut serde_json::Value)) -> String {
        let package = crate::demo::package().unwrap();
        let mut json: serde_json::Value = serde_json::from_slice(package.tokenizer_json().unwrap()).unwrap();
        change(&mut json);
        plain(&serde_json::to_vec(&json).unwrap()).map(drop).unwrap_err().to_string()
    }

    #[test]
    fn plain_of_a_damaged_character_map_is_an_error() {
        for map in [serde_json::json!("AAAA"), serde_json::json!("?"), serde_json::json!(5)] {
            let normalizer = serde_json::json!({"type": "Precompiled", "precompiled_charsmap": map});
            let error = error_after(|json| json["normalizer"] = normalizer);
            assert!(error.contains("normalizer: precompiled_charsmap"), "{error}");
        }
    }

    #[test]
    fn plain_of_a_template_with_an_undefined_token_is_an_error() {
        let error = error_after(|json| {
            json["post_processor"] = serde_json::json!({
                "type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "gone", "type_id": 0}}],
                "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 0}}],
                "special_tokens": {},
            });
        });
        assert!(error.contains("post_processor: single names the special token \"gone\""), "{error}");
    }

    #[test]
    fn plain_of_a_token_without_end_is_an_error() {
        let error = error_after(|json| json["model"]["vocab"]["a".repeat(1025)] = serde_json::json!(9));
        assert!(error.contains("token 9 has 1025 bytes"), "{error}");
    }

    #[test]
    fn plain_of_a_syntax_error_in_the_decoder_is_an_error_with_its_place() {
        let error = plain(br#"{"version": "1.0", "decoder": {"type": ]}"#).map(drop).unwrap_err().to_string();
        assert!(error.contains("line 1 column 40"), "{error}");
    }

    #[test]
    fn truncation_and_padding_of_the_file_are_ignored() {
        let package = crate::demo::package().unwrap();
        let mut json: serde_json::Value = serde_json::from_slice(package.tokenizer_json().unwrap()).unwrap();
        json["truncation"] = serde_json::json!({
            "direction": "Right", "max_length": 2, "strategy": "LongestFirst", "stride": 0
        });
        json["padding"] = serde_json::json!({
            "strategy": { "Fixed": 64 }, "direction": "Right", "pad_to_multiple_of": null, "pad_id": 0,
            "pad_type_id": 0, "pad_token": "x"
        });
        let json = serde_json::to_vec(&json).unwrap();
        let text = "The borrow checker and the lifetimes of references";
        let ids = |tokenizer: &tokenizers::Tokenizer| tokenizer.encode(text, true).unwrap().get_ids().to_vec();
        let expected = ids(&tokenizers::Tokenizer::from_bytes(package.tokenizer_json().unwrap()).unwrap());
        assert_ne!(ids(&tokenizers::Tokenizer::from_bytes(&json).unwrap()), expected, "the file asks for them");
        assert_eq!(ids(&plain(&json).unwrap()), expected);
    }
}
