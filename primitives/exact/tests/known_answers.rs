//! The answers that sections 1 and 13 of the specification state.

use assay_exact::attention::{attend_head, HeadScale, StridedKv};
use assay_exact::hash::{Blake2b, Hasher};
use assay_exact::merkle::list;
use assay_exact::prim::*;
use assay_exact::requantize::requantize;
use assay_exact::sampling::{draw, Sampling, TOP_P_OFF};
use assay_exact::tables::{G, GT, S, T1, T2};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn table_hash(table: &[u32]) -> String {
    let mut hasher = Blake2b::default();
    hasher.update_u32(table);
    hex(&hasher.finish())
}

#[test]
fn tables_hashed_equal_the_specification() {
    for (table, hash) in [
        (&T1[..], "382887c142fc3f944514a26d45830f234b65fc91e47c7968f1e2b090d6a0d418"),
        (&T2[..], "dda8d3b509cd905fa09cbe95c11c12158e782a6e0c8b085e20705be16ce8c327"),
        (&S[..], "cfd6fa6c7a3db24b84c497797dc55911a44a809baf4b599078d91891250de755"),
        (&G[..], "b805ac3d5218aff7b8a94c9e6f9d0de5b7c116fe4cc7e1a9798862b034d03e9c"),
        (&GT[..], "c947dacf309c389f4f74babb0f43a8a43b0a74e97ce892a78a8ac821ec255a0a"),
    ] {
        assert_eq!(table_hash(table), hash);
    }
}

#[test]
fn primitives_match() {
    assert_eq!(exp2neg(98765), 5902790);
    assert_eq!(lut(&S, -70000), 4291013);
    assert_eq!(lut(&G, 70000), 14382419);
    assert_eq!(lut(&GT, -70000), 2397562);
    assert_eq!(inv((1 << 33) + 12345), Reciprocal { r: 2147480562, b: 34 });
    assert_eq!(scale32(3, 1 << 23, 24), 2);
}

#[test]
fn unit_matches() {
    let mut t = [0; 3];
    unit(&[3i32, -4, 0], Eps::ZERO, &mut t);
    assert_eq!(t, [644245094, -858993459, 0]);
    let mut t = [0; 2];
    unit(&[7i32, -9], Eps { m: 9_000_000, k: -3 }, &mut t);
    assert_eq!(t, [885791, -1138874]);
}

#[test]
fn requantize_matches() {
    let mut q = [0; 3];
    let e = requantize(&[(1 << 40) + 1, -5 << 30, 7], 0, &mut q);
    assert_eq!((q, e), ([8192, -40, 0], 27));
}

#[test]
fn attention_matches() {
    let kv = StridedKv { keys: &[5, 9, 300, 2, -1, 0], values: &[100, -32767, -50, 7, 9, 9], stride: 2, head_dim: 2 };
    let scale = HeadScale { c: 5_000_000, sigma_l: 28, soft_cap: None };
    let mut out = [0; 2];
    attend_head(&[300, -7], &kv, 0..3, &scale, &mut [0; 3], &mut [0; 2], &mut out);
    assert_eq!(out, [4931, -2778769]);
}

#[test]
fn lists_match() {
    assert_eq!(hex(&list::<Blake2b, &[u8]>([])), "43eef4c3b1d1ab172d0e67b4343716cd593b650761af8abd368840bce94828dc");
    assert_eq!(
        hex(&list::<Blake2b, _>(["a", "b", "c"])),
        "13d3e26040426c295efd828755298f02265db3f50a30a8074c635f8b651a987e"
    );
}

#[test]
fn sampling_matches() {
    let logits = [0, 65536, 131072, 131072, -65536];
    let at = |temperature, next| {
        let sampling = Sampling { temperature, top_k: 0, top_p: TOP_P_OFF, seed: [0; 32] };
        draw::<Blake2b>(&logits, None, &sampling, next, &mut [0; 5])
    };
    assert_eq!(at(0, 7), 2);
    assert_eq!([at(5000, 7), at(5000, 8), at(5000, 9)], [4, 2, 1]);
}
