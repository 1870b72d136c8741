//! Weights of the calls and of the work that hooks do, measured by `frame-omni-bencher`. Written by `make weights`; not by hand.
//!
//! 2026-11-23, AMD EPYC, steps 20, repeat 10, Wasm Compiled. Storage is accounted by
//! `T::DbWeight`, on top of the times below.
#![allow(unused_parens, missing_docs)]
#![cfg_attr(rustfmt, rustfmt_skip)]

use frame::weights_prelude::*;

/// Weights of this pallet.
pub trait WeightInfo {
	fn submit(s: u32, ) -> Weight;
	fn cancel() -> Weight;
	fn claim() -> Weight;
	fn set_params() -> Weight;
	fn tick() -> Weight;
	fn agenda_next() -> Weight;
	fn match_stage(h: u32, ) -> Weight;
	fn redispatch(s: u32, ) -> Weight;
}

/// What was measured.
pub struct SubstrateWeight<T>(PhantomData<T>);

impl<T: frame_system::Config> WeightInfo for SubstrateWeight<T> {
	/// Storage: `Jobs::CurrentParams` (r:1 w:0)
	/// Proof: `Jobs::CurrentParams` (`max_values`: Some(1), `max_size`: Some(4), added: 499, mode: `MaxEncodedLen`)
	/// Storage: `Jobs::ParamsOf` (r:1 w:1)
	/// Proof: `Jobs::ParamsOf` (`max_values`: None, `max_size`: Some(140), added: 2615, mode: `MaxEncodedLen`)
	/// Storage: `Models::Models` (r:1 w:0)
	/// Proof: `Models::Models` (`max_values`: None, `max_size`: Some(1695), added: 4170, mode: `MaxEncodedLen`)
	/// Storage: `Jobs::OpenJobs` (r:1 w:1)
	/// Proof: `Jobs::OpenJobs` (`max_values`: Some(1), `max_size`: Some(4), added: 499, mode: `MaxEncodedLen`)
	/// Storage: `Jobs::OpenJobsOf` (r:1 w:1)
	/// Proof: `Jobs::OpenJobsOf` (`max_values`: None, `max_size`: Some(52), added: 2527, mode: `MaxEncodedLen`)
	/// Storage: `Jobs::NonceOf` (r:1 w:1)
	/// Proof: `Jobs::NonceOf` (`max_values`: None, `max_size`: Some(52), added: 2527, mode: `MaxEncodedLen`)
	/// Storage: `System::BlockHash` (r:1 w:0)
	/// Proof: `System::BlockHash` (`max_values`: None, `max_size`: Some(44), added: 2519, mode: `MaxEncodedLen`)
	/// Storage: `Jobs::Jobs` (r:1 w:1)
	/// Proof: `Jobs::Jobs` (`max_values`: None, `max_size`: Some(5828), added: 8303, mode: `MaxEncodedLen`)
	/// Storage: `Providers::Books` (r:16 w:0)
	/// Proof: `Providers::Books` (`max_values`: None, `max_size`: Some(5686), added: 8161, mode: `MaxEncodedLen`)
	/// Storage: `Providers::Providers` (r:4 w:0)
	/// Proof: `Providers::Providers` (`max_values`: None, `max_size`: Some(2645), added: 5120, mode: `MaxEncodedLen`)
	/// Storage: `Providers::InUse` (r:64 w:16)
	/// Proof: `Providers::InUse` (`max_values`: None, `max_size`: Some(104), added: 2579, mode: `MaxEncodedLen`)
	/// Storage: `Jobs::Now` (r:1 w:0)
	/// Proof: `Jobs::Now` (`max_values`: Some(1), `max_size`: Some(4), added: 499, mode: `MaxEncodedLen`)
	/// Storage: `Providers::Penalties` (r:4 w:0)
	/// Proof: `Providers::Penalties` (`max_values`: None, `max_size`: Some(65), added: 2540, mode: `MaxEncodedLen`)
	/// Storage: `Staking::Ledgers` (r:4 w:4)
	/// Proof: `Staking::Ledgers` (`max_values`: None, `max_size`: Some(1418), added: 3893, mode: `MaxEncodedLen`)
	/// Storage: `System::Account` (r:1 w:1)
	/// Proof: `System::Account` (`max_values`: None, `max_size`: Some(128), added: 2603, mode: `MaxEncodedLen`)
	/// Storage: `Balances::Holds` (r:1 w:1)
	/// Proof: `Balances::Holds` (`max_values`: None, `max_size`: Some(211), added: 2686, mode: `MaxEncodedLen`)
	/// Storage: `Models::Users` (r:1 w:1)
	/// Proof: `Models::Users` (`max_values`: None, `max_size`: Some(36), added: 2511, mode: `MaxEncodedLen`)
	/// Storage: `Staking::Backings` (r:16 w:16)
	/// Proof: `Staking::Backings` (`max_values`: None, `max_size`: Some(118), added: 2593, mode: `MaxEncodedLen`)
	/// Storage: `Jobs::Agenda` (r:0 w:1)
	/// Proof: `Jobs::Agenda` (`max_values`: None, `max_size`: Some(44), added: 2519, mode: `MaxEncodedLen`)
	/// Storage: `Jobs::Specs` (r:0 w:1)
	/// Proof: `Jobs::Specs` (`max_values`: None, `max_size`: Some(8345), added: 10820, mode: `MaxEncodedLen`)
	/// Storage: `Verification::Attempts` (r:0 w:1)
	/// Proof: `Verification::Attempts` (`max_values`: None, `max_size`: Some(336), added: 2811, mode: `MaxEncodedLen`)
	/// Storage: `Verification::Electorates` (r:0 w:16)
	/// Proof: `Verification::Electorates` (`max_values`: None, `max_size`: Some(3115), added: 5590, mode: `MaxEncodedLen`)
	/// Storage: `Verification::Stages` (r:0 w:16)
	/// Proof: `Verification::Stages` (`max_values`: None, `max_size`: Some(2103), added: 4578, mode: `MaxEncodedLen`)
	/// `s`: `[1, 16]`.
	fn submit(s: u32, ) -> Weight {
		// Minimum execution time: 368_928_000 picoseconds.
		Weight::from_parts(275_809_601, 21470)
			// Standard error: 351_144
			.saturating_add(Weight::from_parts(122_099_034, 0).saturating_mul(s.into()))
			.saturating_add(T::DbWeight::get().reads(24_u64))
			.saturating_add(T::DbWeight::get().reads((6_u64).saturating_mul(s.into())))
			.saturating_add(T::DbWeight::get().writes(13_u64))
			.saturating_add(T::DbWeight::get().writes((4_u64).saturating_mul(s.into())))
			.saturating_add(Weight::from_parts(0, 10316).saturating_mul(s.into()))
	}
	/// Storage: `Jobs::Jobs` (r:1 w:1)
	/// Proof: `Jobs::Jobs` (`max_values`: None, `max_size`: Some(5828), added: 8303, mode: `MaxEncodedLen`)
	/// Storage: `Jobs::Specs` (r:1 w:1)
	/// Proof: `Jobs::Specs` (`max_values`: None, `max_size`: Some(8345), added: 10820, mode: `MaxEncodedLen`)
	/// Storage: `System::Account` (r:1 w:1)
	/// Proof: `System::Account` (`max_values`: None, `max_size`: Some(128), added: 2603, mode: `MaxEncodedLen`)
	/// Storage: `Balances::Holds` (r:1 w:1)
	/// Proof: `Balances::Holds` (`max_values`: None, `max_size`: Some(211), added: 2686, mode: `MaxEncodedLen`)
	/// Storage: `Verification::Attempts` (r:1 w:0)
	/// Proof: `Verification::Attempts` (`max_values`: None, `max_size`: Some(336), added: 2811, mode: `MaxEncodedLen`)
	/// Storage: `Models::Users` (r:1 w:1)
	/// Proof: `Models::Users` (`max_values`: None, `max_size`: Some(36), added: 2511, mode: `MaxEncodedLen`)
	/// Storage: `Jobs::ParamsOf` (r:1 w:1)
	/// Proof: `Jobs::ParamsOf` (`max_values`: None, `max_size`: Some(140), added: 2615, mode: `MaxEncodedLen`)
	/// Storage: `Jobs::CurrentParams` (r:1 w:0)
	/// Proof: `Jobs::CurrentParams` (`max_values`: Some(1), `max_size`: Some(4), added: 499, mode: `MaxEncodedLen`)
	/// Storage: `Jobs::OpenJobs` (r:1 w:1)
	/// Proof: `Jobs::OpenJobs` (`max_values`: Some(1), `max_size`: Some(4), added: 499, mode: `MaxEncodedLen`)
	/// Storage: `Jobs::OpenJobsOf` (r:1 w:1)
	/// Proof: `Jobs::OpenJobsOf` (`max_values`: None, `max_size`: Some(52), added: 2527, mode: `MaxEncodedLen`)
	/// Storage: `Jobs::Agenda` (r:0 w:1)
	/// Proof: `Jobs::Agenda` (`max_values`: None, `max_size`: Some(44), added: 2519, mode: `MaxEncodedLen`)
	fn cancel() -> Weight {
		// Minimum execution time: 170_273_000 picoseconds.
		Weight::from_parts(191_925_000, 11810)
			.saturating_add(T::DbWeight::get().reads(10_u64))
			.saturating_add(T::DbWeight::get().writes(9_u64))
	}
	/// Storage: `Jobs::Unclaimed` (r:1 w:1)
	/// Proof: `Jobs::Unclaimed` (`max_values`: None, `max_size`: Some(112), added: 2587, mode: `MaxEncodedLen`)
	/// Storage: `Balances::Holds` (r:1 w:1)
	/// Proof: `Balances::Holds` (`max_values`: None, `max_size`: Some(211), added: 2686, mode: `MaxEncodedLen`)
	/// Storage: `System::Account` (r:2 w:2)
	/// Proof: `System::Account` (`max_values`: None, `max_size`: Some(128), added: 2603, mode: `MaxEncodedLen`)
	fn claim() -> Weight {
		// Minimum execution time: 96_193_000 picoseconds.
		Weight::from_parts(111_756_000, 6196)
			.saturating_add(T::DbWeight::get().reads(4_u64))
			.saturating_add(T::DbWeight::get().writes(4_u64))
	}
	/// Storage: `Jobs::CurrentParams` (r:1 w:1)
	/// Proof: `Jobs::CurrentParams` (`max_values`: Some(1), `max_size`: Some(4), added: 499, mode: `MaxEncodedLen`)
	/// Storage: `Jobs::ParamsOf` (r:1 w:2)
	/// Proof: `Jobs::ParamsOf` (`max_values`: None, `max_size`: Some(140), added: 2615, mode: `MaxEncodedLen`)
	fn set_params() -> Weight {
		// Minimum execution time: 19_459_000 picoseconds.
		Weight::from_parts(23_165_000, 3605)
			.saturating_add(T::DbWeight::get().reads(2_u64))
			.saturating_add(T::DbWeight::get().writes(3_u64))
	}
	/// Storage: `SafeMode::EnteredUntil` (r:1 w:0)
	/// Proof: `SafeMode::EnteredUntil` (`max_values`: Some(1), `max_size`: Some(4), added: 499, mode: `MaxEncodedLen`)
	/// Storage: `Jobs::Now` (r:1 w:1)
	/// Proof: `Jobs::Now` (`max_values`: Some(1), `max_size`: Some(4), added: 499, mode: `MaxEncodedLen`)
	/// Storage: `Jobs::AgendaCursor` (r:1 w:0)
	/// Proof: `Jobs::AgendaCursor` (`max_values`: Some(1), `max_size`: Some(4), added: 499, mode: `MaxEncodedLen`)
	fn tick() -> Weight {
		// Minimum execution time: 8_342_000 picoseconds.
		Weight::from_parts(11_226_000, 1489)
			.saturating_add(T::DbWeight::get().reads(3_u64))
			.saturating_add(T::DbWeight::get().writes(1_u64))
	}
	/// Storage: `Jobs::Agenda` (r:1 w:0)
	/// Proof: `Jobs::Agenda` (`max_values`: None, `max_size`: Some(44), added: 2519, mode: `MaxEncodedLen`)
	fn agenda_next() -> Weight {
		// Minimum execution time: 8_213_000 picoseconds.
		Weight::from_parts(12_319_000, 3509)
			.saturating_add(T::DbWeight::get().reads(1_u64))
	}
	/// Storage: `Jobs::CurrentParams` (r:1 w:0)
	/// Proof: `Jobs::CurrentParams` (`max_values`: Some(1), `max_size`: Some(4), added: 499, mode: `MaxEncodedLen`)
	/// Storage: `Jobs::ParamsOf` (r:1 w:0)
	/// Proof: `Jobs::ParamsOf` (`max_values`: None, `max_size`: Some(140), added: 2615, mode: `MaxEncodedLen`)
	/// Storage: `Models::Models` (r:1 w:0)
	/// Proof: `Models::Models` (`max_values`: None, `max_size`: Some(1695), added: 4170, mode: `MaxEncodedLen`)
	/// Storage: `Providers::Books` (r:1 w:0)
	/// Proof: `Providers::Books` (`max_values`: None, `max_size`: Some(5686), added: 8161, mode: `MaxEncodedLen`)
	/// Storage: `Providers::Providers` (r:64 w:0)
	/// Proof: `Providers::Providers` (`max_values`: None, `max_size`: Some(2645), added: 5120, mode: `MaxEncodedLen`)
	/// Storage: `Providers::InUse` (r:64 w:0)
	/// Proof: `Providers::InUse` (`max_values`: None, `max_size`: Some(104), added: 2579, mode: `MaxEncodedLen`)
	/// Storage: `Jobs::Now` (r:1 w:0)
	/// Proof: `Jobs::Now` (`max_values`: Some(1), `max_size`: Some(4), added: 499, mode: `MaxEncodedLen`)
	/// Storage: `Providers::Penalties` (r:64 w:0)
	/// Proof: `Providers::Penalties` (`max_values`: None, `max_size`: Some(65), added: 2540, mode: `MaxEncodedLen`)
	/// Storage: `Staking::Ledgers` (r:64 w:0)
	/// Proof: `Staking::Ledgers` (`max_values`: None, `max_size`: Some(1418), added: 3893, mode: `MaxEncodedLen`)
	/// `h`: `[4, 64]`.
	fn match_stage(h: u32, ) -> Weight {
		// Minimum execution time: 163_092_000 picoseconds.
		Weight::from_parts(115_467_529, 9151)
			// Standard error: 1_044_264
			.saturating_add(Weight::from_parts(30_610_652, 0).saturating_mul(h.into()))
			.saturating_add(T::DbWeight::get().reads(5_u64))
			.saturating_add(T::DbWeight::get().reads((4_u64).saturating_mul(h.into())))
			.saturating_add(Weight::from_parts(0, 5120).saturating_mul(h.into()))
	}
	/// Storage: `Jobs::Jobs` (r:1 w:1)
	/// Proof: `Jobs::Jobs` (`max_values`: None, `max_size`: Some(5828), added: 8303, mode: `MaxEncodedLen`)
	/// Storage: `Jobs::Specs` (r:1 w:0)
	/// Proof: `Jobs::Specs` (`max_values`: None, `max_size`: Some(8345), added: 10820, mode: `MaxEncodedLen`)
	/// Storage: `Jobs::ParamsOf` (r:1 w:0)
	/// Proof: `Jobs::ParamsOf` (`max_values`: None, `max_size`: Some(140), added: 2615, mode: `MaxEncodedLen`)
	/// Storage: `Models::Models` (r:1 w:0)
	/// Proof: `Models::Models` (`max_values`: None, `max_size`: Some(1695), added: 4170, mode: `MaxEncodedLen`)
	/// Storage: `Providers::Books` (r:16 w:0)
	/// Proof: `Providers::Books` (`max_values`: None, `max_size`: Some(5686), added: 8161, mode: `MaxEncodedLen`)
	/// Storage: `Providers::Providers` (r:4 w:0)
	/// Proof: `Providers::Providers` (`max_values`: None, `max_size`: Some(2645), added: 5120, mode: `MaxEncodedLen`)
	/// Storage: `Providers::InUse` (r:64 w:16)
	/// Proof: `Providers::InUse` (`max_values`: None, `max_size`: Some(104), added: 2579, mode: `MaxEncodedLen`)
	/// Storage: `Jobs::Now` (r:1 w:0)
	/// Proof: `Jobs::Now` (`max_values`: Some(1), `max_size`: Some(4), added: 499, mode: `MaxEncodedLen`)
	/// Storage: `Providers::Penalties` (r:4 w:0)
	/// Proof: `Providers::Penalties` (`max_values`: None, `max_size`: Some(65), added: 2540, mode: `MaxEncodedLen`)
	/// Storage: `Staking::Ledgers` (r:4 w:4)
	/// Proof: `Staking::Ledgers` (`max_values`: None, `max_size`: Some(1418), added: 3893, mode: `MaxEncodedLen`)
	/// Storage: `Staking::Backings` (r:16 w:16)
	/// Proof: `Staking::Backings` (`max_values`: None, `max_size`: Some(118), added: 2593, mode: `MaxEncodedLen`)
	/// Storage: `Jobs::Agenda` (r:0 w:2)
	/// Proof: `Jobs::Agenda` (`max_values`: None, `max_size`: Some(44), added: 2519, mode: `MaxEncodedLen`)
	/// Storage: `Verification::Attempts` (r:0 w:1)
	/// Proof: `Verification::Attempts` (`max_values`: None, `max_size`: Some(336), added: 2811, mode: `MaxEncodedLen`)
	/// Storage: `Verification::Electorates` (r:0 w:16)
	/// Proof: `Verification::Electorates` (`max_values`: None, `max_size`: Some(3115), added: 5590, mode: `MaxEncodedLen`)
	/// Storage: `Verification::Stages` (r:0 w:16)
	/// Proof: `Verification::Stages` (`max_values`: None, `max_size`: Some(2103), added: 4578, mode: `MaxEncodedLen`)
	/// `s`: `[1, 16]`.
	fn redispatch(s: u32, ) -> Weight {
		// Minimum execution time: 234_208_000 picoseconds.
		Weight::from_parts(143_548_601, 21470)
			// Standard error: 1_064_571
			.saturating_add(Weight::from_parts(125_847_170, 0).saturating_mul(s.into()))
			.saturating_add(T::DbWeight::get().reads(17_u64))
			.saturating_add(T::DbWeight::get().reads((6_u64).saturating_mul(s.into())))
			.saturating_add(T::DbWeight::get().writes(6_u64))
			.saturating_add(T::DbWeight::get().writes((4_u64).saturating_mul(s.into())))
			.saturating_add(Weight::from_parts(0, 10316).saturating_mul(s.into()))
	}
}

/// For mocks: everything is free.
impl WeightInfo for () {
	fn submit(_: u32, ) -> Weight {
		Weight::zero()
	}
	fn cancel() -> Weight {
		Weight::zero()
	}
	fn claim() -> Weight {
		Weight::zero()
	}
	fn set_params() -> Weight {
		Weight::zero()
	}
	fn tick() -> Weight {
		Weight::zero()
	}
	fn agenda_next() -> Weight {
		Weight::zero()
	}
	fn match_stage(_: u32, ) -> Weight {
		Weight::zero()
	}
	fn redispatch(_: u32, ) -> Weight {
		Weight::zero()
	}
}
