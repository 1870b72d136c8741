//! Weights of the calls.
//!
//! Estimates by hand, rounded up, until `frame-omni-bencher` has measured the benchmarks on the reference machine: the time of each
//! call as counted from its storage accesses and hashing at ten microseconds per thousand hashed bytes, plus the database
//! accesses that it makes at most.

use frame::weights_prelude::*;

/// What the pallet's calls weigh.
pub trait WeightInfo {
    /// `bond`.
    fn bond() -> Weight;
    /// `unbond` into the last free chunk.
    fn unbond() -> Weight;
    /// `withdraw_unbonded` of all chunks.
    fn withdraw_unbonded() -> Weight;
    /// `validate` when `c` accounts stand already.
    fn validate(c: u32) -> Weight;
    /// `chill` when `c` accounts stand.
    fn chill(c: u32) -> Weight;
    /// `set_counts`.
    fn set_counts() -> Weight;
    /// `cancel_slash`.
    fn cancel_slash() -> Weight;
    /// One offender of a reported consensus offence.
    fn accuse() -> Weight;
    /// Execution of one pending consensus slash.
    fn execute_slash() -> Weight;
}

/// Weights with the runtime's database costs.
pub struct SubstrateWeight<T>(PhantomData<T>);

impl<T: frame_system::Config> WeightInfo for SubstrateWeight<T> {
    fn bond() -> Weight {
        Weight::from_parts(60_000_000, 0)
            .saturating_add(T::DbWeight::get().reads(3))
            .saturating_add(T::DbWeight::get().writes(3))
    }
    fn unbond() -> Weight {
        Weight::from_parts(45_000_000, 0)
            .saturating_add(T::DbWeight::get().reads(3))
            .saturating_add(T::DbWeight::get().writes(1))
    }
    fn withdraw_unbonded() -> Weight {
        Weight::from_parts(70_000_000, 0)
            .saturating_add(T::DbWeight::get().reads(6))
            .saturating_add(T::DbWeight::get().writes(3))
    }
    fn validate(c: u32) -> Weight {
        Weight::from_parts(60_000_000, 0)
            .saturating_add(Weight::from_parts(3_000_000, 0).saturating_mul(c.into()))
            .saturating_add(T::DbWeight::get().reads(6))
            .saturating_add(T::DbWeight::get().writes(2))
            .saturating_add(T::DbWeight::get().reads(u64::from(c)))
    }
    fn chill(c: u32) -> Weight {
        Weight::from_parts(30_000_000, 0)
            .saturating_add(Weight::from_parts(200_000, 0).saturating_mul(c.into()))
            .saturating_add(T::DbWeight::get().reads(1))
            .saturating_add(T::DbWeight::get().writes(1))
    }
    fn set_counts() -> Weight {
        Weight::from_parts(12_000_000, 0).saturating_add(T::DbWeight::get().writes(1))
    }
    fn cancel_slash() -> Weight {
        Weight::from_parts(35_000_000, 0)
            .saturating_add(T::DbWeight::get().reads(2))
            .saturating_add(T::DbWeight::get().writes(2))
    }
    fn accuse() -> Weight {
        Weight::from_parts(90_000_000, 0)
            .saturating_add(T::DbWeight::get().reads(8))
            .saturating_add(T::DbWeight::get().writes(8))
    }
    fn execute_slash() -> Weight {
        Weight::from_parts(70_000_000, 0)
            .saturating_add(T::DbWeight::get().reads(4))
            .saturating_add(T::DbWeight::get().writes(4))
    }
}

impl WeightInfo for () {
    fn bond() -> Weight {
        Weight::from_parts(60_000_000, 0)
            .saturating_add(ParityDbWeight::get().reads(3))
            .saturating_add(ParityDbWeight::get().writes(3))
    }
    fn unbond() -> Weight {
        Weight::from_parts(45_000_000, 0)
            .saturating_add(ParityDbWeight::get().reads(3))
            .saturating_add(ParityDbWeight::get().writes(1))
    }
    fn withdraw_unbonded() -> Weight {
        Weight::from_parts(70_000_000, 0)
            .saturating_add(ParityDbWeight::get().reads(6))
            .saturating_add(ParityDbWeight::get().writes(3))
    }
    fn validate(c: u32) -> Weight {
        Weight::from_parts(60_000_000, 0)
            .saturating_add(Weight::from_parts(3_000_000, 0).saturating_mul(c.into()))
            .saturating_add(ParityDbWeight::get().reads(6))
            .saturating_add(ParityDbWeight::get().writes(2))
            .saturating_add(ParityDbWeight::get().reads(u64::from(c)))
    }
    fn chill(c: u32) -> Weight {
        Weight::from_parts(30_000_000, 0)
            .saturating_add(Weight::from_parts(200_000, 0).saturating_mul(c.into()))
            .saturating_add(ParityDbWeight::get().reads(1))
            .saturating_add(ParityDbWeight::get().writes(1))
    }
    fn set_counts() -> Weight {
        Weight::from_parts(12_000_000, 0).saturating_add(ParityDbWeight::get().writes(1))
    }
    fn cancel_slash() -> Weight {
        Weight::from_parts(35_000_000, 0)
            .saturating_add(ParityDbWeight::get().reads(2))
            .saturating_add(ParityDbWeight::get().writes(2))
    }
    fn accuse() -> Weight {
        Weight::from_parts(90_000_000, 0)
            .saturating_add(ParityDbWeight::get().reads(8))
            .saturating_add(ParityDbWeight::get().writes(8))
    }
    fn execute_slash() -> Weight {
        Weight::from_parts(70_000_000, 0)
            .saturating_add(ParityDbWeight::get().reads(4))
            .saturating_add(ParityDbWeight::get().writes(4))
    }
}
