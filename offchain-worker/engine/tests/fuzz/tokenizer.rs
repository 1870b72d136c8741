//! `tokenizer.json`: as the converter takes it from a folder, and as a package has it.

use crate::{
    harness::{fuzz, Target, TEXT},
    mutate::{self, once_in, pick},
    package::{describe, pack, small, Files},
    support::{llama, write_package, Random},
};
use assay_engine::{
    convert::SourceTokenizer,
    package::{Package, TOKENIZER_FILE},
    tokenizer::Tokenizer,
};
use serde_json::{json, Value};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};
use tempfile::TempDir;

const VOCAB: usize = 300;
/// The words of GPT-4 and its kin.
const WORDS: &str =
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s+(?!\S)|\s+";

struct Tokenizers {
    directory: TempDir,
    /// A package, but for its tokenizer.
    package: Files,
    seeds: Vec<Value>,
    json: Vec<u8>,
}

/// A tokenizer around `model`; `parts` are other fields.
fn around(model: Value, parts: Value) -> Value {
    let mut tokenizer = json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": null,
        "pre_tokenizer": null, "post_processor": null, "decoder": null, "model": model,
    });
    tokenizer.as_object_mut().unwrap().extend(parts.as_object().unwrap().clone());
    tokenizer
}

fn added(id: usize, content: &str, special: bool) -> Value {
    json!({"id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": special, "normalized": !special,
           "special": special})
}

fn numbered<S: Into<String>>(tokens: impl IntoIterator<Item = S>) -> BTreeMap<String, usize> {
    tokens.into_iter().map(Into::into).enumerate().map(|(id, token)| (token, id)).collect()
}

/// Around a text: `first`, then `last`, tokens of the ids 1 and 2.
fn template(first: &str, last: &str) -> Value {
    let special = |id: &str| json!({"SpecialToken": {"id": id, "type_id": 0}});
    let sequence = |id: &str, kind: u32| json!({"Sequence": {"id": id, "type_id": kind}});
    let entry = |id: &str, n: u32| json!({"id": id, "ids": [n], "tokens": [id]});
    json!({
        "type": "TemplateProcessing",
        "single": [special(first), sequence("A", 0), special(last)],
        "pair": [special(first), sequence("A", 0), special(last), sequence("B", 1), special(last)],
        "special_tokens": {first: entry(first, 1), last: entry(last, 2)},
    })
}

/// Whole words, of which there are `count`.
pub fn words(count: u8) -> Value {
    let letters = (b'a'..).take(count as usize - 1).map(|letter| char::from(letter).to_string());
    let vocab = numbered(std::iter::once("<unk>".to_string()).chain(letters));
    let model = json!({"type": "WordLevel", "vocab": vocab, "unk_token": "<unk>"});
    around(model, json!({"pre_tokenizer": {"type": "Whitespace"}}))
}

/// As BERT's: pieces of lower-case words.
pub fn word_pieces() -> Value {
    let vocab = numbered(["[UNK]", "[CLS]", "[SEP]", "a", "b", "##b", "##c", "it", "'", "s", "1", "##2"]);
    let model = json!({"type": "WordPiece", "vocab": vocab, "unk_token": "[UNK]", "continuing_subword_prefix": "##",
                       "max_input_chars_per_word": 100});
    let normalizer = json!({"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true,
                            "strip_accents": null, "lowercase": true});
    let parts = json!({
        "added_tokens": [added(1, "[CLS]", true), added(2, "[SEP]", true)], "normalizer": normalizer,
        "pre_tokenizer": {"type": "BertPreTokenizer"}, "post_processor": template("[CLS]", "[SEP]"),
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": true},
    });
    around(model, parts)
}

fn seeds() -> Vec<Value> {
    let bytes =
        |regex: bool| json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": regex});
    let bpe = |vocab: BTreeMap<String, usize>, merges: Value, fallback: bool| {
        json!({"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
               "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": fallback, "ignore_merges": false,
               "vocab": vocab, "merges": merges})
    };
    let split = json!({"type": "Split", "pattern": {"Regex": WORDS}, "behavior": "Isolated", "invert": false});
    let gpt = bpe(numbered(["a", "b", "ab", "\u{120}", "\u{120}a"]), json!([["a", "b"], ["\u{120}", "a"]]), false);
    let gpt = around(
        gpt,
        json!({
            "added_tokens": [added(5, "</s>", true), added(6, "c d", false)], "normalizer": {"type": "NFC"},
            "pre_tokenizer": {"type": "Sequence", "pretokenizers": [split, bytes(false)]},
            "post_processor": {"type": "Sequence", "processors": [bytes(true), template("a", "b")]}, "decoder": bytes(true),
        }),
    );
    let bytes = (0..=255u8).map(|byte| format!("<0x{byte:02X}>"));
    let pieces = numbered(
        ["<unk>", "<s>", "</s>", "\u{2581}", "a", "b", "ab", "\u{2581}ab"].map(String::from).into_iter().chain(bytes),
    );
    let to_mark = json!({"type": "Replace", "pattern": {"String": " "}, "content": "\u{2581}"});
    let from_mark = json!({"type": "Replace", "pattern": {"String": "\u{2581}"}, "content": " "});
    let prepend = json!({"type": "Prepend", "prepend": "\u{2581}"});
    let strip = json!({"type": "Strip", "content": " ", "start": 1, "stop": 0});
    let mut llama = bpe(pieces, json!([["a", "b"], ["\u{2581}", "ab"]]), true);
    llama["unk_token"] = json!("<unk>");
    let llama = around(
        llama,
        json!({
            "added_tokens": [added(0, "<unk>", true), added(1, "<s>", true), added(2, "</s>", true)],
            "normalizer": {"type": "Sequence", "normalizers": [prepend, to_mark]}, "post_processor": template("<s>", "</s>"),
            "decoder": {"type": "Sequence", "decoders": [from_mark, {"type": "ByteFallback"}, {"type": "Fuse"}, strip]},
        }),
    );
    let pieces =
        [("<unk>", 0.), ("<s>", 0.), ("</s>", 0.), ("\u{2581}", -2.), ("a", -3.), ("b", -3.5), ("\u{2581}ab", -1.)];
    let unigram = json!({"type": "Unigram", "unk_id": 0, "vocab": pieces, "byte_fallback": false});
    let metaspace = json!({"type": "Metaspace", "replacement": "\u{2581}", "prepend_scheme": "always", "split": true});
    let normalizers = json!([{"type": "NFKC"}, {"type": "StripAccents"}, {"type": "Lowercase"}, {"type": "Nmt"},
                             {"type": "Precompiled", "precompiled_charsmap": "ALQCAACEAAAAAACAAQAAgMz8AgC4BQAA"}]);
    let unigram = around(
        unigram,
        json!({
            "normalizer": {"type": "Sequence", "normalizers": normalizers.as_array().unwrap()[..4].to_vec()},
            "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
                metaspace, {"type": "Digits", "individual_digits": true}, {"type": "Punctuation", "behavior": "Isolated"}]},
            "post_processor": {"type": "RobertaProcessing", "sep": ["</s>", 2], "cls": ["<s>", 1], "trim_offsets": true,
                               "add_prefix_space": true},
            "decoder": metaspace,
        }),
    );
    let mut mapped = unigram.clone();
    mapped["normalizer"] = normalizers[4].clone();
    mapped["post_processor"] = json!({"type": "BertProcessing", "sep": ["</s>", 2], "cls": ["<s>", 1]});
    let mut other = words(20);
    other["pre_tokenizer"] =
        json!({"type": "Sequence", "pretokenizers": [{"type": "Whitespace"}, {"type": "UnicodeScripts"}]});
    other["decoder"] = json!({"type": "CTC", "pad_token": "a", "word_delimiter_token": "b", "cleanup": true});
    vec![words(20), word_pieces(), gpt, llama, unigram, mapped, other]
}

impl Tokenizers {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("package");
        write_package(&path, assay_exact::header::Header { vocab: VOCAB as u32, ..small(llama()) }, 1);
        let files = fs::read_dir(&path).unwrap().map(|item| item.unwrap().path());
        let package =
            files.map(|path| (path.file_name().unwrap().to_str().unwrap().into(), fs::read(&path).unwrap())).collect();
        Self { directory, package, seeds: seeds(), json: Vec::new() }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("archive")
    }

    /// A part of the same name of another tokenizer, or the whole of a part within a `Sequence` of itself.
    fn recombine(&self, tokenizer: &mut Value, random: &mut Random) {
        let part =
            *pick(&["normalizer", "pre_tokenizer", "post_processor", "decoder", "model", "added_tokens"], random);
        tokenizer[part] = pick(&self.seeds, random)[part].clone();
        let within = [("normalizer", "normalizers"), ("pre_tokenizer", "pretokenizers"), ("decoder", "decoders")];
        for (name, list) in within {
            if name == part && once_in(6, random) {
                // The same step many times.
                let steps = vec![tokenizer[part].take(); random.below(80) as usize];
                tokenizer[part] = json!({"type": "Sequence", list: steps});
            } else if name == part && once_in(3, random) {
                let times = random.below(60);
                tokenizer[part] =
                    (0..times).fold(tokenizer[part].take(), |part, _| json!({"type": "Sequence", list: [part]}));
            }
        }
    }
}

impl Target for Tokenizers {
    const NAME: &'static str = "tokenizer";
    const SHARE: u64 = 80;
    // Compiled patterns have a limit of their own, of 10 MiB.
    const BASE: usize = 32 << 20;
    const PER_BYTE: usize = 256;

    fn prepare(&mut self, random: &mut Random) -> usize {
        let mut tokenizer = pick(&self.seeds, random).clone();
        if once_in(2, random) {
            self.recombine(&mut tokenizer, random);
        }
        if !once_in(6, random) {
            mutate::json(&mut tokenizer, random);
        }
        self.json = tokenizer.to_string().into_bytes();
        if once_in(8, random) {
            mutate::bytes(&mut self.json, random);
        }
        self.package.insert(TOKENIZER_FILE.into(), self.json.clone());
        describe(&mut self.package);
        fs::write(self.path(), pack(&self.package)).unwrap();
        self.json.len()
    }

    fn run(&mut self) -> Result<(), String> {
        let source = SourceTokenizer::parse(Path::new("tokenizer.json"), self.json.clone(), VOCAB)
            .map_err(|error| error.to_string())?;
        source.windows(TEXT, 2, 16).map(drop).map_err(|error| error.to_string())?;
        let package = Package::open(&self.path()).map_err(|error| error.to_string())?;
        let used = || {
            let tokenizer = Tokenizer::load(&package)?;
            tokenizer.encode_rendered(TEXT)?;
            let ids = tokenizer.clone().truncating(8)?.encode(TEXT)?;
            tokenizer.decode(&ids)?;
            let mut stream = tokenizer.stream();
            for id in (0..VOCAB as u32 + 2).step_by(7) {
                stream.push(id)?;
            }
            stream.finish()
        };
        used().map(drop).map_err(|error| error.to_string())
    }
}

#[test]
fn seeds_are_tokenizers_that_work() {
    let mut tokenizers = Tokenizers::new();
    for seed in seeds() {
        tokenizers.json = seed.to_string().into_bytes();
        tokenizers.package.insert(TOKENIZER_FILE.into(), tokenizers.json.clone());
        describe(&mut tokenizers.package);
        fs::write(tokenizers.path(), pack(&tokenizers.package)).unwrap();
        // The character map is not a whole one.
        let bad = seed["normalizer"]["type"] == "Precompiled";
        let result = tokenizers.run();
        assert_eq!(result.is_err(), bad, "{result:?}: {seed}");
    }
}

#[test]
fn fuzz_tokenizer_any_input_is_a_result_within_its_memory() {
    fuzz(Tokenizers::new(), 40);
}
