//! Registration, worker keys, peer ids.

use crate::*;
use alloc::{
    format,
    string::{String, ToString},
};
use assay_primitives::{digest, AccountId, Ask, HardwareProfile, Span, SpanKey, WorkerSignature, SPEC_ID};
use frame::{
    deps::{sp_core::sr25519, sp_io},
    prelude::*,
    token::fungible::MutateHold,
};

impl<T: Config> Pallet<T> {
    fn check_worker(
        controller: &AccountId,
        worker: &AccountId,
        epoch: u32,
        proof: &WorkerSignature,
    ) -> Result<(), Error<T>> {
        ensure!(worker != controller, Error::<T>::WorkerIsController);
        ensure!(!Workers::<T>::contains_key(worker), Error::<T>::WorkerTaken);
        let genesis = frame_system::Pallet::<T>::block_hash(BlockNumberFor::<T>::zero());
        let message = digest::worker_proof(genesis, controller, epoch);
        let key = sr25519::Public::from_raw(*worker.as_ref());
        ensure!(sp_io::crypto::sr25519_verify(proof, message.as_bytes(), &key), Error::<T>::BadProof);
        Ok(())
    }

    pub(crate) fn do_register(
        controller: AccountId,
        worker: AccountId,
        proof: WorkerSignature,
        hardware: HardwareProfile,
        specs: u32,
    ) -> DispatchResult {
        ensure!(!Providers::<T>::contains_key(&controller), Error::<T>::AlreadyRegistered);
        ensure!(specs != 0, Error::<T>::NoSpec);
        Self::check_worker(&controller, &worker, 0, &proof)?;
        let deposit = T::RegistrationDeposit::get();
        T::Currency::hold(&HoldReason::Registration.into(), &controller, deposit)?;
        Self::insert(controller, worker, hardware, specs, deposit);
        Ok(())
    }

    fn insert(controller: AccountId, worker: AccountId, hardware: HardwareProfile, specs: u32, deposit: u128) {
        let provider = Provider {
            worker: WorkerKey { account: worker.clone(), epoch: 0 },
            old_workers: Default::default(),
            specs,
            hardware,
            active: true,
            spans: Default::default(),
            deposit,
        };
        Points::<T>::mutate(|histogram| {
            // Whoever was a provider before keeps what it earned then, if that is more than a newcomer's start.
            let points = Penalties::<T>::mutate(&controller, |penalty| {
                penalty.points = penalty.points.max(penalty::newcomer(histogram));
                penalty.points
            });
            penalty::count(histogram, points, true);
        });
        Workers::<T>::insert(&worker, &controller);
        Providers::<T>::insert(&controller, provider);
        Self::deposit_event(Event::Registered { controller, worker });
    }

    pub(crate) fn do_rotate(controller: AccountId, worker: AccountId, proof: WorkerSignature) -> DispatchResult {
        let mut provider = Providers::<T>::get(&controller).ok_or(Error::<T>::NotRegistered)?;
        let epoch = provider.worker.epoch.checked_add(1).ok_or(ArithmeticError::Overflow)?;
        Self::check_worker(&controller, &worker, epoch, &proof)?;
        let old = core::mem::replace(&mut provider.worker, WorkerKey { account: worker.clone(), epoch });
        provider.old_workers.try_push(old.account).map_err(|_| Error::<T>::TooManyKeys)?;
        Self::forget_idle_keys(&controller, &mut provider);
        Workers::<T>::insert(&worker, &controller);
        Providers::<T>::insert(&controller, provider);
        Self::deposit_event(Event::WorkerRotated { controller, worker, epoch });
        Ok(())
    }

    /// Whether nothing of a provider's capacity is taken, in any span.
    pub(crate) fn is_idle(controller: &AccountId) -> bool {
        InUse::<T>::iter_key_prefix(controller).next().is_none()
    }

    /// Older keys answer for assignments made under them: when nothing is in use there are none. Returns whether some went.
    pub(crate) fn forget_idle_keys(controller: &AccountId, provider: &mut Provider) -> bool {
        let forgets = !provider.old_workers.is_empty() && Self::is_idle(controller);
        if forgets {
            core::mem::take(&mut provider.old_workers).iter().for_each(Workers::<T>::remove);
        }
        forgets
    }

    pub(crate) fn do_announce(worker: AccountId, peer: PeerId) -> DispatchResult {
        ensure!(!peer.is_empty(), Error::<T>::EmptyPeerId);
        let controller = Workers::<T>::get(&worker).ok_or(Error::<T>::NotAWorker)?;
        // An older key finishes its work but no longer speaks for the node.
        let current = Providers::<T>::get(&controller).is_some_and(|p| p.worker.account == worker);
        ensure!(current, Error::<T>::NotAWorker);
        if Peers::<T>::get(&controller).as_ref() != Some(&peer) {
            Peers::<T>::insert(&controller, &peer);
            Self::deposit_event(Event::PeerAnnounced { controller, peer });
        }
        Ok(())
    }

    pub(crate) fn do_set_profile(controller: AccountId, hardware: HardwareProfile, specs: u32) -> DispatchResult {
        ensure!(specs != 0, Error::<T>::NoSpec);
        Providers::<T>::try_mutate(&controller, |slot| {
            let provider = slot.as_mut().ok_or(Error::<T>::NotRegistered)?;
            provider.hardware = hardware;
            provider.specs = specs;
            Ok::<_, DispatchError>(())
        })?;
        Self::deposit_event(Event::ProfileSet { controller, specs });
        Ok(())
    }

    pub(crate) fn do_set_active(controller: AccountId, active: bool) -> DispatchResult {
        Providers::<T>::try_mutate(&controller, |slot| {
            let provider = slot.as_mut().ok_or(Error::<T>::NotRegistered)?;
            if provider.active != active {
                provider.active = active;
                Self::deposit_event(Event::ActivitySet { controller: controller.clone(), active });
            }
            Ok(())
        })
    }

    pub(crate) fn do_deregister(controller: AccountId) -> DispatchResult {
        let provider = Providers::<T>::get(&controller).ok_or(Error::<T>::NotRegistered)?;
        ensure!(provider.spans.is_empty(), Error::<T>::AsksStanding);
        ensure!(Self::is_idle(&controller), Error::<T>::InUse);
        for worker in provider.old_workers.iter().chain([&provider.worker.account]) {
            Workers::<T>::remove(worker);
        }
        Peers::<T>::remove(&controller);
        Providers::<T>::remove(&controller);
        Points::<T>::mutate(|histogram| {
            let Penalty { points, .. } = Penalties::<T>::get(&controller);
            penalty::count(histogram, points, false);
            if points <= penalty::newcomer(histogram) {
                Penalties::<T>::remove(&controller);
            }
        });
        T::Currency::release(&HoldReason::Registration.into(), &controller, provider.deposit, Precision::BestEffort)?;
        Self::deposit_event(Event::Deregistered { controller });
        Ok(())
    }

    /// A genesis state has no caller to return an error to: one that cannot be built must not come into being, so this stops it
    /// and says what to change.
    #[allow(clippy::panic)]
    pub(crate) fn build_genesis(providers: &[GenesisProvider]) {
        for (i, provider) in providers.iter().enumerate() {
            if let Err((field, error)) = Self::genesis_provider(provider) {
                let (who, error) = (&provider.controller, <&str>::from(error));
                panic!("providers.providers[{i}].{field} of {who:?}: {error}: {}", genesis_advice(error));
            }
        }
    }

    /// Fails with the field that is wrong, and why.
    fn genesis_provider(genesis: &GenesisProvider) -> Result<(), (String, DispatchError)> {
        let GenesisProvider { controller, worker, asks } = genesis;
        let wrong = |field: &str, error: Error<T>| -> (String, DispatchError) { (field.to_string(), error.into()) };
        ensure!(!Providers::<T>::contains_key(controller), wrong("controller", Error::AlreadyRegistered));
        ensure!(!Workers::<T>::contains_key(worker), wrong("worker", Error::WorkerTaken));
        ensure!(worker != controller, wrong("worker", Error::WorkerIsController));
        Self::insert(controller.clone(), worker.clone(), Default::default(), 1 << SPEC_ID, 0);
        for (i, GenesisAsk { model, first, end, price, slots, check_slots, rate }) in asks.iter().enumerate() {
            let key = SpanKey { model: *model, span: Span { first: *first, end: *end } };
            let ask = Ask { price: *price, slots: *slots, check_slots: *check_slots, rate: *rate };
            Self::genesis_ask(controller.clone(), key, ask).map_err(|error| (format!("asks[{i}]"), error))?;
        }
        Ok(())
    }
}

/// What to change in a genesis state that this error refuses.
fn genesis_advice(error: &str) -> &'static str {
    match error {
        "AlreadyRegistered" => "give each controller once",
        "WorkerTaken" => "give each worker once",
        "WorkerIsController" => "give the account of a key that lies on the worker's machine",
        "UnknownSpan" => "first and end must be a stage in a template of a model in models.models",
        "NoSlots" => "slots or checkSlots must be positive",
        "RateTooLow" => "rate must be at least min_rate of jobs.params",
        "PriceAboveReserve" => "price must be at most base_price of jobs.params",
        "BookFull" => "too many providers ask for this span",
        "TooManyAsks" => "too many asks of one provider",
        _ => "the pallet's documentation says when",
    }
}
