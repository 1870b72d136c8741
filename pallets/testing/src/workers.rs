//! The workers of the world: a made-up computation, and every way to answer for it.

use super::{runtime::*, world};
use assay_primitives::{
    digest,
    traits::{Market, OpenJob},
    *,
};
use frame::{
    deps::{sp_core::Pair, sp_io::storage},
    hashing::{blake2_256, twox_128},
    prelude::*,
    testing_prelude::{assert_ok, hypothetically},
};

/// A job of two stages, checked by two, unless changed.
pub fn spec(template: u8, k: u8) -> JobSpec {
    JobSpec {
        model: MODEL,
        template,
        input: JobInput::Inline(vec![1, 2, 3].try_into().unwrap()),
        task: JobTask::Generate { max_new_tokens: 8, sampling: SamplingParams::GREEDY },
        mode: if k == 1 { VerificationMode::None } else { VerificationMode::Quorum { k } },
        max_price: 1_000_000,
        insured: 0,
        extra_ticks: 0,
    }
}

/// Submits a job and returns its hash.
pub fn submit(who: &AccountId, spec: JobSpec) -> JobHash {
    let nonce = pallet_assay_jobs::NonceOf::<Test>::get(who);
    let version = pallet_assay_jobs::CurrentParams::<Test>::get();
    let hash = digest::job_hash(GENESIS, who, nonce, &spec, version);
    assert_ok!(Jobs::submit(RuntimeOrigin::signed(who.clone()), spec));
    assert!(Jobs::open_job(hash).is_some());
    hash
}

/// An open job.
pub fn open(job: JobHash) -> OpenJob {
    Jobs::open_job(job).expect("the job is open")
}

/// The present attempt at a stage of an open job.
pub fn at(job: JobHash, stage: u8) -> StageRef {
    StageRef { job, attempt: open(job).attempt, stage }
}

/// The ids that the model generates for every prompt: it stops early.
pub fn output() -> OutputIds {
    vec![10, 11, 12, EOS].try_into().unwrap()
}

/// The vector that the encoder gives for every text.
pub fn vector() -> Vector {
    (0..WIDTH as i16).map(|i| i * 100 - 300).collect::<Vec<_>>().try_into().unwrap()
}

/// A job of the encoder, of two stages, checked by two, unless changed.
pub fn embedding(template: u8, k: u8) -> JobSpec {
    JobSpec { model: ENCODER, task: JobTask::Embed, ..spec(template, k) }
}

/// The answer to a job.
pub fn answer_of(job: &OpenJob) -> Output {
    match job.spec.task {
        JobTask::Generate { .. } => Output::Ids(output()),
        JobTask::Embed => Output::Vector(vector()),
    }
}

/// Root of what a stage receives, and the rows that it covers.
pub fn in_root(job: &OpenJob, stage: u8) -> (H256, u32) {
    let answer = answer_of(job);
    let ids = job.spec.input_len() + answer.ids().len() as u32;
    match (stage, &answer) {
        (0, _) => (digest::ids_root(job.spec.input_ids(), answer.ids()), ids),
        (_, Output::Ids(_)) => (H256(blake2_256(&("rows", job.job, stage).encode())), ids - 1),
        (_, Output::Vector(_)) => (H256(blake2_256(&("rows", job.job, stage).encode())), ids),
    }
}

/// Root of what a stage hands on.
pub fn out_root(job: &OpenJob, stage: u8) -> H256 {
    match answer_of(job) {
        Output::Vector(vector) if usize::from(stage) + 1 == job.stages.len() => digest::vector_root(&vector),
        _ => in_root(job, (stage + 1) % job.stages.len() as u8).0,
    }
}

/// The flavour of a right computation whose boundary is not the one that the executor names and hands on.
pub const OTHER_BOUNDARY: u8 = 9;

/// What opens a stage's root of this flavour; 0 is the true one.
pub fn opening(job: &OpenJob, stage: u8, flavour: u8) -> Opening {
    let root = |what: &str| H256(blake2_256(&(what, job.job, stage, flavour).encode()));
    let out_root = if flavour == OTHER_BOUNDARY { root("out") } else { out_root(job, stage) };
    Opening { out_root, kv_root: root("kv"), tail_root: root("tail") }
}

/// The stage root of this flavour; 0 is the true one.
pub fn stage_root(job: &OpenJob, stage: u8, flavour: u8) -> H256 {
    let span = job.stages[usize::from(stage)].span;
    digest::stage_root(&job.spec, span, in_root(job, stage).0, &opening(job, stage, flavour))
}

/// The context of some role at a stage.
pub fn ctx(job: &OpenJob, stage: u8, role: Role) -> WorkCtx {
    WorkCtx { genesis: GENESIS, kind: 0, id: job.job, epoch: job.attempt, stage, range: job.spec.positions(), role }
}

/// Somebody's digest of a stage root.
pub fn digest_of(job: &OpenJob, stage: u8, role: Role, who: &AccountId, flavour: u8) -> H256 {
    digest::commit(&ctx(job, stage, role), who, stage_root(job, stage, flavour))
}

/// What a stage's executor signs over rows that it handed on.
pub fn handoff(job: &OpenJob, producer: u8, n_rows: u32, root: H256) -> Handoff {
    let who = index_of(&job.stages[usize::from(producer)].executor);
    let message = digest::handoff(&ctx(job, producer, Role::Executor), n_rows, root);
    Handoff { n_rows, signature: worker_pair(who).sign(message.as_bytes()) }
}

/// The commitment of a stage whose root has this flavour.
pub fn commitment(job: &OpenJob, stage: u8, flavour: u8) -> StageCommitment {
    let n = job.stages.len() as u8;
    let (root, rows) = in_root(job, stage);
    StageCommitment {
        in_root: root,
        out_root: out_root(job, stage),
        digest: digest_of(job, stage, Role::Executor, &job.stages[usize::from(stage)].executor, flavour),
        upstream: job.spec.upstream_of(stage, n).map(|upstream| handoff(job, upstream, rows, root)),
        output: (stage + 1 == n).then(|| answer_of(job)),
    }
}

/// A digest of the whole state but its events.
pub fn fingerprint() -> [u8; 32] {
    let events = [b"Events".as_slice(), b"EventCount"].map(|item| [twox_128(b"System"), twox_128(item)].concat());
    let mut all = Vec::new();
    let mut key = Vec::new();
    while let Some(next) = storage::next_key(&key) {
        if !events.iter().any(|prefix| next.starts_with(prefix)) {
            (&next, storage::get(&next)).encode_to(&mut all);
        }
        key = next;
    }
    blake2_256(&all)
}

/// Sends one answer; returns what became of it. One that does not count changes nothing and costs its fee.
pub fn answer(worker: &AccountId, answer: Answer) -> DispatchResult {
    let send = || {
        let before = System::events().len();
        let batch = vec![answer.clone()].try_into().expect("one fits");
        let info = Verification::answer(RuntimeOrigin::signed(worker.clone()), batch).expect("a batch of one");
        let result = System::events()
            .into_iter()
            .skip(before)
            .rev()
            .find_map(|r| match r.event {
                RuntimeEvent::Verification(pallet_assay_verification::Event::Answered { result, .. }) => Some(result),
                _ => None,
            })
            .expect("every answer has its event");
        assert_eq!(info.pays_fee == Pays::No, result.is_ok(), "the fee returns exactly if the answer counts");
        result
    };
    // Looking over the whole state is slow: only where nothing may change.
    if hypothetically!(send()).is_ok() {
        return send();
    }
    let state = fingerprint();
    let result = send();
    assert_eq!(state, fingerprint(), "an answer that does not count changes nothing");
    result
}

/// A stage's executor commits to a root of this flavour.
pub fn commit_as(job: JobHash, stage: u8, flavour: u8) -> DispatchResult {
    let open = open(job);
    let worker = open.stages[usize::from(stage)].worker.clone();
    answer(&worker, Answer::Commit { at: at(job, stage), commitment: commitment(&open, stage, flavour) })
}

/// All stages commit, those named to a wrong root.
pub fn commit_all(job: JobHash, wrong: &[u8]) {
    for s in 0..open(job).stages.len() as u8 {
        assert_ok!(commit_as(job, s, u8::from(wrong.contains(&s))));
    }
}

/// Blocks until the checkers are drawn.
pub fn run_to_checking(job: JobHash) {
    for _ in 0..64 {
        if open(job).phase == JobPhase::Checking {
            return;
        }
        next_block();
    }
    panic!("checkers are drawn within the window");
}

/// The seats of a stage.
pub fn seats(job: JobHash, stage: u8) -> Vec<pallet_assay_verification::Seat> {
    pallet_assay_verification::Stages::<Test>::get(job, stage).map(|s| s.seats.into_inner()).unwrap_or_default()
}

/// A checker's answer: it computed the root of this flavour, the executor committed to that of the other.
pub fn check_as(job: JobHash, stage: u8, who: &AccountId, own: u8, committed: u8) -> DispatchResult {
    let digest = digest_of(&open(job), stage, Role::Checker, who, own);
    let verdict = if own == committed { CheckVerdict::Agree(digest) } else { CheckVerdict::Dissent(digest) };
    answer(&worker(index_of(who)), Answer::Check { at: at(job, stage), verdict })
}

/// Every seat without an answer checks honestly what was committed with these flavours.
pub fn check_all(job: JobHash, committed: &[u8]) {
    for s in 0..open(job).stages.len() as u8 {
        let wrong = u8::from(committed.contains(&s));
        for seat in seats(job, s).into_iter().filter(|seat| seat.answer.is_none()) {
            assert_ok!(check_as(job, s, &seat.controller, 0, wrong));
        }
    }
}

/// Opens a stage's root of this flavour.
pub fn reveal_as(job: JobHash, stage: u8, who: &AccountId, flavour: u8) -> DispatchResult {
    let opening = opening(&open(job), stage, flavour);
    answer(who, Answer::Reveal { at: at(job, stage), opening })
}

/// Opens the true roots of all stages.
pub fn reveal_all(job: JobHash) {
    for s in 0..open(job).stages.len() as u8 {
        let worker = open(job).stages[usize::from(s)].worker.clone();
        assert_ok!(reveal_as(job, s, &worker, 0));
    }
}

/// A holder votes for the root of this flavour.
pub fn vote_as(job: JobHash, stage: u8, who: &AccountId, flavour: u8) -> DispatchResult {
    let digest = digest_of(&open(job), stage, Role::Voter, who, flavour);
    answer(&worker(index_of(who)), Answer::Vote { at: at(job, stage), digest })
}

/// The faults pinned so far: (stage, controller, what, slashed).
pub fn faults() -> Vec<(u8, AccountId, OffenceKind, Balance)> {
    world::Offences::<Test>::get().into_iter().map(|(o, slashed)| (o.at.stage, o.offender, o.kind, slashed)).collect()
}

/// The receipt of a settled job.
pub fn receipt(job: JobHash) -> Receipt {
    pallet_assay_jobs::Receipts::<Test>::get(job).expect("the job settled")
}

/// How a job that did not settle ended.
pub fn refund(job: JobHash) -> (RefundReason, Balance, Balance) {
    System::events()
        .into_iter()
        .find_map(|r| match r.event {
            RuntimeEvent::Jobs(pallet_assay_jobs::Event::Refunded { job: j, reason, refunded, burned, .. })
                if j == job =>
            {
                Some((reason, refunded, burned))
            }
            _ => None,
        })
        .expect("the job was refunded")
}
