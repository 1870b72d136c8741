//! The answers that sections 1 and 13 of the specification (`docs/exact.md`) state.

use assay_exact::attention::{attend_head, HeadScale, SoftCap, StridedKv};
use assay_exact::commit::*;
use assay_exact::embed::{embed_row, embedding_output, EmbeddingRow};
use assay_exact::hash::{Blake2b, Hasher};
use assay_exact::header::*;
use assay_exact::linear::{linear_row, Planes, RowScale};
use assay_exact::merkle::{blob, list, ListBuilder};
use assay_exact::mlp::{add_expert, finish_experts, gated, route, ungated, Activation, ChosenExpert};
use assay_exact::norm::Norm;
use assay_exact::prim::*;
use assay_exact::requantize::requantize;
use assay_exact::rope::rope_head;
use assay_exact::sampling::{draw, FinalCap, Sampling, TOP_P_OFF};
use assay_exact::tables::{G, GT, S, T1, T2};
use assay_exact::work::{job_work, prefill_work, span_work};

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

const GATES: [Activation; 3] = [Activation::Silu, Activation::Gelu, Activation::GeluTanh];

#[test]
fn linear_matches() {
    let scales = [RowScale { m: 8388609, k: 30 }.pack(), RowScale { m: 16777215, k: 20 }.pack()];
    let mut y = [0; 2];
    let q = [16384, -16384, 1];
    for (second, expected) in [(None, [-261115, 4194297]), (Some(&[127, -128, 5, -64, 64, 9][..]), [-259075, 2097145])]
    {
        let w = Planes { first: &[-128, 127, 3, 1, -1, 0], second };
        linear_row(w, &scales, Some(&[5, -7]), &q, -13, 16, &mut y);
        assert_eq!(y, expected);
    }
}

#[test]
fn norms_match() {
    let h = [1000, -2000, 3, 0];
    let gain = [65536, 131072, -65536, 1];
    for (bias, a15, to) in [
        (None, [3661, -14642, -11, 0], [1830, -7321, -5, 0]),
        (Some(&[1, 2, 3, -65536][..]), [4695, -13158, -948, -8192], [2347, -6579, -474, -4096]),
    ] {
        let norm = Norm { f_g: 16, eps: Eps { m: 8388608, k: 10 }, gain: &gain, bias };
        let (mut q, mut out) = ([0; 4], [0; 4]);
        assert_eq!((norm.a15(&h, &mut q), q), (-13, a15));
        norm.to(12, &h, &mut out);
        assert_eq!(out, to);
    }
}

#[test]
fn rope_matches() {
    let mut out = [0; 6];
    let row = [759250125, 759250125, 1073741824, 0];
    rope_head(&[100000, -200000, 300000, 400000, 5, -6], &row, 34, &mut out);
    assert_eq!(out, [-8839, -12500, 17678, 25000, 0, 0]);
}

#[test]
fn attention_matches() {
    let kv = StridedKv { keys: &[5, 9, 300, 2, -1, 0], values: &[100, -32767, -50, 7, 9, 9], stride: 2, head_dim: 2 };
    let cap = Some(SoftCap { c: 5_000_000, sigma: 22 });
    for (sigma_l, soft_cap, o) in [(28, None, [4931, -2778769]), (40, cap, [5032, -2794279])] {
        let scale = HeadScale { c: 5_000_000, sigma_l, soft_cap };
        let mut out = [0; 2];
        attend_head(&[300, -7], &kv, 0..3, &scale, &mut [0; 3], &mut [0; 2], &mut out);
        assert_eq!(out, o);
    }
}

#[test]
fn mlps_match() {
    let mut q = [0; 2];
    for (gate, expected) in GATES.into_iter().zip([[13024, 4476], [15002, 2498], [14999, 2501]]) {
        assert_eq!(gated(gate, &[70000, -70000], &[65536, -65536], &mut q), -14);
        assert_eq!(q, expected);
    }
    for (gate, expected) in GATES.into_iter().zip([[13024, -4476], [15002, -2498], [14999, -2501]]) {
        assert_eq!(ungated(gate, &[70000, -70000], &mut q), -14);
        assert_eq!(q, expected);
    }
}

#[test]
fn experts_match() {
    for (over_all, weight, expected) in [(false, 8388608, [250, i32::MAX]), (true, 6702260, [200, 1715778559])] {
        let mut chosen = [ChosenExpert::default(); 2];
        assert_eq!(route(&[65536, 131072, 131072, 0], over_all, &mut chosen), 2);
        assert_eq!(chosen, [ChosenExpert { id: 1, weight }, ChosenExpert { id: 2, weight }]);
        let (mut sum, mut out) = ([0; 2], [0; 2]);
        add_expert(chosen[0].weight, &[1000, i32::MAX], &mut sum);
        add_expert(chosen[1].weight, &[-500, i32::MAX], &mut sum);
        finish_experts(&sum, &mut out);
        assert_eq!(out, expected);
    }
}

#[test]
fn embeddings_match() {
    for (seconds, expected) in [(None, [-2688, 2920]), (Some([&[64, -1][..], &[-65, 127]]), [-2741, 3047])] {
        let planes = |first, i: usize| Planes { first, second: seconds.map(|seconds| seconds[i]) };
        let token = EmbeddingRow { weights: planes(&[-128, 127], 0), scale: RowScale { m: 12582912, k: 31 }.pack() };
        let position = EmbeddingRow { weights: planes(&[3, -1], 1), scale: RowScale { m: 8388608, k: 28 }.pack() };
        let mut h = [0; 2];
        embed_row(token, Some(position), 12, &mut h);
        assert_eq!(h, expected);
    }

    let mut v = [0; 3];
    embedding_output(&[3, -4, 0], &mut v);
    assert_eq!(v, [19661, -26214, 0]);
    assert_eq!(hex(&embedding_root::<Blake2b>(&v)), "de99e3bd82e95d5442e0cc14d7d1c7d7d8b739e0fa8dc9ef5c5fa9329cab1f20");
}

#[test]
fn final_cap_matches() {
    let cap = FinalCap { c: 4473924, sigma: 20, cap: 1966080 };
    let capped = [0, 65536, -1966080, i32::MAX].map(|l| cap.apply(l));
    assert_eq!(capped, [0, 1911680, -1966080, 1966080]);
}

#[test]
fn lists_match() {
    assert_eq!(hex(&list::<Blake2b, &[u8]>([])), "43eef4c3b1d1ab172d0e67b4343716cd593b650761af8abd368840bce94828dc");
    assert_eq!(
        hex(&list::<Blake2b, _>(["a", "b", "c"])),
        "13d3e26040426c295efd828755298f02265db3f50a30a8074c635f8b651a987e"
    );
    assert_eq!(hex(&blob::<Blake2b>(&[0; 10_000])), "eea43a4dc3ea48062437bd7236689df1d18830037a6afd297f74fd4a35e38bf9");
}

#[test]
fn sampling_matches() {
    let logits = [0, 65536, 131072, 131072, -65536];
    for (temperature, top_k, top_p, expected) in [
        (0, 0, TOP_P_OFF, &[2, 2, 2][..]),
        (5000, 0, TOP_P_OFF, &[4, 2, 1]),
        (1000, 2, TOP_P_OFF, &[3, 2, 2, 3, 2, 2, 3, 3]),
        (65535, 3, 65535, &[3, 2, 1, 3, 1, 1, 2, 3]),
    ] {
        let sampling = Sampling { temperature, top_k, top_p, seed: [0; 32] };
        let drawn: Vec<u32> = (7..)
            .take(expected.len())
            .map(|next| draw::<Blake2b>(&logits, None, &sampling, next, &mut [0; 5]))
            .collect();
        assert_eq!(drawn, expected);
    }
}

#[test]
fn commitments_match() {
    assert_eq!(hex(&ids_root::<Blake2b>(1..=5)), "9d898f240b17abda54eed931e2e2ae36834e24dc609cb7e2906d39b625b9baea");
    assert_eq!(
        hex(&row_root::<Blake2b>(&[1, -2, 3, 4, -5, 6], 2)),
        "11a8e117040a8a04a755157fc81aad0b23dc3312b82aae73f39dafae899db69f"
    );
    let mut kv = KvBuilder::<Blake2b>::new(1, 2);
    for p in 0..17 {
        for (h, head) in (0..).zip(kv.heads_mut()) {
            head.push(&[p, h], &[-p, 100 + h]);
        }
    }
    assert_eq!(hex(&kv.root()), "fb343f563b1be838ba568ab83911996d775f5a9a8504fea095d5d28ee16c0de3");
    let mut tail = ListBuilder::<Blake2b>::new();
    tail.push_hash(tail_leaf::<Blake2b>(&[1, -2], [(&[3, -4][..], -7)]));
    assert_eq!(hex(&tail.root()), "1610492f61c86b18edc0ab875baf3072020f895c501e73e45932212bd7f9fcd3");

    let sampling = Sampling { temperature: 700, top_k: 40, top_p: 60_000, seed: [2; 32] };
    let stage = StageRootInput {
        model_root: [1; 32],
        first_layer: 4,
        end_layer: 9,
        t_in: 100,
        generation: Some(Generation { max_new: 32, sampling }),
        in_root: [3; 32],
        out_root: [4; 32],
        kv_root: [5; 32],
        tail_root: [6; 32],
    };
    let encoder = StageRootInput { generation: None, ..stage };
    assert_eq!(
        [stage, encoder].map(|s| hex(&s.root::<Blake2b>())),
        [
            "bfa654717f040bae46e75dea85c75b42f61c742165f592a284e2f187c9ad23b8",
            "8aac0c715a0999bab1f066138665d0bf0ebfd82a8198180126dfb3b89019e595"
        ]
    );
}

#[test]
fn header_and_work_match() {
    let mut header = Header {
        kind: Kind::Decoder,
        vocab: 512,
        context: 128,
        d: 64,
        layers: 4,
        query_heads: 4,
        kv_heads: 2,
        head_dim: 16,
        rot: 16,
        hidden: 176,
        experts: 0,
        experts_per_token: 0,
        f_h: 12,
        flags: Flags::FINAL_NORM,
        activation: Activation::Silu,
        placement: Placement::Pre,
        rope_tables: 1,
        final_cap: FinalCap { c: 0, sigma: 0, cap: 0 },
        pool: Pool::None,
        eos: vec![2, 9],
        tokenizer: [7; 32],
        chat_template: [8; 32],
    };
    let bytes = header.encode();
    assert_eq!(hex(&Blake2b::digest(&[&bytes])), "1bc18a89f23bcf3e7880228a5690beac10e9d4a1ad3524c3a4b41f6d08022d36");
    assert_eq!(hex(&blob::<Blake2b>(&bytes)), "19fb689429cecd6a9a7c37794905d1610618dde4865d5a490b73050fefa9a713");
    assert_eq!(span_work(&header, 0, 4, 0, 10), 2199680);
    assert_eq!(prefill_work(&header, 0, 4, 10), 1904768);
    assert_eq!(job_work(&header, 2, 4, 10, 5), 1480960);
    header.flags = header.flags.with(Flags::SECOND_PLANE);
    assert_eq!(span_work(&header, 0, 4, 0, 10), 4371200);
}
