//! Real numbers to the integer formats of section 2. Only `+ - * / sqrt`, comparisons and exact scaling by powers of two
//! on f64, all of which IEEE 754 fixes to the bit: the result does not depend on the machine.

use super::checkpoint::WEIGHT_LIMIT;
use assay_exact::{
    header::limits,
    linear::{RowScale, SECOND_PLANE_BITS},
    prim::Eps,
};

/// `x` in `m * 2^-k` with `m` in `[2^(bits-1), 2^bits)`, rounded half away from zero; `None` unless `x` is positive and finite.
pub fn mantissa(x: f64, bits: u32) -> Option<(u32, i32)> {
    if !(x.is_finite() && x > 0.) {
        return None;
    }
    let (_, exponent) = libm::frexp(x); // x = y * 2^exponent, y in [1/2, 1)
    let k = bits as i32 - exponent;
    let m = libm::scalbn(x, k).round() as u32;
    Some(if m >> bits == 0 { (m, k) } else { (m >> 1, k - 1) })
}

/// The real value of a row scale.
pub fn real_scale(scale: RowScale) -> f64 {
    libm::scalbn(f64::from(scale.m), -scale.k)
}

/// Quantizes the finite `row` to i8 in `[-127, 127]`, written over `out` of the same length. A row of zeros gets scale 0.
/// `None` if the row's maximum reaches [`WEIGHT_LIMIT`].
pub fn row(row: &[f32], out: &mut [i8]) -> Option<RowScale> {
    let scale = row_scale(row)?;
    let step = real_scale(scale);
    for (q, w) in out.iter_mut().zip(row) {
        *q = steps(*w, step, 127.) as i8;
    }
    Some(scale)
}

/// As [`row`], in two planes (flag 13): `first` in `[-127, 127]` and `second` in `[-64, 63]`, a 128th each.
pub fn row_of_two_planes(row: &[f32], first: &mut [i8], second: &mut [i8]) -> Option<RowScale> {
    let scale = row_scale(row)?;
    let step = libm::scalbn(real_scale(scale), -(SECOND_PLANE_BITS as i32));
    for ((first, second), w) in first.iter_mut().zip(second).zip(row) {
        let q = steps(*w, step, libm::scalbn(127., SECOND_PLANE_BITS as i32));
        let high = (q + (1 << (SECOND_PLANE_BITS - 1))) >> SECOND_PLANE_BITS;
        (*first, *second) = (high as i8, (q - (high << SECOND_PLANE_BITS)) as i8);
    }
    Some(scale)
}

/// The scale at which the row's largest magnitude is 127; 0 for a row of zeros.
fn row_scale(row: &[f32]) -> Option<RowScale> {
    let max = row.iter().fold(0f32, |max, w| max.max(w.abs()));
    if max >= WEIGHT_LIMIT {
        return None;
    }
    // max < 2^30 gives k >= 0; the least positive f32, 2^-149, gives k <= 179: it packs.
    let (m, k) = mantissa(f64::from(max) / 127., 24).unwrap_or((0, 0));
    Some(RowScale { m, k })
}

/// `w` in steps, at most `most` of them; 0 where a step is 0.
fn steps(w: f32, step: f64, most: f64) -> i32 {
    if step == 0. {
        return 0;
    }
    (f64::from(w) / step).round().clamp(-most, most) as i32
}

/// A row scale times a positive real; `None` if it does not pack. Times 1 it is the same bits.
pub fn times(scale: RowScale, factor: f64) -> Option<RowScale> {
    let Some((m, k)) = mantissa(real_scale(scale) * factor, 24) else { return Some(RowScale { m: 0, k: 0 }) };
    (0..256).contains(&k).then_some(RowScale { m, k })
}

/// Biases in Q`f`; `None` if one does not fit i32.
pub fn bias(values: &[f32], f: i32) -> Option<Vec<i32>> {
    let fixed = |value: &f32| {
        let fixed = libm::scalbn(f64::from(*value), f).round();
        (fixed.abs() <= f64::from(i32::MAX)).then_some(fixed as i32)
    };
    values.iter().map(fixed).collect()
}

/// Norm gains `g = gamma * sqrt(n)` in Q`F_g`, with the largest `F_g` that section 2 allows at which every gain fits i32
/// with a factor 2 to spare. `None` if even `F_g = 0` does not fit.
pub fn gains(gamma: &[f32]) -> Option<(u32, Vec<i32>)> {
    let root = (gamma.len() as f64).sqrt();
    let max = gamma.iter().fold(0f64, |max, g| max.max(f64::from(g.abs()) * root));
    let f_g = (0..=limits::GAIN_FRACTION).rev().find(|f| libm::scalbn(max, *f as i32) <= f64::from(1u32 << 30))?;
    let gains = gamma.iter().map(|g| libm::scalbn(f64::from(*g) * root, f_g as i32).round() as i32).collect();
    Some((f_g, gains))
}

/// RMSNorm's epsilon for rows of `n` entries in Q`F`: `m * 2^-k = eps * n * 2^(2F)`; `(0, 0)` if `eps` is 0.
pub fn epsilon(eps: f64, n: usize, f: i32) -> Eps {
    let (m, k) = mantissa(libm::scalbn(eps * n as f64, 2 * f), 24).unwrap_or((0, 0));
    Eps { m, k }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn mantissa_power_of_two_and_carry() {
        assert_eq!(mantissa(1., 24), Some((1 << 23, 23)));
        // Rounds up to 2^24, so it is the next power of two.
        assert_eq!(mantissa(2. - 2f64.powi(-30), 24), Some((1 << 23, 22)));
        assert_eq!(mantissa(0., 24), None);
        assert_eq!(mantissa(f64::NAN, 24), None);
    }

    #[test]
    fn row_zero_has_scale_zero() {
        let mut out = [1; 3];
        assert_eq!(row(&[0., -0., 0.], &mut out), Some(RowScale { m: 0, k: 0 }));
        assert_eq!(out, [0; 3]);
    }

    #[test]
    fn row_extremes_fit_the_scale() {
        let mut out = [0; 2];
        let largest = f32::from_bits(WEIGHT_LIMIT.to_bits() - 1);
        assert!(row(&[largest, 0.], &mut out).is_some());
        assert_eq!(out, [127, 0]);
        let least = f32::from_bits(1);
        assert!(row(&[0., -least], &mut out).is_some());
        assert_eq!(out, [0, -127]);
        assert_eq!(row(&[WEIGHT_LIMIT, 0.], &mut out), None);
    }

    #[test]
    fn row_ties_round_away_from_zero() {
        let mut out = [0; 4];
        row(&[127., 0.5, -0.5, 1.5], &mut out);
        assert_eq!(out, [127, 1, -1, 2]);
    }

    #[test]
    fn row_of_two_planes_splits_the_128ths() {
        let (mut first, mut second) = ([1; 6], [1; 6]);
        let row = [127., 0.5, -0.5, 1.25, -126.998, 63.0 / 128.];
        row_of_two_planes(&row, &mut first, &mut second).unwrap();
        assert_eq!(first, [127, 1, 0, 1, -127, 0]);
        assert_eq!(second, [0, -64, -64, 32, 0, 63]);
        assert_eq!(row_of_two_planes(&[0.; 6], &mut first, &mut second), Some(RowScale { m: 0, k: 0 }));
        assert_eq!((first, second), ([0; 6], [0; 6]));
        assert_eq!(row_of_two_planes(&[WEIGHT_LIMIT], &mut first[..1], &mut second[..1]), None);
    }

    #[test]
    fn gains_fill_the_format_and_refuse_overflow() {
        let (f, g) = gains(&[1., -0.5, 0.25, 0.]).unwrap();
        assert_eq!((f, g), (29, vec![1 << 30, -(1 << 29), 1 << 28, 0]));
        assert_eq!(gains(&[0.; 4]).unwrap().0, 30);
        assert!(gains(&[1e30; 4]).is_none());
    }

    #[test]
    fn times_one_is_the_same_and_zero_stays_zero() {
        let scale = RowScale { m: 12_345_678, k: 31 };
        assert_eq!(times(scale, 1.), Some(scale));
        assert_eq!(
            times(scale, 2f64.sqrt()).map(real_scale).map(|x| (x / real_scale(scale) * 1e6).round()),
            Some(1_414_214.)
        );
        assert_eq!(times(RowScale { m: 0, k: 0 }, 48.), Some(RowScale { m: 0, k: 0 }));
        // Beyond what 8 bits of shift hold.
        assert_eq!(times(RowScale { m: 1 << 23, k: 0 }, 2.), None);
    }

    #[test]
    fn bias_rounds_and_refuses_overflow() {
        assert_eq!(bias(&[1.5, -0.25, 0.], 1), Some(vec![3, -1, 0]));
        assert_eq!(bias(&[40_000.], 16), None);
        assert_eq!(bias(&[f32::NAN], 0), None);
    }

    #[test]
    fn epsilon_matches_definition() {
        let Eps { m, k } = epsilon(1e-5, 256, 20);
        let real = libm::scalbn(f64::from(m), -k);
        assert!((real / (1e-5 * 256. * 2f64.powi(40)) - 1.).abs() < 1e-7);
        assert_eq!(epsilon(0., 256, 20), Eps { m: 0, k: 0 });
    }

    proptest! {
        #[test]
        fn row_any_weights_error_is_half_a_step(
            weights in prop::collection::vec(-1e6f32..1e6, 1..64),
            exponent in -30i32..10,
        ) {
            let weights: Vec<f32> = weights.iter().map(|w| w * 2f32.powi(exponent)).collect();
            let mut out = vec![0; weights.len()];
            let scale = row(&weights, &mut out).unwrap();
            let (m, step) = (scale.m, real_scale(scale));
            prop_assert_eq!(RowScale::unpack(scale.pack()), scale);
            prop_assert!(m == 0 || (1 << 23..1 << 24).contains(&m));
            for (q, w) in out.iter().zip(&weights) {
                prop_assert!((f64::from(*q) * step - f64::from(*w)).abs() <= step * (0.5 + 1e-5));
            }
            let mut fine = vec![0; weights.len()];
            prop_assert_eq!(row_of_two_planes(&weights, &mut out, &mut fine), Some(scale));
            for ((q, fine), w) in out.iter().zip(&fine).zip(&weights) {
                prop_assert!((-64..64).contains(fine) && *q >= -127);
                let found = (f64::from(*q) + f64::from(*fine) / 128.) * step;
                prop_assert!((found - f64::from(*w)).abs() <= step / 128. * (0.5 + 1e-3));
            }
        }
    }
}
