//! What verification stores of an attempt.

use assay_primitives::{AccountId, Balance, CheckVerdict, ModelId, Span, Tick, MAX_HOLDERS, MAX_SEATS};
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use frame::prelude::*;

/// Most VRF outputs that enter a draw; `Params::beacon_authors` is at most this.
pub const MAX_AUTHORS: u32 = 8;

/// The attempt that an open job is in.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, MaxEncodedLen, TypeInfo)]
pub struct Attempt {
    /// Its number, from 0.
    pub attempt: u32,
    /// The job's model.
    pub model: ModelId,
    /// How many stages it has.
    pub stages: u8,
    /// Checkers seated so far, at all stages.
    pub seats: u16,
    /// Block of the last commit, once all are in: the beacon counts from there.
    pub sealed: Option<u32>,
    /// VRF outputs that drew the checkers.
    pub vrfs: BoundedVec<[u8; 32], ConstU32<MAX_AUTHORS>>,
    /// Distinct authors among them that execute nothing of the job.
    pub independent_authors: u8,
    /// A checker of one stage executes another.
    pub overlap: bool,
    /// Some stage was before the arbiter.
    pub escalated: bool,
}

/// One stage of the attempt.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, MaxEncodedLen, TypeInfo)]
pub struct Stage {
    /// Its layers.
    pub span: Span,
    /// What its executor committed to.
    pub commit: Option<Commit>,
    /// Its executor said that nothing arrived from upstream.
    pub blocked: bool,
    /// Its checkers, in the order drawn.
    pub seats: BoundedVec<Seat, ConstU32<MAX_SEATS>>,
    /// Tranches drawn so far, the first one included.
    pub tranches: u8,
    /// How its checks stand.
    pub status: StageStatus,
    /// The opened stage root.
    pub root: Option<H256>,
}

/// A commitment. The generated ids lie in `Outputs`.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, MaxEncodedLen, TypeInfo)]
pub struct Commit {
    /// Root of what the stage received.
    pub in_root: H256,
    /// Root of what it handed on.
    pub out_root: H256,
    /// Digest of its stage root.
    pub digest: H256,
    /// Rows under the upstream's signature over `in_root`; 0 where no other stage feeds it.
    pub in_rows: u32,
}

/// How the checks of a stage stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, MaxEncodedLen, TypeInfo)]
pub enum StageStatus {
    /// Answers are missing.
    #[codec(index = 0)]
    Open,
    /// Enough checkers agree.
    #[codec(index = 1)]
    Agreed,
    /// Half of the checkers could not get the boundary rows.
    #[codec(index = 2)]
    Withheld,
    /// Before the arbiter.
    #[codec(index = 3)]
    Disputed,
    /// The arbiter found the executor right.
    #[codec(index = 4)]
    Upheld,
    /// The arbiter found the executor wrong.
    #[codec(index = 5)]
    Overruled,
}

/// A checker's seat.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, MaxEncodedLen, TypeInfo)]
pub struct Seat {
    /// Who was drawn.
    pub controller: AccountId,
    /// Its worker account when drawn: an old key stays valid for seats drawn under it.
    pub worker: AccountId,
    /// Reserved out of its bond.
    pub backing: Balance,
    /// It is to answer up to this tick.
    pub due: Tick,
    /// Its answer.
    pub answer: Option<CheckVerdict>,
    /// It did not answer in time. A later answer still counts, the fault stays.
    pub missed: bool,
    /// A lie was proven: it is not paid, and no lesser fault is reported of it.
    pub lied: bool,
}

/// A controller that held a span when the attempt was assigned, and its bond then.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, MaxEncodedLen, TypeInfo)]
pub struct Elector {
    /// Who.
    pub controller: AccountId,
    /// Its provider bond in the snapshot.
    pub bond: Balance,
}

/// Everyone who may vote over a stage.
pub type Electors = BoundedVec<Elector, ConstU32<MAX_HOLDERS>>;

/// A dispute before the holders of a span.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, MaxEncodedLen, TypeInfo)]
pub struct Dispute {
    /// Votes are taken up to this tick.
    pub votes_due: Tick,
    /// Everyone has voted: roots are taken already.
    pub closed: bool,
    /// Roots are taken, after voting, up to this tick.
    pub roots_due: Tick,
    /// Digests of electors who are not party.
    pub votes: BoundedVec<(AccountId, H256), ConstU32<MAX_HOLDERS>>,
    /// Roots opened so far.
    pub roots: BoundedVec<Opened, ConstU32<MAX_HOLDERS>>,
}

/// A root that somebody opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, MaxEncodedLen, TypeInfo)]
pub struct Opened {
    /// The stage root.
    pub root: H256,
    /// The root of what the stage hands on, under it.
    pub out_root: H256,
}

/// The author of a recent block.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, MaxEncodedLen, TypeInfo)]
pub struct Author {
    /// The block.
    pub block: u32,
    /// Who wrote it.
    pub controller: AccountId,
    /// Its VRF output.
    pub vrf: [u8; 32],
}

/// Which kind of answer an event is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub enum AnswerKind {
    /// `Answer::Commit`.
    #[codec(index = 0)]
    Commit,
    /// `Answer::Blocked`.
    #[codec(index = 1)]
    Blocked,
    /// `Answer::Check`.
    #[codec(index = 2)]
    Check,
    /// `Answer::Reveal`.
    #[codec(index = 3)]
    Reveal,
    /// `Answer::Vote`.
    #[codec(index = 4)]
    Vote,
}
