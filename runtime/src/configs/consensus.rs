//! Block production (BABE), finality (GRANDPA) and what both need.

use crate::{
    constants::time::{EPOCH_DURATION_IN_SLOTS, PRIMARY_PROBABILITY, SLOT_DURATION, UNBONDING_SESSIONS},
    AccountId, Babe, Historical, Offences, Runtime, RuntimeEvent, Session, Staking,
};
use polkadot_sdk::{
    frame_support::{parameter_types, traits::ConstU32},
    pallet_authority_discovery, pallet_authorship, pallet_babe, pallet_grandpa, pallet_session, pallet_timestamp,
    sp_consensus_babe::{AllowedSlots, BabeEpochConfiguration},
    sp_session,
};

/// Upper bound of the validator set. It sizes bounded storage and the weight of session changes.
pub type MaxAuthorities = ConstU32<128>;

/// BABE's configuration at genesis. Secondary slots carry a VRF output too, because the beacon that draws checkers
/// needs one in every block.
pub const BABE_GENESIS_EPOCH_CONFIG: BabeEpochConfiguration =
    BabeEpochConfiguration { c: PRIMARY_PROBABILITY, allowed_slots: AllowedSlots::PrimaryAndSecondaryVRFSlots };

parameter_types! {
    pub const MinimumPeriod: u64 = SLOT_DURATION / 2;
    pub const ExpectedBlockTime: u64 = SLOT_DURATION;
    pub const EpochDuration: u64 = EPOCH_DURATION_IN_SLOTS;
    pub const ReportLongevity: u64 = UNBONDING_SESSIONS as u64 * EPOCH_DURATION_IN_SLOTS;
    pub const MaxSetIdSessionEntries: u64 = UNBONDING_SESSIONS as u64;
}

impl pallet_timestamp::Config for Runtime {
    type Moment = u64;
    type OnTimestampSet = Babe;
    type MinimumPeriod = MinimumPeriod;
    type WeightInfo = pallet_timestamp::weights::SubstrateWeight<Runtime>;
}

impl pallet_authorship::Config for Runtime {
    type FindAuthor = pallet_session::FindAccountFromAuthorIndex<Self, Babe>;
    // Who authors nothing for too long is chilled.
    type EventHandler = Staking;
}

impl pallet_babe::Config for Runtime {
    type EpochDuration = EpochDuration;
    type ExpectedBlockTime = ExpectedBlockTime;
    // The session pallet decides when an epoch ends.
    type EpochChangeTrigger = pallet_babe::ExternalTrigger;
    type DisabledValidators = Session;
    type WeightInfo = ();
    type MaxAuthorities = MaxAuthorities;
    type MaxNominators = ConstU32<0>;
    type KeyOwnerProof = sp_session::MembershipProof;
    type EquivocationReportSystem = pallet_babe::EquivocationReportSystem<Self, Offences, Historical, ReportLongevity>;
}

impl pallet_grandpa::Config for Runtime {
    type RuntimeEvent = RuntimeEvent;
    type WeightInfo = ();
    type MaxAuthorities = MaxAuthorities;
    type MaxNominators = ConstU32<0>;
    type MaxSetIdSessionEntries = MaxSetIdSessionEntries;
    type KeyOwnerProof = sp_session::MembershipProof;
    type EquivocationReportSystem =
        pallet_grandpa::EquivocationReportSystem<Self, Offences, Historical, ReportLongevity>;
}

impl pallet_authority_discovery::Config for Runtime {
    type MaxAuthorities = MaxAuthorities;
}

/// The account that authored the current block, if its author is known already.
pub fn author() -> Option<AccountId> {
    pallet_authorship::Pallet::<Runtime>::author()
}
