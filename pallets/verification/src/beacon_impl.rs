//! The beacon: who wrote the recent blocks, and their VRF outputs (protocol section 6).

use crate::{pallet::*, types::*};
use alloc::{collections::BTreeSet, vec::Vec};
use assay_primitives::{
    traits::{AuthorVrf, Beacon},
    AccountId,
};
use frame::prelude::*;

impl<T: Config> Pallet<T> {
    /// Remembers the author of the block being executed, in the place of the oldest one.
    pub(crate) fn note_author(block: u32) {
        if let Some((controller, vrf)) = T::AuthorVrf::current() {
            Authors::<T>::insert(Self::place_of(block), Author { block, controller, vrf });
        }
    }
}

impl<T: Config> Pallet<T> {
    /// Where the ring keeps a block's author.
    pub(crate) fn place_of(block: u32) -> u32 {
        block.checked_rem(T::BeaconDepth::get()).unwrap_or_default()
    }
}

impl<T: Config> Beacon for Pallet<T> {
    fn authors_since(since: u32, except: &[AccountId], wanted: u8) -> Vec<[u8; 32]> {
        let now = Self::block();
        let depth = T::BeaconDepth::get().max(1);
        let first = since.saturating_add(1).max(now.saturating_sub(depth.saturating_sub(1)));
        let mut seen = BTreeSet::new();
        let mut vrfs = Vec::new();
        for block in first..=now {
            if vrfs.len() >= usize::from(wanted) {
                break;
            }
            match Authors::<T>::get(Self::place_of(block)) {
                Some(a) if a.block == block && !except.contains(&a.controller) && seen.insert(a.controller.clone()) => {
                    vrfs.push(a.vrf)
                }
                _ => (),
            }
        }
        vrfs
    }

    fn eligible(except: &[AccountId]) -> u32 {
        T::AuthorVrf::validators().iter().filter(|v| !except.contains(v)).count() as u32
    }
}
