//! Balances and fees.

use super::consensus;
use crate::{
    constants::currency::{EXISTENTIAL_DEPOSIT, MICROUNITS},
    AccountId, Balance, Balances, Runtime, RuntimeEvent, RuntimeFreezeReason, RuntimeHoldReason, System,
};
use polkadot_sdk::{
    frame_support::{
        parameter_types,
        traits::{
            fungible::{Balanced, Credit},
            ConstU32, ConstU8, Imbalance, OnUnbalanced, VariantCountOf,
        },
        weights::{ConstantMultiplier, IdentityFee},
    },
    pallet_balances,
    pallet_transaction_payment::{self, FungibleAdapter, Multiplier, TargetedFeeAdjustment},
    sp_runtime::{FixedPointNumber, Perquintill},
};

parameter_types! {
    pub const ExistentialDeposit: Balance = EXISTENTIAL_DEPOSIT;
}

impl pallet_balances::Config for Runtime {
    type RuntimeEvent = RuntimeEvent;
    type RuntimeHoldReason = RuntimeHoldReason;
    type RuntimeFreezeReason = RuntimeFreezeReason;
    type WeightInfo = pallet_balances::weights::SubstrateWeight<Runtime>;
    type Balance = Balance;
    type DustRemoval = ();
    type ExistentialDeposit = ExistentialDeposit;
    type AccountStore = System;
    type ReserveIdentifier = [u8; 8];
    type FreezeIdentifier = RuntimeFreezeReason;
    // Our pallets hold, they never lock; no other pallet here locks either.
    type MaxLocks = ConstU32<0>;
    type MaxReserves = ConstU32<8>;
    type MaxFreezes = VariantCountOf<RuntimeFreezeReason>;
    type DoneSlashHandler = ();
}

/// Half of a fee is burned and half goes to the block's author, tips wholly to the author. Authors are paid for
/// including transactions, yet filling one's own blocks still costs.
pub struct BurnHalfPayAuthor;

impl OnUnbalanced<Credit<AccountId, Balances>> for BurnHalfPayAuthor {
    fn on_unbalanceds(mut fee_then_tip: impl Iterator<Item = Credit<AccountId, Balances>>) {
        let Some(fee) = fee_then_tip.next() else { return };
        let (burned, mut to_author) = fee.ration(50, 50);
        drop(burned);
        if let Some(tip) = fee_then_tip.next() {
            tip.merge_into(&mut to_author);
        }
        if let Some(author) = consensus::author() {
            // An author below the existential deposit cannot be credited: its share is burned too.
            drop(Balances::resolve(&author, to_author));
        }
    }
}

parameter_types! {
    /// One byte: a transaction of 150 bytes costs 0.00015 ASY for its length.
    pub const TransactionByteFee: Balance = MICROUNITS;
    /// Fees stay at their base while blocks are less than a quarter full.
    pub const TargetBlockFullness: Perquintill = Perquintill::from_percent(25);
    /// At most about 10 % a minute, with 30 full blocks in it.
    pub AdjustmentVariable: Multiplier = Multiplier::saturating_from_rational(4, 1_000);
    /// The base fee is also the least: an idle chain is not a free one.
    pub MinimumMultiplier: Multiplier = Multiplier::from_u32(1);
    pub MaximumMultiplier: Multiplier = Multiplier::from_u32(10_000);
}

impl pallet_transaction_payment::Config for Runtime {
    type RuntimeEvent = RuntimeEvent;
    type OnChargeTransaction = FungibleAdapter<Balances, BurnHalfPayAuthor>;
    type OperationalFeeMultiplier = ConstU8<5>;
    // One ASY buys a second of execution: weight is in picoseconds, and a planck is 10^-12 ASY.
    type WeightToFee = IdentityFee<Balance>;
    type LengthToFee = ConstantMultiplier<Balance, TransactionByteFee>;
    type FeeMultiplierUpdate =
        TargetedFeeAdjustment<Self, TargetBlockFullness, AdjustmentVariable, MinimumMultiplier, MaximumMultiplier>;
    type WeightInfo = pallet_transaction_payment::weights::SubstrateWeight<Runtime>;
}
