//! Section 9's draw against the naive model, and its edges.

mod support;

use assay_exact::hash::{Blake2b, Hasher};
use assay_exact::sampling::*;
use support::{naive, Gen};

fn wide(v: &[i32]) -> Vec<i128> {
    v.iter().map(|v| i128::from(*v)).collect()
}

fn random_word(seed: &[u8; 32], next: u32) -> u64 {
    let digest = Blake2b::digest(&[&[4], seed, &next.to_le_bytes()]);
    u64::from_le_bytes(digest[..8].try_into().unwrap())
}

fn draw_once(logits: &[i32], cap: Option<&FinalCap>, sampling: &Sampling, next: u32) -> u32 {
    draw::<Blake2b>(logits, cap, sampling, next, &mut vec![u32::MAX; logits.len()])
}

#[test]
fn mul_high_any_words_equal_the_wide_product() {
    let mut g = Gen(30);
    for _ in 0..1_000_000 {
        let (x, z) = (g.u64() >> g.below(64), g.u64() >> g.below(64));
        assert_eq!(mul_high(x, z), ((u128::from(x) * u128::from(z)) >> 64) as u64);
    }
    assert_eq!(mul_high(u64::MAX, u64::MAX), u64::MAX - 1);
    assert_eq!(mul_high(u64::MAX, 1 << 44), (1 << 44) - 1);
}

#[test]
fn draws_equal_the_model() {
    let mut g = Gen(31);
    let mut drawn = std::collections::HashSet::new();
    for _ in 0..40_000 {
        let n = 1 + g.below(60) as usize;
        let logits = match g.below(4) {
            // Plausible logits, ties, and anything at all.
            0 | 1 => g.vec(n, |g| g.range(-8 << 16, 8 << 16) as i32),
            2 => g.vec(n, |g| g.range(-3, 3) as i32 * 40_000),
            _ => g.row(n),
        };
        let sampling = Sampling {
            temperature: [0, 1, 500, 1000, 1700, 65535, g.u64() as u16][g.below(7) as usize],
            top_k: [0, 1, 2, g.below(70) as u32, u32::MAX][g.below(5) as usize],
            top_p: [1, 65535, 65536, 1 + g.below(65536) as u32][g.below(4) as usize],
            seed: std::array::from_fn(|_| g.u64() as u8),
        };
        let cap = (g.below(3) == 0).then(|| FinalCap {
            c: g.below(1 << 23) as u32,
            sigma: g.below(63) as u32,
            cap: g.below(1 << 23) as u32,
        });
        let next = g.u64() as u32;
        let capped: Vec<i128> = wide(&logits)
            .into_iter()
            .map(|l| match &cap {
                None => l,
                Some(c) => {
                    let x = naive::sat32(naive::rsh(l * i128::from(c.c), c.sigma));
                    let y = 2 * naive::lut(&assay_exact::tables::S, x) - naive::pow2(24);
                    naive::sat32(naive::rsh(y * i128::from(c.cap), 24))
                }
            })
            .collect();
        let expected = naive::draw(
            &wide(&logits),
            &capped,
            sampling.temperature.into(),
            sampling.top_k as usize,
            sampling.top_p.into(),
            random_word(&sampling.seed, next),
        );
        let found = draw_once(&logits, cap.as_ref(), &sampling, next);
        assert_eq!(found as usize, expected, "{logits:?} {cap:?} {sampling:?} {next}");
        drawn.insert(found);
    }
    assert!(drawn.len() > 40, "the cases reach most ids: {}", drawn.len());
}

#[test]
fn draws_over_a_large_vocabulary_equal_the_model() {
    let mut g = Gen(32);
    for _ in 0..60 {
        let logits = g.vec(20_000, |g| g.range(-6 << 16, 6 << 16) as i32);
        let sampling = Sampling {
            temperature: 1 + g.below(2000) as u16,
            top_k: [0, 40, 5000][g.below(3) as usize],
            top_p: [65536, 60_000, 30_000][g.below(3) as usize],
            seed: std::array::from_fn(|_| g.u64() as u8),
        };
        // The model sums prefixes afresh: keep it to what it can do.
        if sampling.top_k == 0 && sampling.top_p != 65536 {
            continue;
        }
        let row = wide(&logits);
        let expected = naive::draw(
            &row,
            &row,
            sampling.temperature.into(),
            sampling.top_k as usize,
            sampling.top_p.into(),
            random_word(&sampling.seed, 9),
        );
        assert_eq!(draw_once(&logits, None, &sampling, 9) as usize, expected);
    }
}

#[test]
fn draw_cut_to_one_is_greedy() {
    let logits = [5, 900_000, 900_000, -4, i32::MIN];
    for next in 0..200 {
        let base = Sampling { temperature: 65535, ..Sampling::GREEDY };
        for sampling in [
            Sampling { top_k: 1, ..base },
            Sampling { top_p: 1, ..base },
            Sampling { top_k: 1, top_p: 1, ..base },
            Sampling { temperature: 0, ..base },
        ] {
            assert_eq!(draw_once(&logits, None, &sampling, next), 1, "{sampling:?}");
        }
        // Two ties at the top, at the lowest temperature: only those two.
        let cold = Sampling { temperature: 1, ..Sampling::GREEDY };
        assert!([1, 2].contains(&draw_once(&logits, None, &cold, next)));
    }
}

#[test]
fn draw_ties_at_the_cut_keep_the_lower_ids() {
    let logits = [7; 9];
    let mut seen = std::collections::BTreeSet::new();
    for next in 0..300 {
        let sampling = Sampling { temperature: 1000, top_k: 4, ..Sampling::GREEDY };
        seen.insert(draw_once(&logits, None, &sampling, next));
    }
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), [0, 1, 2, 3]);

    // 9 equal weights: a third of the mass is the first three.
    let mut seen = std::collections::BTreeSet::new();
    for next in 0..300 {
        let sampling = Sampling { temperature: 1000, top_p: 21845, ..Sampling::GREEDY };
        seen.insert(draw_once(&logits, None, &sampling, next));
    }
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), [0, 1, 2]);
}

#[test]
fn draw_mass_reached_exactly_keeps_no_more() {
    // 4 equal weights, half of the mass: two reach it exactly.
    let mut seen = std::collections::BTreeSet::new();
    for next in 0..300 {
        let sampling = Sampling { temperature: 1000, top_p: 32768, ..Sampling::GREEDY };
        seen.insert(draw_once(&[-9; 4], None, &sampling, next));
    }
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), [0, 1]);
}

#[test]
fn temperature_scale_every_temperature_rounds_to_nearest() {
    for t in 1..=u16::MAX {
        let error = i64::from(temperature_scale(t)) * i64::from(t) - 94_548_462;
        assert!(2 * error <= i64::from(t) && -2 * error <= i64::from(t), "{t}: {error}");
    }
    assert_eq!(temperature_scale(1), 94_548_462);
    // An exact half rounds up: 94548462 / 4 = 23637115.5.
    assert_eq!(temperature_scale(4), 23_637_116);
}

#[test]
fn draw_of_a_capped_tie_orders_by_the_uncapped_logit() {
    // The cap makes all of these equal; the largest logit is still the first in order.
    let cap = FinalCap { c: 0, sigma: 0, cap: 1 << 20 };
    let sampling = Sampling { temperature: 1000, top_k: 1, ..Sampling::GREEDY };
    assert_eq!(draw_once(&[1, 3, 2], Some(&cap), &sampling, 5), 1);
}

#[test]
fn draw_at_temperature_one_follows_the_softmax() {
    // Probabilities 1/2, 1/4, 1/4 by logits of 0 and -ln 2.
    let logits = [0, -45_426, -45_426];
    let sampling = Sampling { temperature: 1000, ..Sampling::GREEDY };
    let mut counts = [0u32; 3];
    for next in 0..4000 {
        counts[draw_once(&logits, None, &sampling, next) as usize] += 1;
    }
    assert!((1880..2120).contains(&counts[0]), "{counts:?}");
    assert!((900..1100).contains(&counts[1]), "{counts:?}");
}

#[test]
fn draw_from_the_smallest_vocabularies_is_total() {
    for temperature in [0, 1, 65535] {
        let sampling = Sampling { temperature, top_k: 9, top_p: 1, seed: [255; 32] };
        assert_eq!(draw_once(&[i32::MIN], None, &sampling, u32::MAX), 0);
        assert_eq!(draw_once(&[], None, &sampling, 0), 0);
    }
    // Parameters without semantics still return an id of the vocabulary.
    for top_p in [0, u32::MAX] {
        let sampling = Sampling { temperature: 1000, top_k: 0, top_p, seed: [0; 32] };
        assert!(draw_once(&[3, 2, 1], None, &sampling, 1) < 3);
    }
}

#[test]
fn validate_top_p_out_of_range_fails() {
    for (top_p, ok) in [(0, false), (1, true), (65536, true), (65537, false), (u32::MAX, false)] {
        let sampling = Sampling { top_p, ..Sampling::GREEDY };
        assert_eq!(sampling.validate(), if ok { Ok(()) } else { Err(SamplingError::TopP(top_p)) });
    }
    assert!(SamplingError::TopP(0).to_string().contains("1..=65536"));
}

#[test]
fn final_cap_never_falls() {
    let mut g = Gen(33);
    for _ in 0..200 {
        let cap = FinalCap { c: g.below(1 << 23) as u32, sigma: g.below(63) as u32, cap: g.below(1 << 23) as u32 };
        let mut logits = g.vec(100, Gen::i32);
        logits.sort();
        let capped: Vec<i32> = logits.iter().map(|l| cap.apply(*l)).collect();
        assert!(capped.is_sorted());
        assert!(capped.iter().all(|l| l.unsigned_abs() <= cap.cap));
    }
}
