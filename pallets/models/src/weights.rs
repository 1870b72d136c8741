//! Weights of the calls.
//!
//! Estimates by hand, rounded up, until `frame-omni-bencher` has measured the benchmarks on the reference machine: the time of each
//! call as counted from its storage accesses and hashing at ten microseconds per thousand hashed bytes, plus the database
//! accesses that it makes at most.

use frame::weights_prelude::*;

/// What the pallet's calls weigh.
pub trait WeightInfo {
    /// `register` of a package of `e` entries besides the header, with `t` templates.
    fn register(e: u32, t: u32) -> Weight;
    /// `deregister`.
    fn deregister() -> Weight;
    /// `set_active`.
    fn set_active() -> Weight;
}

/// Weights with the runtime's database costs.
pub struct SubstrateWeight<T>(PhantomData<T>);

impl<T: frame_system::Config> WeightInfo for SubstrateWeight<T> {
    fn register(e: u32, t: u32) -> Weight {
        Weight::from_parts(80_000_000, 0)
            .saturating_add(Weight::from_parts(12_000_000, 0).saturating_mul(e.into()))
            .saturating_add(Weight::from_parts(2_000_000, 0).saturating_mul(t.into()))
            .saturating_add(T::DbWeight::get().reads(4))
            .saturating_add(T::DbWeight::get().writes(4))
    }
    fn deregister() -> Weight {
        Weight::from_parts(60_000_000, 0)
            .saturating_add(T::DbWeight::get().reads(4))
            .saturating_add(T::DbWeight::get().writes(4))
    }
    fn set_active() -> Weight {
        Weight::from_parts(30_000_000, 0)
            .saturating_add(T::DbWeight::get().reads(1))
            .saturating_add(T::DbWeight::get().writes(1))
    }
}

impl WeightInfo for () {
    fn register(e: u32, t: u32) -> Weight {
        Weight::from_parts(80_000_000, 0)
            .saturating_add(Weight::from_parts(12_000_000, 0).saturating_mul(e.into()))
            .saturating_add(Weight::from_parts(2_000_000, 0).saturating_mul(t.into()))
            .saturating_add(ParityDbWeight::get().reads(4))
            .saturating_add(ParityDbWeight::get().writes(4))
    }
    fn deregister() -> Weight {
        Weight::from_parts(60_000_000, 0)
            .saturating_add(ParityDbWeight::get().reads(4))
            .saturating_add(ParityDbWeight::get().writes(4))
    }
    fn set_active() -> Weight {
        Weight::from_parts(30_000_000, 0)
            .saturating_add(ParityDbWeight::get().reads(1))
            .saturating_add(ParityDbWeight::get().writes(1))
    }
}
