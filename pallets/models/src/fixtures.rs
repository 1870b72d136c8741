//! Packages for tests and benchmarks.

use crate::types::*;
use alloc::vec::Vec;
use assay_exact::{
    header::{Flags, Header, Kind, Placement, Pool},
    mlp::Activation,
    sampling::FinalCap,
};
use assay_primitives::{PerStage, Span};
use frame::prelude::*;

/// A small decoder of this many layers.
pub fn decoder(layers: u32) -> Header {
    Header {
        kind: Kind::Decoder,
        vocab: 4_096,
        context: 1_024,
        d: 256,
        layers,
        query_heads: 8,
        kv_heads: 4,
        head_dim: 32,
        rot: 32,
        hidden: 704,
        experts: 0,
        experts_per_token: 0,
        f_h: 12,
        flags: Flags::SHARED_HEAD.with(Flags::FINAL_NORM),
        activation: Activation::Silu,
        placement: Placement::Pre,
        rope_tables: 1,
        final_cap: FinalCap { c: 0, sigma: 0, cap: 0 },
        pool: Pool::None,
        eos: Vec::from([2, 3]),
        tokenizer: [7; 32],
        chat_template: [8; 32],
    }
}

/// Its encoding.
pub fn bytes(header: &Header) -> HeaderBytes {
    BoundedVec::truncate_from(header.encode())
}

/// Roots of as many entries as the header calls for.
pub fn entries(header: &Header) -> EntryRoots {
    let n = header.entries().count().saturating_sub(1);
    // Without `std`, H256 has no conversion from numbers.
    let root = |i: usize| {
        let mut bytes = [0; 32];
        bytes[24..].copy_from_slice(&(i as u64).to_be_bytes());
        H256(bytes)
    };
    BoundedVec::truncate_from((0..n).map(root).collect())
}

/// A template with cuts at these layers.
pub fn template(cuts: &[u16], layers: u16) -> PerStage<Span> {
    let firsts = core::iter::once(0).chain(cuts.iter().copied());
    let ends = cuts.iter().copied().chain(core::iter::once(layers));
    BoundedVec::truncate_from(firsts.zip(ends).map(|(first, end)| Span { first, end }).collect())
}

/// Several templates.
#[cfg(test)]
pub fn templates(cuts: &[&[u16]], layers: u16) -> Templates {
    BoundedVec::truncate_from(cuts.iter().map(|c| template(c, layers)).collect())
}

/// A name.
pub fn name() -> ModelName {
    BoundedVec::truncate_from(b"demo".to_vec())
}
