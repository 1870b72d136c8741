//! How much of the float model survives the integers: perplexity of both on the same text, and how often they would
//! pick the same token (section 13's gates).

mod exact;
mod report;
pub mod text;

pub use exact::ExactScorer;
pub use report::{compare, LayerReport, QualityReport};

use serde::Serialize;

/// Sums over scored windows.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Tally {
    positions: u64,
    agreements: u64,
    predicted: u64,
    float_nll: f64,
    exact_nll: f64,
}

/// The float model against the exact engine on one text.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Agreement {
    /// Positions whose greedy choice was compared.
    pub positions: u64,
    /// Share of positions where both choose the same token.
    pub top1_agreement: f64,
    /// Perplexity of the float model.
    pub float_perplexity: f64,
    /// Perplexity of the exact engine.
    pub exact_perplexity: f64,
    /// `exact / float - 1`: 0.005 is half a percent worse.
    pub perplexity_change: f64,
}

impl Tally {
    /// Scores one window: logits `[T][vocab]` of both, the exact ones in Q16.
    ///
    /// # Panics
    /// If either is not `ids.len() * vocab` long: the callers own both shapes.
    pub fn add(&mut self, ids: &[u32], vocab: usize, float: &[f32], exact: &[i32]) {
        assert_eq!((float.len(), exact.len()), (ids.len() * vocab, ids.len() * vocab));
        for (position, (float, exact)) in float.chunks_exact(vocab).zip(exact.chunks_exact(vocab)).enumerate() {
            self.positions += 1;
            // First maximum on both sides, as in greedy sampling.
            self.agreements += u64::from(argmax(float) == argmax(exact));
            if let Some(next) = ids.get(position + 1) {
                let next = *next as usize;
                self.predicted += 1;
                self.float_nll += nll(float.iter().map(|l| f64::from(*l)), next);
                self.exact_nll += nll(exact.iter().map(|l| f64::from(*l) / 65536.), next);
            }
        }
    }

    /// The result so far; of nothing, equal perplexities of 1.
    pub fn agreement(&self) -> Agreement {
        let mean = |nll: f64| (nll / self.predicted.max(1) as f64).exp();
        let (float, exact) = (mean(self.float_nll), mean(self.exact_nll));
        Agreement {
            positions: self.positions,
            top1_agreement: self.agreements as f64 / self.positions.max(1) as f64,
            float_perplexity: float,
            exact_perplexity: exact,
            perplexity_change: exact / float - 1.,
        }
    }
}

fn argmax<T: PartialOrd + Copy>(row: &[T]) -> usize {
    let mut best = 0;
    for (index, value) in row.iter().enumerate() {
        if *value > row[best] {
            best = index;
        }
    }
    best
}

/// Negative log-likelihood of `target` under the softmax of `logits`.
fn nll(logits: impl Iterator<Item = f64> + Clone, target: usize) -> f64 {
    let max = logits.clone().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = logits.clone().map(|l| (l - max).exp()).sum();
    let chosen = logits.clone().nth(target).unwrap_or(f64::NEG_INFINITY);
    max + sum.ln() - chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agreement_identical_logits_is_perfect_and_uniform_has_perplexity_vocab() {
        let mut tally = Tally::default();
        tally.add(&[0, 1, 2], 4, &[0.; 12], &[0; 12]);
        let agreement = tally.agreement();
        assert_eq!((agreement.positions, agreement.top1_agreement), (3, 1.));
        assert!((agreement.float_perplexity - 4.).abs() < 1e-12);
        assert!(agreement.perplexity_change.abs() < 1e-12);
    }

    #[test]
    fn agreement_counts_each_side_by_its_own_logits() {
        let mut tally = Tally::default();
        // Float is sure of id 1, which comes; exact is sure of id 0.
        tally.add(&[0, 1], 2, &[0., 10., 0., 10.], &[10 << 16, 0, 0, 10 << 16]);
        let agreement = tally.agreement();
        assert_eq!(agreement.top1_agreement, 0.5);
        assert!(agreement.float_perplexity < 1.001);
        assert!((agreement.exact_perplexity / (1. + 10f64.exp()) - 1.).abs() < 1e-9);
    }

    #[test]
    fn argmax_tie_is_the_first() {
        assert_eq!(argmax(&[1, 3, 3]), 1);
    }
}
