//! What the chain is for: models, providers, bonds, jobs, their verification, and what a fault costs.

use crate::{
    constants::{
        currency::{deposit, MILLIUNITS, UNITS},
        time::UNBONDING_SESSIONS,
    },
    AccountId, Babe, Balance, Balances, Jobs, Models, Providers, Runtime, RuntimeHoldReason, Session, Slashing,
    Staking, Verification,
};
use alloc::vec::Vec;
use assay_primitives::{traits::AuthorVrf, Params, Tick};
use polkadot_sdk::{
    frame_support::{
        parameter_types,
        traits::{ConstU32, Get},
        PalletId,
    },
    frame_system::EnsureRoot,
    pallet_babe, pallet_safe_mode, pallet_session,
    sp_consensus_babe::{make_vrf_transcript, RANDOMNESS_VRF_CONTEXT},
    sp_core::crypto::Wraps,
};

parameter_types! {
    pub const ModelDepositBase: Balance = deposit(3, 0);
    pub const ModelDepositPerByte: Balance = deposit(0, 1);
    pub const RegistrationDeposit: Balance = deposit(3, 512);
    pub const AskDeposit: Balance = deposit(2, 128);
    /// What a provider has to burn in fees of settled work to lose one point of its penalty score.
    pub const PointPrice: Balance = MILLIUNITS;
    pub const MinValidatorBond: Balance = 1_000 * UNITS;
    pub const MinProviderBond: Balance = 100 * UNITS;
    pub const UnbondingSessions: u32 = UNBONDING_SESSIONS;
    pub const SlashingPalletId: PalletId = PalletId(*b"asy/slsh");
}

impl pallet_assay_models::Config for Runtime {
    type RuntimeHoldReason = RuntimeHoldReason;
    type Currency = Balances;
    type AdminOrigin = EnsureRoot<AccountId>;
    type DepositBase = ModelDepositBase;
    type DepositPerByte = ModelDepositPerByte;
    type WeightInfo = pallet_assay_models::weights::SubstrateWeight<Runtime>;
}

/// The parameters that a new job would be bound to.
pub struct PresentParams;

impl Get<Params> for PresentParams {
    fn get() -> Params {
        // Genesis stores version 0, and later versions only follow it.
        Jobs::params().unwrap_or_else(Params::public)
    }
}

/// The service tick.
pub struct ServiceClock;

impl Get<Tick> for ServiceClock {
    fn get() -> Tick {
        pallet_assay_jobs::Now::<Runtime>::get()
    }
}

impl pallet_assay_providers::Config for Runtime {
    type RuntimeHoldReason = RuntimeHoldReason;
    type Currency = Balances;
    type Models = Models;
    type Bonds = Staking;
    type Params = PresentParams;
    type Clock = ServiceClock;
    type RegistrationDeposit = RegistrationDeposit;
    type AskDeposit = AskDeposit;
    type PointPrice = PointPrice;
    type WeightInfo = pallet_assay_providers::weights::SubstrateWeight<Runtime>;
    #[cfg(feature = "runtime-benchmarks")]
    type BenchmarkHelper = crate::benchmarks::InferenceWorld;
}

impl pallet_assay_staking::Config for Runtime {
    type RuntimeHoldReason = RuntimeHoldReason;
    type Currency = Balances;
    type Session = Session;
    type History = <Runtime as pallet_session::Config>::SessionManager;
    type AdminOrigin = EnsureRoot<AccountId>;
    type SlashCancelOrigin = EnsureRoot<AccountId>;
    type MinValidatorBond = MinValidatorBond;
    type MinProviderBond = MinProviderBond;
    type UnbondingSessions = UnbondingSessions;
    // Ten minutes: long enough that a set is worth its handover, short enough that a network settles into its validators soon.
    type SessionsPerElection = ConstU32<10>;
    // Six hours in which a consensus slash can be cancelled; well inside the unbonding period.
    type SlashDeferSessions = ConstU32<{ 6 * 60 }>;
    // A day, as long as a bond stays within reach: time to find out what went wrong before it goes on.
    type BarSessions = UnbondingSessions;
    type IdleSessions = ConstU32<2>;
    type MaxValidators = ConstU32<100>;
    type MaxCandidates = ConstU32<1_000>;
    type WeightInfo = pallet_assay_staking::weights::SubstrateWeight<Runtime>;
}

/// Safe mode stops the service tick: while it lasts nobody can answer, so nobody is late.
pub struct AnswersImpossible;

impl Get<bool> for AnswersImpossible {
    fn get() -> bool {
        pallet_safe_mode::EnteredUntil::<Runtime>::exists()
    }
}

impl pallet_assay_jobs::Config for Runtime {
    type Currency = Balances;
    type RuntimeHoldReason = RuntimeHoldReason;
    type AdminOrigin = EnsureRoot<AccountId>;
    type Models = Models;
    type Providers = Providers;
    type Bonds = Staking;
    type Verifier = Verification;
    type Paused = AnswersImpossible;
    type MaxOpenJobs = ConstU32<1_024>;
    type MaxJobsPerClient = ConstU32<64>;
    type MaxReceipts = ConstU32<1_024>;
    type MaxExtraTicks = ConstU32<14_400>;
    type WeightInfo = pallet_assay_jobs::weights::SubstrateWeight<Runtime>;
    #[cfg(feature = "runtime-benchmarks")]
    type BenchmarkHelper = crate::benchmarks::InferenceWorld;
}

/// Block authors and their VRF outputs, by BABE.
///
/// pallet-babe stores an author's output only in `on_finalize`; during the block it still has the parent's. What it will store
/// follows from the pre-digest, as in pallet-babe's `on_finalize`.
///
/// The claim's index counts in the set of its own epoch, for the key as for the account. In an epoch's first block
/// pallet-authorship has looked it up in the previous set, because it runs before the session pallet rotates; the
/// beacon runs after it.
pub struct BabeVrf;

impl AuthorVrf for BabeVrf {
    fn current() -> Option<(AccountId, [u8; 32])> {
        let claim = Babe::initialized().flatten()?;
        let signature = claim.vrf_signature()?;
        let index = claim.authority_index() as usize;
        let authorities = pallet_babe::Authorities::<Runtime>::get();
        let (authority, _) = authorities.get(index)?;
        let transcript = make_vrf_transcript(
            &pallet_babe::Randomness::<Runtime>::get(),
            pallet_babe::CurrentSlot::<Runtime>::get(),
            pallet_babe::EpochIndex::<Runtime>::get(),
        );
        let output =
            authority.as_inner_ref().make_bytes(RANDOMNESS_VRF_CONTEXT, &transcript, &signature.pre_output).ok()?;
        Some((Session::validators().get(index).cloned()?, output))
    }

    fn validators() -> Vec<AccountId> {
        Session::validators()
    }
}

impl pallet_assay_verification::Config for Runtime {
    type Market = Jobs;
    type Models = Models;
    type Providers = Providers;
    type Bonds = Staking;
    type Offences = Slashing;
    type Arbiter = pallet_assay_verification::arbiter::HolderArbiter<Runtime>;
    type Beacon = Verification;
    type AuthorVrf = BabeVrf;
    type BeaconDepth = ConstU32<64>;
    type WeightInfo = pallet_assay_verification::weights::SubstrateWeight<Runtime>;
    #[cfg(feature = "runtime-benchmarks")]
    type BenchmarkHelper = crate::benchmarks::InferenceWorld;
}

impl pallet_assay_slashing::Config for Runtime {
    type Currency = Balances;
    type Bonds = Staking;
    type Providers = Providers;
    type Clock = ServiceClock;
    type SlashCancelOrigin = EnsureRoot<AccountId>;
    type PalletId = SlashingPalletId;
    type MaxPending = ConstU32<1_024>;
    // An offence is remembered for a day, longer than any job lives, so that it cannot be reported twice.
    type MemoryTicks = ConstU32<43_200>;
    type MaxRemembered = ConstU32<16_384>;
    type WeightInfo = pallet_assay_slashing::weights::SubstrateWeight<Runtime>;
    #[cfg(feature = "runtime-benchmarks")]
    type BenchmarkHelper = crate::benchmarks::InferenceWorld;
}
