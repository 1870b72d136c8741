//! Brings answers on chain: one batched extrinsic per block, signed by the worker, with an explicit nonce cursor.
//!
//! An answer is kept until the chain no longer asks for it. What was submitted and does not show up is submitted again; what is
//! no longer owed (another was faster, the window closed, the job ended) is dropped. The state machine here is pure; building,
//! signing and the pool are behind [`deliver`].

use crate::{
    chain::{At, Chain},
    keys::Keys,
    panics,
};
use assay_primitives::{AccountId, Answer, StageRef, MAX_ANSWERS};
use futures::future::BoxFuture;
use std::collections::{BTreeMap, VecDeque};

/// Best blocks after which a submission that is not included is given up and its answers are submitted again.
const PATIENCE_BLOCKS: u32 = 6;
/// Blocks between two announcements of the peer id.
const ANNOUNCE_EVERY: u32 = 16;

/// Which answer: a stage takes one of each kind from one worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AnswerKey {
    at: StageRef,
    kind: u8,
}

impl AnswerKey {
    /// The key of an answer. `Commit` and `Blocked` are two ways to answer one thing.
    pub fn of(answer: &Answer) -> Self {
        let kind = match answer {
            Answer::Commit { .. } | Answer::Blocked { .. } => 0,
            Answer::Check { .. } => 2,
            Answer::Reveal { .. } => 3,
            Answer::Vote { .. } => 4,
        };
        Self { at: answer.at(), kind }
    }
}

/// What is in one extrinsic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Load {
    /// Answers.
    Answers(Vec<Answer>),
    /// The node's peer id.
    Announce(Vec<u8>),
}

/// An extrinsic to build, sign and submit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submission {
    /// The worker's nonce in it.
    pub nonce: u32,
    /// What it says.
    pub load: Load,
}

/// How a submission ended.
#[derive(Debug)]
pub struct SubmitResult {
    /// Its nonce.
    pub nonce: u32,
    /// Whether the pool has it.
    pub result: Result<(), SubmitError>,
}

/// Why an extrinsic did not reach the pool.
#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    /// The chain could not be read.
    #[error(transparent)]
    Chain(#[from] crate::chain::ChainError),
    /// The key is gone.
    #[error(transparent)]
    Key(#[from] crate::keys::KeyError),
    /// The runtime builds no such extrinsic.
    #[error("the runtime refused to build the extrinsic")]
    Refused,
    /// The pool refused; the text says why.
    #[error("the transaction pool refused: {0}")]
    Pool(String),
    /// The task died.
    #[error("the submitting task died: {0}")]
    Task(String),
}

struct InFlight {
    nonce: u32,
    keys: Vec<AnswerKey>,
    block: u32,
}

/// See the module.
#[derive(Default)]
pub struct Submitter {
    /// Answers that wait to be on chain, in order of arrival.
    pending: BTreeMap<AnswerKey, (u64, Answer)>,
    arrival: u64,
    in_flight: VecDeque<InFlight>,
    /// Block in which answers were last submitted.
    last: Option<u32>,
    announced: Option<u32>,
}

impl Submitter {
    /// Adds an answer. A later one for the same thing does not replace it: what was signed first stands.
    pub fn push(&mut self, answer: Answer) {
        let arrival = self.arrival;
        self.pending.entry(AnswerKey::of(&answer)).or_insert_with(|| (arrival, answer));
        self.arrival += 1;
    }

    /// Whether an answer of this kind waits, or is under way.
    pub fn has(&self, answer: &Answer) -> bool {
        self.pending.contains_key(&AnswerKey::of(answer))
    }

    /// Answers that wait.
    pub fn len(&self) -> usize {
        self.pending.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }

    /// Takes note of a best block: what is no longer owed goes, what was included or lost is no longer under way.
    pub fn on_block(&mut self, number: u32, nonce: u32, owed: impl Fn(&Answer) -> bool) {
        self.pending.retain(|_, (_, answer)| owed(answer));
        self.in_flight.retain(|flight| flight.nonce >= nonce && number < flight.block + PATIENCE_BLOCKS);
        // A hole before a submission would keep it out for ever: start again from the chain's nonce.
        if self.in_flight.front().is_some_and(|flight| flight.nonce > nonce) {
            self.in_flight.clear();
        }
    }

    /// The next extrinsic, if something waits and none went out in this block.
    pub fn next(&mut self, number: u32, nonce: u32) -> Option<Submission> {
        if self.last == Some(number) {
            return None;
        }
        let flying = |key: &AnswerKey| self.in_flight.iter().any(|flight| flight.keys.contains(key));
        let mut waiting: Vec<(u64, AnswerKey)> =
            self.pending.iter().filter(|(key, _)| !flying(key)).map(|(key, (arrival, _))| (*arrival, *key)).collect();
        if waiting.is_empty() {
            return None;
        }
        waiting.sort();
        waiting.truncate(MAX_ANSWERS as usize);
        let keys: Vec<AnswerKey> = waiting.into_iter().map(|(_, key)| key).collect();
        let answers = keys.iter().map(|key| self.pending[key].1.clone()).collect();
        let nonce = self.cursor(nonce);
        self.in_flight.push_back(InFlight { nonce, keys, block: number });
        self.last = Some(number);
        Some(Submission { nonce, load: Load::Answers(answers) })
    }

    /// An announcement of the peer id, if the chain has another one and none went out lately.
    pub fn announce(&mut self, number: u32, nonce: u32, peer: Vec<u8>) -> Option<Submission> {
        if self.announced.is_some_and(|block| number < block + ANNOUNCE_EVERY) {
            return None;
        }
        self.announced = Some(number);
        let nonce = self.cursor(nonce);
        self.in_flight.push_back(InFlight { nonce, keys: Vec::new(), block: number });
        Some(Submission { nonce, load: Load::Announce(peer) })
    }

    /// The next nonce: after the chain's, and after those under way.
    fn cursor(&self, nonce: u32) -> u32 {
        self.in_flight.back().map_or(nonce, |flight| nonce.max(flight.nonce + 1))
    }

    /// A submission ended. One that the pool does not have is no longer under way, nor are those with later nonces.
    pub fn submitted(&mut self, result: &SubmitResult) {
        if result.result.is_err() {
            // An announcement has no answers of its own to come back to; it is made again at the next block.
            if self.in_flight.iter().any(|flight| flight.nonce >= result.nonce && flight.keys.is_empty()) {
                self.announced = None;
            }
            self.in_flight.retain(|flight| flight.nonce < result.nonce);
        }
    }
}

/// The local transaction pool.
pub trait TxPool: Send + Sync + 'static {
    /// Submits an encoded extrinsic, validated at a block.
    fn submit(&self, at: At, extrinsic: Vec<u8>) -> BoxFuture<'static, Result<(), String>>;
}

/// Builds, signs and submits.
pub async fn deliver(
    chain: std::sync::Arc<dyn Chain>,
    keys: Keys,
    pool: std::sync::Arc<dyn TxPool>,
    worker: AccountId,
    at: At,
    submission: Submission,
) -> SubmitResult {
    let nonce = submission.nonce;
    let built = panics::blocking(move || build(&*chain, &keys, &worker, at, submission)).await;
    let result = match built {
        Ok(Ok(extrinsic)) => pool.submit(at, extrinsic).await.map_err(SubmitError::Pool),
        Ok(Err(error)) => Err(error),
        Err(text) => Err(SubmitError::Task(text)),
    };
    SubmitResult { nonce, result }
}

fn build(
    chain: &dyn Chain,
    keys: &Keys,
    worker: &AccountId,
    at: At,
    submission: Submission,
) -> Result<Vec<u8>, SubmitError> {
    let Submission { nonce, load } = submission;
    let prepared = match load {
        Load::Answers(answers) => chain.prepare_answer(at, worker, nonce, answers)?,
        Load::Announce(peer) => chain.prepare_announce(at, worker, nonce, peer)?,
    }
    .ok_or(SubmitError::Refused)?;
    let signature = keys.sign(worker, &prepared.payload)?;
    chain.assemble(at.hash, worker, prepared, signature)?.ok_or(SubmitError::Refused)
}

#[cfg(test)]
mod tests {
    use super::*;
    use assay_primitives::Opening;
    use polkadot_sdk::sp_core::H256;

    fn reveal(job: u8) -> Answer {
        let at = StageRef { job: H256::repeat_byte(job), attempt: 0, stage: 0 };
        Answer::Reveal {
            at,
            opening: Opening { out_root: H256::zero(), kv_root: H256::zero(), tail_root: H256::zero() },
        }
    }

    fn answers(submission: Option<Submission>) -> (u32, Vec<Answer>) {
        match submission {
            Some(Submission { nonce, load: Load::Answers(answers) }) => (nonce, answers),
            other => panic!("no answers: {other:?}"),
        }
    }

    #[test]
    fn next_takes_one_batch_per_block_in_order_of_arrival() {
        let mut submitter = Submitter::default();
        for job in (0..40).rev() {
            submitter.push(reveal(job));
        }
        let (nonce, batch) = answers(submitter.next(10, 7));
        assert_eq!((nonce, batch.len()), (7, 32));
        assert_eq!(batch[0], reveal(39));
        assert_eq!(submitter.next(10, 7), None);
        submitter.on_block(11, 7, |_| true);
        let (nonce, batch) = answers(submitter.next(11, 7));
        assert_eq!((nonce, batch.len()), (8, 8), "behind the one that is still under way");
        submitter.on_block(12, 9, |_| false);
        assert!(submitter.is_empty());
        assert_eq!(submitter.next(12, 9), None);
    }

    #[test]
    fn on_block_included_but_still_owed_submits_again() {
        let mut submitter = Submitter::default();
        submitter.push(reveal(1));
        submitter.next(10, 0);
        submitter.on_block(11, 1, |_| true);
        assert_eq!(answers(submitter.next(11, 1)).0, 1);
    }

    #[test]
    fn on_block_not_included_in_time_submits_again_with_the_same_nonce() {
        let mut submitter = Submitter::default();
        submitter.push(reveal(1));
        submitter.next(10, 3);
        for number in 11..10 + PATIENCE_BLOCKS {
            submitter.on_block(number, 3, |_| true);
            assert_eq!(submitter.next(number, 3), None);
        }
        submitter.on_block(10 + PATIENCE_BLOCKS, 3, |_| true);
        assert_eq!(answers(submitter.next(10 + PATIENCE_BLOCKS, 3)).0, 3);
    }

    #[test]
    fn submitted_refused_by_the_pool_frees_its_answers_and_later_nonces() {
        let mut submitter = Submitter::default();
        submitter.push(reveal(1));
        submitter.next(10, 3);
        submitter.push(reveal(2));
        submitter.on_block(11, 3, |_| true);
        assert_eq!(answers(submitter.next(11, 3)).0, 4);
        submitter.submitted(&SubmitResult { nonce: 3, result: Err(SubmitError::Refused) });
        submitter.on_block(12, 3, |_| true);
        let (nonce, batch) = answers(submitter.next(12, 3));
        assert_eq!((nonce, batch), (3, vec![reveal(1), reveal(2)]));
    }

    #[test]
    fn on_block_with_a_hole_starts_from_the_chains_nonce() {
        let mut submitter = Submitter::default();
        submitter.push(reveal(1));
        submitter.next(10, 5);
        // A re-org took an earlier extrinsic of this worker away.
        submitter.on_block(11, 4, |_| true);
        assert_eq!(answers(submitter.next(11, 4)).0, 4);
    }

    #[test]
    fn push_twice_keeps_the_first() {
        let at = StageRef { job: H256::zero(), attempt: 0, stage: 0 };
        let mut submitter = Submitter::default();
        submitter.push(Answer::Vote { at, digest: H256::repeat_byte(1) });
        submitter.push(Answer::Vote { at, digest: H256::repeat_byte(2) });
        assert_eq!(answers(submitter.next(1, 0)).1, [Answer::Vote { at, digest: H256::repeat_byte(1) }]);
    }

    #[test]
    fn announce_refused_is_made_again_at_once() {
        let mut submitter = Submitter::default();
        assert!(submitter.announce(10, 0, vec![1]).is_some());
        submitter.submitted(&SubmitResult { nonce: 0, result: Err(SubmitError::Refused) });
        assert_eq!(submitter.announce(11, 0, vec![1]).map(|s| s.nonce), Some(0));
    }

    #[test]
    fn announce_again_only_after_a_while() {
        let mut submitter = Submitter::default();
        assert!(submitter.announce(10, 0, vec![1]).is_some());
        assert!(submitter.announce(11, 0, vec![1]).is_none());
        submitter.push(reveal(1));
        assert_eq!(answers(submitter.next(11, 0)).0, 1, "the announcement has nonce 0");
        assert!(submitter.announce(10 + ANNOUNCE_EVERY, 2, vec![1]).is_some());
    }
}
