//! Who is paid what, and that it cannot fail (protocol section 2).
//!
//! Every payment loses the burn share, rounded up: the recipient gets the floor. What a job does not use returns to the
//! client whole, so rounding leaves no remainder anywhere. Each payment is rounded by itself; money then moves once for each
//! recipient, and burns once.

use crate::{pallet::*, types::*};
use alloc::{collections::BTreeMap, vec::Vec};
use assay_primitives::{market, traits::ProviderDirectory, *};
use frame::{
    deps::frame_support::storage::with_storage_layer,
    prelude::*,
    traits::{
        fungible::hold::{Mutate as _, Unbalanced as _},
        tokens::{Fortitude, Precision, Restriction},
    },
};

/// Where a payment comes from. A lease, paid per epoch, will be the second source.
pub(crate) enum Payer<'a> {
    /// An open job's escrow.
    Escrow { job: &'a mut Job, task: JobTask, params: &'a Params },
}

/// What is paid for.
pub(crate) enum Service<'a> {
    /// Executing a stage: its work units at the price of its auction.
    Execution(&'a StageAssignment),
    /// A check in the attempt that stands: the posted fee, out of the checkers' part of the escrow, then of the fixed fee.
    Check(&'a AccountId),
    /// A check in an attempt that failed, or an execution that nobody could check: the posted fee of a check, out of the fixed
    /// fee alone.
    FailedCheck(&'a AccountId),
}

/// A payment.
#[derive(Clone, Copy, Default)]
pub(crate) struct Leg {
    /// What the recipient gets, or can claim.
    pub paid: Balance,
    /// What burns on the way.
    pub burned: Balance,
}

/// Payments that are owed out of an escrow, until [`Pallet::make`] makes them: the sum of everybody's legs.
#[derive(Default)]
pub(crate) struct Payments(BTreeMap<AccountId, Leg>);

impl Payments {
    fn add(&mut self, to: &AccountId, leg: Leg) {
        let sum = self.0.entry(to.clone()).or_default();
        sum.paid = sum.paid.saturating_add(leg.paid);
        sum.burned = sum.burned.saturating_add(leg.burned);
    }

    /// What everybody gets, and what burns.
    fn total(&self) -> Leg {
        self.0.values().fold(Leg::default(), |sum, leg| Leg {
            paid: sum.paid.saturating_add(leg.paid),
            burned: sum.burned.saturating_add(leg.burned),
        })
    }
}

impl<T: Config> Pallet<T> {
    /// Pays for `units` of a service: takes it out of the job's budgets and notes whom it is owed. The one function by which
    /// anybody is owed anything.
    pub(crate) fn pay(payer: Payer<'_>, service: Service<'_>, units: WorkUnits, owed: &mut Payments) -> Leg {
        let Payer::Escrow { job, task, params } = payer;
        let posted = || market::check_fee(params, task, units).unwrap_or(Balance::MAX);
        let (to, gross) = match service {
            Service::Execution(a) => {
                let reserved = job.fee_budget.saturating_add(job.check_budget);
                let due = market::pay(a.price, units).unwrap_or(Balance::MAX);
                (&a.executor, due.min(job.escrow.saturating_sub(reserved)))
            }
            Service::Check(who) => {
                let fee = posted();
                let own = fee.min(job.check_budget);
                let rest = fee.saturating_sub(own).min(job.fee_budget);
                job.check_budget = job.check_budget.saturating_sub(own);
                job.fee_budget = job.fee_budget.saturating_sub(rest);
                (who, own.saturating_add(rest))
            }
            Service::FailedCheck(who) => {
                let fee = posted().min(job.fee_budget);
                job.fee_budget = job.fee_budget.saturating_sub(fee);
                (who, fee)
            }
        };
        let burned = params.burn.mul_ceil(gross);
        let leg = Leg { paid: gross.saturating_sub(burned), burned };
        job.escrow = job.escrow.saturating_sub(gross);
        owed.add(to, leg);
        leg
    }

    /// Moves what [`Pallet::pay`] has taken out of the escrow, and burns what burns of it and `rest` besides.
    fn make(client: &AccountId, owed: &Payments, rest: Balance) {
        let burned = owed.total().burned.saturating_add(rest);
        let gone = Self::burn_escrow(client, burned);
        frame::deps::frame_support::defensive_assert!(gone == burned, "the escrow is held");
        for (to, leg) in &owed.0 {
            Self::disburse(client, to, leg.paid);
        }
    }

    /// Moves escrow to whom it belongs; keeps it to be claimed if it cannot be moved.
    fn disburse(client: &AccountId, to: &AccountId, amount: Balance) {
        if amount == 0 {
            return;
        }
        let moved = with_storage_layer(|| {
            T::Currency::transfer_on_hold(
                &HoldReason::Escrow.into(),
                client,
                to,
                amount,
                Precision::Exact,
                Restriction::Free,
                Fortitude::Force,
            )
        });
        if moved.is_err() {
            Self::defer_payment(client, to, amount);
        }
    }

    /// Keeps part of the escrow on the payer's account for whom it belongs to. The money does not move, it is only held for
    /// another reason, so neither a frozen nor a missing account can be in the way.
    pub(crate) fn defer_payment(payer: &AccountId, beneficiary: &AccountId, amount: Balance) {
        let kept = with_storage_layer(|| -> DispatchResult {
            T::Currency::decrease_balance_on_hold(&HoldReason::Escrow.into(), payer, amount, Precision::Exact)?;
            T::Currency::increase_balance_on_hold(&HoldReason::Unclaimed.into(), payer, amount, Precision::Exact)?;
            Unclaimed::<T>::mutate(beneficiary, payer, |sum| {
                *sum = Some(sum.unwrap_or_default().saturating_add(amount));
            });
            Ok(())
        });
        if kept.defensive().is_ok() {
            Self::deposit_event(Event::PaymentDeferred {
                payer: payer.clone(),
                beneficiary: beneficiary.clone(),
                amount,
            });
        }
    }

    pub(crate) fn do_claim(beneficiary: AccountId, payer: AccountId) -> DispatchResult {
        let amount = Unclaimed::<T>::take(&beneficiary, &payer).ok_or(Error::<T>::NothingToClaim)?;
        T::Currency::transfer_on_hold(
            &HoldReason::Unclaimed.into(),
            &payer,
            &beneficiary,
            amount,
            Precision::Exact,
            Restriction::Free,
            Fortitude::Force,
        )?;
        Self::deposit_event(Event::Claimed { payer, beneficiary, amount });
        Ok(())
    }

    /// Checkers of a failed attempt, as far as the fixed fee reaches, in the order given.
    pub(crate) fn pay_failed_checks(
        hash: JobHash,
        job: &mut Job,
        spec: &JobSpec,
        params: &Params,
        checks: Vec<(u8, AccountId)>,
    ) {
        let spans: Vec<Span> = job.stages.iter().map(|a| a.span).collect();
        let mut owed = Payments::default();
        for (stage, checker) in checks {
            let work = spans
                .get(usize::from(stage))
                .and_then(|span| market::max_stage_work::<T::Models>(spec, *span))
                .unwrap_or_default();
            let payer = Payer::Escrow { job: &mut *job, task: spec.task, params };
            let Leg { paid, burned } = Self::pay(payer, Service::FailedCheck(&checker), work, &mut owed);
            if paid > 0 || burned > 0 {
                Self::deposit_event(Event::CheckPaid { job: hash, stage, checker, paid, burned });
            }
        }
        Self::make(&job.client, &owed, 0);
    }

    /// Executors of an attempt whose commitments stand, but for which no checkers could be drawn: each as if it had checked its
    /// stage, as far as the fixed fee reaches, in the order of the stages.
    ///
    /// Not the price: pay for a result that nobody checked would be pay for making checkers scarce. The fixed fee does not return
    /// to the client anyway, and whoever keeps the others busy to get it has paid as much for every job that does so.
    pub(crate) fn pay_unchecked(hash: JobHash, job: &mut Job, spec: &JobSpec, params: &Params, tokens: u32) {
        let mut owed = Payments::default();
        for (stage, a) in job.stages.clone().into_iter().enumerate() {
            let work = market::stage_work::<T::Models>(spec, a.span, tokens).unwrap_or_default();
            let payer = Payer::Escrow { job: &mut *job, task: spec.task, params };
            let Leg { paid, burned } = Self::pay(payer, Service::FailedCheck(&a.executor), work, &mut owed);
            if paid > 0 || burned > 0 {
                let (stage, executor) = (stage as u8, a.executor);
                Self::deposit_event(Event::UncheckedPaid { job: hash, stage, executor, paid, burned });
            }
        }
        Self::make(&job.client, &owed, 0);
    }

    /// The result stands: everybody is paid, the rest returns, a receipt stays.
    pub(crate) fn settle(
        hash: JobHash,
        output: Output,
        ids_root: H256,
        proofs: Vec<(Option<H256>, Vec<AccountId>)>,
        assurance: Assurance,
    ) -> DispatchResult {
        let (mut job, spec) = Self::load_assigned(hash)?;
        let params = Self::params_of(&job)?;
        let generated = output.ids().len() as u32;
        let held = job.escrow;
        let mut owed = Payments::default();
        let mut stages = PerStage::<StageReceipt>::default();
        let assigned = job.stages.clone();
        let mut proofs = proofs.into_iter();
        for a in &assigned {
            let (root, agreed) = proofs.next().unwrap_or_default();
            let work = market::stage_work::<T::Models>(&spec, a.span, generated).unwrap_or_default();
            let payer = Payer::Escrow { job: &mut job, task: spec.task, params: &params };
            let execution = Self::pay(payer, Service::Execution(a), work, &mut owed);
            let mut checkers = BoundedVec::default();
            for who in agreed {
                let payer = Payer::Escrow { job: &mut job, task: spec.task, params: &params };
                let check = Self::pay(payer, Service::Check(&who), work, &mut owed);
                if checkers.try_push((who, check.paid)).is_err() {
                    defensive!("more checkers than seats");
                }
            }
            let receipt =
                StageReceipt { span: a.span, executor: a.executor.clone(), paid: execution.paid, work, root, checkers };
            if stages.try_push(receipt).is_err() {
                defensive!("more stages than a template may have");
            }
        }
        let rest = Self::take_fee(&mut job);
        Self::make(&job.client, &owed, rest);
        for (who, leg) in &owed.0 {
            T::Providers::note_settled(who, leg.burned);
        }
        let Leg { paid, burned } = owed.total();
        let burned = burned.saturating_add(rest);
        let receipt = Receipt {
            job: hash,
            client: job.client.clone(),
            model: spec.model,
            attempt: job.attempt,
            params_version: job.params_version,
            ids_root,
            input_len: spec.input_len(),
            output,
            assurance,
            stages,
            burned,
            refunded: job.escrow,
            tick: Now::<T>::get(),
        };
        let refunded = Self::kill(hash, job, &spec);
        frame::deps::frame_support::defensive_assert!(
            paid.saturating_add(burned).saturating_add(refunded) == held,
            "the legs of a settlement add up to its escrow"
        );
        Self::keep_receipt(&receipt);
        Self::deposit_event(Event::Settled { receipt });
        Ok(())
    }

    /// Keeps a receipt in the ring, in the place of the oldest one.
    fn keep_receipt(receipt: &Receipt) {
        let size = u64::from(T::MaxReceipts::get().max(1));
        let written = ReceiptsWritten::<T>::get();
        let place = written.checked_rem(size).unwrap_or_default() as u32;
        if let Some(oldest) = ReceiptRing::<T>::get(place) {
            Receipts::<T>::remove(oldest);
        }
        ReceiptRing::<T>::insert(place, receipt.job);
        Receipts::<T>::insert(receipt.job, receipt);
        ReceiptsWritten::<T>::put(written.saturating_add(1));
    }
}
