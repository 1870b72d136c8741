//! A constant between the two tables of an encoder's embedding.
//!
//! A token's row and its position's are added, so that what is taken from every position and given to every token
//! changes nothing but their rounding. Where the positions share a large entry (the token type, folded into them,
//! often has one), it makes all of their scales coarse: it is divided so that both tables round well.

use super::plan::EncoderPlan;
use crate::convert::{checkpoint::Checkpoint, error::Result};

/// Amounts that are tried.
const STEPS: usize = 32;

/// The two tables of an encoder's embedding, as far as they are added.
pub struct Offset {
    /// Type 0's row, which every position gets, `[d]`.
    token_type: Vec<f32>,
    /// What is taken from every position and given to every token, `[d]`.
    moved: Vec<f32>,
}

impl Offset {
    /// Measures both tables. Only comparisons and f64 sums in order: the same on every machine.
    pub fn measure(checkpoint: &Checkpoint, plan: &EncoderPlan) -> Result<Self> {
        let (names, d) = (&plan.names, plan.hidden);
        let mut token_type = Vec::new();
        checkpoint.for_each_row(&names.token_types, [plan.token_types, d], |index, row| {
            if index == 0 {
                token_type = row.to_vec();
            }
            Ok(())
        })?;
        let mut offset = Self { token_type, moved: vec![0.; d] };
        let mut rows: Vec<Vec<f32>> = Vec::with_capacity(plan.context);
        checkpoint.for_each_row(&names.positions, [plan.positions, d], |index, row| {
            if index < plan.context {
                rows.push(offset.position(row));
            }
            Ok(())
        })?;
        let medians: Vec<f32> = (0..d).map(|column| median(rows.iter().map(|row| row[column]))).collect();
        let largest = medians.iter().fold(0f32, |max, m| max.max(m.abs()));
        // What of each median lies beyond a level that falls from the largest to 0.
        let candidates: Vec<Vec<f32>> = (0..=STEPS)
            .map(|step| {
                let level = largest * (STEPS - step) as f32 / STEPS as f32;
                medians.iter().map(|m| m.signum() * (m.abs() - level).max(0.)).collect()
            })
            .collect();
        // A row's error grows with the square of its largest entry: the mean of each table, for each candidate.
        let mut costs = vec![0f64; candidates.len()];
        let mut add = |row: &[f32], sign: f32, rows: usize| {
            for (cost, moved) in costs.iter_mut().zip(&candidates) {
                let max = row.iter().zip(moved).fold(0f32, |max, (x, m)| max.max((x + sign * m).abs()));
                *cost += f64::from(max) * f64::from(max) / rows as f64;
            }
        };
        rows.iter().for_each(|row| add(row, -1., plan.context));
        checkpoint.for_each_row(&names.words, [plan.vocab, d], |_, row| {
            add(row, 1., plan.vocab);
            Ok(())
        })?;
        // The first of the cheapest; the first of all moves nothing.
        let best = (0..costs.len()).min_by(|a, b| costs[*a].total_cmp(&costs[*b])).unwrap_or(0);
        offset.moved.clone_from(&candidates[best]);
        Ok(offset)
    }

    /// A position's row as the package has it.
    pub fn position(&self, row: &[f32]) -> Vec<f32> {
        row.iter().zip(&self.token_type).zip(&self.moved).map(|((p, t), m)| p + t - m).collect()
    }

    /// A token's row as the package has it.
    pub fn token(&self, row: &[f32]) -> Vec<f32> {
        row.iter().zip(&self.moved).map(|(x, m)| x + m).collect()
    }
}

fn median(values: impl Iterator<Item = f32>) -> f32 {
    let mut values: Vec<f32> = values.collect();
    values.sort_unstable_by(f32::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn median_is_the_upper_middle() {
        assert_eq!(median([3., -1., 2.].into_iter()), 2.);
        assert_eq!(median([3., -1., 2., 9.].into_iter()), 3.);
        assert_eq!(median([].into_iter()), 0.);
    }
}
