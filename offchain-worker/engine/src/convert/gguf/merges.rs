//! The merges of a BPE tokenizer, listed in the file or implied by SentencePiece's scores.

use super::metadata::Metadata;
use crate::convert::error::Result;
use serde_json::{json, Map, Value};
use std::collections::HashMap;

/// SentencePiece's own limit is 16 characters by default; pieces are tried at every split.
const MAX_PIECE: usize = 512;

/// `tokenizer.ggml.merges`: "left right", in order.
pub fn listed(metadata: &Metadata<'_>, ids: &Map<String, Value>) -> Result<Vec<Value>> {
    let key = "tokenizer.ggml.merges";
    let merges = metadata.texts(key)?.ok_or_else(|| metadata.tokenizer_problem(format!("there is no {key}")))?;
    merges
        .iter()
        .enumerate()
        .map(|(index, merge)| {
            let pair = merge.split_once(' ').filter(|(left, right)| {
                let known = |piece: &str| ids.contains_key(piece);
                known(left) && known(right) && known(&format!("{left}{right}"))
            });
            match pair {
                Some((left, right)) => Ok(json!([left, right])),
                None => Err(metadata.problem(key, format!("entry {index} does not merge two tokens into a third"))),
            }
        })
        .collect()
}

/// SentencePiece always merges the two neighbours whose joint piece scores highest: every way to make a piece of two others is
/// a merge, ranked by the piece's score.
pub fn from_scores(metadata: &Metadata<'_>, tokens: &[&str]) -> Result<Vec<Value>> {
    let key = "tokenizer.ggml.scores";
    let scores = metadata.floats(key)?.ok_or_else(|| metadata.tokenizer_problem(format!("there is no {key}")))?;
    if scores.len() != tokens.len() {
        return Err(metadata.problem(key, format!("{} entries for {} tokens", scores.len(), tokens.len())));
    }
    if let Some(id) = scores.iter().position(|score| score.is_nan()) {
        return Err(metadata.problem(key, format!("entry {id} is not a number")));
    }
    if let Some(id) = tokens.iter().position(|token| token.len() > MAX_PIECE) {
        return Err(metadata.problem(
            "tokenizer.ggml.tokens",
            format!("token {id} is {} bytes long; at most {MAX_PIECE} are allowed", tokens[id].len()),
        ));
    }
    let ids: HashMap<&str, usize> = tokens.iter().enumerate().map(|(id, token)| (*token, id)).collect();
    let mut merges = Vec::new();
    for (token, score) in tokens.iter().zip(&scores) {
        for (split, _) in token.char_indices().skip(1) {
            let (left, right) = token.split_at(split);
            if let (Some(first), Some(second)) = (ids.get(left), ids.get(right)) {
                merges.push((*score, left, right, *first, *second));
            }
        }
    }
    // Equal scores: longer parts first, then lower ids, so that the order is the same everywhere.
    merges.sort_by(|a, b| {
        let length = |merge: &(f32, &str, &str, usize, usize)| (merge.1.chars().count(), merge.2.chars().count());
        b.0.total_cmp(&a.0).then_with(|| length(b).cmp(&length(a))).then_with(|| (a.3, a.4).cmp(&(b.3, b.4)))
    });
    Ok(merges.into_iter().map(|(_, left, right, ..)| json!([left, right])).collect())
}
