//! Sections 3 to 9, op by op, against the naive model.

mod support;

use assay_exact::attention::{attend_head, causal_keys, BlockedKv, HeadScale, SoftCap, StridedKv};
use assay_exact::embed::{embed_row, embedding_output, pool_add, EmbeddingRow};
use assay_exact::linear::{dot_i8_i16, finish_linear, join_planes, linear_row, saturate_row, Planes, RowScale};
use assay_exact::mlp::{self, Activation, ChosenExpert};
use assay_exact::norm::Norm;
use assay_exact::prim::Eps;
use assay_exact::requantize::{requantize, requantize_i32};
use assay_exact::residual;
use assay_exact::rope::rope_head;
use assay_exact::tables::S;
use support::{naive, Gen};

fn wide<T: Copy + Into<i128>>(v: &[T]) -> Vec<i128> {
    v.iter().map(|v| (*v).into()).collect()
}

fn naive_linear(acc: i128, scale: u32, bias: i32, e_x: i32, f_out: i32) -> i128 {
    let (m, k) = (scale % (1 << 24), scale >> 24);
    let scaled = naive::scale32(acc, m.into(), i64::from(k) - i64::from(e_x) - i64::from(f_out));
    naive::sat32(scaled + i128::from(bias))
}

#[test]
fn row_scale_any_word_survives_packing() {
    let mut g = Gen(10);
    for _ in 0..1000 {
        let word = g.u64() as u32;
        assert_eq!(RowScale::unpack(word).pack(), word);
    }
    assert_eq!(RowScale::unpack(0xff80_0001), RowScale { m: 0x0080_0001, k: 255 });
}

#[test]
fn dot_widest_extreme_row_is_exact() {
    for (w, q) in [(-128, -(1 << 14)), (127, 1 << 14), (-128, 1 << 14), (-128, i16::MIN)] {
        let n = 1 << 16;
        assert_eq!(dot_i8_i16(&vec![w; n], &vec![q; n]), i64::from(w) * i64::from(q) * n as i64);
    }
    assert_eq!(dot_i8_i16(&[], &[]), 0);
}

#[test]
fn finish_linear_any_accumulator_equals_the_model() {
    let mut g = Gen(11);
    for _ in 0..1_000_000 {
        let (acc, scale, bias) = (g.wide((1 << 37) + (1 << 30)), g.scale(), g.i32());
        let (e_x, f_out) = (g.range(-62, 110) as i32, g.range(-64, 64) as i32);
        assert_eq!(
            i128::from(finish_linear(acc, scale, bias, e_x, f_out)),
            naive_linear(acc.into(), scale, bias, e_x, f_out),
            "{acc} {scale:#x} {bias} {e_x} {f_out}"
        );
    }
    assert_eq!(finish_linear(1 << 37, 0x00ff_ffff, i32::MAX, i32::MAX, i32::MAX), i32::MAX);
    assert_eq!(finish_linear(-(1 << 37), 0xffff_ffff, i32::MIN, i32::MIN, i32::MIN), i32::MIN);
}

#[test]
fn linear_rows_equal_the_model() {
    let mut g = Gen(12);
    for _ in 0..2_000 {
        let (n_in, n_out) = (1 + g.below(700) as usize, 1 + g.below(6) as usize);
        let w = g.vec(n_in * n_out, Gen::i8);
        let second = (g.below(2) == 0).then(|| g.vec(n_in * n_out, Gen::i8));
        let q = g.vec(n_in, Gen::a15);
        let scales = g.vec(n_out, Gen::scale);
        let bias = (g.below(2) == 0).then(|| g.row(n_out));
        let (e_x, f_out) = (g.range(-40, 40) as i32, g.range(-64, 64) as i32);
        let mut y = vec![0; n_out];
        let planes = Planes { first: &w, second: second.as_deref() };
        linear_row(planes, &scales, bias.as_deref(), &q, e_x, f_out, &mut y);
        for i in 0..n_out {
            let sum = |w: &[i8]| -> i128 { (0..n_in).map(|j| i128::from(w[i * n_in + j]) * i128::from(q[j])).sum() };
            let acc = sum(&w) + second.as_deref().map_or(0, |w| naive::rsh(sum(w), 7));
            let bias = bias.as_ref().map_or(0, |b| b[i]);
            assert_eq!(i128::from(y[i]), naive_linear(acc, scales[i], bias, e_x, f_out));
        }
    }
    let mut y = [7];
    linear_row([].as_slice().into(), &[RowScale { m: 1, k: 0 }.pack()], Some(&[5]), &[], 0, 0, &mut y);
    assert_eq!(y, [5], "an empty sum leaves the bias");
}

#[test]
fn join_planes_rounds_the_second_sum_half_up() {
    assert_eq!([-65, -64, -63, 63, 64, 191, 192].map(|second| join_planes(10, second)), [9, 10, 10, 10, 11, 11, 12]);
    assert_eq!(join_planes(1 << 37, 1 << 37), (1 << 37) + (1 << 30));
}

#[test]
fn saturate_row_extremes_clamp_symmetrically() {
    let mut v = [0; 5];
    saturate_row(&[i32::MIN, -32768, -32767, 32768, i32::MAX], &mut v);
    assert_eq!(v, [-32767, -32767, -32767, 32767, 32767]);
}

#[test]
fn requantize_rows_equal_the_model_and_fit() {
    let mut g = Gen(13);
    for _ in 0..50_000 {
        let n = 1 + g.below(20) as usize;
        let bound = 1 << g.below(63);
        let y = if g.below(8) == 0 { vec![0; n] } else { g.vec(n, |g| g.wide(bound)) };
        let exponent = g.range(-60, 20) as i32;
        let mut q = vec![0; n];
        let e = requantize(&y, exponent, &mut q);
        assert_eq!((wide(&q), e), naive::requantize(&wide(&y), exponent), "{y:?}");
        assert!(q.iter().all(|q| q.unsigned_abs() <= 1 << 14));

        let y = g.row(n);
        let e = requantize_i32(&y, exponent, &mut q);
        assert_eq!((wide(&q), e), naive::requantize(&wide(&y), exponent));
    }
}

#[test]
fn requantize_extremes_stay_total() {
    let mut q = [0; 2];
    assert_eq!(requantize(&[i64::MIN, i64::MAX], 0, &mut q), 50);
    assert_eq!(q, [-(1 << 13), 1 << 13]);
    assert_eq!(requantize(&[(1 << 14) - 1, -1], 3, &mut q), 3);
    assert_eq!(q, [(1 << 14) - 1, -1], "15 bits pass as they are");
    assert_eq!(requantize(&[(1 << 15) - 1, -3], 3, &mut q), 4);
    assert_eq!(q, [1 << 14, -1], "rounding up may reach 2^14, and -1.5 rounds to -1");
    assert_eq!(requantize(&[0, 0], -7, &mut q), -7);
    assert_eq!(q, [0, 0]);
}

#[test]
fn norm_rows_equal_the_model() {
    let mut g = Gen(14);
    for _ in 0..20_000 {
        let n = 1 + g.below(30) as usize;
        let h = g.row(n);
        let gain = g.row(n);
        let bias = (g.below(2) == 0).then(|| g.row(n));
        let f_g = g.below(31) as u32;
        let eps = Eps { m: g.below(1 << 24) as u32, k: g.range(-256, 256) as i32 };
        let norm = Norm { f_g, eps, gain: &gain, bias: bias.as_deref() };

        let wide_bias = bias.as_deref().map(wide);
        let y = naive::norm(&wide(&h), &wide(&gain), wide_bias.as_deref(), eps.m.into(), eps.k.into());
        let mut q = vec![0; n];
        let e = norm.a15(&h, &mut q);
        assert_eq!((wide(&q), e), naive::requantize(&y, -30 - f_g as i32));

        let f = g.range(4, 20) as u32;
        let expected: Vec<i128> = y.iter().map(|y| naive::sat32(naive::rsh(*y, 30 + f_g - f))).collect();
        let mut out = vec![0; n];
        norm.to(f, &h, &mut out);
        assert_eq!(wide(&out), expected);
        let mut in_place = h.clone();
        norm.to_in_place(f, &mut in_place);
        assert_eq!(in_place, out);
    }
}

#[test]
fn norm_widest_extreme_row_equals_the_model() {
    let n = 1 << 14;
    let mut h = vec![i32::MIN; n];
    h[0] = i32::MAX;
    let (gain, bias) = (vec![i32::MIN; n], vec![i32::MAX; n]);
    for bias in [None, Some(&bias[..])] {
        let eps = Eps { m: (1 << 24) - 1, k: 256 };
        let norm = Norm { f_g: 0, eps, gain: &gain, bias };
        let wide_bias = bias.map(wide);
        let y = naive::norm(&wide(&h), &wide(&gain), wide_bias.as_deref(), eps.m.into(), eps.k.into());
        let mut q = vec![0; n];
        let e = norm.a15(&h, &mut q);
        assert_eq!((wide(&q), e), naive::requantize(&y, -30));
    }
}

#[test]
fn layer_norm_of_a_constant_row_is_its_bias() {
    let (gain, bias) = ([1 << 20; 4], [3, -4, 0, 9]);
    let norm = Norm { f_g: 16, eps: Eps { m: 1 << 23, k: 20 }, gain: &gain, bias: Some(&bias) };
    let mut out = [0; 4];
    norm.to(16, &[i32::MAX; 4], &mut out);
    assert_eq!(out, bias);
}

#[test]
fn qk_norm_treats_each_head_alone() {
    let mut g = Gen(15);
    let gain = g.vec(8, |g| g.range(1, 1 << 20) as i32);
    let norm = Norm { f_g: 16, eps: Eps { m: 1 << 23, k: 10 }, gain: &gain, bias: None };
    let x = g.vec(24, |g| g.range(-1 << 20, 1 << 20) as i32);
    let mut heads = x.clone();
    norm.to_heads(&mut heads);
    for (x, head) in x.chunks(8).zip(heads.chunks(8)) {
        let mut out = [0; 8];
        norm.to(16, x, &mut out);
        assert_eq!(out, head);
    }
}

#[test]
fn rope_heads_equal_the_model() {
    let mut g = Gen(16);
    for _ in 0..50_000 {
        let d = 2 * (1 + g.below(16)) as usize;
        let rot = 2 * g.below(d as u64 / 2 + 1) as usize;
        let x = g.row(d);
        let row = g.vec(rot, |g| g.wide(1 << 30) as i32);
        let sigma = g.below(63) as u32;
        let mut out = vec![0; d];
        rope_head(&x, &row, sigma, &mut out);
        assert_eq!(wide(&out), naive::rope(&wide(&x), &wide(&row), sigma));
    }
}

#[test]
fn attention_heads_equal_the_model_in_every_layout() {
    let mut g = Gen(17);
    for _ in 0..5_000 {
        let d = 2 * (1 + g.below(8)) as usize;
        let positions = 1 + g.below(70) as usize;
        let kv_heads = 1 + g.below(3) as usize;
        let head = g.below(kv_heads as u64) as usize;
        let stride = kv_heads * d;
        let extreme = g.below(8) == 0;
        let mut entry = |g: &mut Gen| if extreme { [32767, -32767][g.below(2) as usize] } else { g.i16() };
        let keys = g.vec(positions * stride, &mut entry);
        let values = g.vec(positions * stride, &mut entry);
        let q = g.vec(d, &mut entry);
        let soft_cap = (g.below(3) == 0).then(|| SoftCap { c: g.below(1 << 23) as u32, sigma: g.below(63) as u32 });
        let scale = HeadScale { c: g.below(1 << 23) as u32, sigma_l: g.below(63) as u32, soft_cap };
        let p = g.below(positions as u64) as usize;
        let range = causal_keys(p, g.below(20) as u32);

        let at = |data: &[i16], j: usize| data[j * stride + head * d..][..d].to_vec();
        let expected = naive::attention(
            &wide(&q),
            &range.clone().map(|j| wide(&at(&keys, j))).collect::<Vec<_>>(),
            &range.clone().map(|j| wide(&at(&values, j))).collect::<Vec<_>>(),
            &naive::Scale { c: scale.c.into(), sigma_l: scale.sigma_l, cap: soft_cap.map(|s| (s.c.into(), s.sigma)) },
            &S,
        );
        let (mut scores, mut sum, mut out) = (vec![0; positions], vec![-1; d], vec![0; d]);
        let kv = StridedKv { keys: &keys[head * d..], values: &values[head * d..], stride, head_dim: d };
        attend_head(&q, &kv, range.clone(), &scale, &mut scores, &mut sum, &mut out);
        assert_eq!(wide(&out), expected);
        assert!(out.iter().all(|o| o.unsigned_abs() <= 1 << 24));

        let packed: Vec<i16> = (0..positions).flat_map(|j| [at(&keys, j), at(&values, j)].concat()).collect();
        let blocks: Vec<&[i16]> = packed.chunks(16 * 2 * d).collect();
        let kv = BlockedKv { blocks: &blocks, block_len: 16, head_dim: d };
        out.fill(0);
        attend_head(&q, &kv, range, &scale, &mut scores, &mut sum, &mut out);
        assert_eq!(wide(&out), expected);
    }
}

#[test]
fn attention_longest_context_of_extremes_equals_the_model() {
    let (n, d) = (1 << 17, 2);
    let keys = vec![32767i16; n * d];
    let mut values = vec![-32767i16; n * d];
    values[0] = 32767;
    let kv = StridedKv { keys: &keys, values: &values, stride: d, head_dim: d };
    let scale = HeadScale { c: (1 << 23) - 1, sigma_l: 0, soft_cap: None };
    let mut out = [0; 2];
    attend_head(&[32767, 32767], &kv, 0..n, &scale, &mut vec![0; n], &mut [0; 2], &mut out);
    let rows = |data: &[i16]| data.chunks(d).map(wide).collect::<Vec<_>>();
    let expected = naive::attention(
        &[32767, 32767],
        &rows(&keys),
        &rows(&values),
        &naive::Scale { c: scale.c.into(), sigma_l: 0, cap: None },
        &S,
    );
    assert_eq!(wide(&out), expected);
}

#[test]
fn causal_keys_window_counts_the_position_itself() {
    assert_eq!(causal_keys(0, 0), 0..1);
    assert_eq!(causal_keys(9, 0), 0..10);
    assert_eq!(causal_keys(9, 1), 9..10);
    assert_eq!(causal_keys(9, 4), 6..10);
    assert_eq!(causal_keys(9, 10), 0..10);
    assert_eq!(causal_keys(9, u32::MAX), 0..10);
}

#[test]
fn mlp_rows_equal_the_model() {
    let mut g = Gen(18);
    for _ in 0..30_000 {
        let n = 1 + g.below(20) as usize;
        let activation = [Activation::Silu, Activation::Gelu, Activation::GeluTanh][g.below(3) as usize];
        let (gate, up) = (g.row(n), g.row(n));
        let mut q = vec![0; n];
        let e = mlp::gated(activation, &gate, &up, &mut q);
        let y = naive::gated(activation.table(), &wide(&gate), &wide(&up));
        assert_eq!((wide(&q), e), naive::requantize(&y, -32));
        let e = mlp::ungated(activation, &up, &mut q);
        let y = naive::ungated(activation.table(), &wide(&up));
        assert_eq!((wide(&q), e), naive::requantize(&y, -40));
    }
}

#[test]
fn experts_equal_the_model() {
    let mut g = Gen(19);
    for _ in 0..20_000 {
        let n = 1 + g.below(70) as usize;
        let k = 1 + g.below(n.min(64) as u64) as usize;
        // A narrow range makes ties.
        let logits = if g.below(2) == 0 { g.row(n) } else { g.vec(n, |g| g.range(-4, 4) as i32 * 20_000) };
        let over_all = g.below(2) == 0;
        let mut chosen = vec![ChosenExpert::default(); k];
        assert_eq!(mlp::route(&logits, over_all, &mut chosen), k);
        let expected = naive::route(&wide(&logits), k, over_all);
        let found: Vec<_> = chosen.iter().map(|c| (c.id as usize, i128::from(c.weight))).collect();
        assert_eq!(found, expected, "{logits:?} {over_all}");

        let d = 1 + g.below(5) as usize;
        let downs: Vec<Vec<i32>> = (0..k).map(|_| g.row(d)).collect();
        let (mut sum, mut out) = (vec![0; d], vec![0; d]);
        for (c, down) in chosen.iter().zip(&downs) {
            mlp::add_expert(c.weight, down, &mut sum);
        }
        mlp::finish_experts(&sum, &mut out);
        for i in 0..d {
            let sum: i128 = expected.iter().zip(&downs).map(|((_, p), down)| p * i128::from(down[i])).sum();
            assert_eq!(i128::from(out[i]), naive::sat32(naive::rsh(sum, 24)));
        }
    }
}

#[test]
fn route_more_than_there_are_returns_all() {
    let mut chosen = [ChosenExpert::default(); 4];
    assert_eq!(mlp::route(&[1, 5], false, &mut chosen), 2);
    assert_eq!([chosen[0].id, chosen[1].id], [1, 0]);
    assert_eq!(mlp::route(&[], false, &mut chosen), 0);
    assert_eq!(mlp::route(&[1], false, &mut []), 0);
}

#[test]
fn embedding_rows_equal_the_model() {
    let mut g = Gen(20);
    for _ in 0..20_000 {
        let d = 1 + g.below(8) as usize;
        let (token, position) = (g.vec(d, Gen::i8), g.vec(d, Gen::i8));
        let (scale, position_scale) = (g.scale(), g.scale());
        let f_h = g.range(4, 20) as u32;
        let learned = g.below(2) == 0;
        let fine = (g.below(2) == 0).then(|| [g.vec(d, Gen::i8), g.vec(d, Gen::i8)]);
        let second = |i: usize| fine.as_ref().map(|fine| fine[i].as_slice());
        let mut h = vec![0; d];
        embed_row(
            EmbeddingRow { weights: Planes { first: &token, second: second(0) }, scale },
            learned.then_some(EmbeddingRow {
                weights: Planes { first: &position, second: second(1) },
                scale: position_scale,
            }),
            f_h,
            &mut h,
        );
        let entry = |w: i8, second: Option<i8>, scale: u32| {
            let (m, k) = (scale % (1 << 24), scale >> 24);
            let (w, bits) = second.map_or((w.into(), 0), |second| (128 * i128::from(w) + i128::from(second), 7));
            naive::scale32(w, m.into(), i64::from(k) + bits - i64::from(f_h))
        };
        for i in 0..d {
            let mut sum = entry(token[i], second(0).map(|w| w[i]), scale);
            if learned {
                sum += entry(position[i], second(1).map(|w| w[i]), position_scale);
            }
            assert_eq!(i128::from(h[i]), naive::sat32(sum));
        }
    }
}

#[test]
fn embedding_vectors_equal_the_model() {
    let mut g = Gen(21);
    for _ in 0..10_000 {
        let (n, d) = (1 + g.below(10) as usize, 1 + g.below(10) as usize);
        let rows: Vec<Vec<i32>> = (0..n).map(|_| g.row(d)).collect();
        let mut sum = vec![0; d];
        rows.iter().for_each(|row| pool_add(&mut sum, row));
        let mut v = vec![0; d];
        embedding_output(&sum, &mut v);
        let pooled: Vec<i128> = (0..d).map(|i| rows.iter().map(|r| i128::from(r[i])).sum()).collect();
        let expected: Vec<i128> = naive::unit(&pooled, 0, 0).iter().map(|t| naive::sat16(naive::rsh(*t, 15))).collect();
        assert_eq!(wide(&v), expected);
    }
    let mut v = [0];
    embedding_output(&[5], &mut v);
    assert_eq!(v, [32767], "a unit of 2^15 saturates");
}

#[test]
fn residual_addition_saturates() {
    let mut h = [i32::MAX, i32::MIN, 5, 0];
    residual::add(&mut h, &[1, -1, -7, i32::MIN]);
    assert_eq!(h, [i32::MAX, i32::MIN, -2, i32::MIN]);
}
