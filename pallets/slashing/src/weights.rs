//! Weights of the calls and of the work that hooks do, measured by `frame-omni-bencher`. Written by `make weights`; not by hand.
//!
//! 2026-11-22, AMD EPYC, steps 10, repeat 5, Wasm Compiled. Storage is accounted by
//! `T::DbWeight`, on top of the times below.
#![allow(unused_parens, missing_docs)]
#![cfg_attr(rustfmt, rustfmt_skip)]

use frame::weights_prelude::*;

/// Weights of this pallet.
pub trait WeightInfo {
	fn cancel() -> Weight;
	fn claim() -> Weight;
	fn execute_one() -> Weight;
	fn forget_one() -> Weight;
}

/// What was measured.
pub struct SubstrateWeight<T>(PhantomData<T>);

impl<T: frame_system::Config> WeightInfo for SubstrateWeight<T> {
	/// Storage: `Slashing::Pending` (r:1 w:1)
	/// Proof: `Slashing::Pending` (`max_values`: None, `max_size`: Some(200), added: 2675, mode: `MaxEncodedLen`)
	/// Storage: `Staking::Ledgers` (r:1 w:1)
	/// Proof: `Staking::Ledgers` (`max_values`: None, `max_size`: Some(1414), added: 3889, mode: `MaxEncodedLen`)
	fn cancel() -> Weight {
		// Minimum execution time: 27_430_000 picoseconds.
		Weight::from_parts(36_454_000, 4879)
			.saturating_add(T::DbWeight::get().reads(2_u64))
			.saturating_add(T::DbWeight::get().writes(2_u64))
	}
	/// Storage: `Slashing::Unclaimed` (r:1 w:1)
	/// Proof: `Slashing::Unclaimed` (`max_values`: None, `max_size`: Some(64), added: 2539, mode: `MaxEncodedLen`)
	/// Storage: `System::Account` (r:2 w:2)
	/// Proof: `System::Account` (`max_values`: None, `max_size`: Some(128), added: 2603, mode: `MaxEncodedLen`)
	fn claim() -> Weight {
		// Minimum execution time: 77_275_000 picoseconds.
		Weight::from_parts(80_510_000, 6196)
			.saturating_add(T::DbWeight::get().reads(3_u64))
			.saturating_add(T::DbWeight::get().writes(3_u64))
	}
	/// Storage: `System::Account` (r:4 w:2)
	/// Proof: `System::Account` (`max_values`: None, `max_size`: Some(128), added: 2603, mode: `MaxEncodedLen`)
	/// Storage: `Slashing::Unclaimed` (r:2 w:2)
	/// Proof: `Slashing::Unclaimed` (`max_values`: None, `max_size`: Some(64), added: 2539, mode: `MaxEncodedLen`)
	/// Storage: `Staking::Ledgers` (r:1 w:1)
	/// Proof: `Staking::Ledgers` (`max_values`: None, `max_size`: Some(1414), added: 3889, mode: `MaxEncodedLen`)
	/// Storage: `Balances::Holds` (r:1 w:1)
	/// Proof: `Balances::Holds` (`max_values`: None, `max_size`: Some(211), added: 2686, mode: `MaxEncodedLen`)
	/// Storage: `Slashing::Pending` (r:0 w:1)
	/// Proof: `Slashing::Pending` (`max_values`: None, `max_size`: Some(200), added: 2675, mode: `MaxEncodedLen`)
	fn execute_one() -> Weight {
		// Minimum execution time: 194_409_000 picoseconds.
		Weight::from_parts(199_857_000, 11402)
			.saturating_add(T::DbWeight::get().reads(8_u64))
			.saturating_add(T::DbWeight::get().writes(7_u64))
	}
	/// Storage: `Slashing::Memory` (r:1 w:1)
	/// Proof: `Slashing::Memory` (`max_values`: None, `max_size`: Some(86), added: 2561, mode: `MaxEncodedLen`)
	/// Storage: `Slashing::Reported` (r:0 w:1)
	/// Proof: `Slashing::Reported` (`max_values`: None, `max_size`: Some(88), added: 2563, mode: `MaxEncodedLen`)
	fn forget_one() -> Weight {
		// Minimum execution time: 10_215_000 picoseconds.
		Weight::from_parts(11_147_000, 3551)
			.saturating_add(T::DbWeight::get().reads(1_u64))
			.saturating_add(T::DbWeight::get().writes(2_u64))
	}
}

/// For mocks: everything is free.
impl WeightInfo for () {
	fn cancel() -> Weight {
		Weight::zero()
	}
	fn claim() -> Weight {
		Weight::zero()
	}
	fn execute_one() -> Weight {
		Weight::zero()
	}
	fn forget_one() -> Weight {
		Weight::zero()
	}
}
