//! Section 1 against the naive model.

mod support;

use assay_exact::prim::*;
use assay_exact::tables::{GateTable, G, GT, S};
use support::{naive, Gen};

const CASES: usize = 1_000_000;
const TABLES: [&GateTable; 3] = [&S, &G, &GT];

fn wide(v: &[i64]) -> Vec<i128> {
    v.iter().map(|v| i128::from(*v)).collect()
}

#[test]
fn rsh_any_input_rounds_half_up() {
    let mut g = Gen(1);
    for a in [i64::MIN, i64::MIN + 1, i64::MAX, i64::MAX - 1, -1, 0, 1] {
        for s in (0..70).chain([u32::MAX]) {
            assert_eq!(i128::from(rsh(a, s)), naive::rsh(i128::from(a), s), "{a} {s}");
        }
    }
    for _ in 0..CASES {
        let (a, s) = (g.wide(i64::MAX), g.below(66) as u32);
        assert_eq!(i128::from(rsh(a, s)), naive::rsh(i128::from(a), s), "{a} {s}");
    }
}

#[test]
fn saturation_beyond_the_range_clamps() {
    assert_eq!([sat16(i64::MIN), sat16(-32768), sat16(-32767), sat16(i64::MAX)], [-32767, -32767, -32767, 32767]);
    assert_eq!([sat32(i64::MIN), sat32(i64::MAX)], [i32::MIN, i32::MAX]);
    assert_eq!([sat32(-(1 << 31)), sat32(1 << 31), sat32((1 << 31) - 1)], [i32::MIN, i32::MAX, i32::MAX]);
    let mut g = Gen(2);
    for _ in 0..CASES {
        let a = g.wide(i64::MAX);
        assert_eq!(i128::from(sat32(a)), naive::sat32(a.into()));
        assert_eq!(i128::from(sat16(a)), naive::sat16(a.into()));
    }
}

#[test]
fn scale32_in_range_equals_the_model() {
    let mut g = Gen(3);
    for _ in 0..CASES {
        let a = g.wide(1 << 38);
        let m = g.wide((1 << 24) - 1).unsigned_abs() as u32;
        let s = match g.below(10) {
            0 => g.u64() as i32,
            1 => i32::MIN,
            2 => i32::MAX,
            _ => g.range(-70, 130) as i32,
        };
        assert_eq!(i128::from(scale32(a, m, s)), naive::scale32(a.into(), m.into(), s.into()), "{a} {m} {s}");
    }
    // Past the documented range it saturates rather than wrap.
    assert_eq!(scale32(i64::MIN, u32::MAX, 0), i32::MIN);
    assert_eq!(scale32(i64::MAX, u32::MAX, i32::MIN), i32::MAX);
}

#[test]
fn roots_and_lengths_equal_the_model() {
    let mut g = Gen(4);
    for u in [0, 1, 2, 3, u64::MAX, u64::MAX - 1, (1 << 32) - 1, 1 << 32] {
        assert_eq!(i128::from(isqrt(u)), naive::isqrt(u.into()));
        assert_eq!(bl(u), naive::bl(u.into()));
    }
    for _ in 0..CASES / 4 {
        let u = g.u64() >> g.below(64);
        let root = isqrt(u);
        assert_eq!(i128::from(root), naive::isqrt(u.into()));
        // The squares themselves are where a float root goes wrong.
        let square = root * root;
        assert_eq!(isqrt(square), root);
        assert_eq!(isqrt(square.saturating_sub(1)), root.saturating_sub(1));
        assert_eq!(bl(u), naive::bl(u.into()));
    }
}

#[test]
fn exp2neg_every_exponent_equals_the_model() {
    let mut before = 1 << 24;
    for u in 0..=40u32 << 16 {
        let w = exp2neg(u);
        assert_eq!(i128::from(w), naive::exp2neg(u.into()), "{u}");
        assert!(w <= before, "2^-u never rises, at {u}");
        before = w;
    }
    assert_eq!((exp2neg(0), exp2neg(1 << 16), exp2neg(u32::MAX)), (1 << 24, 1 << 23, 0));
}

#[test]
fn lut_every_gate_equals_the_model_and_rises() {
    for table in TABLES {
        let mut before = 0;
        for g in -(1 << 20) - 5..(1 << 20) + 5 {
            let v = lut(table, g);
            assert_eq!(i128::from(v), naive::lut(table, g.into()), "{g}");
            assert!((before..=ONE_Q24).contains(&v), "a gate never falls, at {g}");
            before = v;
        }
        for g in [i32::MIN, i32::MIN + 1, i32::MAX] {
            assert_eq!(i128::from(lut(table, g)), naive::lut(table, g.into()));
        }
    }
}

#[test]
fn inv_any_sum_equals_the_model() {
    let mut g = Gen(5);
    for _ in 0..CASES {
        let z = (g.u64() >> g.below(64)).max(1);
        let Reciprocal { r, b } = inv(z);
        assert_eq!((i128::from(r), b), naive::inv(z.into()), "{z}");
        assert!((1 << 30..=1 << 31).contains(&r));
    }
    assert_eq!(inv(0), inv(1));
}

#[test]
fn softmax_rows_equal_the_model() {
    let mut g = Gen(6);
    for _ in 0..20_000 {
        let n = 1 + g.below(40) as usize;
        let scores = g.vec(n, |g| g.wide(1 << 38));
        let (c, r) = (g.below(1 << 23) as u32, g.below(63) as u32);
        let mut weights = vec![0; n];
        let z = softmax(&scores, c, r, &mut weights);
        let expected = naive::softmax(&wide(&scores), c.into(), r);
        assert_eq!(weights.iter().map(|w| i128::from(*w)).collect::<Vec<_>>(), expected);
        assert_eq!(i128::from(z), expected.iter().sum::<i128>());
        assert!(z >= 1 << 24);
    }
    assert_eq!(softmax::<i64>(&[], 1, 1, &mut []), 0);
}

#[test]
fn softmax_of_extreme_logits_equals_the_model() {
    // The widest i32 distance at the lowest temperature.
    let logits = [i32::MIN, i32::MAX, 0, i32::MAX - 1, i32::MIN + 1];
    let mut weights = [0; 5];
    softmax(&logits, LOG2E_Q16_MILLI, 16, &mut weights);
    let row: Vec<i128> = logits.iter().map(|l| i128::from(*l)).collect();
    assert_eq!(weights.map(i128::from).to_vec(), naive::softmax(&row, LOG2E_Q16_MILLI.into(), 16));
}

#[test]
fn eps_any_shift_equals_the_model() {
    let mut g = Gen(7);
    for _ in 0..CASES / 4 {
        let (m, k, s) = (g.wide((1 << 24) - 1).unsigned_abs() as u32, g.range(-256, 256), g.below(27) as u32);
        let eps = Eps { m, k: k as i32 };
        assert_eq!(i128::from(eps.at_shift(s)), naive::eps_at(m.into(), k, s), "{eps:?} {s}");
    }
    assert_eq!(Eps { m: u32::MAX, k: i32::MIN }.at_shift(0), 1 << 60);
    assert_eq!(Eps { m: 0, k: i32::MIN }.at_shift(u32::MAX), 0);
    assert_eq!(Eps { m: u32::MAX, k: i32::MAX }.at_shift(u32::MAX), 0);
}

#[test]
fn unit_rows_equal_the_model() {
    let mut g = Gen(8);
    for _ in 0..50_000 {
        let n = 1 + g.below(40) as usize;
        let bound = 1 << g.below(49);
        let c = match g.below(8) {
            0 => vec![0; n],
            1 => vec![bound; n],
            2 => vec![-bound; n],
            _ => g.vec(n, |g| g.wide(bound)),
        };
        let eps = match g.below(3) {
            0 => Eps::ZERO,
            _ => Eps { m: g.below(1 << 24) as u32, k: g.range(-256, 256) as i32 },
        };
        let mut t = vec![0; n];
        unit(&c, eps, &mut t);
        let expected = naive::unit(&wide(&c), eps.m.into(), eps.k.into());
        assert_eq!(t.iter().map(|t| i128::from(*t)).collect::<Vec<_>>(), expected, "{c:?} {eps:?}");
    }
}

#[test]
fn unit_of_the_widest_row_stays_in_range() {
    for c in [1i64 << 48, -(1 << 48), 1, 0] {
        let row = vec![c; 1 << 14];
        let mut t = vec![0; row.len()];
        unit(&row, Eps { m: (1 << 24) - 1, k: -256 }, &mut t);
        assert_eq!(i128::from(t[0]), naive::unit(&wide(&row), (1 << 24) - 1, -256)[0]);
        unit(&row, Eps::ZERO, &mut t);
        assert_eq!(i128::from(t[0]), naive::unit(&wide(&row), 0, 0)[0]);
    }
}
