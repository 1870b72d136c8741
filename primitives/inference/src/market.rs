//! Market arithmetic: escrow, exposure, the second-score reverse auction (protocol sections 2 to 4). Pure; rounding is stated
//! at each division, and always favours the escrow that has to cover a cost, or the client where money returns.

use crate::{traits::ModelDirectory, AccountId, Balance, JobSpec, JobTask, NoMatch, Params, Span, SpanKey, WorkUnits};
use alloc::vec::Vec;
use polkadot_sdk::{
    sp_core::H256,
    sp_runtime::{helpers_128bit::multiply_by_rational_with_rounding, Perbill, Rounding, Saturating},
};

/// `a * b / c`, rounded up; `None` if it does not fit or `c` is 0.
fn mul_div_ceil(a: u128, b: u128, c: u128) -> Option<u128> {
    multiply_by_rational_with_rounding(a, b, c, Rounding::Up)
}

/// Pay for `work` at `price` per unit. `None` on overflow.
pub fn pay(price: Balance, work: WorkUnits) -> Option<Balance> {
    price.checked_mul(work as Balance)
}

/// Fee of one check of `prefill` work units, rounded down: of a generation a share of the reserve price, because repeating it in
/// one prefill is cheaper than generating it; of an embedding all of it, because that is one prefill itself.
pub fn check_fee(params: &Params, task: JobTask, prefill: WorkUnits) -> Option<Balance> {
    let ratio = match task {
        JobTask::Generate { .. } => params.check_ratio,
        JobTask::Embed => Perbill::one(),
    };
    Some(ratio * pay(params.base_price, prefill)?)
}

/// Work of one stage, as the escrow needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StageWork {
    /// Executing it to the last position that the job allows.
    pub max: WorkUnits,
    /// Re-executing all those positions in one prefill.
    pub prefill: WorkUnits,
}

/// `sum over stages of P_cap * WU_max + (k-1) * rho * P_base * WU_prefill`, plus the fixed fee; `P_cap` is the client's
/// maximum, at most the reserve price, and `rho` the task's ratio of [`check_fee`]. `None` on overflow.
pub fn escrow(params: &Params, max_price: Balance, k: u8, task: JobTask, stages: &[StageWork]) -> Option<Balance> {
    let cap = max_price.min(params.base_price);
    let checkers = Balance::from(k.saturating_sub(1));
    stages.iter().try_fold(params.fixed_fee, |sum, s| {
        sum.checked_add(pay(cap, s.max)?)?.checked_add(check_fee(params, task, s.prefill)?.checked_mul(checkers)?)
    })
}

/// Probability that a wrong result is caught, `p = 1 - 2 f^(k-1)`: the executor is not drawn (it can always win by asking
/// zero), and the beacon gives an attacker one retry. Zero for k = 1.
pub fn detection(params: &Params, k: u8) -> Perbill {
    if k <= 1 {
        return Perbill::zero();
    }
    let miss = (1..k).fold(Perbill::one(), |acc, _| acc * params.attacker_share);
    Perbill::one().saturating_sub(Perbill::from_parts(miss.deconstruct().saturating_mul(2).min(1_000_000_000)))
}

/// What an executor must have free: `ceil(factor * (pay + insured) / p)`; with k = 1 the liveness amount. `None` on overflow
/// or if nothing can be detected.
pub fn backing(params: &Params, k: u8, pay: Balance, insured: Balance) -> Option<Balance> {
    if k <= 1 {
        return Some(liveness(params, pay));
    }
    let p = detection(params, k).deconstruct();
    let gain = pay.checked_add(insured)?.checked_mul(params.backing_factor.into())?;
    mul_div_ceil(gain, 1_000_000_000, p.into())
}

/// What a liveness fault costs: a small, absolute amount, rounded up so that it is never free.
pub fn liveness(params: &Params, pay: Balance) -> Balance {
    params.liveness_share.mul_ceil(pay).min(params.liveness_cap)
}

/// What a checker must have free: twice the cost of an escalation, which is a check fee for each elector.
pub fn checker_backing(fee: Balance, electors: u32) -> Option<Balance> {
    fee.checked_mul(2)?.checked_mul(electors.max(1).into())
}

/// One bid of the auction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bid {
    /// Who.
    pub controller: AccountId,
    /// Price asked per work unit.
    pub price: Balance,
    /// Penalty score, per thousand of `price`.
    pub penalty_permille: u32,
    /// [`crate::digest::tie_break`] for this job.
    pub tie: H256,
}

impl Bid {
    fn score(&self) -> Balance {
        // In thousandths of a price unit: exact, and overflow saturates to the worst score.
        self.price.saturating_mul(1_000u128.saturating_add(self.penalty_permille.into()))
    }
}

/// Outcome of the auction of one stage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Award {
    /// Index of the winner in the bids given.
    pub winner: usize,
    /// Pay per work unit.
    pub price: Balance,
}

/// Second-score reverse auction with a posted reserve (protocol section 3). `score = ask * (1 + penalty)`; the lowest wins and is
/// paid `min(ask + score_2 - score_win, P_base, client_max)` per unit, `score_2` over the other bids; a single bidder is paid the
/// reserve (or the client's maximum). Pay never depends on the winner's own ask beyond the score it has to beat. Bids above
/// the cap do not take part. One bid per controller is the caller's duty.
pub fn auction(bids: &[Bid], base_price: Balance, client_max: Balance) -> Result<Award, NoMatch> {
    let cap = base_price.min(client_max);
    let mut order: Vec<usize> = (0..bids.len()).filter(|i| bids[*i].price <= cap).collect();
    order.sort_by(|a, b| (bids[*a].score(), bids[*a].tie).cmp(&(bids[*b].score(), bids[*b].tie)));
    let winner = *order.first().ok_or(NoMatch::Price)?;
    let price = match order.get(1) {
        None => cap,
        Some(second) => {
            // Rounded down: the remainder stays with the client.
            let margin = bids[*second].score().saturating_sub(bids[winner].score()) / 1_000;
            bids[winner].price.saturating_add(margin).min(cap)
        }
    };
    Ok(Award { winner, price })
}

/// Ticks an executor has, alone: `run_base + ceil(work / rate) + extra`.
pub fn run_ticks(params: &Params, work: WorkUnits, rate: WorkUnits, extra: u32) -> u32 {
    params.run_base.saturating_add(work_ticks(params, work, rate)).saturating_add(extra)
}

/// Ticks the whole ring has: its stages take turns over every token, so their times add up:
/// `run_base + sum over stages of ceil(work / rate) + extra`.
pub fn ring_ticks(params: &Params, stages: impl IntoIterator<Item = (WorkUnits, WorkUnits)>, extra: u32) -> u32 {
    stages.into_iter().fold(run_ticks(params, 0, params.min_rate, extra), |sum, (work, rate)| {
        sum.saturating_add(work_ticks(params, work, rate))
    })
}

/// Ticks that `work` takes at `rate`, rounded up; never slower than the slowest rate that an ask may state.
pub fn work_ticks(params: &Params, work: WorkUnits, rate: WorkUnits) -> u32 {
    work.div_ceil(rate.max(params.min_rate).max(1)).min(u32::MAX.into()) as u32
}

/// Work of one stage of a job after `generated` ids. Of a generation the last id is never fed back, so that
/// `input_len + generated - 1` positions are computed, and logits from the last prompt id on; an embedding computes every
/// position, and no logits (`docs/exact.md`, section 9). Re-executing it in one prefill is the same work. `None` if the model or
/// the span is unknown.
pub fn stage_work<M: ModelDirectory>(spec: &JobSpec, span: Span, generated: u32) -> Option<WorkUnits> {
    let (key, len) = (SpanKey { model: spec.model, span }, spec.input_len());
    match spec.task {
        JobTask::Generate { .. } => {
            M::work(&key, 0, len.saturating_add(generated).saturating_sub(1), len.saturating_sub(1))
        }
        JobTask::Embed => M::work(&key, 0, len, len),
    }
}

/// Work of one stage if the job generates all that it may.
pub fn max_stage_work<M: ModelDirectory>(spec: &JobSpec, span: Span) -> Option<WorkUnits> {
    stage_work::<M>(spec, span, spec.task.max_new_tokens())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bid(id: u8, price: Balance, penalty: u32) -> Bid {
        Bid { controller: AccountId::new([id; 32]), price, penalty_permille: penalty, tie: H256::repeat_byte(id) }
    }

    #[test]
    fn auction_single_bidder_is_paid_the_reserve() {
        assert_eq!(auction(&[bid(1, 10, 0)], 100, 200), Ok(Award { winner: 0, price: 100 }));
        assert_eq!(auction(&[bid(1, 10, 0)], 100, 60), Ok(Award { winner: 0, price: 60 }));
    }

    #[test]
    fn auction_second_score_sets_the_price() {
        assert_eq!(
            auction(&[bid(1, 30, 0), bid(2, 20, 0), bid(3, 50, 0)], 100, 100),
            Ok(Award { winner: 1, price: 30 })
        );
        // A penalty of 100 % makes 20 count as 40.
        assert_eq!(auction(&[bid(1, 30, 0), bid(2, 20, 1_000)], 100, 100), Ok(Award { winner: 0, price: 40 }));
    }

    #[test]
    fn auction_all_above_the_cap_fails_with_price() {
        assert_eq!(auction(&[bid(1, 30, 0)], 20, 100), Err(NoMatch::Price));
        assert_eq!(auction(&[], 20, 100), Err(NoMatch::Price));
    }

    #[test]
    fn auction_ties_go_to_the_tie_break_not_to_the_order() {
        assert_eq!(auction(&[bid(9, 5, 0), bid(1, 5, 0)], 9, 9), Ok(Award { winner: 1, price: 5 }));
    }

    #[test]
    fn ring_ticks_adds_the_stages() {
        let p = Params { run_base: 10, min_rate: 100, ..Params::public() };
        assert_eq!(run_ticks(&p, 1_001, 500, 4), 17);
        assert_eq!(ring_ticks(&p, [(1_001, 500), (100, 1)], 4), 18, "a rate below the least counts as the least");
        assert_eq!(ring_ticks(&p, [], 0), 10);
    }

    #[test]
    fn detection_follows_the_formula() {
        let mut p = Params::public();
        p.attacker_share = Perbill::from_rational(1u32, 3u32);
        assert_eq!(detection(&p, 1), Perbill::zero());
        assert_eq!(detection(&p, 2).deconstruct(), 333_333_334);
        assert!(detection(&p, 3).deconstruct().abs_diff(777_777_778) < 3);
    }

    proptest! {
        #[test]
        fn auction_pay_is_between_ask_and_cap(prices in proptest::collection::vec((0u128..1_000, 0u32..3_000), 1..20), base in 1u128..1_200, max in 1u128..1_200) {
            let bids: Vec<_> = prices.iter().enumerate().map(|(i, (p, f))| bid(i as u8, *p, *f)).collect();
            match auction(&bids, base, max) {
                Ok(a) => {
                    prop_assert!(bids[a.winner].price <= a.price);
                    prop_assert!(a.price <= base.min(max));
                    // Truthful: the winner's price does not move with its own ask while it still wins.
                    if bids.len() > 1 && bids[a.winner].price > 0 && bids[a.winner].penalty_permille == 0 {
                        let mut lower = bids.clone();
                        lower[a.winner].price -= 1;
                        let b = auction(&lower, base, max).unwrap();
                        prop_assert_eq!(b.winner, a.winner);
                        prop_assert_eq!(b.price, a.price);
                    }
                },
                Err(e) => { prop_assert_eq!(e, NoMatch::Price); prop_assert!(bids.iter().all(|b| b.price > base.min(max))); },
            }
        }

        #[test]
        fn escrow_covers_every_award(works in proptest::collection::vec((1u64..1_000_000, 1u64..1_000_000), 1..16), max in 1u128..1_000_000_000, k in 1u8..8, embed: bool) {
            let p = Params::public();
            let generate = JobTask::Generate { max_new_tokens: 1, sampling: crate::SamplingParams::GREEDY };
            let task = if embed { JobTask::Embed } else { generate };
            let stages: Vec<_> = works.iter().map(|(a, b)| StageWork { max: *a, prefill: *b }).collect();
            let held = escrow(&p, max, k, task, &stages).unwrap();
            let spent: u128 = stages.iter().map(|s| pay(max.min(p.base_price), s.max).unwrap() + check_fee(&p, task, s.prefill).unwrap() * u128::from(k - 1)).sum();
            prop_assert_eq!(held, spent + p.fixed_fee);
        }

        #[test]
        fn backing_outweighs_the_expected_gain(gain in 0u128..1_000_000_000_000_000, k in 2u8..8) {
            let p = Params::public();
            let b = backing(&p, k, gain, 0).unwrap();
            // backing * detection >= factor * gain, up to the rounding of one unit.
            prop_assert!(detection(&p, k).mul_ceil(b) >= gain * 3);
        }
    }
}
