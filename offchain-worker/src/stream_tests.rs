//! Tests of the token streams.

use super::*;
use crate::{
    keys::{insert_dev_key, Keys},
    tests::toy::{self, Toy},
};
use assay_primitives::{api::StageView, AccountId, StageRef};
use polkadot_sdk::sp_keystore::testing::MemoryKeystore;

const GENESIS: H256 = H256([4; 32]);

struct Scene {
    keys: Keys,
    worker: AccountId,
    view: JobView,
    hub: StreamHub,
}

impl Scene {
    fn new() -> Self {
        let store = Arc::new(MemoryKeystore::new());
        let worker = insert_dev_key(&*store, "//Alice").unwrap();
        let stage = |i: usize, worker: AccountId| StageView {
            span: toy::spans(2)[i],
            executor: AccountId::new([i as u8; 32]),
            worker,
            peer: Vec::new(),
            price: 1,
            commit: None,
            blocked: false,
            seats: Vec::new(),
            dispute: None,
        };
        let view = JobView {
            job: H256::repeat_byte(1),
            client: AccountId::new([9; 32]),
            spec: toy::job_spec(&[1, 2, 3], 20, 1, 2),
            phase: JobPhase::Running,
            attempt: 0,
            now: 1,
            due: 9,
            held: 0,
            stages: vec![stage(0, AccountId::new([8; 32])), stage(1, worker.clone())],
            output: None,
        };
        let hub = StreamHub::new(GENESIS, Some(Arc::new(Toy::default())));
        Self { keys: Keys::new(store), worker, view, hub }
    }

    fn see(&self, view: &JobView, block: u32) {
        self.hub.job(&view.job, &JobState::Open(Arc::new(view.clone())), block, 0);
    }

    /// The frame that takes the stream from `start` to `seq` ids, all ids being their number.
    fn frame(&self, attempt: u32, start: u32, seq: u32) -> TokenFrame {
        let at = StageRef { job: self.view.job, attempt, stage: 1 };
        let all: Vec<u32> = [1, 2, 3].into_iter().chain(1..=seq).collect();
        let root = crate::engine::Rows::Ids(all).root();
        let ctx = work_ctx(GENESIS, &at, &self.view.spec, Role::Executor);
        let signature = self.keys.sign_digest(&self.worker, digest::token_frame(&ctx, seq, root)).unwrap();
        TokenFrame { at, seq, ids: (start + 1..=seq).collect(), signature }
    }
}

fn seqs(items: &[StreamItem]) -> Vec<u32> {
    items.iter().filter_map(|i| if let StreamItem::Token { seq, .. } = i { Some(*seq) } else { None }).collect()
}

#[test]
fn frames_before_the_job_is_known_are_shown_once_it_is() {
    let scene = Scene::new();
    assert_eq!(scene.hub.frame(&scene.frame(0, 0, 2)), Heard::Unknown);
    assert_eq!(scene.hub.frame(&scene.frame(0, 2, 3)), Heard::Unknown);
    scene.see(&scene.view, 1);
    let (items, _) = scene.hub.subscribe(scene.view.job).unwrap();
    assert_eq!(seqs(&items), [1, 2, 3]);
    // A signature comes with the last id of each frame.
    let signed: Vec<bool> = items
        .iter()
        .filter_map(|i| if let StreamItem::Token { signature, .. } = i { Some(signature.is_some()) } else { None })
        .collect();
    assert_eq!(signed, [false, true, true]);
}

#[test]
fn frames_out_of_order_wait_and_the_gap_is_asked_for() {
    let scene = Scene::new();
    let (_, mut items) = scene.hub.subscribe(scene.view.job).unwrap();
    scene.see(&scene.view, 1);
    assert_eq!(scene.hub.wants(), [(scene.view.job, 0, 0)], "asked once at subscription");
    assert_eq!(scene.hub.frame(&scene.frame(0, 2, 3)), Heard::Quiet);
    std::thread::sleep(WANT_EVERY);
    assert_eq!(scene.hub.wants(), [(scene.view.job, 0, 0)]);
    assert_eq!(scene.hub.frame(&scene.frame(0, 0, 2)), Heard::New);
    assert_eq!(scene.hub.frame(&scene.frame(0, 0, 2)), Heard::Quiet, "known: not passed on again");
    let mut got = Vec::new();
    while let Ok(item) = items.try_recv() {
        got.push(item);
    }
    assert_eq!(seqs(&got), [1, 2, 3]);
    // What it can give to others that missed it.
    let served: Vec<u32> = scene.hub.frames(&scene.view.job, 0, 2).iter().map(|f| f.seq).collect();
    assert_eq!(served, [3]);
    assert!(scene.hub.frames(&scene.view.job, 1, 0).is_empty());
}

#[test]
fn frames_forged_or_of_a_wrong_stage_are_refused() {
    let scene = Scene::new();
    scene.see(&scene.view, 1);
    scene.hub.subscribe(scene.view.job).unwrap();
    scene.see(&scene.view, 1);
    let mut altered = scene.frame(0, 0, 2);
    altered.ids[0] += 1;
    assert_eq!(scene.hub.frame(&altered), Heard::Forged);
    let mut other = scene.frame(0, 0, 2);
    other.at.stage = 0;
    assert_eq!(scene.hub.frame(&other), Heard::Forged);
    let beyond = scene.frame(0, 0, 21);
    assert_eq!(scene.hub.frame(&beyond), Heard::Forged, "more ids than the job may generate");
    let (items, _) = scene.hub.subscribe(scene.view.job).unwrap();
    assert!(seqs(&items).is_empty());
}

#[test]
fn a_new_attempt_starts_the_text_again() {
    let scene = Scene::new();
    let (_, mut items) = scene.hub.subscribe(scene.view.job).unwrap();
    scene.see(&scene.view, 1);
    scene.hub.frame(&scene.frame(0, 0, 2));
    let second = JobView { attempt: 1, ..scene.view.clone() };
    scene.see(&second, 2);
    assert_eq!(scene.hub.frame(&scene.frame(0, 2, 3)), Heard::Unknown, "of an attempt that is over");
    assert_eq!(scene.hub.frame(&scene.frame(1, 0, 1)), Heard::New);
    let mut got = Vec::new();
    while let Ok(item) = items.try_recv() {
        got.push(item);
    }
    assert_eq!(seqs(&got), [1, 2, 1]);
    let restarted = got.iter().position(|i| matches!(i, StreamItem::Restarted { attempt: 1 })).unwrap();
    assert_eq!(seqs(&got[..restarted]), [1, 2]);
}

#[test]
fn a_job_that_vanishes_is_refunded_after_some_blocks_and_not_by_a_reorg() {
    let scene = Scene::new();
    let (_, mut items) = scene.hub.subscribe(scene.view.job).unwrap();
    scene.see(&scene.view, 1);
    for block in 2..2 + ABSENT_BLOCKS - 1 {
        scene.hub.job(&scene.view.job, &JobState::Absent, block, 0);
    }
    scene.see(&scene.view, 5);
    for block in 6..6 + ABSENT_BLOCKS {
        scene.hub.job(&scene.view.job, &JobState::Absent, block, 0);
    }
    let mut got = Vec::new();
    while let Ok(item) = items.try_recv() {
        got.push(item);
    }
    assert!(matches!(got.last(), Some(StreamItem::Refunded { .. })));
    assert_eq!(got.iter().filter(|i| matches!(i, StreamItem::Refunded { .. })).count(), 1);
    assert!(items.is_closed());
}

#[test]
fn a_slow_subscriber_is_dropped_and_the_others_are_not() {
    let scene = Scene::new();
    let (_, mut slow) = scene.hub.subscribe(scene.view.job).unwrap();
    let (_, mut quick) = scene.hub.subscribe(scene.view.job).unwrap();
    let phases = [JobPhase::Checking, JobPhase::Revealing];
    let mut last = 0;
    for i in 0..MAX_WAITING + 10 {
        scene.see(&JobView { phase: phases[i % 2], ..scene.view.clone() }, i as u32);
        while quick.try_recv().is_ok() {
            last = i;
        }
    }
    assert_eq!(last, MAX_WAITING + 9);
    let mut got = 0;
    while slow.try_recv().is_ok() {
        got += 1;
    }
    assert_eq!(got, MAX_WAITING, "what was buffered is still there");
    assert!(slow.is_closed());
}

#[test]
fn streams_beyond_the_bound_forget_the_oldest_that_nobody_reads() {
    let scene = Scene::new();
    let (_, _reader) = scene.hub.subscribe(scene.view.job).unwrap();
    scene.see(&scene.view, 1);
    for i in 0..2 * MAX_JOBS {
        let mut frame = scene.frame(0, 0, 1);
        frame.at.job = H256::from_low_u64_be(i as u64 + 1);
        assert_eq!(scene.hub.frame(&frame), Heard::Unknown);
    }
    assert_eq!(scene.hub.inner.lock().streams.len(), MAX_JOBS);
    assert!(scene.hub.watched().contains(&scene.view.job), "the one with a reader stays");
}
