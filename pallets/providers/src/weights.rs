//! Weights of the calls.
//!
//! Estimates by hand, rounded up, until `frame-omni-bencher` has measured the benchmarks on the reference machine: the time of each
//! call as counted from its storage accesses and hashing at ten microseconds per thousand hashed bytes, plus the database
//! accesses that it makes at most.

use frame::weights_prelude::*;

/// What the pallet's calls weigh.
pub trait WeightInfo {
    /// `register`, one signature checked.
    fn register() -> Weight;
    /// `rotate_worker`, one signature checked.
    fn rotate_worker() -> Weight;
    /// `announce_peer`.
    fn announce_peer() -> Weight;
    /// `set_profile`.
    fn set_profile() -> Weight;
    /// `ask` into a full book, whose last holder gives way.
    fn ask() -> Weight;
    /// `withdraw_ask` from a full book.
    fn withdraw_ask() -> Weight;
    /// `drain`.
    fn drain() -> Weight;
    /// `resume`.
    fn resume() -> Weight;
    /// `deregister`.
    fn deregister() -> Weight;
}

/// Weights with the runtime's database costs.
pub struct SubstrateWeight<T>(PhantomData<T>);

impl<T: frame_system::Config> WeightInfo for SubstrateWeight<T> {
    fn register() -> Weight {
        Weight::from_parts(140_000_000, 0)
            .saturating_add(T::DbWeight::get().reads(7))
            .saturating_add(T::DbWeight::get().writes(6))
    }
    fn rotate_worker() -> Weight {
        Weight::from_parts(120_000_000, 0)
            .saturating_add(T::DbWeight::get().reads(3))
            .saturating_add(T::DbWeight::get().writes(7))
    }
    fn announce_peer() -> Weight {
        Weight::from_parts(30_000_000, 0)
            .saturating_add(T::DbWeight::get().reads(3))
            .saturating_add(T::DbWeight::get().writes(1))
    }
    fn set_profile() -> Weight {
        Weight::from_parts(25_000_000, 0)
            .saturating_add(T::DbWeight::get().reads(1))
            .saturating_add(T::DbWeight::get().writes(1))
    }
    fn ask() -> Weight {
        Weight::from_parts(400_000_000, 0)
            .saturating_add(T::DbWeight::get().reads(140))
            .saturating_add(T::DbWeight::get().writes(8))
    }
    fn withdraw_ask() -> Weight {
        Weight::from_parts(90_000_000, 0)
            .saturating_add(T::DbWeight::get().reads(4))
            .saturating_add(T::DbWeight::get().writes(4))
    }
    fn drain() -> Weight {
        Weight::from_parts(25_000_000, 0)
            .saturating_add(T::DbWeight::get().reads(1))
            .saturating_add(T::DbWeight::get().writes(1))
    }
    fn resume() -> Weight {
        Weight::from_parts(25_000_000, 0)
            .saturating_add(T::DbWeight::get().reads(1))
            .saturating_add(T::DbWeight::get().writes(1))
    }
    fn deregister() -> Weight {
        Weight::from_parts(80_000_000, 0)
            .saturating_add(T::DbWeight::get().reads(5))
            .saturating_add(T::DbWeight::get().writes(10))
    }
}

impl WeightInfo for () {
    fn register() -> Weight {
        Weight::from_parts(140_000_000, 0)
            .saturating_add(ParityDbWeight::get().reads(7))
            .saturating_add(ParityDbWeight::get().writes(6))
    }
    fn rotate_worker() -> Weight {
        Weight::from_parts(120_000_000, 0)
            .saturating_add(ParityDbWeight::get().reads(3))
            .saturating_add(ParityDbWeight::get().writes(7))
    }
    fn announce_peer() -> Weight {
        Weight::from_parts(30_000_000, 0)
            .saturating_add(ParityDbWeight::get().reads(3))
            .saturating_add(ParityDbWeight::get().writes(1))
    }
    fn set_profile() -> Weight {
        Weight::from_parts(25_000_000, 0)
            .saturating_add(ParityDbWeight::get().reads(1))
            .saturating_add(ParityDbWeight::get().writes(1))
    }
    fn ask() -> Weight {
        Weight::from_parts(400_000_000, 0)
            .saturating_add(ParityDbWeight::get().reads(140))
            .saturating_add(ParityDbWeight::get().writes(8))
    }
    fn withdraw_ask() -> Weight {
        Weight::from_parts(90_000_000, 0)
            .saturating_add(ParityDbWeight::get().reads(4))
            .saturating_add(ParityDbWeight::get().writes(4))
    }
    fn drain() -> Weight {
        Weight::from_parts(25_000_000, 0)
            .saturating_add(ParityDbWeight::get().reads(1))
            .saturating_add(ParityDbWeight::get().writes(1))
    }
    fn resume() -> Weight {
        Weight::from_parts(25_000_000, 0)
            .saturating_add(ParityDbWeight::get().reads(1))
            .saturating_add(ParityDbWeight::get().writes(1))
    }
    fn deregister() -> Weight {
        Weight::from_parts(80_000_000, 0)
            .saturating_add(ParityDbWeight::get().reads(5))
            .saturating_add(ParityDbWeight::get().writes(10))
    }
}
