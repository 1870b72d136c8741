//! The random weights that all contenders compute with: the same numbers, to the bit.
//!
//! Each is an integer, uniform in -127..=127, times 2^-12: a standard deviation of about 0.018, as trained weights have. Both
//! a package's rows and the blocks of Q8_0 hold that without loss, and so does f32.

use assay_exact::layout::PartName;

use super::shape::Shape;

/// Weights are integers times 2 to the minus this.
pub const SCALE_BITS: u32 = 12;

/// A linear of a layer.
#[derive(Clone, Copy, Debug)]
pub struct Linear {
    /// Its name in a package.
    pub part: PartName,
    /// Its name in a GGUF file, after `blk.N`.
    pub gguf: &'static str,
    /// Its name in a checkpoint, after `model.layers.N`.
    pub checkpoint: &'static str,
    pub out: usize,
    pub input: usize,
    /// Of how many heads that are rotated, if any, its outputs are: GGUF stores their rows in another order.
    pub rotated: Option<usize>,
}

/// The linears of a layer.
pub fn linears(shape: &Shape) -> [Linear; 7] {
    let (d, kv, f) = (shape.hidden, shape.kv_width(), shape.intermediate);
    let linear = |part, gguf, checkpoint, out, input| Linear { part, gguf, checkpoint, out, input, rotated: None };
    let heads = |heads, linear| Linear { rotated: Some(heads), ..linear };
    [
        heads(shape.heads, linear(PartName::Query, "attn_q", "self_attn.q_proj", d, d)),
        heads(shape.kv_heads, linear(PartName::Key, "attn_k", "self_attn.k_proj", kv, d)),
        linear(PartName::Value, "attn_v", "self_attn.v_proj", kv, d),
        linear(PartName::Output, "attn_output", "self_attn.o_proj", d, d),
        linear(PartName::Gate(None), "ffn_gate", "mlp.gate_proj", f, d),
        linear(PartName::Up(None), "ffn_up", "mlp.up_proj", f, d),
        linear(PartName::Down(None), "ffn_down", "mlp.down_proj", d, f),
    ]
}

impl Linear {
    /// `[out, input]` in layer `layer`.
    pub fn matrix(&self, layer: usize) -> Vec<i8> {
        let name = self.gguf.bytes().fold(layer as u64, |seed, byte| seed << 8 ^ seed >> 40 ^ u64::from(byte));
        random(name, self.out * self.input)
    }
}

/// `[vocab, hidden]`.
pub fn embedding(shape: &Shape) -> Vec<i8> {
    random(1 << 62, shape.vocab * shape.hidden)
}

/// `[vocab, hidden]`, of a shape whose head is not the embedding.
pub fn head(shape: &Shape) -> Vec<i8> {
    random(1 << 63, shape.vocab * shape.hidden)
}

/// SplitMix64.
fn random(seed: u64, n: usize) -> Vec<i8> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    };
    let mut w = vec![0i8; n];
    for eight in w.chunks_mut(8) {
        for (w, byte) in eight.iter_mut().zip(next().to_le_bytes()) {
            *w = (byte as i8).max(-127);
        }
    }
    w
}
