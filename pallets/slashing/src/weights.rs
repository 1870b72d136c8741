//! Weights of the calls.
//!
//! Estimates by hand, rounded up, until `frame-omni-bencher` has measured the benchmarks on the reference machine: the time of each
//! call as counted from its storage accesses and hashing at ten microseconds per thousand hashed bytes, plus the database
//! accesses that it makes at most.

use frame::weights_prelude::*;

/// What the pallet's calls weigh.
pub trait WeightInfo {
    /// `cancel`.
    fn cancel() -> Weight;
    /// `claim`.
    fn claim() -> Weight;
    /// Execution of one pending slash with two legs that have to wait.
    fn execute_one() -> Weight;
    /// Forgetting one report.
    fn forget_one() -> Weight;
}

/// Weights with the runtime's database costs.
pub struct SubstrateWeight<T>(PhantomData<T>);

impl<T: frame_system::Config> WeightInfo for SubstrateWeight<T> {
    fn cancel() -> Weight {
        Weight::from_parts(40_000_000, 0)
            .saturating_add(T::DbWeight::get().reads(2))
            .saturating_add(T::DbWeight::get().writes(2))
    }
    fn claim() -> Weight {
        Weight::from_parts(70_000_000, 0)
            .saturating_add(T::DbWeight::get().reads(3))
            .saturating_add(T::DbWeight::get().writes(3))
    }
    fn execute_one() -> Weight {
        Weight::from_parts(160_000_000, 0)
            .saturating_add(T::DbWeight::get().reads(8))
            .saturating_add(T::DbWeight::get().writes(8))
    }
    fn forget_one() -> Weight {
        Weight::from_parts(15_000_000, 0)
            .saturating_add(T::DbWeight::get().reads(1))
            .saturating_add(T::DbWeight::get().writes(2))
    }
}

impl WeightInfo for () {
    fn cancel() -> Weight {
        Weight::from_parts(40_000_000, 0)
            .saturating_add(ParityDbWeight::get().reads(2))
            .saturating_add(ParityDbWeight::get().writes(2))
    }
    fn claim() -> Weight {
        Weight::from_parts(70_000_000, 0)
            .saturating_add(ParityDbWeight::get().reads(3))
            .saturating_add(ParityDbWeight::get().writes(3))
    }
    fn execute_one() -> Weight {
        Weight::from_parts(160_000_000, 0)
            .saturating_add(ParityDbWeight::get().reads(8))
            .saturating_add(ParityDbWeight::get().writes(8))
    }
    fn forget_one() -> Weight {
        Weight::from_parts(15_000_000, 0)
            .saturating_add(ParityDbWeight::get().reads(1))
            .saturating_add(ParityDbWeight::get().writes(2))
    }
}
