//! Weights of the calls and of the work that hooks do, measured by `frame-omni-bencher`. Written by `make weights`; not by hand.
//!
//! 2026-11-22, AMD EPYC, steps 10, repeat 6, Wasm Compiled. Storage is accounted by
//! `T::DbWeight`, on top of the times below.
#![allow(unused_parens, missing_docs)]
#![cfg_attr(rustfmt, rustfmt_skip)]

use frame::weights_prelude::*;

/// Weights of this pallet.
pub trait WeightInfo {
	fn register() -> Weight;
	fn rotate_worker() -> Weight;
	fn announce_peer() -> Weight;
	fn set_profile() -> Weight;
	fn ask() -> Weight;
	fn withdraw_ask() -> Weight;
	fn drain() -> Weight;
	fn resume() -> Weight;
	fn deregister() -> Weight;
	fn take_and_give_back() -> Weight;
}

/// What was measured.
pub struct SubstrateWeight<T>(PhantomData<T>);

impl<T: frame_system::Config> WeightInfo for SubstrateWeight<T> {
	/// Storage: `Providers::Providers` (r:1 w:1)
	/// Proof: `Providers::Providers` (`max_values`: None, `max_size`: Some(2645), added: 5120, mode: `MaxEncodedLen`)
	/// Storage: `Providers::Workers` (r:1 w:1)
	/// Proof: `Providers::Workers` (`max_values`: None, `max_size`: Some(80), added: 2555, mode: `MaxEncodedLen`)
	/// Storage: `System::BlockHash` (r:1 w:0)
	/// Proof: `System::BlockHash` (`max_values`: None, `max_size`: Some(44), added: 2519, mode: `MaxEncodedLen`)
	/// Storage: `System::Account` (r:1 w:1)
	/// Proof: `System::Account` (`max_values`: None, `max_size`: Some(128), added: 2603, mode: `MaxEncodedLen`)
	/// Storage: `Balances::Holds` (r:1 w:1)
	/// Proof: `Balances::Holds` (`max_values`: None, `max_size`: Some(211), added: 2686, mode: `MaxEncodedLen`)
	/// Storage: `Providers::Points` (r:1 w:1)
	/// Proof: `Providers::Points` (`max_values`: Some(1), `max_size`: Some(262), added: 757, mode: `MaxEncodedLen`)
	/// Storage: `Providers::Penalties` (r:1 w:1)
	/// Proof: `Providers::Penalties` (`max_values`: None, `max_size`: Some(65), added: 2540, mode: `MaxEncodedLen`)
	fn register() -> Weight {
		// Minimum execution time: 160_959_000 picoseconds.
		Weight::from_parts(193_027_000, 6110)
			.saturating_add(T::DbWeight::get().reads(7_u64))
			.saturating_add(T::DbWeight::get().writes(6_u64))
	}
	/// Storage: `Providers::Providers` (r:1 w:1)
	/// Proof: `Providers::Providers` (`max_values`: None, `max_size`: Some(2645), added: 5120, mode: `MaxEncodedLen`)
	/// Storage: `Providers::Workers` (r:1 w:5)
	/// Proof: `Providers::Workers` (`max_values`: None, `max_size`: Some(80), added: 2555, mode: `MaxEncodedLen`)
	/// Storage: `System::BlockHash` (r:1 w:0)
	/// Proof: `System::BlockHash` (`max_values`: None, `max_size`: Some(44), added: 2519, mode: `MaxEncodedLen`)
	/// Storage: `Providers::InUse` (r:1 w:0)
	/// Proof: `Providers::InUse` (`max_values`: None, `max_size`: Some(104), added: 2579, mode: `MaxEncodedLen`)
	fn rotate_worker() -> Weight {
		// Minimum execution time: 101_882_000 picoseconds.
		Weight::from_parts(120_158_000, 6110)
			.saturating_add(T::DbWeight::get().reads(4_u64))
			.saturating_add(T::DbWeight::get().writes(6_u64))
	}
	/// Storage: `Providers::Workers` (r:1 w:0)
	/// Proof: `Providers::Workers` (`max_values`: None, `max_size`: Some(80), added: 2555, mode: `MaxEncodedLen`)
	/// Storage: `Providers::Providers` (r:1 w:0)
	/// Proof: `Providers::Providers` (`max_values`: None, `max_size`: Some(2645), added: 5120, mode: `MaxEncodedLen`)
	/// Storage: `Providers::Peers` (r:1 w:1)
	/// Proof: `Providers::Peers` (`max_values`: None, `max_size`: Some(114), added: 2589, mode: `MaxEncodedLen`)
	fn announce_peer() -> Weight {
		// Minimum execution time: 29_504_000 picoseconds.
		Weight::from_parts(39_478_000, 6110)
			.saturating_add(T::DbWeight::get().reads(3_u64))
			.saturating_add(T::DbWeight::get().writes(1_u64))
	}
	/// Storage: `Providers::Providers` (r:1 w:1)
	/// Proof: `Providers::Providers` (`max_values`: None, `max_size`: Some(2645), added: 5120, mode: `MaxEncodedLen`)
	fn set_profile() -> Weight {
		// Minimum execution time: 18_567_000 picoseconds.
		Weight::from_parts(28_392_000, 6110)
			.saturating_add(T::DbWeight::get().reads(1_u64))
			.saturating_add(T::DbWeight::get().writes(1_u64))
	}
	/// Storage: `Providers::Providers` (r:2 w:2)
	/// Proof: `Providers::Providers` (`max_values`: None, `max_size`: Some(2645), added: 5120, mode: `MaxEncodedLen`)
	/// Storage: `Models::Models` (r:1 w:0)
	/// Proof: `Models::Models` (`max_values`: None, `max_size`: Some(1695), added: 4170, mode: `MaxEncodedLen`)
	/// Storage: `Jobs::CurrentParams` (r:1 w:0)
	/// Proof: `Jobs::CurrentParams` (`max_values`: Some(1), `max_size`: Some(4), added: 499, mode: `MaxEncodedLen`)
	/// Storage: `Jobs::ParamsOf` (r:1 w:0)
	/// Proof: `Jobs::ParamsOf` (`max_values`: None, `max_size`: Some(140), added: 2615, mode: `MaxEncodedLen`)
	/// Storage: `Staking::Ledgers` (r:65 w:0)
	/// Proof: `Staking::Ledgers` (`max_values`: None, `max_size`: Some(1418), added: 3893, mode: `MaxEncodedLen`)
	/// Storage: `Providers::Books` (r:1 w:1)
	/// Proof: `Providers::Books` (`max_values`: None, `max_size`: Some(5686), added: 8161, mode: `MaxEncodedLen`)
	/// Storage: `Providers::InUse` (r:1 w:0)
	/// Proof: `Providers::InUse` (`max_values`: None, `max_size`: Some(104), added: 2579, mode: `MaxEncodedLen`)
	/// Storage: `Balances::Holds` (r:2 w:2)
	/// Proof: `Balances::Holds` (`max_values`: None, `max_size`: Some(211), added: 2686, mode: `MaxEncodedLen`)
	/// Storage: `System::Account` (r:2 w:2)
	/// Proof: `System::Account` (`max_values`: None, `max_size`: Some(128), added: 2603, mode: `MaxEncodedLen`)
	/// Storage: `Jobs::Now` (r:1 w:0)
	/// Proof: `Jobs::Now` (`max_values`: Some(1), `max_size`: Some(4), added: 499, mode: `MaxEncodedLen`)
	fn ask() -> Weight {
		// Minimum execution time: 677_677_000 picoseconds.
		Weight::from_parts(989_080_000, 254035)
			.saturating_add(T::DbWeight::get().reads(77_u64))
			.saturating_add(T::DbWeight::get().writes(7_u64))
	}
	/// Storage: `Providers::Providers` (r:1 w:1)
	/// Proof: `Providers::Providers` (`max_values`: None, `max_size`: Some(2645), added: 5120, mode: `MaxEncodedLen`)
	/// Storage: `Providers::Books` (r:1 w:1)
	/// Proof: `Providers::Books` (`max_values`: None, `max_size`: Some(5686), added: 8161, mode: `MaxEncodedLen`)
	/// Storage: `System::Account` (r:1 w:1)
	/// Proof: `System::Account` (`max_values`: None, `max_size`: Some(128), added: 2603, mode: `MaxEncodedLen`)
	/// Storage: `Balances::Holds` (r:1 w:1)
	/// Proof: `Balances::Holds` (`max_values`: None, `max_size`: Some(211), added: 2686, mode: `MaxEncodedLen`)
	fn withdraw_ask() -> Weight {
		// Minimum execution time: 150_233_000 picoseconds.
		Weight::from_parts(244_374_000, 9151)
			.saturating_add(T::DbWeight::get().reads(4_u64))
			.saturating_add(T::DbWeight::get().writes(4_u64))
	}
	/// Storage: `Providers::Providers` (r:1 w:1)
	/// Proof: `Providers::Providers` (`max_values`: None, `max_size`: Some(2645), added: 5120, mode: `MaxEncodedLen`)
	fn drain() -> Weight {
		// Minimum execution time: 18_597_000 picoseconds.
		Weight::from_parts(34_692_000, 6110)
			.saturating_add(T::DbWeight::get().reads(1_u64))
			.saturating_add(T::DbWeight::get().writes(1_u64))
	}
	/// Storage: `Providers::Providers` (r:1 w:1)
	/// Proof: `Providers::Providers` (`max_values`: None, `max_size`: Some(2645), added: 5120, mode: `MaxEncodedLen`)
	fn resume() -> Weight {
		// Minimum execution time: 17_947_000 picoseconds.
		Weight::from_parts(32_869_000, 6110)
			.saturating_add(T::DbWeight::get().reads(1_u64))
			.saturating_add(T::DbWeight::get().writes(1_u64))
	}
	/// Storage: `Providers::Providers` (r:1 w:1)
	/// Proof: `Providers::Providers` (`max_values`: None, `max_size`: Some(2645), added: 5120, mode: `MaxEncodedLen`)
	/// Storage: `Providers::InUse` (r:1 w:0)
	/// Proof: `Providers::InUse` (`max_values`: None, `max_size`: Some(104), added: 2579, mode: `MaxEncodedLen`)
	/// Storage: `Providers::Points` (r:1 w:1)
	/// Proof: `Providers::Points` (`max_values`: Some(1), `max_size`: Some(262), added: 757, mode: `MaxEncodedLen`)
	/// Storage: `Providers::Penalties` (r:1 w:1)
	/// Proof: `Providers::Penalties` (`max_values`: None, `max_size`: Some(65), added: 2540, mode: `MaxEncodedLen`)
	/// Storage: `System::Account` (r:1 w:1)
	/// Proof: `System::Account` (`max_values`: None, `max_size`: Some(128), added: 2603, mode: `MaxEncodedLen`)
	/// Storage: `Balances::Holds` (r:1 w:1)
	/// Proof: `Balances::Holds` (`max_values`: None, `max_size`: Some(211), added: 2686, mode: `MaxEncodedLen`)
	/// Storage: `Providers::Workers` (r:0 w:1)
	/// Proof: `Providers::Workers` (`max_values`: None, `max_size`: Some(80), added: 2555, mode: `MaxEncodedLen`)
	/// Storage: `Providers::Peers` (r:0 w:1)
	/// Proof: `Providers::Peers` (`max_values`: None, `max_size`: Some(114), added: 2589, mode: `MaxEncodedLen`)
	fn deregister() -> Weight {
		// Minimum execution time: 152_076_000 picoseconds.
		Weight::from_parts(198_965_000, 6110)
			.saturating_add(T::DbWeight::get().reads(6_u64))
			.saturating_add(T::DbWeight::get().writes(7_u64))
	}
	/// Storage: `Providers::Books` (r:1 w:0)
	/// Proof: `Providers::Books` (`max_values`: None, `max_size`: Some(5686), added: 8161, mode: `MaxEncodedLen`)
	/// Storage: `Providers::InUse` (r:1 w:1)
	/// Proof: `Providers::InUse` (`max_values`: None, `max_size`: Some(104), added: 2579, mode: `MaxEncodedLen`)
	/// Storage: `Providers::Providers` (r:1 w:0)
	/// Proof: `Providers::Providers` (`max_values`: None, `max_size`: Some(2645), added: 5120, mode: `MaxEncodedLen`)
	fn take_and_give_back() -> Weight {
		// Minimum execution time: 54_460_000 picoseconds.
		Weight::from_parts(92_848_000, 9151)
			.saturating_add(T::DbWeight::get().reads(3_u64))
			.saturating_add(T::DbWeight::get().writes(1_u64))
	}
}

/// For mocks: everything is free.
impl WeightInfo for () {
	fn register() -> Weight {
		Weight::zero()
	}
	fn rotate_worker() -> Weight {
		Weight::zero()
	}
	fn announce_peer() -> Weight {
		Weight::zero()
	}
	fn set_profile() -> Weight {
		Weight::zero()
	}
	fn ask() -> Weight {
		Weight::zero()
	}
	fn withdraw_ask() -> Weight {
		Weight::zero()
	}
	fn drain() -> Weight {
		Weight::zero()
	}
	fn resume() -> Weight {
		Weight::zero()
	}
	fn deregister() -> Weight {
		Weight::zero()
	}
	fn take_and_give_back() -> Weight {
		Weight::zero()
	}
}
