//! Weights of the calls and of the work that hooks do, measured by `frame-omni-bencher`. Written by `make weights`; not by hand.
//!
//! 2026-11-23, AMD EPYC, steps 20, repeat 10, Wasm Compiled. Storage is accounted by
//! `T::DbWeight`, on top of the times below.
#![allow(unused_parens, missing_docs)]
#![cfg_attr(rustfmt, rustfmt_skip)]

use frame::weights_prelude::*;

/// Weights of this pallet.
pub trait WeightInfo {
	fn answer() -> Weight;
	fn commit(s: u32, ) -> Weight;
	fn next_phase() -> Weight;
	fn blocked(s: u32, ) -> Weight;
	fn check(s: u32, ) -> Weight;
	fn reveal(s: u32, ) -> Weight;
	fn reveal_disputed(s: u32, ) -> Weight;
	fn vote(s: u32, ) -> Weight;
	fn note_author() -> Weight;
	fn draw_probe() -> Weight;
	fn conclude(p: u32, ) -> Weight;
	fn hash_ids(i: u32, ) -> Weight;
	fn seat(h: u32, ) -> Weight;
	fn take_seat() -> Weight;
}

/// What was measured.
pub struct SubstrateWeight<T>(PhantomData<T>);

impl<T: frame_system::Config> WeightInfo for SubstrateWeight<T> {
	/// Storage: `Verification::Attempts` (r:1 w:0)
	/// Proof: `Verification::Attempts` (`max_values`: None, `max_size`: Some(336), added: 2811, mode: `MaxEncodedLen`)
	/// Storage: `Jobs::Jobs` (r:1 w:0)
	/// Proof: `Jobs::Jobs` (`max_values`: None, `max_size`: Some(5828), added: 8303, mode: `MaxEncodedLen`)
	fn answer() -> Weight {
		// Minimum execution time: 19_339_000 picoseconds.
		Weight::from_parts(21_252_000, 9293)
			.saturating_add(T::DbWeight::get().reads(2_u64))
	}
	/// Storage: `Verification::Attempts` (r:1 w:0)
	/// Proof: `Verification::Attempts` (`max_values`: None, `max_size`: Some(336), added: 2811, mode: `MaxEncodedLen`)
	/// Storage: `Jobs::Jobs` (r:1 w:0)
	/// Proof: `Jobs::Jobs` (`max_values`: None, `max_size`: Some(5828), added: 8303, mode: `MaxEncodedLen`)
	/// Storage: `Jobs::Specs` (r:1 w:0)
	/// Proof: `Jobs::Specs` (`max_values`: None, `max_size`: Some(8345), added: 10820, mode: `MaxEncodedLen`)
	/// Storage: `Jobs::ParamsOf` (r:1 w:0)
	/// Proof: `Jobs::ParamsOf` (`max_values`: None, `max_size`: Some(140), added: 2615, mode: `MaxEncodedLen`)
	/// Storage: `Jobs::Now` (r:1 w:0)
	/// Proof: `Jobs::Now` (`max_values`: Some(1), `max_size`: Some(4), added: 499, mode: `MaxEncodedLen`)
	/// Storage: `Verification::Stages` (r:16 w:1)
	/// Proof: `Verification::Stages` (`max_values`: None, `max_size`: Some(2103), added: 4578, mode: `MaxEncodedLen`)
	/// Storage: `System::BlockHash` (r:1 w:0)
	/// Proof: `System::BlockHash` (`max_values`: None, `max_size`: Some(44), added: 2519, mode: `MaxEncodedLen`)
	/// Storage: `Models::Models` (r:1 w:0)
	/// Proof: `Models::Models` (`max_values`: None, `max_size`: Some(1695), added: 4170, mode: `MaxEncodedLen`)
	/// Storage: `Verification::Outputs` (r:0 w:1)
	/// Proof: `Verification::Outputs` (`max_values`: None, `max_size`: Some(8227), added: 10702, mode: `MaxEncodedLen`)
	/// `s`: `[2, 16]`.
	fn commit(s: u32, ) -> Weight {
		// Minimum execution time: 145_707_000 picoseconds.
		Weight::from_parts(154_264_341, 11810)
			// Standard error: 174_612
			.saturating_add(Weight::from_parts(7_007_413, 0).saturating_mul(s.into()))
			.saturating_add(T::DbWeight::get().reads(7_u64))
			.saturating_add(T::DbWeight::get().reads((1_u64).saturating_mul(s.into())))
			.saturating_add(T::DbWeight::get().writes(2_u64))
			.saturating_add(Weight::from_parts(0, 4578).saturating_mul(s.into()))
	}
	/// Storage: `Verification::Outputs` (r:1 w:0)
	/// Proof: `Verification::Outputs` (`max_values`: None, `max_size`: Some(8227), added: 10702, mode: `MaxEncodedLen`)
	/// Storage: `Verification::Attempts` (r:1 w:1)
	/// Proof: `Verification::Attempts` (`max_values`: None, `max_size`: Some(336), added: 2811, mode: `MaxEncodedLen`)
	/// Storage: `Jobs::Now` (r:1 w:0)
	/// Proof: `Jobs::Now` (`max_values`: Some(1), `max_size`: Some(4), added: 499, mode: `MaxEncodedLen`)
	/// Storage: `Jobs::Jobs` (r:1 w:1)
	/// Proof: `Jobs::Jobs` (`max_values`: None, `max_size`: Some(5828), added: 8303, mode: `MaxEncodedLen`)
	/// Storage: `Jobs::Agenda` (r:0 w:2)
	/// Proof: `Jobs::Agenda` (`max_values`: None, `max_size`: Some(44), added: 2519, mode: `MaxEncodedLen`)
	/// Storage: `Verification::Drawing` (r:0 w:1)
	/// Proof: `Verification::Drawing` (`max_values`: None, `max_size`: Some(32), added: 2507, mode: `MaxEncodedLen`)
	fn next_phase() -> Weight {
		// Minimum execution time: 49_544_000 picoseconds.
		Weight::from_parts(58_377_000, 11692)
			.saturating_add(T::DbWeight::get().reads(4_u64))
			.saturating_add(T::DbWeight::get().writes(5_u64))
	}
	/// Storage: `Verification::Attempts` (r:1 w:0)
	/// Proof: `Verification::Attempts` (`max_values`: None, `max_size`: Some(336), added: 2811, mode: `MaxEncodedLen`)
	/// Storage: `Jobs::Jobs` (r:1 w:0)
	/// Proof: `Jobs::Jobs` (`max_values`: None, `max_size`: Some(5828), added: 8303, mode: `MaxEncodedLen`)
	/// Storage: `Jobs::Specs` (r:1 w:0)
	/// Proof: `Jobs::Specs` (`max_values`: None, `max_size`: Some(8345), added: 10820, mode: `MaxEncodedLen`)
	/// Storage: `Jobs::ParamsOf` (r:1 w:0)
	/// Proof: `Jobs::ParamsOf` (`max_values`: None, `max_size`: Some(140), added: 2615, mode: `MaxEncodedLen`)
	/// Storage: `Jobs::Now` (r:1 w:0)
	/// Proof: `Jobs::Now` (`max_values`: Some(1), `max_size`: Some(4), added: 499, mode: `MaxEncodedLen`)
	/// Storage: `Verification::Stages` (r:16 w:1)
	/// Proof: `Verification::Stages` (`max_values`: None, `max_size`: Some(2103), added: 4578, mode: `MaxEncodedLen`)
	/// `s`: `[2, 16]`.
	fn blocked(s: u32, ) -> Weight {
		// Minimum execution time: 62_993_000 picoseconds.
		Weight::from_parts(58_819_318, 11810)
			// Standard error: 82_078
			.saturating_add(Weight::from_parts(5_932_029, 0).saturating_mul(s.into()))
			.saturating_add(T::DbWeight::get().reads(5_u64))
			.saturating_add(T::DbWeight::get().reads((1_u64).saturating_mul(s.into())))
			.saturating_add(T::DbWeight::get().writes(1_u64))
			.saturating_add(Weight::from_parts(0, 4578).saturating_mul(s.into()))
	}
	/// Storage: `Verification::Attempts` (r:1 w:0)
	/// Proof: `Verification::Attempts` (`max_values`: None, `max_size`: Some(336), added: 2811, mode: `MaxEncodedLen`)
	/// Storage: `Jobs::Jobs` (r:1 w:0)
	/// Proof: `Jobs::Jobs` (`max_values`: None, `max_size`: Some(5828), added: 8303, mode: `MaxEncodedLen`)
	/// Storage: `Jobs::Specs` (r:1 w:0)
	/// Proof: `Jobs::Specs` (`max_values`: None, `max_size`: Some(8345), added: 10820, mode: `MaxEncodedLen`)
	/// Storage: `Jobs::ParamsOf` (r:1 w:0)
	/// Proof: `Jobs::ParamsOf` (`max_values`: None, `max_size`: Some(140), added: 2615, mode: `MaxEncodedLen`)
	/// Storage: `Verification::Stages` (r:16 w:1)
	/// Proof: `Verification::Stages` (`max_values`: None, `max_size`: Some(2103), added: 4578, mode: `MaxEncodedLen`)
	/// Storage: `Jobs::Now` (r:1 w:0)
	/// Proof: `Jobs::Now` (`max_values`: Some(1), `max_size`: Some(4), added: 499, mode: `MaxEncodedLen`)
	/// `s`: `[1, 16]`.
	fn check(s: u32, ) -> Weight {
		// Minimum execution time: 78_797_000 picoseconds.
		Weight::from_parts(70_510_235, 11810)
			// Standard error: 367_395
			.saturating_add(Weight::from_parts(15_240_973, 0).saturating_mul(s.into()))
			.saturating_add(T::DbWeight::get().reads(5_u64))
			.saturating_add(T::DbWeight::get().reads((1_u64).saturating_mul(s.into())))
			.saturating_add(T::DbWeight::get().writes(1_u64))
			.saturating_add(Weight::from_parts(0, 4578).saturating_mul(s.into()))
	}
	/// Storage: `Verification::Attempts` (r:1 w:0)
	/// Proof: `Verification::Attempts` (`max_values`: None, `max_size`: Some(336), added: 2811, mode: `MaxEncodedLen`)
	/// Storage: `Jobs::Jobs` (r:1 w:0)
	/// Proof: `Jobs::Jobs` (`max_values`: None, `max_size`: Some(5828), added: 8303, mode: `MaxEncodedLen`)
	/// Storage: `Jobs::Specs` (r:1 w:0)
	/// Proof: `Jobs::Specs` (`max_values`: None, `max_size`: Some(8345), added: 10820, mode: `MaxEncodedLen`)
	/// Storage: `Jobs::ParamsOf` (r:1 w:0)
	/// Proof: `Jobs::ParamsOf` (`max_values`: None, `max_size`: Some(140), added: 2615, mode: `MaxEncodedLen`)
	/// Storage: `Verification::Stages` (r:16 w:1)
	/// Proof: `Verification::Stages` (`max_values`: None, `max_size`: Some(2103), added: 4578, mode: `MaxEncodedLen`)
	/// Storage: `Jobs::Now` (r:1 w:0)
	/// Proof: `Jobs::Now` (`max_values`: Some(1), `max_size`: Some(4), added: 499, mode: `MaxEncodedLen`)
	/// Storage: `System::BlockHash` (r:1 w:0)
	/// Proof: `System::BlockHash` (`max_values`: None, `max_size`: Some(44), added: 2519, mode: `MaxEncodedLen`)
	/// Storage: `Providers::Workers` (r:1 w:0)
	/// Proof: `Providers::Workers` (`max_values`: None, `max_size`: Some(80), added: 2555, mode: `MaxEncodedLen`)
	/// `s`: `[2, 16]`.
	fn reveal(s: u32, ) -> Weight {
		// Minimum execution time: 158_896_000 picoseconds.
		Weight::from_parts(116_363_587, 11810)
			// Standard error: 830_337
			.saturating_add(Weight::from_parts(19_423_421, 0).saturating_mul(s.into()))
			.saturating_add(T::DbWeight::get().reads(7_u64))
			.saturating_add(T::DbWeight::get().reads((1_u64).saturating_mul(s.into())))
			.saturating_add(T::DbWeight::get().writes(1_u64))
			.saturating_add(Weight::from_parts(0, 4578).saturating_mul(s.into()))
	}
	/// Storage: `Verification::Attempts` (r:1 w:0)
	/// Proof: `Verification::Attempts` (`max_values`: None, `max_size`: Some(336), added: 2811, mode: `MaxEncodedLen`)
	/// Storage: `Jobs::Jobs` (r:1 w:0)
	/// Proof: `Jobs::Jobs` (`max_values`: None, `max_size`: Some(5828), added: 8303, mode: `MaxEncodedLen`)
	/// Storage: `Jobs::Specs` (r:1 w:0)
	/// Proof: `Jobs::Specs` (`max_values`: None, `max_size`: Some(8345), added: 10820, mode: `MaxEncodedLen`)
	/// Storage: `Jobs::ParamsOf` (r:1 w:0)
	/// Proof: `Jobs::ParamsOf` (`max_values`: None, `max_size`: Some(140), added: 2615, mode: `MaxEncodedLen`)
	/// Storage: `Verification::Stages` (r:16 w:0)
	/// Proof: `Verification::Stages` (`max_values`: None, `max_size`: Some(2103), added: 4578, mode: `MaxEncodedLen`)
	/// Storage: `Verification::Disputes` (r:1 w:1)
	/// Proof: `Verification::Disputes` (`max_values`: None, `max_size`: Some(8246), added: 10721, mode: `MaxEncodedLen`)
	/// Storage: `Jobs::Now` (r:1 w:0)
	/// Proof: `Jobs::Now` (`max_values`: Some(1), `max_size`: Some(4), added: 499, mode: `MaxEncodedLen`)
	/// Storage: `Verification::Electorates` (r:1 w:0)
	/// Proof: `Verification::Electorates` (`max_values`: None, `max_size`: Some(3115), added: 5590, mode: `MaxEncodedLen`)
	/// Storage: `System::BlockHash` (r:1 w:0)
	/// Proof: `System::BlockHash` (`max_values`: None, `max_size`: Some(44), added: 2519, mode: `MaxEncodedLen`)
	/// `s`: `[1, 16]`.
	fn reveal_disputed(s: u32, ) -> Weight {
		// Minimum execution time: 448_236_000 picoseconds.
		Weight::from_parts(610_780_639, 11810)
			// Standard error: 1_898_681
			.saturating_add(Weight::from_parts(9_721_814, 0).saturating_mul(s.into()))
			.saturating_add(T::DbWeight::get().reads(8_u64))
			.saturating_add(T::DbWeight::get().reads((1_u64).saturating_mul(s.into())))
			.saturating_add(T::DbWeight::get().writes(1_u64))
			.saturating_add(Weight::from_parts(0, 4578).saturating_mul(s.into()))
	}
	/// Storage: `Verification::Attempts` (r:1 w:0)
	/// Proof: `Verification::Attempts` (`max_values`: None, `max_size`: Some(336), added: 2811, mode: `MaxEncodedLen`)
	/// Storage: `Jobs::Jobs` (r:1 w:0)
	/// Proof: `Jobs::Jobs` (`max_values`: None, `max_size`: Some(5828), added: 8303, mode: `MaxEncodedLen`)
	/// Storage: `Jobs::Specs` (r:1 w:0)
	/// Proof: `Jobs::Specs` (`max_values`: None, `max_size`: Some(8345), added: 10820, mode: `MaxEncodedLen`)
	/// Storage: `Jobs::ParamsOf` (r:1 w:0)
	/// Proof: `Jobs::ParamsOf` (`max_values`: None, `max_size`: Some(140), added: 2615, mode: `MaxEncodedLen`)
	/// Storage: `Providers::Workers` (r:1 w:0)
	/// Proof: `Providers::Workers` (`max_values`: None, `max_size`: Some(80), added: 2555, mode: `MaxEncodedLen`)
	/// Storage: `Verification::Disputes` (r:1 w:1)
	/// Proof: `Verification::Disputes` (`max_values`: None, `max_size`: Some(8246), added: 10721, mode: `MaxEncodedLen`)
	/// Storage: `Jobs::Now` (r:1 w:0)
	/// Proof: `Jobs::Now` (`max_values`: Some(1), `max_size`: Some(4), added: 499, mode: `MaxEncodedLen`)
	/// Storage: `Verification::Stages` (r:16 w:0)
	/// Proof: `Verification::Stages` (`max_values`: None, `max_size`: Some(2103), added: 4578, mode: `MaxEncodedLen`)
	/// Storage: `Verification::Electorates` (r:1 w:0)
	/// Proof: `Verification::Electorates` (`max_values`: None, `max_size`: Some(3115), added: 5590, mode: `MaxEncodedLen`)
	/// `s`: `[1, 16]`.
	fn vote(s: u32, ) -> Weight {
		// Minimum execution time: 175_511_000 picoseconds.
		Weight::from_parts(224_250_195, 11810)
			// Standard error: 865_086
			.saturating_add(Weight::from_parts(9_465_841, 0).saturating_mul(s.into()))
			.saturating_add(T::DbWeight::get().reads(8_u64))
			.saturating_add(T::DbWeight::get().reads((1_u64).saturating_mul(s.into())))
			.saturating_add(T::DbWeight::get().writes(1_u64))
			.saturating_add(Weight::from_parts(0, 4578).saturating_mul(s.into()))
	}
	/// Storage: `Babe::Initialized` (r:1 w:0)
	/// Proof: `Babe::Initialized` (`max_values`: Some(1), `max_size`: Some(110), added: 605, mode: `MaxEncodedLen`)
	/// Storage: `Babe::Authorities` (r:1 w:0)
	/// Proof: `Babe::Authorities` (`max_values`: Some(1), `max_size`: Some(5122), added: 5617, mode: `MaxEncodedLen`)
	/// Storage: `Babe::Randomness` (r:1 w:0)
	/// Proof: `Babe::Randomness` (`max_values`: Some(1), `max_size`: Some(32), added: 527, mode: `MaxEncodedLen`)
	/// Storage: `Babe::CurrentSlot` (r:1 w:0)
	/// Proof: `Babe::CurrentSlot` (`max_values`: Some(1), `max_size`: Some(8), added: 503, mode: `MaxEncodedLen`)
	/// Storage: `Babe::EpochIndex` (r:1 w:0)
	/// Proof: `Babe::EpochIndex` (`max_values`: Some(1), `max_size`: Some(8), added: 503, mode: `MaxEncodedLen`)
	/// Storage: `Session::Validators` (r:1 w:0)
	/// Proof: `Session::Validators` (`max_values`: Some(1), `max_size`: None, mode: `Measured`)
	/// Storage: `Verification::Authors` (r:0 w:1)
	/// Proof: `Verification::Authors` (`max_values`: None, `max_size`: Some(80), added: 2555, mode: `MaxEncodedLen`)
	fn note_author() -> Weight {
		// Minimum execution time: 68_151_000 picoseconds.
		Weight::from_parts(70_955_000, 6607)
			.saturating_add(T::DbWeight::get().reads(6_u64))
			.saturating_add(T::DbWeight::get().writes(1_u64))
	}
	/// Storage: `Jobs::Jobs` (r:1 w:0)
	/// Proof: `Jobs::Jobs` (`max_values`: None, `max_size`: Some(5828), added: 8303, mode: `MaxEncodedLen`)
	/// Storage: `Jobs::Specs` (r:1 w:0)
	/// Proof: `Jobs::Specs` (`max_values`: None, `max_size`: Some(8345), added: 10820, mode: `MaxEncodedLen`)
	/// Storage: `Jobs::ParamsOf` (r:1 w:0)
	/// Proof: `Jobs::ParamsOf` (`max_values`: None, `max_size`: Some(140), added: 2615, mode: `MaxEncodedLen`)
	/// Storage: `Verification::Attempts` (r:1 w:0)
	/// Proof: `Verification::Attempts` (`max_values`: None, `max_size`: Some(336), added: 2811, mode: `MaxEncodedLen`)
	/// Storage: `Session::Validators` (r:1 w:0)
	/// Proof: `Session::Validators` (`max_values`: Some(1), `max_size`: None, mode: `Measured`)
	/// Storage: `Verification::Authors` (r:1 w:0)
	/// Proof: `Verification::Authors` (`max_values`: None, `max_size`: Some(80), added: 2555, mode: `MaxEncodedLen`)
	fn draw_probe() -> Weight {
		// Minimum execution time: 54_171_000 picoseconds.
		Weight::from_parts(61_001_000, 11810)
			.saturating_add(T::DbWeight::get().reads(6_u64))
	}
	/// Storage: `Verification::Attempts` (r:1 w:1)
	/// Proof: `Verification::Attempts` (`max_values`: None, `max_size`: Some(336), added: 2811, mode: `MaxEncodedLen`)
	/// Storage: `Verification::Outputs` (r:1 w:1)
	/// Proof: `Verification::Outputs` (`max_values`: None, `max_size`: Some(8227), added: 10702, mode: `MaxEncodedLen`)
	/// Storage: `Jobs::Jobs` (r:1 w:1)
	/// Proof: `Jobs::Jobs` (`max_values`: None, `max_size`: Some(5828), added: 8303, mode: `MaxEncodedLen`)
	/// Storage: `Jobs::Specs` (r:1 w:1)
	/// Proof: `Jobs::Specs` (`max_values`: None, `max_size`: Some(8345), added: 10820, mode: `MaxEncodedLen`)
	/// Storage: `Jobs::ParamsOf` (r:1 w:1)
	/// Proof: `Jobs::ParamsOf` (`max_values`: None, `max_size`: Some(140), added: 2615, mode: `MaxEncodedLen`)
	/// Storage: `Models::Models` (r:1 w:0)
	/// Proof: `Models::Models` (`max_values`: None, `max_size`: Some(1695), added: 4170, mode: `MaxEncodedLen`)
	/// Storage: `System::Account` (r:17 w:17)
	/// Proof: `System::Account` (`max_values`: None, `max_size`: Some(128), added: 2603, mode: `MaxEncodedLen`)
	/// Storage: `Balances::Holds` (r:1 w:1)
	/// Proof: `Balances::Holds` (`max_values`: None, `max_size`: Some(211), added: 2686, mode: `MaxEncodedLen`)
	/// Storage: `Providers::Penalties` (r:16 w:0)
	/// Proof: `Providers::Penalties` (`max_values`: None, `max_size`: Some(65), added: 2540, mode: `MaxEncodedLen`)
	/// Storage: `Jobs::Now` (r:1 w:0)
	/// Proof: `Jobs::Now` (`max_values`: Some(1), `max_size`: Some(4), added: 499, mode: `MaxEncodedLen`)
	/// Storage: `Verification::Stages` (r:1 w:1)
	/// Proof: `Verification::Stages` (`max_values`: None, `max_size`: Some(2103), added: 4578, mode: `MaxEncodedLen`)
	/// Storage: `Staking::Backings` (r:16 w:16)
	/// Proof: `Staking::Backings` (`max_values`: None, `max_size`: Some(118), added: 2593, mode: `MaxEncodedLen`)
	/// Storage: `Staking::Ledgers` (r:16 w:16)
	/// Proof: `Staking::Ledgers` (`max_values`: None, `max_size`: Some(1418), added: 3893, mode: `MaxEncodedLen`)
	/// Storage: `Providers::InUse` (r:16 w:16)
	/// Proof: `Providers::InUse` (`max_values`: None, `max_size`: Some(104), added: 2579, mode: `MaxEncodedLen`)
	/// Storage: `Providers::Providers` (r:16 w:0)
	/// Proof: `Providers::Providers` (`max_values`: None, `max_size`: Some(2645), added: 5120, mode: `MaxEncodedLen`)
	/// Storage: `Models::Users` (r:1 w:1)
	/// Proof: `Models::Users` (`max_values`: None, `max_size`: Some(36), added: 2511, mode: `MaxEncodedLen`)
	/// Storage: `Jobs::CurrentParams` (r:1 w:0)
	/// Proof: `Jobs::CurrentParams` (`max_values`: Some(1), `max_size`: Some(4), added: 499, mode: `MaxEncodedLen`)
	/// Storage: `Jobs::OpenJobs` (r:1 w:1)
	/// Proof: `Jobs::OpenJobs` (`max_values`: Some(1), `max_size`: Some(4), added: 499, mode: `MaxEncodedLen`)
	/// Storage: `Jobs::OpenJobsOf` (r:1 w:1)
	/// Proof: `Jobs::OpenJobsOf` (`max_values`: None, `max_size`: Some(52), added: 2527, mode: `MaxEncodedLen`)
	/// Storage: `Jobs::ReceiptsWritten` (r:1 w:1)
	/// Proof: `Jobs::ReceiptsWritten` (`max_values`: Some(1), `max_size`: Some(8), added: 503, mode: `MaxEncodedLen`)
	/// Storage: `Jobs::ReceiptRing` (r:1 w:1)
	/// Proof: `Jobs::ReceiptRing` (`max_values`: None, `max_size`: Some(44), added: 2519, mode: `MaxEncodedLen`)
	/// Storage: `Jobs::Agenda` (r:0 w:1)
	/// Proof: `Jobs::Agenda` (`max_values`: None, `max_size`: Some(44), added: 2519, mode: `MaxEncodedLen`)
	/// Storage: `Jobs::Receipts` (r:0 w:1)
	/// Proof: `Jobs::Receipts` (`max_values`: None, `max_size`: Some(22201), added: 24676, mode: `MaxEncodedLen`)
	/// Storage: `Verification::Electorates` (r:0 w:1)
	/// Proof: `Verification::Electorates` (`max_values`: None, `max_size`: Some(3115), added: 5590, mode: `MaxEncodedLen`)
	/// `p`: `[2, 16]`.
	fn conclude(p: u32, ) -> Weight {
		// Minimum execution time: 399_784_000 picoseconds.
		Weight::from_parts(323_287_962, 11810)
			// Standard error: 3_492_597
			.saturating_add(Weight::from_parts(104_736_578, 0).saturating_mul(p.into()))
			.saturating_add(T::DbWeight::get().reads(16_u64))
			.saturating_add(T::DbWeight::get().reads((6_u64).saturating_mul(p.into())))
			.saturating_add(T::DbWeight::get().writes(16_u64))
			.saturating_add(T::DbWeight::get().writes((4_u64).saturating_mul(p.into())))
			.saturating_add(Weight::from_parts(0, 5120).saturating_mul(p.into()))
	}
	/// `i`: `[2, 3072]`.
	fn hash_ids(i: u32, ) -> Weight {
		// Minimum execution time: 3_715_000 picoseconds.
		Weight::from_parts(3_866_000, 0)
			// Standard error: 1_308
			.saturating_add(Weight::from_parts(1_638_898, 0).saturating_mul(i.into()))
	}
	/// Storage: `Verification::Attempts` (r:1 w:1)
	/// Proof: `Verification::Attempts` (`max_values`: None, `max_size`: Some(336), added: 2811, mode: `MaxEncodedLen`)
	/// Storage: `Session::Validators` (r:1 w:0)
	/// Proof: `Session::Validators` (`max_values`: Some(1), `max_size`: None, mode: `Measured`)
	/// Storage: `Verification::Authors` (r:1 w:0)
	/// Proof: `Verification::Authors` (`max_values`: None, `max_size`: Some(80), added: 2555, mode: `MaxEncodedLen`)
	/// Storage: `Verification::Stages` (r:1 w:1)
	/// Proof: `Verification::Stages` (`max_values`: None, `max_size`: Some(2103), added: 4578, mode: `MaxEncodedLen`)
	/// Storage: `Verification::Electorates` (r:1 w:0)
	/// Proof: `Verification::Electorates` (`max_values`: None, `max_size`: Some(3115), added: 5590, mode: `MaxEncodedLen`)
	/// Storage: `Models::Models` (r:1 w:0)
	/// Proof: `Models::Models` (`max_values`: None, `max_size`: Some(1695), added: 4170, mode: `MaxEncodedLen`)
	/// Storage: `Providers::Books` (r:1 w:0)
	/// Proof: `Providers::Books` (`max_values`: None, `max_size`: Some(5686), added: 8161, mode: `MaxEncodedLen`)
	/// Storage: `Providers::Providers` (r:64 w:0)
	/// Proof: `Providers::Providers` (`max_values`: None, `max_size`: Some(2645), added: 5120, mode: `MaxEncodedLen`)
	/// Storage: `Providers::InUse` (r:64 w:1)
	/// Proof: `Providers::InUse` (`max_values`: None, `max_size`: Some(104), added: 2579, mode: `MaxEncodedLen`)
	/// Storage: `Jobs::Now` (r:1 w:0)
	/// Proof: `Jobs::Now` (`max_values`: Some(1), `max_size`: Some(4), added: 499, mode: `MaxEncodedLen`)
	/// Storage: `Providers::Penalties` (r:64 w:0)
	/// Proof: `Providers::Penalties` (`max_values`: None, `max_size`: Some(65), added: 2540, mode: `MaxEncodedLen`)
	/// Storage: `Staking::Ledgers` (r:63 w:1)
	/// Proof: `Staking::Ledgers` (`max_values`: None, `max_size`: Some(1418), added: 3893, mode: `MaxEncodedLen`)
	/// Storage: `Staking::Backings` (r:1 w:1)
	/// Proof: `Staking::Backings` (`max_values`: None, `max_size`: Some(118), added: 2593, mode: `MaxEncodedLen`)
	/// Storage: `Jobs::Jobs` (r:1 w:1)
	/// Proof: `Jobs::Jobs` (`max_values`: None, `max_size`: Some(5828), added: 8303, mode: `MaxEncodedLen`)
	/// Storage: `Jobs::Agenda` (r:0 w:2)
	/// Proof: `Jobs::Agenda` (`max_values`: None, `max_size`: Some(44), added: 2519, mode: `MaxEncodedLen`)
	/// Storage: `Verification::Drawing` (r:0 w:1)
	/// Proof: `Verification::Drawing` (`max_values`: None, `max_size`: Some(32), added: 2507, mode: `MaxEncodedLen`)
	/// `h`: `[4, 64]`.
	fn seat(h: u32, ) -> Weight {
		// Minimum execution time: 233_337_000 picoseconds.
		Weight::from_parts(244_718_875, 12669)
			// Standard error: 620_571
			.saturating_add(Weight::from_parts(25_042_612, 0).saturating_mul(h.into()))
			.saturating_add(T::DbWeight::get().reads(9_u64))
			.saturating_add(T::DbWeight::get().reads((4_u64).saturating_mul(h.into())))
			.saturating_add(T::DbWeight::get().writes(9_u64))
			.saturating_add(Weight::from_parts(0, 5120).saturating_mul(h.into()))
	}
	/// Storage: `Staking::Backings` (r:1 w:1)
	/// Proof: `Staking::Backings` (`max_values`: None, `max_size`: Some(118), added: 2593, mode: `MaxEncodedLen`)
	/// Storage: `Staking::Ledgers` (r:1 w:1)
	/// Proof: `Staking::Ledgers` (`max_values`: None, `max_size`: Some(1418), added: 3893, mode: `MaxEncodedLen`)
	/// Storage: `Providers::Books` (r:1 w:0)
	/// Proof: `Providers::Books` (`max_values`: None, `max_size`: Some(5686), added: 8161, mode: `MaxEncodedLen`)
	/// Storage: `Providers::InUse` (r:1 w:1)
	/// Proof: `Providers::InUse` (`max_values`: None, `max_size`: Some(104), added: 2579, mode: `MaxEncodedLen`)
	fn take_seat() -> Weight {
		// Minimum execution time: 44_476_000 picoseconds.
		Weight::from_parts(51_616_000, 9151)
			.saturating_add(T::DbWeight::get().reads(4_u64))
			.saturating_add(T::DbWeight::get().writes(3_u64))
	}
}

/// For mocks: everything is free.
impl WeightInfo for () {
	fn answer() -> Weight {
		Weight::zero()
	}
	fn commit(_: u32, ) -> Weight {
		Weight::zero()
	}
	fn next_phase() -> Weight {
		Weight::zero()
	}
	fn blocked(_: u32, ) -> Weight {
		Weight::zero()
	}
	fn check(_: u32, ) -> Weight {
		Weight::zero()
	}
	fn reveal(_: u32, ) -> Weight {
		Weight::zero()
	}
	fn reveal_disputed(_: u32, ) -> Weight {
		Weight::zero()
	}
	fn vote(_: u32, ) -> Weight {
		Weight::zero()
	}
	fn note_author() -> Weight {
		Weight::zero()
	}
	fn draw_probe() -> Weight {
		Weight::zero()
	}
	fn conclude(_: u32, ) -> Weight {
		Weight::zero()
	}
	fn hash_ids(_: u32, ) -> Weight {
		Weight::zero()
	}
	fn seat(_: u32, ) -> Weight {
		Weight::zero()
	}
	fn take_seat() -> Weight {
		Weight::zero()
	}
}
