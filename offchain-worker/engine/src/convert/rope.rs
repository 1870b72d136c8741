//! Rotary frequencies and the Q30 tables that a package stores (sections 6 and 11).
//!
//! Everything here is f64 through `libm`, whose functions are the same code on every platform: the tables are part of
//! the package and must not depend on the machine that converts.

use super::{config::ConfigFile, error::Result};
use std::f64::consts::PI;

/// RoPE of a Llama-like model: `theta` and what a long-context recipe does to the frequencies.
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
}

impl Rope {
    /// Reads `rope_theta` with `rope_scaling`, or the newer `rope_parameters`.
    pub fn read(config: &ConfigFile) -> Result<Self> {
        let newer = config.object("rope_parameters")?;
        let scaling = match &newer {
            Some(parameters) => Some(parameters.clone()),
            None => config.object("rope_scaling")?,
        };
        let (holder, theta) = match &newer {
            Some(parameters) if parameters.get("rope_theta").is_some() => {
                (parameters, parameters.number("rope_theta")?)
            }
            _ => (config, config.optional_number("rope_theta")?.unwrap_or(10_000.)),
        };
        if !(1. ..=1e12).contains(&theta) {
            return Err(holder.problem("rope_theta", format!("{theta} is outside 1..=1e12")));
        }
        for object in [Some(config), scaling.as_ref()].into_iter().flatten() {
            if object.optional_number("partial_rotary_factor")?.unwrap_or(1.) != 1. {
                return Err(object.problem("partial_rotary_factor", "partial rotation is not supported yet"));
            }
        }
        let scaling = match scaling {
            None => Scaling::Default,
            Some(object) => Scaling::read(&object)?,
        };
        Ok(Self { theta, scaling })
    }

    /// Angle per position of each of the `rot / 2` pairs.
    pub fn frequencies(&self, rot: usize) -> Vec<f64> {
        (0..rot / 2)
            .map(|pair| {
                let frequency = libm::pow(self.theta, -((2 * pair) as f64) / rot as f64);
                self.scaling.apply(frequency)
            })
            .collect()
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

impl Scaling {
    fn read(object: &ConfigFile) -> Result<Self> {
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
            other => {
                Err(object
                    .problem("rope_type", format!("{other:?} is not supported; supported: default, linear, llama3")))
            }
        }
    }

    fn apply(&self, frequency: f64) -> f64 {
        match *self {
            Self::Default => frequency,
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
