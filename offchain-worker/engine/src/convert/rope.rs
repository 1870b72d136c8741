//! Rotary frequencies and the Q30 tables that a package stores (sections 6 and 11).
//!
//! Everything here is f64 through `libm`, whose functions are the same code on every platform: the tables are part of
//! the package and must not depend on the machine that converts.

use super::{config::ConfigFile, error::Result};
use std::f64::consts::PI;

/// One rotary table: `theta` and what a long-context recipe does to the frequencies.
#[derive(Debug, Clone, PartialEq)]
pub struct Rope {
    /// Base of the geometric series of frequencies.
    pub theta: f64,
    /// Change of the frequencies, folded into the tables.
    pub scaling: Scaling,
}

/// What `rope_scaling` (or `rope_parameters`) asks for.
#[derive(Debug, Clone, PartialEq)]
pub enum Scaling {
    /// None.
    Default,
    /// Every frequency divided by the factor.
    Linear {
        /// The divisor.
        factor: f64,
    },
    /// Llama 3: low frequencies divided, high ones kept, those between interpolated.
    Llama3 {
        /// The divisor of the low frequencies.
        factor: f64,
        /// Wavelengths above `original_context / low` are divided.
        low: f64,
        /// Wavelengths below `original_context / high` are kept.
        high: f64,
        /// Context of the first training.
        original_context: f64,
    },
    /// [YaRN](https://arxiv.org/abs/2309.00071): as Llama 3's, but blended by the pair's index, and with sharper scores.
    Yarn {
        /// The divisor of the low frequencies.
        factor: f64,
        /// Pairs of more turns than this over the first context are kept.
        beta_fast: f64,
        /// Pairs of fewer turns than this are divided.
        beta_slow: f64,
        /// Context of the first training.
        original_context: f64,
        /// Whether the bounds of the blend are rounded to whole pairs.
        truncate: bool,
        /// Factor on queries and on keys.
        attention_factor: f64,
    },
}

impl Rope {
    /// Reads `rope_theta` (`default_theta` without) with `rope_scaling`, or the newer `rope_parameters`. `context` is the
    /// model's.
    pub fn read(config: &ConfigFile, context: usize, default_theta: f64) -> Result<Self> {
        not_partial(config)?;
        let newer = config.object("rope_parameters")?;
        let scaling = match &newer {
            Some(parameters) => Some(parameters.clone()),
            None => config.object("rope_scaling")?,
        };
        let theta = match &newer {
            Some(parameters) if parameters.get("rope_theta").is_some() => theta(parameters, default_theta)?,
            _ => theta(config, default_theta)?,
        };
        let scaling = match scaling {
            None => Scaling::Default,
            Some(object) => Scaling::read(&object, context)?,
        };
        Ok(Self { theta, scaling })
    }

    /// Reads an object of `rope_parameters` that holds `rope_theta` too.
    pub fn from_parameters(parameters: &ConfigFile, context: usize, default_theta: f64) -> Result<Self> {
        Ok(Self { theta: theta(parameters, default_theta)?, scaling: Scaling::read(parameters, context)? })
    }

    /// Angle per position of each of the `rot / 2` pairs.
    pub fn frequencies(&self, rot: usize) -> Vec<f64> {
        let blend = self.scaling.yarn_blend(self.theta, rot);
        (0..rot / 2)
            .map(|pair| {
                let frequency = libm::pow(self.theta, -((2 * pair) as f64) / rot as f64);
                match blend {
                    Some(blend) => blend.apply(pair, frequency),
                    None => self.scaling.apply(frequency),
                }
            })
            .collect()
    }

    /// What the scaling does to `q . k`, beside the rotation: folded into the softmax scale.
    pub fn score_factor(&self) -> f64 {
        match self.scaling {
            Scaling::Yarn { attention_factor, .. } => attention_factor * attention_factor,
            _ => 1.,
        }
    }

    /// Cosine and sine of each position and pair, `[context][rot / 2]` of `(c, s)` in Q30, abs <= 2^30.
    pub fn table(&self, context: usize, rot: usize) -> Vec<[i32; 2]> {
        let frequencies = self.frequencies(rot);
        let q30 = |x: f64| (x * f64::from(1u32 << 30)).round() as i32;
        (0..context)
            .flat_map(|position| {
                frequencies.iter().map(move |frequency| {
                    let (sin, cos) = libm::sincos(position as f64 * frequency);
                    [q30(cos), q30(sin)]
                })
            })
            .collect()
    }
}

fn theta(holder: &ConfigFile, default: f64) -> Result<f64> {
    let theta = holder.optional_number("rope_theta")?.unwrap_or(default);
    if !(1. ..=1e12).contains(&theta) {
        return Err(holder.problem("rope_theta", format!("{theta} is outside 1..=1e12")));
    }
    Ok(theta)
}

fn not_partial(object: &ConfigFile) -> Result<()> {
    if object.optional_number("partial_rotary_factor")?.unwrap_or(1.) != 1. {
        return Err(object.problem("partial_rotary_factor", "partial rotation is not supported yet"));
    }
    Ok(())
}

/// The pairs between which YaRN blends, and its divisor.
#[derive(Debug, Clone, Copy)]
struct YarnBlend {
    low: f64,
    high: f64,
    factor: f64,
}

impl YarnBlend {
    fn apply(self, pair: usize, frequency: f64) -> f64 {
        // Share of the divided frequency: 0 up to the pair `low`, 1 from `high` on.
        let divided = ((pair as f64 - self.low) / (self.high - self.low)).clamp(0., 1.);
        frequency / self.factor * divided + frequency * (1. - divided)
    }
}

impl Scaling {
    fn read(object: &ConfigFile, context: usize) -> Result<Self> {
        not_partial(object)?;
        let name = match object.text("rope_type")? {
            Some(name) => name,
            None => object.text("type")?.unwrap_or("default"),
        };
        let positive = |field: &str| {
            let value = object.number(field)?;
            if value > 0. && value <= 1e9 {
                Ok(value)
            } else {
                Err(object.problem(field, format!("{value} is outside 0..=1e9, 0 excluded")))
            }
        };
        match name {
            "default" => Ok(Self::Default),
            "linear" => Ok(Self::Linear { factor: positive("factor")? }),
            "llama3" => {
                let (low, high) = (positive("low_freq_factor")?, positive("high_freq_factor")?);
                if low >= high {
                    return Err(
                        object.problem("low_freq_factor", format!("{low} must be below high_freq_factor {high}"))
                    );
                }
                Ok(Self::Llama3 {
                    factor: positive("factor")?,
                    low,
                    high,
                    original_context: positive("original_max_position_embeddings")?,
                })
            }
            "yarn" => {
                let number = |field: &str, default: f64| match object.get(field) {
                    None => Ok(default),
                    Some(_) => positive(field),
                };
                let (beta_fast, beta_slow) = (number("beta_fast", 32.)?, number("beta_slow", 1.)?);
                if beta_slow >= beta_fast {
                    return Err(object.problem("beta_slow", format!("{beta_slow} must be below beta_fast {beta_fast}")));
                }
                let factor = positive("factor")?;
                // The temperature of the paper's equation 22; DeepSeek's variant takes the quotient of two.
                let sharpness = |m: f64| if factor <= 1. { 1. } else { 0.1 * m * libm::log(factor) + 1. };
                let derived = match (object.get("mscale"), object.get("mscale_all_dim")) {
                    (Some(_), Some(_)) => sharpness(positive("mscale")?) / sharpness(positive("mscale_all_dim")?),
                    _ => sharpness(1.),
                };
                Ok(Self::Yarn {
                    factor,
                    beta_fast,
                    beta_slow,
                    original_context: number("original_max_position_embeddings", context as f64)?,
                    truncate: object.flag("truncate", true)?,
                    attention_factor: number("attention_factor", derived)?,
                })
            }
            other => Err(object
                .problem("rope_type", format!("{other:?} is not supported; supported: default, linear, llama3, yarn"))),
        }
    }

    fn yarn_blend(&self, theta: f64, rot: usize) -> Option<YarnBlend> {
        let &Self::Yarn { factor, beta_fast, beta_slow, original_context, truncate, .. } = self else { return None };
        // The pair, not whole, that makes this many turns over the first context.
        let pair_of =
            |turns: f64| rot as f64 * libm::log(original_context / (turns * 2. * PI)) / (2. * libm::log(theta));
        let (mut low, mut high) = (pair_of(beta_fast), pair_of(beta_slow));
        if truncate {
            (low, high) = (low.floor(), high.ceil());
        }
        let within = |pair: f64| pair.max(0.).min(rot as f64 - 1.);
        let (low, high) = (within(low), within(high));
        // A blend of no width would divide by 0.
        let high = if low < high { high } else { low + 0.001 };
        Some(YarnBlend { low, high, factor })
    }

    fn apply(&self, frequency: f64) -> f64 {
        match *self {
            // YaRN goes by pair: `yarn_blend`.
            Self::Default | Self::Yarn { .. } => frequency,
            Self::Linear { factor } => frequency / factor,
            Self::Llama3 { factor, low, high, original_context } => {
                let turns = original_context * frequency / (2. * PI);
                // Share of the unscaled frequency: 0 below `low` turns over the first context, 1 above `high`.
                let kept = ((turns - low) / (high - low)).clamp(0., 1.);
                kept * frequency + (1. - kept) * frequency / factor
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LLAMA3: Scaling = Scaling::Llama3 { factor: 8., low: 1., high: 4., original_context: 8192. };

    #[test]
    fn frequencies_default_is_geometric() {
        let rope = Rope { theta: 10_000., scaling: Scaling::Default };
        let frequencies = rope.frequencies(8);
        for (found, wanted) in frequencies.iter().zip([1., 0.1, 0.01, 0.001]) {
            assert!((found - wanted).abs() < 1e-15 * wanted.max(1e-3) * 1e3);
        }
    }

    #[test]
    fn frequencies_llama3_keeps_high_divides_low_blends_between() {
        // Wavelengths: 2 pi (kept), 2 pi * 8192 / 2 turns (blend at 1/3), beyond the context (divided).
        let turn = 2. * PI / 8192.;
        assert_eq!(LLAMA3.apply(1.), 1.);
        assert_eq!(LLAMA3.apply(0.5 * turn), 0.5 * turn / 8.);
        let blended = 2. * turn / 3. + 2. * (2. * turn) / 3. / 8.;
        assert!((LLAMA3.apply(2. * turn) - blended).abs() < 1e-15);
    }

    #[test]
    fn frequencies_yarn_keep_fast_pairs_divide_slow_ones_and_blend_by_index() {
        let scaling = Scaling::Yarn {
            factor: 4.,
            beta_fast: 32.,
            beta_slow: 1.,
            original_context: 32768.,
            truncate: true,
            attention_factor: 0.1 * 4f64.ln() + 1.,
        };
        let rope = Rope { theta: 1e6, scaling };
        // 128 ln(32768 / 64 pi) / 2 ln 1e6 = 23.6 and 128 ln(32768 / 2 pi) / 2 ln 1e6 = 39.6: pairs 23 and 40.
        let plain = Rope { theta: 1e6, scaling: Scaling::Default }.frequencies(128);
        for (pair, (found, plain)) in rope.frequencies(128).into_iter().zip(plain).enumerate() {
            let divided = (pair as f64 - 23.).clamp(0., 17.) / 17.;
            let wanted = plain * (1. - divided) + plain / 4. * divided;
            assert!((found / wanted - 1.).abs() < 1e-12, "pair {pair}: {found} {wanted}");
        }
        assert!((rope.score_factor() - 1.296_477).abs() < 1e-6);
    }

    #[test]
    fn table_position_zero_is_identity_and_entries_stay_in_range() {
        let rope = Rope { theta: 500_000., scaling: LLAMA3 };
        let table = rope.table(300, 64);
        assert_eq!(table.len(), 300 * 32);
        assert!(table[..32].iter().all(|entry| *entry == [1 << 30, 0]));
        for [c, s] in table {
            let norm = (i64::from(c).pow(2) + i64::from(s).pow(2)) as f64;
            assert!((norm / (1i64 << 60) as f64 - 1.).abs() < 1e-8);
            assert!(c.abs() <= 1 << 30 && s.abs() <= 1 << 30);
        }
    }
}
