//! Seating checkers: by the beacon, by bond, outside of the job where the pool allows (protocol sections 5.2 and 6).

use crate::{pallet::*, types::*, WeightInfo};
use alloc::vec::Vec;
use assay_primitives::{
    digest, market, quorum,
    traits::{AttemptOutcome, Beacon, BondManager, Market, OpenJob, ProviderDirectory},
    *,
};
use frame::{
    deps::frame_support::{storage::with_storage_layer, weights::WeightMeter},
    prelude::*,
};

impl<T: Config> Pallet<T> {
    /// Tries the draw of every job that waits for one. What does not fit into the meter is tried again in the next block, and
    /// at the latest when its window ends.
    pub(crate) fn draw_waiting(meter: &mut WeightMeter) {
        let mut waiting = Vec::new();
        for job in Drawing::<T>::iter_keys() {
            if meter.try_consume(T::WeightInfo::draw_probe()).is_err() {
                break;
            }
            waiting.push(job);
        }
        for hash in waiting {
            let Some(job) = T::Market::open_job(hash) else { continue };
            let Some(drawn_by) = Self::beacon_vrfs(&job, false) else { continue };
            let holders = Electorates::<T>::decode_len(hash, 0).unwrap_or_default() as u32;
            let each = Self::seat_weight(holders, job.spec.mode.k().saturating_sub(1).into());
            if meter.try_consume(each.saturating_mul(job.stages.len() as u64)).is_err() {
                break;
            }
            // Without enough checkers it waits: capacity may free up before the window ends.
            let _ = with_storage_layer(|| Self::draw_first(&job, drawn_by));
        }
    }

    /// The draw window has ended: draws by the authors that were seen, or gives the attempt up.
    pub(crate) fn draw_due(job: &OpenJob) -> DispatchResult {
        let drawn = Self::beacon_vrfs(job, true)
            .ok_or(Error::<T>::TooFewAuthors.into())
            .and_then(|drawn_by| with_storage_layer(|| Self::draw_first(job, drawn_by)));
        drawn.or_else(|_| {
            // It is nobody's fault, least of all that of those who did their work.
            let unchecked = Outputs::<T>::get(job.job).map(|output| output.ids().len() as u32);
            T::Market::conclude(job.job, AttemptOutcome::Failed { exclude: Vec::new(), checks: Vec::new(), unchecked })
        })
    }

    /// The VRF outputs that the draw goes by, and how many of their authors are independent of the job; `None`: wait.
    ///
    /// Authors who execute a stage are left out, because they would draw their own checkers. Only if every validator
    /// executes a stage, or none of the others wrote a block in the whole window, do they count: with 0 independent authors
    /// in the receipt.
    pub(crate) fn beacon_vrfs(job: &OpenJob, last_chance: bool) -> Option<(Vec<[u8; 32]>, u8)> {
        let sealed = Attempts::<T>::get(job.job)?.sealed?;
        let executors: Vec<AccountId> = job.stages.iter().map(|a| a.executor.clone()).collect();
        let most = job.params.beacon_authors;
        let eligible = T::Beacon::eligible(&executors).min(most.into()) as u8;
        if eligible > 0 {
            let vrfs = T::Beacon::authors_since(sealed, &executors, eligible);
            let seen = vrfs.len() as u8;
            if seen >= eligible || last_chance && seen > 0 {
                return Some((vrfs, seen));
            }
            if !last_chance {
                return None;
            }
        }
        let wanted = (T::Beacon::eligible(&[]).min(most.into()) as u8).max(1);
        let vrfs = T::Beacon::authors_since(sealed, &[], wanted);
        let enough = vrfs.len() >= usize::from(wanted) || last_chance && !vrfs.is_empty();
        enough.then_some((vrfs, 0))
    }

    /// Seats `k - 1` checkers at every stage, by what [`Self::beacon_vrfs`] gave, or fails. To be called in a storage layer.
    fn draw_first(job: &OpenJob, (vrfs, independent): (Vec<[u8; 32]>, u8)) -> DispatchResult {
        let mut attempt = Attempts::<T>::get(job.job).ok_or(Error::<T>::JobUnknown)?;
        attempt.vrfs = BoundedVec::truncate_from(vrfs);
        attempt.independent_authors = independent;
        let seats = u32::from(job.spec.mode.k().saturating_sub(1));
        let mut due = Tick::MAX;
        for s in 0..job.stages.len() as u8 {
            let mut stage = Stages::<T>::get(job.job, s).ok_or(Error::<T>::NoSuchStage)?;
            ensure!(Self::seat(job, &mut attempt, s, &mut stage, seats) == seats, Error::<T>::TooFewCheckers);
            due = stage.seats.iter().fold(due, |due, seat| due.min(seat.due));
            Stages::<T>::insert(job.job, s, stage);
        }
        Attempts::<T>::insert(job.job, attempt);
        Drawing::<T>::remove(job.job);
        T::Market::set_phase(job.job, JobPhase::Checking, due)
    }

    /// Draws up to `wanted` more checkers of a stage, reserves their backing and takes a check slot of each; returns how many
    /// took a seat.
    pub(crate) fn seat(job: &OpenJob, attempt: &mut Attempt, s: u8, stage: &mut Stage, wanted: u32) -> u32 {
        let at = Self::stage_ref(job, usize::from(s));
        let key = SpanKey { model: job.spec.model, span: stage.span };
        let tranche = stage.tranches;
        stage.tranches = tranche.saturating_add(1);
        let Some(executor) = job.stages.get(usize::from(s)).map(|a| &a.executor) else { return 0 };
        let electorate = Electorates::<T>::get(job.job, s);
        let work = Self::max_work(job, s);
        let fee = market::check_fee(&job.params, job.spec.task, work).unwrap_or(Balance::MAX);
        let Some(backing) = market::checker_backing(fee, electorate.len() as u32) else { return 0 };
        let pool: Vec<(Holder, Balance)> = T::Providers::holders(&key)
            .into_iter()
            .filter(|h| {
                h.usable
                    && h.free_check_slots > 0
                    && h.controller != *executor
                    && !job.excluded.contains(&h.controller)
                    && !stage.seats.iter().any(|seat| seat.controller == h.controller)
            })
            .filter_map(|h| {
                let (bond, free) = T::Bonds::bond_and_free(&h.controller);
                (free >= backing).then_some((h, bond))
            })
            .collect();
        // Whoever keeps the others' bonds busy must not be left as the only one to draw: the detection that backings are
        // computed from holds for a pool that is at least half of all who could check.
        let others = electorate.iter().filter(|e| e.controller != *executor);
        let electorate_bond = others.fold(0u128, |sum, e| sum.saturating_add(e.bond));
        let pool_bond = pool.iter().fold(0u128, |sum, (_, bond)| sum.saturating_add(*bond));
        if tranche == 0 && pool_bond < electorate_bond.div_ceil(2) {
            return 0;
        }
        let executes = |who: &AccountId| job.stages.iter().any(|a| a.executor == *who);
        let by_bond = |of_the_job: bool| -> Vec<(AccountId, Balance)> {
            pool.iter()
                .filter(|(h, _)| executes(&h.controller) == of_the_job)
                .map(|(h, bond)| (h.controller.clone(), *bond))
                .collect()
        };
        let seed = digest::draw_seed(job.job, job.attempt, s, tranche, &attempt.vrfs);
        let room = (MAX_SEATS as usize).saturating_sub(stage.seats.len());
        let wanted = (wanted as usize).min(room);
        let mut drawn = quorum::draw(seed, &by_bond(false), wanted);
        if drawn.len() < wanted {
            drawn.extend(quorum::draw(seed, &by_bond(true), wanted.saturating_sub(drawn.len())));
        }
        let now = T::Market::now();
        let mut seated = Vec::new();
        for controller in drawn {
            let Some((holder, _)) = pool.iter().find(|(h, _)| h.controller == controller) else { continue };
            let taken = with_storage_layer(|| -> DispatchResult {
                T::Bonds::reserve(&controller, &BackingId { at, role: Role::Checker }, backing)?;
                T::Providers::take(&controller, &key, SlotKind::Check)
            });
            let due = now
                .saturating_add(job.params.check_window)
                .saturating_add(market::work_ticks(&job.params, work, holder.ask.rate))
                .saturating_add(job.spec.extra_ticks);
            let seat = Seat {
                controller: controller.clone(),
                worker: holder.worker.clone(),
                backing,
                due,
                answer: None,
                missed: false,
                lied: false,
            };
            if taken.is_ok() && stage.seats.try_push(seat).is_ok() {
                attempt.overlap |= executes(&controller);
                seated.push(controller);
            }
        }
        let count = seated.len() as u32;
        attempt.seats = attempt.seats.saturating_add(count as u16);
        if count > 0 {
            Self::deposit_event(Event::Drawn { at, tranche, checkers: seated, authors: attempt.independent_authors });
        }
        count
    }
}
