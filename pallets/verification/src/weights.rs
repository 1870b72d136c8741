//! Weights. These values are not measured: they are upper estimates, counted by hand from the code's reads, writes, hashing
//! and signature checks, until the bencher's output takes the place of this file.

use frame::weights_prelude::*;

/// Weights of this pallet. `s`: stages of the job.
pub trait WeightInfo {
    /// A batch, without its items.
    fn answer() -> Weight;
    /// A commit that makes the chain hash `i` ids, and what the last commit of an attempt sets off.
    fn commit(s: u32, i: u32) -> Weight;
    /// A `Blocked`, and what the last answer of an attempt sets off.
    fn blocked(s: u32) -> Weight;
    /// A check, with extra seats drawn.
    fn check(s: u32) -> Weight;
    /// A root that settles the job.
    fn reveal(s: u32) -> Weight;
    /// A vote.
    fn vote(s: u32) -> Weight;
    /// Remembering the author of a block.
    fn note_author() -> Weight;
    /// Looking whether a job can be drawn.
    fn draw_probe() -> Weight;
    /// Drawing the checkers of all stages.
    fn draw(s: u32) -> Weight;
    /// Whatever follows when a phase ends.
    fn due(s: u32) -> Weight;
}

/// Counted by hand.
pub struct SubstrateWeight<T>(PhantomData<T>);

const MICROS: u64 = 1_000_000;

impl<T: frame_system::Config> SubstrateWeight<T> {
    /// Settling or failing: per stage an executor and up to 16 checkers, each with a payment, a backing and a slot.
    fn conclude(s: u64) -> Weight {
        Weight::from_parts(200 * MICROS, 16_384)
            .saturating_add(Weight::from_parts(17 * 50 * MICROS, 8_192).saturating_mul(s))
            .saturating_add(T::DbWeight::get().reads_writes(16, 16))
            .saturating_add(T::DbWeight::get().reads_writes(17 * 6, 17 * 6).saturating_mul(s))
    }

    /// Walking over up to 64 holders of a span, with the bonds of all.
    fn holders(s: u64) -> Weight {
        Weight::from_parts(64 * 5 * MICROS, 32_768).saturating_add(T::DbWeight::get().reads(64 * 4)).saturating_mul(s)
    }
}

impl<T: frame_system::Config> WeightInfo for SubstrateWeight<T> {
    fn answer() -> Weight {
        Weight::from_parts(10 * MICROS, 1_024)
    }
    fn commit(s: u32, i: u32) -> Weight {
        // One signature; two hashes per id.
        Weight::from_parts(120 * MICROS, 16_384)
            .saturating_add(Weight::from_parts(2 * MICROS, 4).saturating_mul(i.into()))
            .saturating_add(T::DbWeight::get().reads_writes(8, 6))
            .saturating_add(T::DbWeight::get().reads(1).saturating_mul(s.into()))
            .saturating_add(if i > 0 { Self::conclude(s.into()) } else { Weight::zero() })
    }
    fn blocked(s: u32) -> Weight {
        Weight::from_parts(50 * MICROS, 16_384)
            .saturating_add(T::DbWeight::get().reads_writes(6, 4))
            .saturating_add(Self::conclude(s.into()))
    }
    fn check(s: u32) -> Weight {
        Weight::from_parts(60 * MICROS, 16_384)
            .saturating_add(T::DbWeight::get().reads_writes(6, 4))
            .saturating_add(T::DbWeight::get().reads_writes(1, 1).saturating_mul(s.into()))
            .saturating_add(Self::holders(1))
            .saturating_add(T::DbWeight::get().reads_writes(16, 16))
    }
    fn reveal(s: u32) -> Weight {
        // Up to 64 digests are recomputed.
        Weight::from_parts((60 + 64 * 3) * MICROS, 16_384)
            .saturating_add(T::DbWeight::get().reads_writes(8, 4))
            .saturating_add(Self::conclude(s.into()))
    }
    fn vote(s: u32) -> Weight {
        Weight::from_parts((60 + 64 * 3) * MICROS, 16_384)
            .saturating_add(T::DbWeight::get().reads_writes(10, 4))
            .saturating_add(T::DbWeight::get().reads(1).saturating_mul(s.into()))
    }
    fn note_author() -> Weight {
        Weight::from_parts(20 * MICROS, 2_048).saturating_add(T::DbWeight::get().reads_writes(6, 1))
    }
    fn draw_probe() -> Weight {
        Weight::from_parts(60 * MICROS, 8_192).saturating_add(T::DbWeight::get().reads(24))
    }
    fn draw(s: u32) -> Weight {
        Self::holders(s.into())
            .saturating_add(Weight::from_parts(100 * MICROS, 8_192))
            .saturating_add(T::DbWeight::get().reads_writes(6, 4))
            .saturating_add(T::DbWeight::get().reads_writes(16 * 2, 16 * 2).saturating_mul(s.into()))
    }
    fn due(s: u32) -> Weight {
        Self::draw(s).saturating_add(Self::conclude(s.into()))
    }
}

impl WeightInfo for () {
    fn answer() -> Weight {
        Weight::zero()
    }
    fn commit(_: u32, _: u32) -> Weight {
        Weight::zero()
    }
    fn blocked(_: u32) -> Weight {
        Weight::zero()
    }
    fn check(_: u32) -> Weight {
        Weight::zero()
    }
    fn reveal(_: u32) -> Weight {
        Weight::zero()
    }
    fn vote(_: u32) -> Weight {
        Weight::zero()
    }
    fn note_author() -> Weight {
        Weight::zero()
    }
    fn draw_probe() -> Weight {
        Weight::zero()
    }
    fn draw(_: u32) -> Weight {
        Weight::zero()
    }
    fn due(_: u32) -> Weight {
        Weight::zero()
    }
}
