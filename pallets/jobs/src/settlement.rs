//! Who is paid what, and that it cannot fail (protocol section 2).
//!
//! Every payment loses the burn share, rounded up: the recipient gets the floor. What a job does not use returns to the
//! client whole, so rounding leaves no remainder anywhere.

use crate::{pallet::*, types::*};
use alloc::vec::Vec;
use assay_primitives::{digest, market, traits::ProviderDirectory, *};
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
    Escrow { job: &'a mut Job, params: &'a Params },
}

/// What is paid for.
pub(crate) enum Service<'a> {
    /// Executing a stage: its work units at the price of its auction.
    Execution(&'a StageAssignment),
    /// A check in the attempt that stands: the posted fee, out of the checkers' part of the escrow, then of the fixed fee.
    Check(&'a AccountId),
    /// A check in an attempt that failed: the posted fee, out of the fixed fee alone.
    FailedCheck(&'a AccountId),
}

/// A payment made.
#[derive(Clone, Copy, Default)]
pub(crate) struct Leg {
    /// What the recipient got, or can claim.
    pub paid: Balance,
    /// What burned on the way.
    pub burned: Balance,
}

impl<T: Config> Pallet<T> {
    /// Pays for `units` of a service. The one function that pays anybody.
    pub(crate) fn pay(payer: Payer<'_>, service: Service<'_>, units: WorkUnits) -> Leg {
        let Payer::Escrow { job, params } = payer;
        let posted = || market::check_fee(params, units).unwrap_or(Balance::MAX);
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
        let burned = Self::burn_escrow(&job.client, params.burn.mul_ceil(gross));
        let paid = gross.saturating_sub(burned);
        job.escrow = job.escrow.saturating_sub(gross);
        Self::disburse(&job.client, to, paid);
        Leg { paid, burned }
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
        for (stage, checker) in checks {
            let work = spans
                .get(usize::from(stage))
                .and_then(|span| Self::stage_work(spec, *span, spec.max_new_tokens))
                .unwrap_or_default();
            let payer = Payer::Escrow { job: &mut *job, params };
            let leg = Self::pay(payer, Service::FailedCheck(&checker), work);
            let Leg { paid, burned } = leg;
            if paid > 0 || burned > 0 {
                Self::deposit_event(Event::CheckPaid { job: hash, stage, checker, paid, burned });
            }
        }
    }

    /// The result stands: everybody is paid, the rest returns, a receipt stays.
    pub(crate) fn settle(
        hash: JobHash,
        output: OutputIds,
        proofs: Vec<(Option<H256>, Vec<AccountId>)>,
        assurance: Assurance,
    ) -> DispatchResult {
        let (mut job, spec) = Self::load(hash)?;
        let params = Self::params_of(&job)?;
        let JobInput::Inline(prompt) = &spec.input else { return Err(Error::<T>::BlobUnsupported.into()) };
        let held = job.escrow;
        let (mut paid, mut burned) = (0u128, 0u128);
        let mut stages = PerStage::<StageReceipt>::default();
        let assigned = job.stages.clone();
        for (stage, a) in assigned.iter().enumerate() {
            let (root, agreed) = proofs.get(stage).cloned().unwrap_or_default();
            let work = Self::stage_work(&spec, a.span, output.len() as u32).unwrap_or_default();
            let payer = Payer::Escrow { job: &mut job, params: &params };
            let execution = Self::pay(payer, Service::Execution(a), work);
            paid = paid.saturating_add(execution.paid);
            burned = burned.saturating_add(execution.burned);
            T::Providers::note_settled(&a.executor, execution.burned);
            let mut checkers = BoundedVec::default();
            for who in agreed {
                let payer = Payer::Escrow { job: &mut job, params: &params };
                let check = Self::pay(payer, Service::Check(&who), work);
                paid = paid.saturating_add(check.paid);
                burned = burned.saturating_add(check.burned);
                T::Providers::note_settled(&who, check.burned);
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
        burned = burned.saturating_add(Self::burn_fee(&mut job));
        let ids_root = digest::ids_root(prompt, &output);
        let receipt = Receipt {
            job: hash,
            client: job.client.clone(),
            model: spec.model,
            attempt: job.attempt,
            params_version: job.params_version,
            ids_root,
            input_len: prompt.len() as u32,
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
