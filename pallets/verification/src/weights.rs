//! Weights of the calls and of the work that hooks do, measured by `frame-omni-bencher`. Written by `make weights`; not by hand.
//!
//! 2026-11-22, AMD EPYC, steps 10, repeat 6, Wasm Compiled. Storage is accounted by
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
		// Minimum execution time: 19_779_000 picoseconds.
		Weight::from_parts(36_564_000, 9293)
			.saturating_add(T::DbWeight::get().reads(2_u64))
	}
	/// Storage: `Verification::Attempts` (r:1 w:0)
	/// Proof: `Verification::Attempts` (`max_values`: None, `max_size`: Some(336), added: 2811, mode: `MaxEncodedLen`)
	/// Storage: `Jobs::Jobs` (r:1 w:0)
	/// Proof: `Jobs::Jobs` (`max_values`: None, `max_size`: Some(5828), added: 8303, mode: `MaxEncodedLen`)
	/// Storage: `Jobs::Specs` (r:1 w:0)
	/// Proof: `Jobs::Specs` (`max_values`: None, `max_size`: Some(8344), added: 10819, mode: `MaxEncodedLen`)
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
	/// Proof: `Verification::Outputs` (`max_values`: None, `max_size`: Some(4130), added: 6605, mode: `MaxEncodedLen`)
	/// `s`: `[2, 16]`.
	fn commit(s: u32, ) -> Weight {
		// Minimum execution time: 155_111_000 picoseconds.
		Weight::from_parts(219_028_340, 11809)
			// Standard error: 478_946
			.saturating_add(Weight::from_parts(10_613_363, 0).saturating_mul(s.into()))
			.saturating_add(T::DbWeight::get().reads(7_u64))
			.saturating_add(T::DbWeight::get().reads((1_u64).saturating_mul(s.into())))
			.saturating_add(T::DbWeight::get().writes(2_u64))
			.saturating_add(Weight::from_parts(0, 4578).saturating_mul(s.into()))
	}
	/// Storage: `Verification::Outputs` (r:1 w:0)
	/// Proof: `Verification::Outputs` (`max_values`: None, `max_size`: Some(4130), added: 6605, mode: `MaxEncodedLen`)
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
		// Minimum execution time: 53_139_000 picoseconds.
		Weight::from_parts(92_808_000, 9293)
			.saturating_add(T::DbWeight::get().reads(4_u64))
			.saturating_add(T::DbWeight::get().writes(5_u64))
	}
	/// Storage: `Verification::Attempts` (r:1 w:0)
	/// Proof: `Verification::Attempts` (`max_values`: None, `max_size`: Some(336), added: 2811, mode: `MaxEncodedLen`)
	/// Storage: `Jobs::Jobs` (r:1 w:0)
	/// Proof: `Jobs::Jobs` (`max_values`: None, `max_size`: Some(5828), added: 8303, mode: `MaxEncodedLen`)
	/// Storage: `Jobs::Specs` (r:1 w:0)
	/// Proof: `Jobs::Specs` (`max_values`: None, `max_size`: Some(8344), added: 10819, mode: `MaxEncodedLen`)
	/// Storage: `Jobs::ParamsOf` (r:1 w:0)
	/// Proof: `Jobs::ParamsOf` (`max_values`: None, `max_size`: Some(140), added: 2615, mode: `MaxEncodedLen`)
	/// Storage: `Jobs::Now` (r:1 w:0)
	/// Proof: `Jobs::Now` (`max_values`: Some(1), `max_size`: Some(4), added: 499, mode: `MaxEncodedLen`)
	/// Storage: `Verification::Stages` (r:16 w:1)
	/// Proof: `Verification::Stages` (`max_values`: None, `max_size`: Some(2103), added: 4578, mode: `MaxEncodedLen`)
	/// `s`: `[2, 16]`.
	fn blocked(s: u32, ) -> Weight {
		// Minimum execution time: 70_455_000 picoseconds.
		Weight::from_parts(70_704_329, 11809)
			// Standard error: 95_522
			.saturating_add(Weight::from_parts(6_031_904, 0).saturating_mul(s.into()))
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
	/// Proof: `Jobs::Specs` (`max_values`: None, `max_size`: Some(8344), added: 10819, mode: `MaxEncodedLen`)
	/// Storage: `Jobs::ParamsOf` (r:1 w:0)
	/// Proof: `Jobs::ParamsOf` (`max_values`: None, `max_size`: Some(140), added: 2615, mode: `MaxEncodedLen`)
	/// Storage: `Verification::Stages` (r:16 w:1)
	/// Proof: `Verification::Stages` (`max_values`: None, `max_size`: Some(2103), added: 4578, mode: `MaxEncodedLen`)
	/// Storage: `Jobs::Now` (r:1 w:0)
	/// Proof: `Jobs::Now` (`max_values`: Some(1), `max_size`: Some(4), added: 499, mode: `MaxEncodedLen`)
	/// `s`: `[1, 16]`.
	fn check(s: u32, ) -> Weight {
		// Minimum execution time: 120_580_000 picoseconds.
		Weight::from_parts(113_408_463, 11809)
			// Standard error: 1_173_875
			.saturating_add(Weight::from_parts(15_728_111, 0).saturating_mul(s.into()))
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
	/// Proof: `Jobs::Specs` (`max_values`: None, `max_size`: Some(8344), added: 10819, mode: `MaxEncodedLen`)
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
		// Minimum execution time: 225_114_000 picoseconds.
		Weight::from_parts(259_519_466, 11809)
			// Standard error: 2_575_809
			.saturating_add(Weight::from_parts(11_558_155, 0).saturating_mul(s.into()))
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
	/// Proof: `Jobs::Specs` (`max_values`: None, `max_size`: Some(8344), added: 10819, mode: `MaxEncodedLen`)
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
		// Minimum execution time: 517_909_000 picoseconds.
		Weight::from_parts(578_981_548, 11809)
			// Standard error: 4_556_986
			.saturating_add(Weight::from_parts(22_084_058, 0).saturating_mul(s.into()))
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
	/// Proof: `Jobs::Specs` (`max_values`: None, `max_size`: Some(8344), added: 10819, mode: `MaxEncodedLen`)
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
		// Minimum execution time: 217_313_000 picoseconds.
		Weight::from_parts(255_740_309, 11809)
			// Standard error: 1_615_307
			.saturating_add(Weight::from_parts(6_721_834, 0).saturating_mul(s.into()))
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
		// Minimum execution time: 67_770_000 picoseconds.
		Weight::from_parts(71_006_000, 6607)
			.saturating_add(T::DbWeight::get().reads(6_u64))
			.saturating_add(T::DbWeight::get().writes(1_u64))
	}
	/// Storage: `Jobs::Jobs` (r:1 w:0)
	/// Proof: `Jobs::Jobs` (`max_values`: None, `max_size`: Some(5828), added: 8303, mode: `MaxEncodedLen`)
	/// Storage: `Jobs::Specs` (r:1 w:0)
	/// Proof: `Jobs::Specs` (`max_values`: None, `max_size`: Some(8344), added: 10819, mode: `MaxEncodedLen`)
	/// Storage: `Jobs::ParamsOf` (r:1 w:0)
	/// Proof: `Jobs::ParamsOf` (`max_values`: None, `max_size`: Some(140), added: 2615, mode: `MaxEncodedLen`)
	/// Storage: `Verification::Attempts` (r:1 w:0)
	/// Proof: `Verification::Attempts` (`max_values`: None, `max_size`: Some(336), added: 2811, mode: `MaxEncodedLen`)
	/// Storage: `Session::Validators` (r:1 w:0)
	/// Proof: `Session::Validators` (`max_values`: Some(1), `max_size`: None, mode: `Measured`)
	/// Storage: `Verification::Authors` (r:1 w:0)
	/// Proof: `Verification::Authors` (`max_values`: None, `max_size`: Some(80), added: 2555, mode: `MaxEncodedLen`)
	fn draw_probe() -> Weight {
		// Minimum execution time: 54_521_000 picoseconds.
		Weight::from_parts(71_947_000, 11809)
			.saturating_add(T::DbWeight::get().reads(6_u64))
	}
	/// Storage: `Verification::Attempts` (r:1 w:1)
	/// Proof: `Verification::Attempts` (`max_values`: None, `max_size`: Some(336), added: 2811, mode: `MaxEncodedLen`)
	/// Storage: `Verification::Outputs` (r:1 w:1)
	/// Proof: `Verification::Outputs` (`max_values`: None, `max_size`: Some(4130), added: 6605, mode: `MaxEncodedLen`)
	/// Storage: `Jobs::Jobs` (r:1 w:1)
	/// Proof: `Jobs::Jobs` (`max_values`: None, `max_size`: Some(5828), added: 8303, mode: `MaxEncodedLen`)
	/// Storage: `Jobs::Specs` (r:1 w:1)
	/// Proof: `Jobs::Specs` (`max_values`: None, `max_size`: Some(8344), added: 10819, mode: `MaxEncodedLen`)
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
	/// Proof: `Jobs::Receipts` (`max_values`: None, `max_size`: Some(18104), added: 20579, mode: `MaxEncodedLen`)
	/// Storage: `Verification::Electorates` (r:0 w:1)
	/// Proof: `Verification::Electorates` (`max_values`: None, `max_size`: Some(3115), added: 5590, mode: `MaxEncodedLen`)
	/// `p`: `[2, 16]`.
	fn conclude(p: u32, ) -> Weight {
		// Minimum execution time: 481_977_000 picoseconds.
		Weight::from_parts(24_167_884, 11809)
			// Standard error: 8_663_442
			.saturating_add(Weight::from_parts(186_527_801, 0).saturating_mul(p.into()))
			.saturating_add(T::DbWeight::get().reads(16_u64))
			.saturating_add(T::DbWeight::get().reads((6_u64).saturating_mul(p.into())))
			.saturating_add(T::DbWeight::get().writes(16_u64))
			.saturating_add(T::DbWeight::get().writes((4_u64).saturating_mul(p.into())))
			.saturating_add(Weight::from_parts(0, 5120).saturating_mul(p.into()))
	}
	/// `i`: `[2, 3072]`.
	fn hash_ids(i: u32, ) -> Weight {
		// Minimum execution time: 4_056_000 picoseconds.
		Weight::from_parts(4_587_000, 0)
			// Standard error: 4_932
			.saturating_add(Weight::from_parts(2_152_193, 0).saturating_mul(i.into()))
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
		// Minimum execution time: 317_843_000 picoseconds.
		Weight::from_parts(316_354_037, 12669)
			// Standard error: 1_152_723
			.saturating_add(Weight::from_parts(32_898_640, 0).saturating_mul(h.into()))
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
		// Minimum execution time: 47_361_000 picoseconds.
		Weight::from_parts(76_163_000, 9151)
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
