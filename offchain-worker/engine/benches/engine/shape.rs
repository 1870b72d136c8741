//! The shapes that are measured.

use assay_exact::{
    header::{Flags, Header, Kind, Placement, Pool},
    mlp::Activation,
    sampling::FinalCap,
};

/// A Llama, by its sizes.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// What the command line calls it.
    pub key: &'static str,
    pub name: &'static str,
    pub vocab: usize,
    pub context: usize,
    pub hidden: usize,
    pub layers: usize,
    pub heads: usize,
    pub kv_heads: usize,
    pub intermediate: usize,
    pub tied: bool,
}

impl Shape {
    pub const ALL: [Self; 3] = [Self::DEMO, Self::HALF, Self::LLAMA_1B];

    /// The embedded default model's.
    pub const DEMO: Self = Self {
        key: "demo",
        name: "Demo shape, 6.9 M parameters",
        vocab: 4096,
        context: 512,
        hidden: 256,
        layers: 8,
        heads: 8,
        kv_heads: 4,
        intermediate: 688,
        tied: true,
    };

    /// The sizes of Qwen2.5-0.5B, as a Llama: without its biases.
    pub const HALF: Self = Self {
        key: "0.5b",
        name: "Llama shape, 0.5 B parameters",
        vocab: 151_936,
        context: 2048,
        hidden: 896,
        layers: 24,
        heads: 14,
        kv_heads: 2,
        intermediate: 4864,
        tied: true,
    };

    /// TinyLlama's.
    pub const LLAMA_1B: Self = Self {
        key: "1b",
        name: "Llama shape, 1.1 B parameters",
        vocab: 32_000,
        context: 2048,
        hidden: 2048,
        layers: 22,
        heads: 32,
        kv_heads: 4,
        intermediate: 5632,
        tied: false,
    };

    pub fn by_key(key: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|shape| shape.key == key)
    }

    pub fn head_dim(&self) -> usize {
        self.hidden / self.heads
    }

    pub fn kv_width(&self) -> usize {
        self.kv_heads * self.head_dim()
    }

    /// Weights that decoding one token multiplies: all layers and the head, not the embedding.
    pub fn active_weights(&self) -> usize {
        let (d, f) = (self.hidden, self.intermediate);
        self.layers * (2 * d * d + 2 * d * self.kv_width() + 3 * d * f) + self.vocab * d
    }

    /// All weights, the embedding included.
    pub fn parameters(&self) -> usize {
        self.active_weights() + if self.tied { 0 } else { self.vocab * self.hidden }
    }

    /// Bytes of keys and values, i16, of one position in all layers.
    pub fn cache_bytes(&self) -> usize {
        self.layers * self.kv_width() * 2 * 2
    }

    /// A prompt: ids spread over the vocabulary.
    pub fn prompt(&self, length: usize) -> Vec<u32> {
        (0..length).map(|i| (i * 7919 % self.vocab) as u32).collect()
    }

    pub fn header(&self) -> Header {
        Header {
            kind: Kind::Decoder,
            vocab: self.vocab as u32,
            context: self.context as u32,
            d: self.hidden as u32,
            layers: self.layers as u32,
            query_heads: self.heads as u32,
            kv_heads: self.kv_heads as u32,
            head_dim: self.head_dim() as u32,
            rot: self.head_dim() as u32,
            hidden: self.intermediate as u32,
            experts: 0,
            experts_per_token: 0,
            f_h: 16,
            flags: match self.tied {
                true => Flags::FINAL_NORM.with(Flags::SHARED_HEAD),
                false => Flags::FINAL_NORM,
            },
            activation: Activation::Silu,
            placement: Placement::Pre,
            rope_tables: 1,
            final_cap: FinalCap { c: 0, sigma: 0, cap: 0 },
            pool: Pool::None,
            eos: Vec::new(),
            tokenizer: [0; 32],
            chat_template: [0; 32],
        }
    }
}

/// An error of the engine, of candle, or of the file system.
pub type Error = Box<dyn std::error::Error + Send + Sync>;
