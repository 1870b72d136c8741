//! Benchmarks of every call.

use crate::{fixtures::*, *};
use assay_exact::header::{Flags, Header};
use assay_primitives::{Balance, ModelId};
use frame::{benchmarking::prelude::*, token::fungible::Mutate};

/// An account that can pay any deposit.
fn rich<T: Config>() -> T::AccountId {
    let who: T::AccountId = whitelisted_caller();
    let _ = T::Currency::mint_into(&who, Balance::MAX / 4);
    who
}

/// A header of the largest size whose package has `e` entries besides it.
fn header_with(e: u32) -> Header {
    // Tables, embedding, positions, embedding norm, final norm and head, and as many layers as are left.
    let mut header = decoder(e.saturating_sub(6).max(1));
    header.flags = header.flags.with(Flags::POSITIONS).with(Flags::EMBEDDING_NORM);
    header.eos = (0..200).collect();
    header
}

fn some_templates(t: u32, layers: u16) -> Templates {
    // Each a different number of stages, the largest one with the most.
    let cuts = |n: u16| (1..n).map(|i| i * (layers / n)).collect::<alloc::vec::Vec<_>>();
    BoundedVec::truncate_from((0..t as u16).map(|i| template(&cuts(16u16.saturating_sub(i)), layers)).collect())
}

fn registered<T: Config>() -> (T::AccountId, ModelId) {
    let owner = rich::<T>();
    let header = header_with(MAX_ENTRIES);
    let roots = entries(&header);
    let id = model_root(&header.encode(), &roots);
    let cuts = some_templates(MAX_TEMPLATES, header.layers as u16);
    let registered =
        Pallet::<T>::register(RawOrigin::Signed(owner.clone()).into(), name(), bytes(&header), roots, cuts);
    assert!(registered.is_ok());
    (owner, id)
}

#[benchmarks]
mod benches {
    use super::*;

    #[benchmark]
    fn register(e: Linear<22, { MAX_ENTRIES }>, t: Linear<1, { MAX_TEMPLATES }>) {
        let owner = rich::<T>();
        let header = header_with(e);
        let roots = entries(&header);
        let id = model_root(&header.encode(), &roots);
        let cuts = some_templates(t, header.layers as u16);

        #[extrinsic_call]
        _(RawOrigin::Signed(owner), name(), bytes(&header), roots, cuts);

        assert!(Models::<T>::contains_key(id));
    }

    #[benchmark]
    fn deregister() {
        let (owner, id) = registered::<T>();

        #[extrinsic_call]
        _(RawOrigin::Signed(owner), id);

        assert!(!Models::<T>::contains_key(id));
    }

    #[benchmark]
    fn set_active() {
        let (owner, id) = registered::<T>();

        #[extrinsic_call]
        _(RawOrigin::Signed(owner), id, false);

        assert!(Models::<T>::get(id).is_some_and(|m| !m.active));
    }
}
