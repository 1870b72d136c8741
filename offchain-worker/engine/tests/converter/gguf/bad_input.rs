//! One damage per test; the error names the file and what in it is wrong, and nothing is left behind.

use super::*;

/// The error of a conversion of `bytes`.
#[track_caller]
fn error_of(bytes: &[u8]) -> String {
    let fixture = Fixture::new();
    let error = match open(&fixture, bytes) {
        Err(error) => error,
        Ok(source) => convert::convert(&source, &fixture.out(), &text(600), &mut |_| {}).expect_err("damaged"),
    };
    assert!(!fixture.out().exists());
    let error = error.to_string();
    assert!(error.contains("model.gguf"), "{error}");
    error
}

#[track_caller]
fn assert_says(error: &str, words: &[&str]) {
    for word in words {
        assert!(error.contains(word), "{word:?} is not in: {error}");
    }
}

fn good() -> File {
    file_of(&Fixture::new(), Type::F16)
}

/// The error after `change`.
#[track_caller]
fn changed(change: impl FnOnce(&mut File)) -> String {
    let mut file = good();
    change(&mut file);
    error_of(&file.bytes())
}

/// The good file with `bytes` written over the first occurrence of `mark`, `skip` bytes after it.
fn patched(mark: &str, skip: usize, bytes: &[u8]) -> Vec<u8> {
    let mut file = good().bytes();
    let at = file.windows(mark.len()).position(|window| window == mark.as_bytes()).unwrap() + mark.len() + skip;
    file[at..at + bytes.len()].copy_from_slice(bytes);
    file
}

#[test]
fn gguf_truncated_at_and_around_every_structure_is_refused() {
    let (bytes, boundaries) = good().bytes_and_boundaries();
    assert!(boundaries.len() > 60);
    for boundary in boundaries {
        for length in [boundary.saturating_sub(1), boundary, (boundary + 3).min(bytes.len())] {
            if length < bytes.len() {
                let error = error_of(&bytes[..length]);
                assert!(error.contains("GGUF file: "), "{length}: {error}");
            }
        }
    }
    assert_says(&error_of(b""), &["the magic number asks for 4 bytes at byte 0, 0 are left"]);
}

#[test]
fn gguf_of_other_magic_version_or_byte_order_is_refused() {
    assert_says(&changed(|file| file.magic = *b"GGJT"), &["does not begin with \"GGUF\""]);
    for version in [0, 1, 4, u32::MAX] {
        assert_says(&changed(|file| file.version = version), &[&format!("version {version}; versions 2 and 3")]);
    }
    assert_says(&changed(|file| file.version = 3u32.swap_bytes()), &["big endian"]);
    let fixture = Fixture::new();
    fixture.write_file("weights.bin", b"something else");
    let error = Source::open(&fixture.folder().join("weights.bin")).map(drop).unwrap_err().to_string();
    assert_says(&error, &["weights.bin", "give a Hugging Face folder or a .gguf file"]);
    let error = Source::open(&fixture.folder().join("nowhere")).map(drop).unwrap_err().to_string();
    assert_says(&error, &["nowhere", "No such file"]);
}

#[test]
fn gguf_without_its_suffix_is_known_by_its_magic() {
    let fixture = Fixture::new();
    let bytes = file_of(&fixture, Type::F16).bytes();
    open(&fixture, &bytes).unwrap();
    std::fs::rename(path(&fixture), fixture.folder().join("blob")).unwrap();
    let tokenizer = fixture.folder().join("own-tokenizer.json");
    Source::open_with(&fixture.folder().join("blob"), Some(&tokenizer)).unwrap();
}

#[test]
fn gguf_with_huge_counts_or_lengths_is_refused_before_allocation() {
    let mut bytes = good().bytes();
    for (at, what) in [(8, "tensors"), (16, "metadata keys")] {
        for count in [u64::MAX, 1 << 40, (1 << 16) + 1] {
            let kept = bytes.clone();
            bytes[at..at + 8].copy_from_slice(&count.to_le_bytes());
            assert_says(&error_of(&bytes), &[&format!("{count} {what}; at most 65536")]);
            bytes = kept;
        }
        // Within the limit, but not in the file.
        let kept = bytes.clone();
        bytes[at..at + 8].copy_from_slice(&60_000u64.to_le_bytes());
        assert_says(&error_of(&bytes), &["GGUF file: "]);
        bytes = kept;
    }
    bytes[24..32].copy_from_slice(&u64::MAX.to_le_bytes());
    assert_says(&error_of(&bytes), &["key 0 of the metadata is 18446744073709551615 bytes long"]);
    for length in [u64::MAX, 1 << 50] {
        let bytes = patched("general.architecture", 4, &length.to_le_bytes());
        assert_says(&error_of(&bytes), &["`general.architecture` asks for", "are left"]);
    }

    let mut file = good();
    file.set("tokenizer.ggml.tokens", Value::Texts(vec!["a".into(); 3]));
    file.set("tokenizer.ggml.scores", Value::Floats(vec![0.; 3]));
    let at = |bytes: &[u8], mark: &str| {
        bytes.windows(mark.len()).position(|window| window == mark.as_bytes()).unwrap() + mark.len() + 8
    };
    for key in ["tokenizer.ggml.tokens", "tokenizer.ggml.scores"] {
        for count in [u64::MAX, 1 << 61, 1 << 30] {
            let mut bytes = file.bytes();
            let at = at(&bytes, key);
            bytes[at..at + 8].copy_from_slice(&count.to_le_bytes());
            assert_says(&error_of(&bytes), &[&format!("the value of `{key}` asks for")]);
        }
    }
}

#[test]
fn gguf_with_duplicates_is_refused() {
    let error = changed(|file| file.metadata.push(("llama.block_count".into(), Value::U32(2))));
    assert_says(&error, &["metadata key `llama.block_count` is there twice"]);
    let error = changed(|file| {
        let tensor = file.tensors[0].clone();
        file.tensors.push(tensor);
    });
    assert_says(&error, &["tensor `token_embd.weight` is there twice"]);
}

#[test]
fn gguf_value_of_unknown_type_is_refused() {
    let bytes = patched("llama.block_count", 0, &13u32.to_le_bytes());
    assert_says(&error_of(&bytes), &["`llama.block_count` has the unknown type 13"]);
    // An array of arrays.
    let mut file = good();
    file.set("x.y", Value::Integers(vec![1]));
    let mut bytes = file.bytes();
    let at = bytes.windows(3).position(|window| window == b"x.y").unwrap() + 7;
    bytes[at..at + 4].copy_from_slice(&9u32.to_le_bytes());
    assert_says(&error_of(&bytes), &["`x.y` is an array of arrays"]);
    let mut file = good();
    file.set("x.y", Value::Bool(true));
    let mut bytes = file.bytes();
    let at = bytes.windows(3).position(|window| window == b"x.y").unwrap() + 7;
    bytes[at] = 2;
    assert_says(&error_of(&bytes), &["the value of `x.y` is a truth value of byte 2"]);
    // A key that is not UTF-8.
    let mut bytes = good().bytes();
    bytes[32] = 0xff;
    assert_says(&error_of(&bytes), &["key 0 of the metadata is not UTF-8"]);
}

#[test]
fn gguf_tensor_beyond_the_file_or_misaligned_or_over_another_is_refused() {
    let name = "blk.0.attn_k.weight";
    // After the name: dimensions (4), two sizes (16), type (4).
    let offset = |offset: u64| error_of(&patched(name, 24, &offset.to_le_bytes()));
    for far in [u64::MAX - 31, 1 << 63, 1 << 20] {
        assert_says(&offset(far), &[&format!("`{name}` has 256 bytes at offset {far}, beyond the file's")]);
    }
    assert_says(&offset(33), &[&format!("`{name}` begins at 33, not a multiple of 32")]);
    assert_says(&offset(0), &["overlap", name]);
    for (alignment, words) in [(0, "0; it must be a multiple of 8"), (12, "12; it must"), (1 << 20, "1048576; it must")]
    {
        let error = changed(|file| file.set("general.alignment", Value::U32(alignment)));
        assert_says(&error, &["`general.alignment` is", words]);
    }
    assert_says(&changed(|file| file.set("general.alignment", Value::F32(32.))), &["must be an unsigned integer"]);
}

#[test]
fn gguf_tensor_of_impossible_shape_is_refused() {
    let name = "blk.0.attn_k.weight";
    for dimensions in [0u32, 5, u32::MAX] {
        let error = error_of(&patched(name, 0, &dimensions.to_le_bytes()));
        assert_says(&error, &[&format!("`{name}` has {dimensions} dimensions; 1..=4")]);
    }
    assert_says(&error_of(&patched(name, 4, &0u64.to_le_bytes())), &["has a dimension of 0"]);
    let huge = (1u64 << 62).to_le_bytes();
    assert_says(&error_of(&patched(name, 12, &huge)), &["larger than memory can address"]);
    assert_says(&error_of(&patched(name, 4, &huge)), &["larger than memory can address"]);
    let error = changed(|file| file.tensor(name).dimensions = vec![8, 16]);
    assert_says(&error, &["blk.0.attn_k.weight = model.layers.0.self_attn.k_proj.weight", "[16, 8]", "[8, 16]"]);
    // 16 values are no whole block.
    let error = error_of(&patched(name, 20, &8u32.to_le_bytes()));
    assert_says(&error, &[name, "rows of 16 values, which Q8_0 cannot hold"]);
}

#[test]
fn gguf_tensor_of_unread_type_is_refused_by_name() {
    let name = "blk.1.ffn_up.weight";
    for (id, words) in [(10u32, "Q2_K"), (11, "Q3_K"), (20, "IQ4_NL"), (39, "MXFP4"), (24, "I8"), (1000, "type 1000")] {
        let error = error_of(&patched(name, 20, &id.to_le_bytes()));
        assert_says(&error, &[&format!("`{name}` is stored as"), words, "convert from F32, F16, BF16, Q8_0"]);
    }
}

#[test]
fn gguf_tensor_missing_or_without_a_place_is_named() {
    let error = changed(|file| file.tensors.retain(|tensor| tensor.name != "blk.1.ffn_up.weight"));
    assert_says(&error, &["`blk.1.ffn_up.weight = model.layers.1.mlp.up_proj.weight` is missing"]);
    let error = changed(|file| file.push("blk.0.attn_sinks.weight", &[4], &[0.; 4], Type::F32));
    assert_says(&error, &["`blk.0.attn_sinks.weight` has no place in LlamaForCausalLM"]);
    // Beyond the layers that the metadata claims.
    let error = changed(|file| file.set("llama.block_count", Value::U32(1)));
    assert_says(&error, &["blk.1.", "has no place"]);
    // One bias stands for all four.
    let error = changed(|file| file.push("blk.0.attn_q.bias", &[16], &[0.; 16], Type::F32));
    assert_says(&error, &["`blk.0.attn_k.bias = model.layers.0.self_attn.k_proj.bias` is missing"]);
}

#[test]
fn gguf_weight_not_finite_is_found_by_row_and_column() {
    let mut fixture = Fixture::new();
    // Row 3 of the second head: stored between others.
    fixture.tensor("model.layers.1.self_attn.q_proj.weight").values[7 * HIDDEN + 5] = f32::NAN;
    let error = error_of(&file_of(&fixture, Type::F32).bytes());
    assert_says(&error, &["`blk.1.attn_q.weight = model.layers.1.self_attn.q_proj.weight`, row 7, column 5: NaN"]);
    let mut fixture = Fixture::new();
    fixture.tensor("model.norm.weight").values[3] = f32::INFINITY;
    assert_says(&error_of(&file_of(&fixture, Type::F16).bytes()), &["output_norm.weight", "row 0, column 3: inf"]);
}

#[test]
fn gguf_key_missing_of_wrong_type_or_size_is_named() {
    for (key, field) in [
        ("llama.context_length", "max_position_embeddings"),
        ("llama.embedding_length", "hidden_size"),
        ("llama.block_count", "num_hidden_layers"),
        ("llama.feed_forward_length", "intermediate_size"),
        ("llama.attention.head_count", "num_attention_heads"),
        ("llama.attention.layer_norm_rms_epsilon", "rms_norm_eps"),
    ] {
        assert_says(&changed(|file| file.unset(key)), &[&format!("`{key} = {field}`: missing")]);
        assert_says(&changed(|file| file.set(key, Value::Text("4".into()))), &[&format!("`{key}`: must be")]);
        assert_says(&changed(|file| file.set(key, Value::Integers(vec![4, 4]))), &[&format!("`{key}`: must be")]);
    }
    let error = changed(|file| file.set("llama.embedding_length", Value::U64(u64::MAX)));
    assert_says(&error, &["`llama.embedding_length = hidden_size`", "outside 1..=16384"]);
    let error = changed(|file| file.set("llama.block_count", Value::I32(-2)));
    assert_says(&error, &["`llama.block_count`", "not negative"]);
    let error = changed(|file| file.set("llama.attention.layer_norm_rms_epsilon", Value::F32(f32::NAN)));
    assert_says(&error, &["layer_norm_rms_epsilon`: must be a finite float"]);
    let error = changed(|file| file.set("llama.attention.head_count", Value::U32(0)));
    assert_says(&error, &["num_attention_heads`", "0 is outside"]);
    let error = changed(|file| file.set("tokenizer.ggml.eos_token_id", Value::U32(32)));
    assert_says(&error, &["`tokenizer.ggml.eos_token_id = eos_token_id`", "32"]);
}

#[test]
fn gguf_of_what_is_not_converted_is_refused() {
    let error = changed(|file| file.set("general.architecture", Value::Text("mamba".into())));
    assert_says(&error, &["`general.architecture`: \"mamba\" is not supported; supported: llama, qwen2"]);
    assert_says(&changed(|file| file.unset("general.architecture")), &["`general.architecture`: missing"]);
    let error = changed(|file| file.set("split.count", Value::U32(2)));
    assert_says(&error, &["`split.count`", "one of 2 parts", "--merge"]);
    let error = changed(|file| file.set("llama.rope.dimension_count", Value::U32(2)));
    assert_says(&error, &["`llama.rope.dimension_count`: 2, but heads have 4"]);
    let error = changed(|file| file.set("llama.attention.value_length", Value::U32(8)));
    assert_says(&error, &["`llama.attention.value_length`: 8, but heads have 4"]);
    let error = changed(|file| file.set("llama.rope.scaling.type", Value::Text("longrope".into())));
    assert_says(&error, &["`rope_scaling.rope_type`", "longrope"]);
}

/// The error of the file's own tokenizer after `change`.
#[track_caller]
fn tokenizer_error(change: impl FnOnce(&mut File)) -> String {
    let fixture = Fixture::new();
    let mut file = good();
    file.set("tokenizer.ggml.model", Value::Text("gpt2".into()));
    file.set("tokenizer.ggml.pre", Value::Text("gpt-2".into()));
    file.set("tokenizer.ggml.tokens", Value::Texts(["a", "b", "ab", "</s>"].map(String::from).into()));
    file.set("tokenizer.ggml.merges", Value::Texts(vec!["a b".into()]));
    fixture.write_file("model.gguf", file.bytes());
    Source::open(&path(&fixture)).unwrap();
    change(&mut file);
    fixture.write_file("model.gguf", file.bytes());
    let error = Source::open(&path(&fixture)).map(drop).unwrap_err().to_string();
    assert!(error.contains("model.gguf"), "{error}");
    error
}

#[test]
fn gguf_tokenizer_that_cannot_be_rebuilt_asks_for_the_original() {
    let set = |key: &'static str, value: Value| tokenizer_error(|file| file.set(key, value));
    let way_out = "give the model's own tokenizer.json with --tokenizer";
    let text = |text: &str| Value::Text(text.into());
    assert_says(&set("tokenizer.ggml.model", text("bert")), &["\"bert\"", way_out]);
    assert_says(&set("tokenizer.ggml.pre", text("falcon")), &["\"falcon\"", "gpt-2, llama-bpe, qwen2", way_out]);
    for key in ["tokenizer.ggml.model", "tokenizer.ggml.tokens", "tokenizer.ggml.merges"] {
        assert_says(&tokenizer_error(|file| file.unset(key)), &[&format!("there is no {key}"), way_out]);
    }
    let twice = Value::Texts(["a", "b", "a"].map(String::from).into());
    assert_says(&set("tokenizer.ggml.tokens", twice), &["token \"a\" has the ids 0 and 2", way_out]);
    let merges = Value::Texts(vec!["a b".into(), "b a".into()]);
    assert_says(&set("tokenizer.ggml.merges", merges), &["`tokenizer.ggml.merges`: entry 1 does not merge"]);
    assert_says(&set("tokenizer.ggml.token_type", Value::Integers(vec![1])), &["1 entries for 4 tokens"]);
    assert_says(&set("tokenizer.ggml.tokens", Value::Texts(Vec::new())), &["0 tokens"]);
    let error = tokenizer_error(|file| {
        file.set("tokenizer.ggml.add_bos_token", Value::Bool(true));
        file.set("tokenizer.ggml.bos_token_id", Value::U32(4));
    });
    assert_says(&error, &["`tokenizer.ggml.bos_token_id`: 4 is not below the 4 tokens"]);
    let many: Vec<String> = (0..VOCAB + 1).map(|id| format!("t{id}")).collect();
    let error = tokenizer_error(|file| {
        file.set("tokenizer.ggml.tokens", Value::Texts(many));
        file.set("tokenizer.ggml.merges", Value::Texts(Vec::new()));
    });
    assert_says(&error, &["token id 32", "vocab_size 32"]);

    let pieces = |scores: Vec<f32>, first: String| {
        tokenizer_error(|file| {
            file.set("tokenizer.ggml.model", Value::Text("llama".into()));
            file.set("tokenizer.ggml.tokens", Value::Texts(vec![first, "b".into()]));
            file.set("tokenizer.ggml.scores", Value::Floats(scores));
        })
    };
    assert_says(&pieces(vec![0.], "a".into()), &["`tokenizer.ggml.scores`: 1 entries for 2 tokens"]);
    assert_says(&pieces(vec![0., f32::NAN], "a".into()), &["`tokenizer.ggml.scores`: entry 1 is not a number"]);
    assert_says(&pieces(vec![0., 0.], "a".repeat(513)), &["token 0 is 513 bytes long"]);
}
