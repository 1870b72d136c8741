//! Sections 2 and 11: the package header, the one description of a model's shape.
//!
//! A header that [`Header::parse`] returns keeps every limit of section 2 that can be read from it, so
//! that the sizes computed from it fit 64 bits. What lies in the layers' own constants is checked
//! in [`statics`](crate::statics).

mod error;

pub use error::{Field, HeaderError};

use alloc::vec::Vec;

use crate::commit::SPEC_ID;
use crate::hash::Digest;
use crate::mlp::Activation;
use crate::sampling::FinalCap;

/// Bounds of section 2.
pub mod limits {
    /// In-features of any linear layer, joined query heads, MLP width.
    pub const IN_FEATURES: u32 = 1 << 16;
    /// Width of the residual stream.
    pub const WIDTH: u32 = 1 << 14;
    /// Entries of one head.
    pub const HEAD_DIM: u32 = 256;
    /// Positions.
    pub const CONTEXT: u32 = 1 << 17;
    /// Token ids.
    pub const VOCAB: u32 = 1 << 20;
    /// Layers, heads of a layer, experts of a layer.
    pub const COUNT: u32 = 1 << 10;
    /// Experts that a token goes through.
    pub const EXPERTS_PER_TOKEN: u32 = 64;
    /// Shifts (sigmas).
    pub const SHIFT: u32 = 62;
    /// Softmax scales and caps.
    pub const SCALE: u32 = (1 << 23) - 1;
    /// Entries of a rope table, absolute.
    pub const ROPE_ENTRY: u32 = 1 << 30;
    /// Fraction bits of a norm's gain.
    pub const GAIN_FRACTION: u32 = 30;
    /// Fraction bits of the residual stream, lowest and highest.
    pub const STREAM_FRACTION: (u32, u32) = (4, 20);
    /// `e_v`, `F_o`, `F_d`, absolute.
    pub const LAYER_EXPONENT: u32 = 64;
    /// Mantissa of an epsilon, exclusive.
    pub const EPS_MANTISSA: u32 = 1 << 24;
    /// Exponent of an epsilon, absolute.
    pub const EPS_EXPONENT: u32 = 256;
}

/// The flag bits of a header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags(pub u32);

impl Flags {
    /// The head shares the embedding's weights (decoder only).
    pub const SHARED_HEAD: Self = Self(1);
    /// LayerNorm instead of RMS norm.
    pub const LAYER_NORM: Self = Self(1 << 1);
    /// The MLP has no gate.
    pub const UNGATED: Self = Self(1 << 2);
    /// Bias on the query, key and value projections.
    pub const QKV_BIAS: Self = Self(1 << 3);
    /// Bias on the output projection.
    pub const OUTPUT_BIAS: Self = Self(1 << 4);
    /// Bias on every linear of the MLP, the router included.
    pub const MLP_BIAS: Self = Self(1 << 5);
    /// RMS norm on each query and key head.
    pub const QK_NORM: Self = Self(1 << 6);
    /// Soft-cap of attention scores.
    pub const SOFT_CAP: Self = Self(1 << 7);
    /// Learned positions, added to the embedding.
    pub const POSITIONS: Self = Self(1 << 8);
    /// Norm after the embedding.
    pub const EMBEDDING_NORM: Self = Self(1 << 9);
    /// Norm after the last layer (set in every decoder).
    pub const FINAL_NORM: Self = Self(1 << 10);
    /// Expert weights are normalised over all experts, not over the chosen ones.
    pub const ROUTER_OVER_ALL: Self = Self(1 << 11);
    /// Soft-cap of the logits (decoder only).
    pub const FINAL_CAP: Self = Self(1 << 12);
    /// Weights of 15 bits: every linear has a second plane.
    pub const SECOND_PLANE: Self = Self(1 << 13);
    /// Every bit with a meaning.
    pub const ALL: Self = Self((1 << 14) - 1);

    /// Whether all bits of `other` are set.
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Both sets of bits.
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// What a model does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Generates ids; each position sees those before it.
    Decoder = 0,
    /// Turns a text into a vector; each position sees all.
    Encoder = 1,
}

/// Where a block's norms stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placement {
    /// Before attention and MLP.
    Pre = 0,
    /// After the residual additions.
    Post = 1,
    /// Before, and on the outputs.
    Sandwich = 2,
}

/// How an encoder's positions become one row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pool {
    /// Decoders.
    None = 0,
    /// Sum over all positions (unit length makes it the mean).
    Mean = 1,
    /// The first position.
    First = 2,
}

/// A model's shape. Field order is that of the encoding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Decoder or encoder.
    pub kind: Kind,
    /// Token ids are below this.
    pub vocab: u32,
    /// Most positions.
    pub context: u32,
    /// `d`, width of the residual stream.
    pub d: u32,
    /// `L`.
    pub layers: u32,
    /// `n_q`.
    pub query_heads: u32,
    /// `n_kv`, a divisor of `n_q`.
    pub kv_heads: u32,
    /// `D`, even.
    pub head_dim: u32,
    /// Entries of each head that are rotated, even; 0 exactly if there is no rope table.
    pub rot: u32,
    /// `f`, width of the MLP, or of each expert.
    pub hidden: u32,
    /// Experts per layer, 0 in a dense model.
    pub experts: u32,
    /// Experts that a token goes through, 0 in a dense model.
    pub experts_per_token: u32,
    /// `F_h`, fraction bits of the residual stream.
    pub f_h: u32,
    /// What else the model has.
    pub flags: Flags,
    /// Gate of the MLP.
    pub activation: Activation,
    /// Place of the norms.
    pub placement: Placement,
    /// Number of rope tables.
    pub rope_tables: u32,
    /// Soft-cap of the logits: with flag 12, else all zero.
    pub final_cap: FinalCap,
    /// Pooling: none in a decoder, one of the others in an encoder.
    pub pool: Pool,
    /// Ids that end generation, strictly ascending; none in an encoder.
    pub eos: Vec<u32>,
    /// H(tokenizer.json).
    pub tokenizer: Digest,
    /// H(chat template); H of nothing if there is none.
    pub chat_template: Digest,
}

/// The words before the eos ids.
const FIXED_WORDS: usize = 23;

/// The bytes after the eos ids.
const DIGEST_BYTES: usize = 64;

/// The length of a header with this many eos ids.
pub(crate) const fn encoded_bytes(eos: u64) -> u64 {
    4 * (FIXED_WORDS as u64 + eos) + DIGEST_BYTES as u64
}

impl Header {
    /// Decodes and checks a header; the bytes are what `blob(header)` hashes.
    ///
    /// Total: every input gives a header or an error, and what is allocated never exceeds the input.
    pub fn parse(bytes: &[u8]) -> Result<Self, HeaderError> {
        let length = |eos: u64| HeaderError::Length { expected: encoded_bytes(eos), found: bytes.len() as u64 };
        let Some((fixed, rest)) = bytes.split_at_checked(4 * FIXED_WORDS) else {
            return Err(length(0));
        };
        let mut w = [0u32; FIXED_WORDS];
        for (w, b) in w.iter_mut().zip(fixed.chunks_exact(4)) {
            *w = word(b);
        }
        let [spec, kind, vocab, context, d, layers, query_heads, kv_heads, head_dim, rot, hidden, experts, experts_per_token, f_h, flags, activation, placement, rope_tables, c, sigma, cap, pool, eos_count] =
            w;
        // The first word first: another spec's header may differ in everything else.
        in_range(Field::SpecId, spec, SPEC_ID, SPEC_ID)?;
        let eos_bytes = u64::from(eos_count) * 4;
        if eos_bytes + DIGEST_BYTES as u64 != rest.len() as u64 {
            return Err(length(u64::from(eos_count)));
        }
        let (eos, digests) = rest.split_at(rest.len() - DIGEST_BYTES);
        let (tokenizer, chat_template) = digests.split_at(DIGEST_BYTES / 2);
        let header = Self {
            kind: match kind {
                0 => Kind::Decoder,
                1 => Kind::Encoder,
                _ => return Err(out_of_range(Field::Kind, kind, 0, 1)),
            },
            vocab,
            context,
            d,
            layers,
            query_heads,
            kv_heads,
            head_dim,
            rot,
            hidden,
            experts,
            experts_per_token,
            f_h,
            flags: Flags(flags),
            activation: Activation::from_id(activation as i32).ok_or(out_of_range(
                Field::Activation,
                activation,
                0,
                2,
            ))?,
            placement: match placement {
                0 => Placement::Pre,
                1 => Placement::Post,
                2 => Placement::Sandwich,
                _ => return Err(out_of_range(Field::Placement, placement, 0, 2)),
            },
            rope_tables,
            final_cap: FinalCap { c, sigma, cap },
            pool: match pool {
                0 => Pool::None,
                1 => Pool::Mean,
                2 => Pool::First,
                _ => return Err(out_of_range(Field::Pool, pool, 0, 2)),
            },
            eos: eos.chunks_exact(4).map(word).collect(),
            tokenizer: digest(tokenizer),
            chat_template: digest(chat_template),
        };
        header.validate()?;
        Ok(header)
    }

    /// The bytes of the header. Checks nothing: see [`Self::validate`].
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(4 * (FIXED_WORDS + self.eos.len()) + DIGEST_BYTES);
        let fixed = [
            SPEC_ID,
            self.kind as u32,
            self.vocab,
            self.context,
            self.d,
            self.layers,
            self.query_heads,
            self.kv_heads,
            self.head_dim,
            self.rot,
            self.hidden,
            self.experts,
            self.experts_per_token,
            self.f_h,
            self.flags.0,
            self.activation as u32,
            self.placement as u32,
            self.rope_tables,
            self.final_cap.c,
            self.final_cap.sigma,
            self.final_cap.cap,
            self.pool as u32,
            self.eos.len() as u32,
        ];
        for word in fixed.iter().chain(&self.eos) {
            bytes.extend_from_slice(&word.to_le_bytes());
        }
        bytes.extend_from_slice(&self.tokenizer);
        bytes.extend_from_slice(&self.chat_template);
        bytes
    }

    /// Checks every limit: what a converter calls on a header that it has built.
    pub fn validate(&self) -> Result<(), HeaderError> {
        self.validate_shape()?;
        self.validate_flags()?;
        self.validate_output()
    }

    fn validate_shape(&self) -> Result<(), HeaderError> {
        use limits::*;
        in_range(Field::Vocab, self.vocab, 1, VOCAB)?;
        in_range(Field::Context, self.context, 1, CONTEXT)?;
        in_range(Field::Width, self.d, 1, WIDTH)?;
        in_range(Field::Layers, self.layers, 1, COUNT)?;
        in_range(Field::QueryHeads, self.query_heads, 1, COUNT)?;
        in_range(Field::KvHeads, self.kv_heads, 1, self.query_heads)?;
        if !self.query_heads.is_multiple_of(self.kv_heads) {
            return Err(HeaderError::KvHeads { query_heads: self.query_heads, kv_heads: self.kv_heads });
        }
        in_range(Field::HeadDim, self.head_dim, 2, HEAD_DIM)?;
        even(Field::HeadDim, self.head_dim)?;
        let query_width = self.query_heads * self.head_dim;
        if query_width > IN_FEATURES {
            return Err(HeaderError::QueryWidth(query_width));
        }
        // A table that no layer can name has no use: at most one per layer.
        in_range(Field::RopeTables, self.rope_tables, 0, self.layers)?;
        let (min, max) = if self.rope_tables == 0 { (0, 0) } else { (2, self.head_dim) };
        in_range(Field::Rot, self.rot, min, max)?;
        even(Field::Rot, self.rot)?;
        in_range(Field::Hidden, self.hidden, 1, IN_FEATURES)?;
        in_range(Field::Experts, self.experts, 0, COUNT)?;
        let (min, max) = if self.experts == 0 { (0, 0) } else { (1, self.experts.min(EXPERTS_PER_TOKEN)) };
        in_range(Field::ExpertsPerToken, self.experts_per_token, min, max)?;
        in_range(Field::StreamFraction, self.f_h, STREAM_FRACTION.0, STREAM_FRACTION.1)
    }

    fn validate_flags(&self) -> Result<(), HeaderError> {
        let unknown = self.flags.0 & !Flags::ALL.0;
        if unknown != 0 {
            return Err(HeaderError::UnknownFlags(unknown));
        }
        let mut unused = Flags(0);
        if self.kind == Kind::Encoder {
            unused = unused.with(Flags::SHARED_HEAD).with(Flags::FINAL_CAP);
        }
        if self.experts == 0 {
            unused = unused.with(Flags::ROUTER_OVER_ALL);
        }
        match self.flags.0 & unused.0 {
            0 => {}
            bits => return Err(HeaderError::UnusedFlags(bits)),
        }
        if self.kind == Kind::Decoder && !self.flags.has(Flags::FINAL_NORM) {
            return Err(HeaderError::NoFinalNorm);
        }
        Ok(())
    }

    fn validate_output(&self) -> Result<(), HeaderError> {
        let (scale, shift) = match self.final_cap() {
            Some(_) => (limits::SCALE, limits::SHIFT),
            None => (0, 0),
        };
        in_range(Field::FinalCapScale, self.final_cap.c, 0, scale)?;
        in_range(Field::FinalCapShift, self.final_cap.sigma, 0, shift)?;
        in_range(Field::FinalCap, self.final_cap.cap, 0, scale)?;
        let (pools, eos) = match self.kind {
            Kind::Decoder => ((Pool::None, Pool::None), self.vocab),
            Kind::Encoder => ((Pool::Mean, Pool::First), 0),
        };
        in_range(Field::Pool, self.pool as u32, pools.0 as u32, pools.1 as u32)?;
        let count = u32::try_from(self.eos.len()).unwrap_or(u32::MAX);
        in_range(Field::EosCount, count, 0, eos)?;
        for (i, pair) in (1u32..).zip(self.eos.windows(2)) {
            if pair[1] <= pair[0] {
                return Err(HeaderError::EosOrder(i));
            }
        }
        match (0u32..).zip(&self.eos).find(|(_, id)| **id >= self.vocab) {
            Some((i, _)) => Err(HeaderError::EosRange(i)),
            None => Ok(()),
        }
    }

    /// The soft-cap of the logits, if the model has one.
    pub fn final_cap(&self) -> Option<&FinalCap> {
        self.flags.has(Flags::FINAL_CAP).then_some(&self.final_cap)
    }

    /// Whether generation ends with this id.
    pub fn is_eos(&self, id: u32) -> bool {
        self.eos.binary_search(&id).is_ok()
    }

    /// `n_q * D`, the joined query heads.
    pub const fn query_width(&self) -> u32 {
        self.query_heads.saturating_mul(self.head_dim)
    }

    /// `n_kv * D`, the joined kv heads.
    pub const fn kv_width(&self) -> u32 {
        self.kv_heads.saturating_mul(self.head_dim)
    }

    /// The kv head that a query head reads: `floor(head * n_kv / n_q)`.
    pub const fn kv_head_of(&self, query_head: u32) -> u32 {
        let n_q = if self.query_heads == 0 { 1 } else { self.query_heads };
        (query_head as u64 * self.kv_heads as u64 / n_q as u64) as u32
    }
}

pub(crate) fn word(bytes: &[u8]) -> u32 {
    bytes.iter().take(4).rev().fold(0, |w, b| (w << 8) | u32::from(*b))
}

fn digest(bytes: &[u8]) -> Digest {
    let mut digest = [0; 32];
    for (to, from) in digest.iter_mut().zip(bytes) {
        *to = *from;
    }
    digest
}

const fn out_of_range(field: Field, value: u32, min: u32, max: u32) -> HeaderError {
    HeaderError::OutOfRange { field, value, min, max }
}

fn in_range(field: Field, value: u32, min: u32, max: u32) -> Result<(), HeaderError> {
    if (min..=max).contains(&value) {
        Ok(())
    } else {
        Err(out_of_range(field, value, min, max))
    }
}

fn even(field: Field, value: u32) -> Result<(), HeaderError> {
    if value.is_multiple_of(2) {
        Ok(())
    } else {
        Err(HeaderError::Odd { field, value })
    }
}
