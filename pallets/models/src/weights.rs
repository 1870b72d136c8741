//! Weights of the calls and of the work that hooks do, measured by `frame-omni-bencher`. Written by `make weights`; not by hand.
//!
//! 2026-11-22, AMD EPYC, steps 10, repeat 5, Wasm Compiled. Storage is accounted by
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
	fn register(e: u32, _t: u32, ) -> Weight {
		// Minimum execution time: 147_319_000 picoseconds.
		Weight::from_parts(99_793_160, 5160)
			// Standard error: 3_731
			.saturating_add(Weight::from_parts(2_497_840, 0).saturating_mul(e.into()))
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
		// Minimum execution time: 90_715_000 picoseconds.
		Weight::from_parts(100_499_000, 5160)
			.saturating_add(T::DbWeight::get().reads(3_u64))
			.saturating_add(T::DbWeight::get().writes(3_u64))
	}
	/// Storage: `Models::Models` (r:1 w:1)
	/// Proof: `Models::Models` (`max_values`: None, `max_size`: Some(1695), added: 4170, mode: `MaxEncodedLen`)
	fn set_active() -> Weight {
		// Minimum execution time: 38_086_000 picoseconds.
		Weight::from_parts(70_074_000, 5160)
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
