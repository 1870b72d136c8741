//! Weights. These values are not measured: they are upper estimates, counted by hand from the code's reads, writes, hashing
//! and signature checks, until the bencher's output takes the place of this file.

use frame::weights_prelude::*;

/// Weights of this pallet. `s`: stages of the job.
pub trait WeightInfo {
    /// A batch, without its items.
    fn answer() -> Weight;
    /// A commit that makes the chain hash `i` ids.
    fn commit(s: u32, i: u32) -> Weight;
    /// A `Blocked`.
    fn blocked(s: u32) -> Weight;
    /// A check.
    fn check(s: u32) -> Weight;
    /// A root.
    fn reveal(s: u32) -> Weight;
    /// A vote.
    fn vote(s: u32) -> Weight;
    /// Ending an attempt in which `p` executors and checkers took part: faults, payments, backings, slots.
    fn conclude(p: u32) -> Weight;
    /// Drawing up to `c` checkers of one stage from `h` holders.
    fn seat(h: u32, c: u32) -> Weight;
    /// Remembering the author of a block.
    fn note_author() -> Weight;
    /// Looking whether a job can be drawn.
    fn draw_probe() -> Weight;
}

/// Counted by hand.
pub struct SubstrateWeight<T>(PhantomData<T>);

const MICROS: u64 = 1_000_000;

impl<T: frame_system::Config> WeightInfo for SubstrateWeight<T> {
    fn answer() -> Weight {
        Weight::from_parts(10 * MICROS, 1_024)
    }
    fn commit(s: u32, i: u32) -> Weight {
        // One signature; two hashes per id.
        Weight::from_parts(120 * MICROS, 16_384)
            .saturating_add(Weight::from_parts(2 * MICROS, 4).saturating_mul(i.into()))
            .saturating_add(T::DbWeight::get().reads_writes(8, 7))
            .saturating_add(T::DbWeight::get().reads(1).saturating_mul(s.into()))
    }
    fn blocked(s: u32) -> Weight {
        Weight::from_parts(50 * MICROS, 16_384)
            .saturating_add(T::DbWeight::get().reads_writes(6, 4))
            .saturating_add(T::DbWeight::get().reads(1).saturating_mul(s.into()))
    }
    fn check(s: u32) -> Weight {
        Weight::from_parts(60 * MICROS, 16_384)
            .saturating_add(T::DbWeight::get().reads_writes(6, 5))
            .saturating_add(T::DbWeight::get().reads_writes(1, 1).saturating_mul(s.into()))
    }
    fn reveal(s: u32) -> Weight {
        // Up to 64 digests are recomputed, each against what was opened.
        Weight::from_parts((60 + 64 * 3) * MICROS, 16_384)
            .saturating_add(T::DbWeight::get().reads_writes(8, 5))
            .saturating_add(T::DbWeight::get().reads(1).saturating_mul(s.into()))
    }
    fn vote(s: u32) -> Weight {
        Weight::from_parts((60 + 64 * 3) * MICROS, 16_384)
            .saturating_add(T::DbWeight::get().reads_writes(10, 4))
            .saturating_add(T::DbWeight::get().reads(1).saturating_mul(s.into()))
    }
    fn conclude(p: u32) -> Weight {
        Weight::from_parts(200 * MICROS, 16_384)
            .saturating_add(Weight::from_parts(50 * MICROS, 1_024).saturating_mul(p.into()))
            .saturating_add(T::DbWeight::get().reads_writes(16, 16))
            .saturating_add(T::DbWeight::get().reads_writes(6, 6).saturating_mul(p.into()))
    }
    fn seat(h: u32, c: u32) -> Weight {
        // Per holder its ask, capacity and bond, twice; per checker a backing and a slot.
        Weight::from_parts(40 * MICROS, 8_192)
            .saturating_add(Weight::from_parts(5 * MICROS, 512).saturating_mul(h.into()))
            .saturating_add(Weight::from_parts(15 * MICROS, 512).saturating_mul(c.into()))
            .saturating_add(T::DbWeight::get().reads_writes(4, 1))
            .saturating_add(T::DbWeight::get().reads(4).saturating_mul(h.into()))
            .saturating_add(T::DbWeight::get().reads_writes(3, 2).saturating_mul(c.into()))
    }
    fn note_author() -> Weight {
        Weight::from_parts(20 * MICROS, 2_048).saturating_add(T::DbWeight::get().reads_writes(6, 1))
    }
    fn draw_probe() -> Weight {
        Weight::from_parts(60 * MICROS, 8_192).saturating_add(T::DbWeight::get().reads(24))
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
    fn conclude(_: u32) -> Weight {
        Weight::zero()
    }
    fn seat(_: u32, _: u32) -> Weight {
        Weight::zero()
    }
    fn note_author() -> Weight {
        Weight::zero()
    }
    fn draw_probe() -> Weight {
        Weight::zero()
    }
}
