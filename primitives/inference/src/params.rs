//! The versioned parameters that a job is bound to from submission to settlement.

use crate::{Balance, Tick, WorkUnits};
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use polkadot_sdk::sp_runtime::Perbill;
use scale_info::TypeInfo;
use serde::{Deserialize, Serialize};

/// Market and checking parameters. A change makes a new version; open jobs keep theirs.
#[derive(
    Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo, Serialize, Deserialize,
)]
pub struct Params {
    /// Reserve price per work unit: no executor is paid more (protocol section 3). Fixed until the posted-price controller.
    pub base_price: Balance,
    /// A check of a generation is paid this share of `base_price` per work unit of prefill (rho); one of an embedding, all of it.
    pub check_ratio: Perbill,
    /// Not refundable after assignment; pays the checks of failed attempts, the rest is burned.
    pub fixed_fee: Balance,
    /// Burned of every settlement: wash trading must cost.
    pub burn: Perbill,
    /// The attacker's share of a span's bond that exposure assumes (f of protocol section 4).
    pub attacker_share: Perbill,
    /// Backing over expected gain (3 in protocol section 4).
    pub backing_factor: u32,
    /// A liveness slash is this share of the stage's pay, at most `liveness_cap`.
    pub liveness_share: Perbill,
    /// See `liveness_share`.
    pub liveness_cap: Balance,
    /// A verdict by votes takes at most this share of a provider bond.
    pub vote_slash_cap: Perbill,
    /// Of a slash, at least this much is burned.
    pub slash_burn: Perbill,
    /// Of a slash on objective evidence, at most this much goes to the reporter.
    pub reporter_share: Perbill,
    /// Ticks to deliver a commit, on top of work / rate.
    pub run_base: Tick,
    /// Slowest rate that an ask may state, work units per tick.
    pub min_rate: WorkUnits,
    /// Ticks in which `beacon_authors` distinct authors must have been seen, else the draw takes those it has.
    pub draw_window: Tick,
    /// Ticks to answer a seat. At least 16 on a public network: a third of the authors can censor 13 blocks.
    pub check_window: Tick,
    /// Ticks to open a commitment.
    pub reveal_window: Tick,
    /// Ticks to vote in an escalation; as many again to open the votes.
    pub vote_window: Tick,
    /// Ticks between a subjective slash and its execution, in which it can be cancelled.
    pub slash_defer: Tick,
    /// Distinct authors that a draw waits for (A of protocol section 6), of those that control no executor.
    pub beacon_authors: u8,
    /// Attempts before the client is refunded.
    pub max_attempts: u8,
    /// Tranches of extra seats before a stage escalates.
    pub max_tranches: u8,
    /// Relax the rule that `2k` controllers have held the span for `hold_ticks`: `k` controllers suffice, at once. Receipts say so.
    pub relaxed: bool,
    /// How long a holder counts only after it has held (an epoch).
    pub hold_ticks: Tick,
    /// Ticks before a new ask can be matched.
    pub ask_delay: Tick,
}

/// One token, in its smallest unit.
pub const UNIT: Balance = 1_000_000_000_000;

impl Params {
    /// Parameters of a public network.
    pub fn public() -> Self {
        Self {
            base_price: 100_000_000,
            check_ratio: Perbill::from_percent(40),
            fixed_fee: UNIT / 100,
            burn: Perbill::from_percent(5),
            attacker_share: Perbill::from_percent(33),
            backing_factor: 3,
            liveness_share: Perbill::from_percent(10),
            liveness_cap: UNIT / 10,
            vote_slash_cap: Perbill::from_percent(10),
            slash_burn: Perbill::from_percent(50),
            reporter_share: Perbill::from_percent(25),
            run_base: 24,
            min_rate: 100,
            draw_window: 16,
            check_window: 16,
            reveal_window: 16,
            vote_window: 32,
            slash_defer: 14_400,
            beacon_authors: 3,
            max_attempts: 3,
            max_tranches: 3,
            relaxed: false,
            hold_ticks: 300,
            ask_delay: 2,
        }
    }

    /// Parameters of a four-validator network on one machine: every relaxation shows in the receipts.
    pub fn local() -> Self {
        Self { beacon_authors: 1, relaxed: true, hold_ticks: 0, slash_defer: 5, run_base: 12, ..Self::public() }
    }

    /// Whether a chain can run under these parameters; the text names the field to change.
    pub fn validate(&self) -> Result<(), &'static str> {
        if self.base_price == 0 {
            return Err("base_price must be positive");
        }
        if self.backing_factor == 0 {
            return Err("backing_factor must be positive");
        }
        if self.attacker_share >= Perbill::from_percent(50) {
            return Err("attacker_share must be below one half: with k = 2 nothing would be left to deter with");
        }
        if self.slash_burn.deconstruct().saturating_add(self.reporter_share.deconstruct()) > 1_000_000_000 {
            return Err("slash_burn and reporter_share exceed the whole");
        }
        if self.min_rate == 0 {
            return Err("min_rate must be positive");
        }
        if self.beacon_authors == 0 || self.beacon_authors > 8 {
            return Err("beacon_authors must be 1 to 8");
        }
        if self.max_attempts == 0 || self.max_attempts > 8 {
            return Err("max_attempts must be 1 to 8");
        }
        if [self.run_base, self.draw_window, self.check_window, self.reveal_window, self.vote_window].contains(&0) {
            return Err("every window must be at least one tick");
        }
        Ok(())
    }
}
