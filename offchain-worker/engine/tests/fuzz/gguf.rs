//! GGUF files: container, configuration, tensors and tokenizer.

#[path = "../converter/gguf/build.rs"]
mod build;
#[path = "../support/gguf.rs"]
pub mod writer;

use crate::{
    fixture::Fixture,
    harness::{fuzz, Target, TEXT},
    mutate::{self, number, once_in, pick},
    support::Random,
};
use assay_engine::convert::Source;
use build::file_of;
use writer::{File, Type, Value};

struct Ggufs {
    fixture: Fixture,
    seeds: Vec<File>,
}

/// A Llama with the tokenizer of one.
pub fn seed() -> File {
    let mut file = file_of(&Fixture::new(), Type::F32);
    sentence_pieces(&mut file);
    file
}

impl Ggufs {
    fn new() -> Self {
        let fixture = Fixture::new();
        let pieces = seed();
        let mut words = file_of(&fixture, Type::Bf16);
        byte_level(&mut words);
        words.set("llama.rope.scaling.type", Value::Text("linear".into()));
        words.set("llama.rope.scaling.factor", Value::F32(2.));
        let mut scaled = pieces.clone();
        scaled.push("rope_freqs.weight", &[2], &[1., 1.], Type::F32);
        let mut original = pieces.clone();
        original.set("tokenizer.huggingface.json", Value::Text(crate::tokenizer::words(20).to_string()));
        let seeds = vec![pieces, words, scaled, original, experts()];
        for seed in &seeds[..4] {
            fixture.write_file("model.gguf", seed.bytes());
            Source::open(&fixture.folder().join("model.gguf")).unwrap();
        }
        Self { fixture, seeds }
    }
}

fn sentence_pieces(file: &mut File) {
    let tokens = ["<unk>", "<s>", "</s>", "<0x0A>", "\u{2581}", "a", "b", "ab", "\u{2581}a", "\u{2581}ab"];
    file.set("tokenizer.ggml.model", Value::Text("llama".into()));
    file.set("tokenizer.ggml.tokens", Value::Texts(tokens.map(String::from).into()));
    file.set("tokenizer.ggml.scores", Value::Floats((0..10).map(|id| -(id as f32)).collect()));
    file.set("tokenizer.ggml.token_type", Value::Integers(vec![2, 3, 3, 6, 1, 1, 1, 1, 1, 4]));
    file.set("tokenizer.ggml.bos_token_id", Value::U32(1));
    file.set("tokenizer.ggml.add_eos_token", Value::Bool(true));
    file.set("tokenizer.chat_template", Value::Text("{{ messages }}".into()));
}

fn byte_level(file: &mut File) {
    file.set("tokenizer.ggml.model", Value::Text("gpt2".into()));
    file.set("tokenizer.ggml.pre", Value::Text("gpt-2".into()));
    file.set("tokenizer.ggml.tokens", Value::Texts(["a", "b", "ab", "</s>"].map(String::from).into()));
    file.set("tokenizer.ggml.token_type", Value::Integers(vec![1, 1, 1, 3]));
    file.set("tokenizer.ggml.merges", Value::Texts(vec!["a b".into()]));
}

/// A model with experts, which are taken apart, and blocks of Q8_0 and Q4_1.
fn experts() -> File {
    let mut file = File::default();
    file.set("general.architecture", Value::Text("qwen3moe".into()));
    for (key, size) in [
        ("context_length", 64),
        ("embedding_length", 32),
        ("block_count", 1),
        ("feed_forward_length", 32),
        ("attention.head_count", 2),
        ("attention.head_count_kv", 1),
        ("attention.key_length", 16),
        ("expert_count", 3),
        ("expert_used_count", 2),
        ("expert_feed_forward_length", 32),
    ] {
        file.set(&format!("qwen3moe.{key}"), Value::U32(size));
    }
    file.set("qwen3moe.attention.layer_norm_rms_epsilon", Value::F32(1e-6));
    let mut push = |name: &str, shape: &[usize], kind: Type| {
        file.push(name, shape, &vec![0.5; shape.iter().product()], kind);
    };
    push("token_embd.weight", &[32, 32], Type::Q8_0);
    push("output_norm.weight", &[32], Type::F32);
    for (part, shape) in [
        ("attn_norm", vec![32]),
        ("attn_q", vec![32, 32]),
        ("attn_k", vec![16, 32]),
        ("attn_v", vec![16, 32]),
        ("attn_output", vec![32, 32]),
        ("attn_q_norm", vec![16]),
        ("attn_k_norm", vec![16]),
        ("ffn_norm", vec![32]),
        ("ffn_gate_inp", vec![3, 32]),
        ("ffn_gate_exps", vec![3, 32, 32]),
        ("ffn_up_exps", vec![3, 32, 32]),
        ("ffn_down_exps", vec![3, 32, 32]),
    ] {
        let kind = match part {
            "ffn_gate_exps" | "ffn_down_exps" => Type::Q8_0,
            "ffn_up_exps" => Type::Q4_1,
            _ => Type::F32,
        };
        push(&format!("blk.0.{part}.weight"), &shape, kind);
    }
    sentence_pieces(&mut file);
    file
}

impl Target for Ggufs {
    const NAME: &'static str = "GGUF file";
    const SHARE: u64 = 150;
    // Names of the tensors of 1,024 layers, and the patterns of a tokenizer.
    const BASE: usize = 16 << 20;
    const PER_BYTE: usize = 64;

    fn prepare(&mut self, random: &mut Random) -> usize {
        let mut file = pick(&self.seeds, random).clone();
        if !once_in(4, random) {
            for _ in 0..=random.below(3) {
                change(&mut file, random);
            }
        }
        let mut bytes = file.bytes();
        if once_in(16, random) {
            mutate::splice(&mut bytes, &pick(&self.seeds, random).bytes(), random);
        }
        if once_in(2, random) {
            mutate::bytes(&mut bytes, random);
        }
        self.fixture.write_file("model.gguf", &bytes);
        bytes.len()
    }

    fn run(&mut self) -> Result<(), String> {
        let source = Source::open(&self.fixture.folder().join("model.gguf")).map_err(|error| error.to_string())?;
        source.check_weights().map_err(|error| error.to_string())?;
        source.tokenizer().windows(TEXT, 2, 16).map(drop).map_err(|error| error.to_string())
    }
}

/// Changes one thing that the container describes.
fn change(file: &mut File, random: &mut Random) {
    const ARCHITECTURES: [&str; 6] = ["llama", "qwen2", "qwen3", "qwen3moe", "gemma2", "gemma3"];
    if once_in(8, random) {
        // Another family's names for the same keys.
        let name = *pick(&ARCHITECTURES, random);
        for (key, value) in &mut file.metadata {
            match key.split_once('.') {
                Some((prefix, rest)) if ARCHITECTURES.contains(&prefix) => *key = format!("{name}.{rest}"),
                _ if key == "general.architecture" => *value = Value::Text(name.into()),
                _ => {}
            }
        }
        return;
    }
    if once_in(2, random) || file.tensors.is_empty() {
        let at = random.below(file.metadata.len().max(1) as u64) as usize;
        match random.below(4) {
            0 if at < file.metadata.len() => drop(file.metadata.remove(at)),
            1 => file.set("general.alignment", Value::U32(number(random) as u32)),
            _ if at < file.metadata.len() => change_value(&mut file.metadata[at].1, random),
            _ => {}
        }
        return;
    }
    let at = random.below(file.tensors.len() as u64) as usize;
    let other = pick(&file.tensors, random).clone();
    let tensor = &mut file.tensors[at];
    match random.below(7) {
        0 => drop(file.tensors.remove(at)),
        1 => tensor.name = other.name,
        2 => tensor.dimensions = other.dimensions,
        3 => tensor.kind = *pick(&[0, 1, 8, 30, 12, number(random) as u32], random),
        4 => {
            let at = random.below(tensor.dimensions.len() as u64) as usize;
            tensor.dimensions[at] = number(random);
        }
        5 => tensor.bytes.truncate(random.below(tensor.bytes.len() as u64 + 1) as usize),
        _ => tensor.dimensions.push(1 + random.below(3)),
    }
}

fn change_value(value: &mut Value, random: &mut Random) {
    if once_in(6, random) {
        *value = Value::U32(number(random) as u32);
        return;
    }
    match value {
        Value::U32(number) => *number = mutate::number(random) as u32,
        Value::I32(number) => *number = mutate::number(random) as i32,
        Value::U64(number) => *number = mutate::number(random),
        Value::F32(number) => *number = f32::from_bits(random.next() as u32),
        Value::Bool(flag) => *flag = !*flag,
        Value::Text(text) => {
            *text = pick(&["llama", "gpt2", "llama-bpe", "yarn", "none", "qwen2", ""], random).to_string()
        }
        Value::Texts(list) if !list.is_empty() => {
            let at = random.below(list.len() as u64) as usize;
            match random.below(4) {
                0 => list[at] = "a".repeat(random.below(600) as usize),
                1 => drop(list.remove(at)),
                2 => list.push(format!("{}{}", list[at], random.below(10))),
                _ => list[at] = pick(list, random).clone(),
            }
        }
        Value::Floats(list) => list.push(f32::from_bits(random.next() as u32)),
        Value::Integers(list) if !list.is_empty() => {
            let at = random.below(list.len() as u64) as usize;
            list[at] = random.below(8) as i32;
        }
        other => *other = Value::U64(number(random)),
    }
}

#[test]
fn fuzz_gguf_any_input_is_a_result_within_its_memory() {
    fuzz(Ggufs::new(), 45);
}
