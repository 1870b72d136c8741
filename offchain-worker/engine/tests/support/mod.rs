//! Small packages with random weights, and a straightforward model to compare with.
#![allow(dead_code)] // each test crate uses a part

pub mod reference;

use std::{path::Path, sync::Arc};

use assay_engine::package::{encode, Package, PackageWriter};
use assay_exact::{
    attention::{HeadScale, SoftCap},
    header::{Flags, Header, Kind, Placement, Pool},
    layout::{Entry, Layout, Part, PartName},
    linear::Planes,
    mlp::Activation,
    prim::Eps,
    sampling::FinalCap,
    statics::{LayerStatics, NormConstants, QueryHead},
};
use tempfile::TempDir;

/// Of one word: the executor never reads the tokenizer, and a node only that it is one.
pub const TOKENIZER: &[u8] =
    br#"{"version":"1.0","model":{"type":"WordLevel","vocab":{"word":0},"unk_token":"word"},"added_tokens":[]}"#;

/// xorshift64*: weights need no quality, only to be the same everywhere.
#[derive(Clone)]
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }

    pub fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    /// In `-limit..=limit`.
    pub fn signed(&mut self, limit: i64) -> i64 {
        self.below(2 * limit as u64 + 1) as i64 - limit
    }
}

/// A Llama of odd sizes: nothing is a multiple of a vector's width, the rotation is partial.
pub fn llama() -> Header {
    Header {
        kind: Kind::Decoder,
        vocab: 67,
        context: 700,
        d: 42,
        layers: 4,
        query_heads: 6,
        kv_heads: 2,
        head_dim: 10,
        rot: 6,
        hidden: 37,
        experts: 0,
        experts_per_token: 0,
        f_h: 14,
        flags: Flags::FINAL_NORM.with(Flags::SHARED_HEAD),
        activation: Activation::Silu,
        placement: Placement::Pre,
        rope_tables: 1,
        final_cap: FinalCap { c: 0, sigma: 0, cap: 0 },
        pool: Pool::None,
        eos: vec![3, 9],
        tokenizer: [0; 32],
        chat_template: [0; 32],
    }
}

/// Every flag of a dense decoder at once.
pub fn all_flags(placement: Placement) -> Header {
    let flags = [
        Flags::LAYER_NORM,
        Flags::UNGATED,
        Flags::QKV_BIAS,
        Flags::OUTPUT_BIAS,
        Flags::MLP_BIAS,
        Flags::QK_NORM,
        Flags::SOFT_CAP,
        Flags::POSITIONS,
        Flags::EMBEDDING_NORM,
        Flags::FINAL_NORM,
        Flags::FINAL_CAP,
    ];
    Header {
        flags: flags.into_iter().fold(Flags(0), Flags::with),
        activation: Activation::GeluTanh,
        placement,
        rope_tables: 2,
        rot: 10,
        final_cap: FinalCap { c: 1 << 22, sigma: 24, cap: 30 << 16 },
        ..llama()
    }
}

/// An encoder of the BERT shape in odd sizes.
pub fn bert() -> Header {
    let flags = [
        Flags::LAYER_NORM,
        Flags::UNGATED,
        Flags::QKV_BIAS,
        Flags::OUTPUT_BIAS,
        Flags::MLP_BIAS,
        Flags::POSITIONS,
        Flags::EMBEDDING_NORM,
        Flags::SECOND_PLANE,
    ];
    Header {
        kind: Kind::Encoder,
        flags: flags.into_iter().fold(Flags(0), Flags::with),
        activation: Activation::Gelu,
        placement: Placement::Post,
        query_heads: 3,
        kv_heads: 3,
        layers: 3,
        rope_tables: 0,
        rot: 0,
        pool: Pool::Mean,
        eos: vec![],
        ..llama()
    }
}

/// Row scale `2^-bits`.
fn scale(bits: u32) -> u32 {
    (1 << 23) | (23 + bits) << 24
}

fn bits_of(n: u32) -> u32 {
    u32::BITS - n.leading_zeros()
}

/// A part of random bytes in sensible ranges: activations stay of the order of 1, so that no op is trivially
/// zero or saturated, and some weights are -128.
fn part_bytes(header: &Header, layer: u32, part: &Part, random: &mut Random) -> Vec<u8> {
    match part.layout {
        Layout::Header { .. } => header.encode(),
        Layout::RopeTables { tables, positions, rot } => {
            let entries: Vec<i32> = (0..tables * positions * rot / 2)
                .flat_map(|i| {
                    let (position, pair) = (i / (rot / 2) % positions, i % (rot / 2));
                    let angle =
                        f64::from(position) / f64::from(1 + i / (positions * rot / 2)) * 0.7f64.powi(pair as i32);
                    [angle.cos(), angle.sin()].map(|v| (v * f64::from(1 << 30)).round() as i32)
                })
                .collect();
            encode::rope_tables(&entries)
        }
        Layout::Scales { out } => {
            let scales: Vec<u32> = (0..out).map(|_| scale(10) + random.below(1 << 22) as u32).collect();
            encode::scales(&scales)
        }
        Layout::Linear { out, input, second_plane, bias } => {
            let w: Vec<i8> = (0..out * input).map(|_| random.below(256) as u8 as i8).collect();
            let second: Option<Vec<i8>> =
                second_plane.then(|| (0..out * input).map(|_| random.below(256) as u8 as i8).collect());
            let embeds = matches!(part.name, PartName::Whole);
            let bits = if embeds { 7 } else { 6 + bits_of(input) / 2 };
            let scales: Vec<u32> = (0..out).map(|_| scale(bits) + random.below(1 << 22) as u32).collect();
            let bias: Option<Vec<i32>> = bias.then(|| (0..out).map(|_| random.signed(1 << 10) as i32).collect());
            encode::linear_of(Planes { first: &w, second: second.as_deref() }, &scales, bias.as_deref())
        }
        Layout::Norm { n, bias } => {
            let constants = NormConstants { f_g: 12, eps: Eps { m: 9_000_000, k: 4 } };
            let root = f64::from(n).sqrt() * 4096.;
            let gain: Vec<i32> = (0..n).map(|_| (root * (0.5 + random.below(100) as f64 / 100.)) as i32).collect();
            let bias: Option<Vec<i32>> = bias.then(|| (0..n).map(|_| random.signed(1000) as i32).collect());
            encode::norm(constants, &gain, bias.as_deref())
        }
        Layout::Statics { .. } => {
            let sandwich = header.placement == Placement::Sandwich;
            let soft_cap = header.flags.has(Flags::SOFT_CAP);
            let f = if sandwich { 11 } else { header.f_h as i32 };
            LayerStatics {
                window: if layer % 2 == 1 && header.kind == Kind::Decoder { 21 } else { 0 },
                rope_table: (layer < 3 && header.rope_tables > 0).then(|| layer % header.rope_tables),
                e_v: -11 - (layer % 2) as i32,
                f_o: f,
                f_d: if sandwich { 17 } else { f },
                query_heads: (0..header.query_heads)
                    .map(|head| QueryHead {
                        sigma: 34 + head % 3,
                        scale: HeadScale {
                            c: (1 << 22) + 77_777 * head,
                            sigma_l: if soft_cap { 22 } else { 29 - head % 3 },
                            soft_cap: soft_cap.then_some(SoftCap { c: (1 << 22) + 5 * head, sigma: 29 }),
                        },
                    })
                    .collect(),
                kv_sigma: (0..header.kv_heads).map(|head| 35 - head % 2).collect(),
            }
            .encode()
        }
    }
}

/// Writes a package of random weights at `directory`.
pub fn write_package(directory: &Path, header: Header, seed: u64) {
    let mut random = Random::new(seed);
    let mut writer = PackageWriter::create(directory, header, TOKENIZER, Some(b"{{ messages }}")).unwrap();
    let header = writer.header().clone();
    for entry in header.entries().skip(1) {
        let layer = if let Entry::Layer(i) = entry { i } else { 0 };
        let parts: Vec<_> = header.parts(entry).map(|part| part_bytes(&header, layer, &part, &mut random)).collect();
        writer.write(entry, &parts).unwrap();
    }
    writer.finish().unwrap();
}

/// A package in a directory of its own, which lives as long as the first value.
pub fn package(header: Header, seed: u64) -> (TempDir, Arc<Package>) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("model");
    write_package(&path, header, seed);
    let package = Arc::new(Package::open(&path).unwrap());
    (directory, package)
}

/// A prompt of `n` ids.
pub fn prompt(header: &Header, n: usize, seed: u64) -> Vec<u32> {
    let mut random = Random::new(seed ^ 0xabcdef);
    (0..n).map(|_| random.below(header.vocab.into()) as u32).collect()
}
