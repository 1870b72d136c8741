//! Weights of the calls and of the work that hooks do, measured by `frame-omni-bencher`. Written by `make weights`; not by hand.
//!
//! 2026-11-23, AMD EPYC, steps 20, repeat 10, Wasm Compiled. Storage is accounted by
//! `T::DbWeight`, on top of the times below.
#![allow(unused_parens, missing_docs)]
#![cfg_attr(rustfmt, rustfmt_skip)]

use frame::weights_prelude::*;

/// Weights of this pallet.
pub trait WeightInfo {
	fn register(e: u32, t: u32, ) -> Weight;
	fn deregister() -> Weight;
	fn set_active() -> Weight;
}

/// What was measured.
pub struct SubstrateWeight<T>(PhantomData<T>);

impl<T: frame_system::Config> WeightInfo for SubstrateWeight<T> {
	/// Storage: `Models::Models` (r:1 w:1)
	/// Proof: `Models::Models` (`max_values`: None, `max_size`: Some(1695), added: 4170, mode: `MaxEncodedLen`)
	/// Storage: `Balances::Holds` (r:1 w:1)
	/// Proof: `Balances::Holds` (`max_values`: None, `max_size`: Some(211), added: 2686, mode: `MaxEncodedLen`)
	/// Storage: `Models::Entries` (r:0 w:1)
	/// Proof: `Models::Entries` (`max_values`: None, `max_size`: Some(32994), added: 35469, mode: `MaxEncodedLen`)
	/// `e`: `[22, 1030]`.
	/// `t`: `[1, 8]`.
	fn register(e: u32, t: u32, ) -> Weight {
		// Minimum execution time: 147_429_000 picoseconds.
		Weight::from_parts(155_571_000, 5160)
			// Standard error: 14_149
			.saturating_add(Weight::from_parts(2_506_441, 0).saturating_mul(e.into()))
			// Standard error: 1_823_526
			.saturating_add(Weight::from_parts(6_577_872, 0).saturating_mul(t.into()))
			.saturating_add(T::DbWeight::get().reads(2_u64))
			.saturating_add(T::DbWeight::get().writes(3_u64))
	}
	/// Storage: `Models::Models` (r:1 w:1)
	/// Proof: `Models::Models` (`max_values`: None, `max_size`: Some(1695), added: 4170, mode: `MaxEncodedLen`)
	/// Storage: `Models::Users` (r:1 w:0)
	/// Proof: `Models::Users` (`max_values`: None, `max_size`: Some(36), added: 2511, mode: `MaxEncodedLen`)
	/// Storage: `Balances::Holds` (r:1 w:1)
	/// Proof: `Balances::Holds` (`max_values`: None, `max_size`: Some(211), added: 2686, mode: `MaxEncodedLen`)
	/// Storage: `Models::Entries` (r:0 w:1)
	/// Proof: `Models::Entries` (`max_values`: None, `max_size`: Some(32994), added: 35469, mode: `MaxEncodedLen`)
	fn deregister() -> Weight {
		// Minimum execution time: 88_321_000 picoseconds.
		Weight::from_parts(102_713_000, 5160)
			.saturating_add(T::DbWeight::get().reads(3_u64))
			.saturating_add(T::DbWeight::get().writes(3_u64))
	}
	/// Storage: `Models::Models` (r:1 w:1)
	/// Proof: `Models::Models` (`max_values`: None, `max_size`: Some(1695), added: 4170, mode: `MaxEncodedLen`)
	fn set_active() -> Weight {
		// Minimum execution time: 34_712_000 picoseconds.
		Weight::from_parts(39_479_000, 5160)
			.saturating_add(T::DbWeight::get().reads(1_u64))
			.saturating_add(T::DbWeight::get().writes(1_u64))
	}
}

/// For mocks: everything is free.
impl WeightInfo for () {
	fn register(_: u32, _: u32, ) -> Weight {
		Weight::zero()
	}
	fn deregister() -> Weight {
		Weight::zero()
	}
	fn set_active() -> Weight {
		Weight::zero()
	}
}
