//! Weights. These values are not measured: they are upper estimates, counted by hand from the code's reads, writes and
//! hashing, until the bencher's output takes the place of this file.

use frame::weights_prelude::*;

/// Weights of this pallet.
pub trait WeightInfo {
    /// `submit` of a job with `s` stages whose spans have `h` holders each; `s = 0`: refused before matching.
    fn submit(s: u32, h: u32) -> Weight;
    /// `cancel`.
    fn cancel() -> Weight;
    /// `claim`.
    fn claim() -> Weight;
    /// `set_params`.
    fn set_params() -> Weight;
    /// Advancing the tick.
    fn tick() -> Weight;
    /// Looking for the next agenda entry.
    fn agenda_next() -> Weight;
    /// The next attempt of a job with `s` stages whose spans have `h` holders each, or its refund.
    fn redispatch(s: u32, h: u32) -> Weight;
}

/// Counted by hand. Per holder and stage: the ask with its capacity, the provider and its bond ledger, at the auction and
/// again for the snapshot of bonds that verification takes. Per stage: assignment, backing, slot, events.
pub struct SubstrateWeight<T>(PhantomData<T>);

const MICROS: u64 = 1_000_000;

impl<T: frame_system::Config> WeightInfo for SubstrateWeight<T> {
    fn submit(s: u32, h: u32) -> Weight {
        let (s, h) = (u64::from(s), u64::from(h));
        Weight::from_parts(120 * MICROS, 16_384)
            .saturating_add(Weight::from_parts(40 * MICROS, 2_048).saturating_mul(s))
            .saturating_add(Weight::from_parts(6 * MICROS, 512).saturating_mul(s.saturating_mul(h)))
            .saturating_add(T::DbWeight::get().reads_writes(12, 10))
            .saturating_add(T::DbWeight::get().reads_writes(4, 4).saturating_mul(s))
            .saturating_add(T::DbWeight::get().reads(4).saturating_mul(s.saturating_mul(h)))
    }
    fn cancel() -> Weight {
        Weight::from_parts(90 * MICROS, 16_384).saturating_add(T::DbWeight::get().reads_writes(12, 12))
    }
    fn claim() -> Weight {
        Weight::from_parts(70 * MICROS, 8_192).saturating_add(T::DbWeight::get().reads_writes(5, 5))
    }
    fn set_params() -> Weight {
        Weight::from_parts(25 * MICROS, 4_096).saturating_add(T::DbWeight::get().reads_writes(2, 3))
    }
    fn tick() -> Weight {
        Weight::from_parts(5 * MICROS, 1_024).saturating_add(T::DbWeight::get().reads_writes(3, 2))
    }
    fn agenda_next() -> Weight {
        Weight::from_parts(4 * MICROS, 1_024).saturating_add(T::DbWeight::get().reads(1))
    }
    fn redispatch(s: u32, h: u32) -> Weight {
        Self::submit(s, h)
    }
}

impl WeightInfo for () {
    fn submit(_: u32, _: u32) -> Weight {
        Weight::zero()
    }
    fn cancel() -> Weight {
        Weight::zero()
    }
    fn claim() -> Weight {
        Weight::zero()
    }
    fn set_params() -> Weight {
        Weight::zero()
    }
    fn tick() -> Weight {
        Weight::zero()
    }
    fn agenda_next() -> Weight {
        Weight::zero()
    }
    fn redispatch(_: u32, _: u32) -> Weight {
        Weight::zero()
    }
}
