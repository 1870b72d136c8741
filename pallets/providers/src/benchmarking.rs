//! Benchmarks of every call.

use crate::*;
use alloc::vec::Vec;
use assay_primitives::{
    digest,
    traits::{ModelDirectory, ProviderDirectory},
    AccountId, Ask, Balance, SlotKind, SpanKey, WorkerSignature, MAX_HOLDERS, SPEC_ID, WORKER_KEY_TYPE,
};
use frame::{benchmarking::prelude::*, deps::sp_io, token::fungible::Mutate};

/// What a benchmark needs of the rest of the runtime.
pub trait BenchmarkHelper {
    /// Makes sure that a model exists, and returns one of its spans.
    fn span() -> SpanKey;
    /// Gives an account a provider bond that covers any ask.
    fn bond(who: &AccountId);
}

fn rich<T: Config>(name: &'static str, n: u32) -> AccountId {
    let who: AccountId = account(name, n, 0);
    let _ = T::Currency::mint_into(&who, Balance::MAX / 1_000);
    who
}

/// A new worker key with its proof.
fn worker<T: Config>(controller: &AccountId, epoch: u32) -> Result<(AccountId, WorkerSignature), BenchmarkError> {
    let public = sp_io::crypto::sr25519_generate(WORKER_KEY_TYPE, None);
    let genesis = frame_system::Pallet::<T>::block_hash(BlockNumberFor::<T>::zero());
    let message = digest::worker_proof(genesis, controller, epoch);
    let proof = sp_io::crypto::sr25519_sign(WORKER_KEY_TYPE, &public, message.as_bytes());
    Ok((AccountId::new(public.0), proof.ok_or("the keystore did not sign")?))
}

/// A registered provider without proof or bond.
fn registered<T: Config>(name: &'static str, n: u32) -> AccountId {
    let who = rich::<T>(name, n);
    let genesis = GenesisProvider { controller: who.clone(), worker: account("worker", n, 0), asks: Vec::new() };
    Pallet::<T>::build_genesis(&[genesis]);
    who
}

/// The same with a bond.
fn bonded<T: Config>(name: &'static str, n: u32) -> AccountId {
    let who = registered::<T>(name, n);
    T::BenchmarkHelper::bond(&who);
    who
}

fn offer<T: Config>() -> Ask {
    let rate = T::Params::get().min_rate;
    Ask { price: 1, slots: 8, check_slots: 8, rate }
}

/// Puts `n` holders into the span's book. All but the last one in its order have a bond: in a full book that one gives
/// way, after all others were looked at.
fn crowd<T: Config>(key: &SpanKey, n: u32) {
    let mut holders: Vec<AccountId> = (1..=n).map(|i| registered::<T>("holder", i)).collect();
    holders.sort();
    for who in holders.iter().rev().skip(1) {
        T::BenchmarkHelper::bond(who);
    }
    let standing = holders.into_iter().map(|controller| {
        Providers::<T>::mutate(&controller, |slot| {
            if let Some(provider) = slot.as_mut() {
                provider.spans = BoundedVec::truncate_from(alloc::vec![*key]);
            }
        });
        Standing { controller, ask: offer::<T>(), spec_id: SPEC_ID, usable_from: 0, since: 0, deposit: 0 }
    });
    Books::<T>::insert(key, BoundedVec::truncate_from(standing.collect()));
}

#[benchmarks]
mod benches {
    use super::*;

    #[benchmark]
    fn register() -> Result<(), BenchmarkError> {
        let who = rich::<T>("provider", 0);
        let (key, proof) = worker::<T>(&who, 0)?;

        #[extrinsic_call]
        _(RawOrigin::Signed(who.clone()), key, proof, Default::default(), 1 << SPEC_ID);

        assert!(Providers::<T>::contains_key(who));
        Ok(())
    }

    #[benchmark]
    fn rotate_worker() -> Result<(), BenchmarkError> {
        let who = registered::<T>("provider", 0);
        let old: Vec<AccountId> = (1..MAX_KEYS).map(|n| account("old", n, 0)).collect();
        old.iter().for_each(|key| Workers::<T>::insert(key, &who));
        Providers::<T>::mutate(&who, |slot| {
            if let Some(provider) = slot.as_mut() {
                provider.old_workers = BoundedVec::truncate_from(old);
            }
        });
        let (key, proof) = worker::<T>(&who, 1)?;

        #[extrinsic_call]
        _(RawOrigin::Signed(who.clone()), key.clone(), proof);

        assert_eq!(Workers::<T>::get(key), Some(who));
        Ok(())
    }

    #[benchmark]
    fn announce_peer() -> Result<(), BenchmarkError> {
        let who = registered::<T>("provider", 0);
        let key = Pallet::<T>::worker_of(&who).ok_or("no worker")?;
        let peer = PeerId::truncate_from(alloc::vec![7; MAX_PEER_ID as usize]);

        #[extrinsic_call]
        _(RawOrigin::Signed(key), peer.clone());

        assert_eq!(Peers::<T>::get(who), Some(peer));
        Ok(())
    }

    #[benchmark]
    fn set_profile() {
        let who = registered::<T>("provider", 0);

        #[extrinsic_call]
        _(RawOrigin::Signed(who.clone()), Default::default(), 8);

        assert!(Providers::<T>::get(who).is_some_and(|p| p.specs == 8));
    }

    #[benchmark]
    fn ask() {
        let key = T::BenchmarkHelper::span();
        crowd::<T>(&key, MAX_HOLDERS);
        let who = bonded::<T>("provider", 0);

        #[extrinsic_call]
        _(RawOrigin::Signed(who), key, offer::<T>());

        assert_eq!(Books::<T>::get(key).len(), MAX_HOLDERS as usize);
    }

    #[benchmark]
    fn withdraw_ask() -> Result<(), BenchmarkError> {
        let key = T::BenchmarkHelper::span();
        crowd::<T>(&key, MAX_HOLDERS - 1);
        let who = bonded::<T>("provider", 0);
        Pallet::<T>::ask(RawOrigin::Signed(who.clone()).into(), key, offer::<T>())?;

        #[extrinsic_call]
        _(RawOrigin::Signed(who), key);

        assert_eq!(Books::<T>::get(key).len(), MAX_HOLDERS as usize - 1);
        Ok(())
    }

    #[benchmark]
    fn drain() {
        let who = registered::<T>("provider", 0);

        #[extrinsic_call]
        _(RawOrigin::Signed(who.clone()));

        assert!(Providers::<T>::get(who).is_some_and(|p| !p.active));
    }

    #[benchmark]
    fn resume() -> Result<(), BenchmarkError> {
        let who = registered::<T>("provider", 0);
        Pallet::<T>::drain(RawOrigin::Signed(who.clone()).into())?;

        #[extrinsic_call]
        _(RawOrigin::Signed(who.clone()));

        assert!(Providers::<T>::get(who).is_some_and(|p| p.active));
        Ok(())
    }

    #[benchmark]
    fn deregister() -> Result<(), BenchmarkError> {
        let who = rich::<T>("provider", 0);
        let (key, proof) = worker::<T>(&who, 0)?;
        Pallet::<T>::register(RawOrigin::Signed(who.clone()).into(), key, proof, Default::default(), 1 << SPEC_ID)?;

        #[extrinsic_call]
        _(RawOrigin::Signed(who.clone()));

        assert!(!Providers::<T>::contains_key(who));
        Ok(())
    }

    /// What the market pays for a unit of capacity, in the fullest book; for the weights of its own calls.
    #[benchmark]
    fn take_and_give_back() -> Result<(), BenchmarkError> {
        let key = T::BenchmarkHelper::span();
        crowd::<T>(&key, MAX_HOLDERS - 1);
        let who = bonded::<T>("provider", 0);
        Pallet::<T>::ask(RawOrigin::Signed(who.clone()).into(), key, offer::<T>())?;
        assert!(T::Models::has_span(&key));

        #[block]
        {
            Pallet::<T>::take(&who, &key, SlotKind::Execute)?;
            Pallet::<T>::give_back(&who, &key, SlotKind::Execute);
        }

        assert_eq!(InUse::<T>::get(who, key), Usage::default());
        Ok(())
    }
}
