//! Matching: the second-score auction of every stage over the holders of its span (protocol sections 3 and 4).

use crate::pallet::*;
use alloc::{
    collections::{BTreeMap, BTreeSet},
    vec::Vec,
};
use assay_primitives::{
    api::{Quote, StageQuote},
    digest,
    market::{self, Bid, StageWork},
    traits::{BondManager, ProviderDirectory},
    AccountId, Balance, Holder, JobHash, JobSpec, NoMatch, Params, Span, SpanKey, StageAssignment, WorkUnits,
};
use frame::prelude::*;

/// Whom, and at which speed.
pub(crate) struct Match {
    /// The assignment.
    pub assignment: StageAssignment,
    /// Work units per tick that its ask promises.
    pub rate: WorkUnits,
    /// Holders that were looked at: what matching the stage cost.
    pub looked_at: u32,
}

/// A holder that may be able to take a stage, whoever takes the others.
struct Candidate {
    holder: Holder,
    /// Bond that nothing claims yet.
    free: Balance,
}

/// Everyone who could take a stage, out of so many.
struct Pool {
    looked_at: u32,
    candidates: Vec<Candidate>,
}

/// What an auction needs to know of a job.
pub(crate) struct Order<'a> {
    pub job: JobHash,
    pub spec: &'a JobSpec,
    pub params: &'a Params,
    pub spans: &'a [Span],
    pub work: &'a [StageWork],
    /// Controllers that earlier attempts ruled out.
    pub excluded: &'a [AccountId],
}

impl<T: Config> Pallet<T> {
    /// An executor for every stage, or the first stage that has none and why.
    pub(crate) fn match_stages(order: &Order<'_>) -> Result<Vec<Match>, (u8, NoMatch)> {
        Self::match_each(order).into_iter().enumerate().map(|(stage, m)| m.map_err(|why| (stage as u8, why))).collect()
    }

    /// Matches every stage by itself where it can be.
    ///
    /// A controller gets a second stage only where nobody else is left, because one machine in two stages halves what
    /// sharding is for and makes checkers scarcer. Stages with the fewest candidates choose first.
    fn match_each(order: &Order<'_>) -> Vec<Result<Match, NoMatch>> {
        let candidates: Vec<Result<Pool, NoMatch>> =
            order.spans.iter().zip(order.work).map(|(span, work)| Self::candidates(order, *span, work)).collect();
        let mut turn: Vec<usize> = (0..candidates.len()).collect();
        turn.sort_by_key(|s| candidates.get(*s).map_or(0, |c| c.as_ref().map_or(0, |pool| pool.candidates.len())));

        let mut claimed: BTreeMap<AccountId, Balance> = BTreeMap::new();
        let mut awards: BTreeMap<usize, Match> = BTreeMap::new();
        let mut failed: BTreeMap<usize, NoMatch> = BTreeMap::new();
        for s in turn {
            let (Some(Ok(pool)), Some(span), Some(work)) = (candidates.get(s), order.spans.get(s), order.work.get(s))
            else {
                continue;
            };
            match Self::award(order, *span, work, pool, &claimed) {
                Ok(m) => {
                    let sum = claimed.entry(m.assignment.executor.clone()).or_default();
                    *sum = sum.saturating_add(m.assignment.backing);
                    awards.insert(s, m);
                }
                Err(why) => {
                    failed.insert(s, why);
                }
            }
        }
        candidates
            .into_iter()
            .enumerate()
            .map(|(s, pool)| pool.and_then(|_| awards.remove(&s).ok_or(failed.remove(&s).unwrap_or(NoMatch::Exposure))))
            .collect()
    }

    /// Everyone who could take this stage alone. The first thing that rules everybody out is the reason.
    fn candidates(order: &Order<'_>, span: Span, work: &StageWork) -> Result<Pool, NoMatch> {
        let Order { spec, params, .. } = order;
        let holders = T::Providers::holders(&SpanKey { model: spec.model, span });
        let looked_at = holders.len() as u32;
        if holders.is_empty() {
            return Err(NoMatch::NoHolder);
        }
        let now = Now::<T>::get();
        let k = u32::from(spec.mode.k());
        let held = holders.iter().filter(|h| now.saturating_sub(h.since) >= params.hold_ticks).count() as u32;
        let open: Vec<Candidate> = holders
            .into_iter()
            .filter(|h| h.usable && !order.excluded.contains(&h.controller))
            .map(|holder| Candidate { free: T::Bonds::free_exposure(&holder.controller), holder })
            .collect();
        if open.is_empty() {
            return Err(NoMatch::NotUsable);
        }
        // 2k controllers that have held the span for an epoch, so that nobody can set up a span that he alone checks;
        // whoever is excluded from this job still counts as a holder, but k must be left to serve it.
        if k > 1 && ((open.len() as u32) < k || !params.relaxed && held < k.saturating_mul(2)) {
            return Err(NoMatch::NotVerifiable);
        }
        let cap = params.base_price.min(spec.max_price);
        let able = Self::able_to_check(order, work, looked_at, &open);
        let affordable: Vec<Candidate> = open.into_iter().filter(|c| c.holder.ask.price <= cap).collect();
        if affordable.is_empty() {
            return Err(NoMatch::Price);
        }
        let free: Vec<Candidate> = affordable.into_iter().filter(|c| c.holder.free_slots > 0).collect();
        if free.is_empty() {
            return Err(NoMatch::Capacity);
        }
        let need = Self::backing_at(order, work, cap).ok_or(NoMatch::Exposure)?;
        let backed: Vec<Candidate> = free.into_iter().filter(|c| c.free >= need).collect();
        if backed.is_empty() {
            return Err(NoMatch::Exposure);
        }
        // An executor whose work nobody could check now would work in vain.
        let checkers = |c: &Candidate| able.iter().filter(|who| **who != c.holder.controller).count() as u32;
        let verifiable: Vec<Candidate> = backed.into_iter().filter(|c| checkers(c) >= k.saturating_sub(1)).collect();
        if verifiable.is_empty() {
            return Err(NoMatch::NotVerifiable);
        }
        Ok(Pool { looked_at, candidates: verifiable })
    }

    /// Who of these could take a seat over this stage: a free check slot, and the exposure that a seat reserves.
    fn able_to_check(order: &Order<'_>, work: &StageWork, electors: u32, open: &[Candidate]) -> Vec<AccountId> {
        if order.spec.mode.k() <= 1 {
            return Vec::new();
        }
        let fee = market::check_fee(order.params, order.spec.task, work.max.max(work.prefill));
        let Some(backing) = fee.and_then(|fee| market::checker_backing(fee, electors)) else { return Vec::new() };
        open.iter()
            .filter(|c| c.holder.free_check_slots > 0 && c.free >= backing)
            .map(|c| c.holder.controller.clone())
            .collect()
    }

    /// Auctions one stage, given what this job claimed of each bond already.
    fn award(
        order: &Order<'_>,
        span: Span,
        work: &StageWork,
        pool: &Pool,
        claimed: &BTreeMap<AccountId, Balance>,
    ) -> Result<Match, NoMatch> {
        let Order { spec, params, job, .. } = order;
        let cap = params.base_price.min(spec.max_price);
        let need = Self::backing_at(order, work, cap).ok_or(NoMatch::Exposure)?;
        let backed: Vec<&Candidate> = pool
            .candidates
            .iter()
            .filter(|c| {
                let taken = claimed.get(&c.holder.controller).copied().unwrap_or_default();
                c.free.saturating_sub(taken) >= need
            })
            .collect();
        let taken: BTreeSet<&AccountId> = claimed.keys().collect();
        let fresh: Vec<&Candidate> = backed.iter().copied().filter(|c| !taken.contains(&c.holder.controller)).collect();
        let bidders = if fresh.is_empty() { backed } else { fresh };
        if bidders.is_empty() {
            return Err(NoMatch::Exposure);
        }
        let bids: Vec<Bid> = bidders
            .iter()
            .map(|c| Bid {
                controller: c.holder.controller.clone(),
                price: c.holder.ask.price,
                penalty_permille: c.holder.penalty_permille,
                tie: digest::tie_break(*job, &c.holder.controller),
            })
            .collect();
        let award = market::auction(&bids, params.base_price, spec.max_price)?;
        let winner = bidders.get(award.winner).ok_or(NoMatch::Price)?;
        let backing = Self::backing_at(order, work, award.price).ok_or(NoMatch::Exposure)?;
        Ok(Match {
            assignment: StageAssignment {
                span,
                executor: winner.holder.controller.clone(),
                worker: winner.holder.worker.clone(),
                price: award.price,
                backing,
            },
            rate: winner.holder.ask.rate,
            looked_at: pool.looked_at,
        })
    }

    /// The backing of a stage that pays `price` per unit.
    fn backing_at(order: &Order<'_>, work: &StageWork, price: Balance) -> Option<Balance> {
        market::backing(order.params, order.spec.mode.k(), market::pay(price, work.max)?, order.spec.insured)
    }

    pub(crate) fn do_quote(spec: &JobSpec) -> Result<Quote, DispatchError> {
        let (_, params) = Self::current_params()?;
        let checked = Self::check_spec(spec)?;
        let escrow = market::escrow(&params, spec.max_price, spec.mode.k(), spec.task, &checked.work)
            .ok_or(Error::<T>::CostOverflow)?;
        ensure!(spec.insured <= escrow, Error::<T>::InsuredTooHigh);
        let order = Order {
            job: JobHash::zero(),
            spec,
            params: &params,
            spans: &checked.spans,
            work: &checked.work,
            excluded: &[],
        };
        let stages = Self::match_each(&order)
            .into_iter()
            .zip(checked.spans.iter().zip(&checked.work))
            .map(|(m, (span, work))| StageQuote {
                span: *span,
                work: work.max,
                award: m.map(|m| (m.assignment.executor, m.assignment.price)),
            })
            .collect();
        Ok(Quote { escrow, stages })
    }

    pub(crate) fn do_why_no_match(spec: &JobSpec) -> Result<Vec<(u8, NoMatch)>, DispatchError> {
        let quote = Self::do_quote(spec)?;
        Ok(quote
            .stages
            .into_iter()
            .enumerate()
            .filter_map(|(stage, quoted)| quoted.award.err().map(|why| (stage as u8, why)))
            .collect())
    }

    /// The error that `submit` gives for a reason.
    pub(crate) fn no_match_error(why: NoMatch) -> Error<T> {
        match why {
            NoMatch::NoHolder => Error::NoHolder,
            NoMatch::NotUsable => Error::NotUsable,
            NoMatch::Price => Error::PriceTooLow,
            NoMatch::Exposure => Error::ExposureTooLow,
            NoMatch::Capacity => Error::NoCapacity,
            NoMatch::NotVerifiable => Error::NotVerifiable,
        }
    }
}
