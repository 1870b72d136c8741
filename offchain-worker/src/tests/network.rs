//! Several workers, one chain, a network in all weathers.

use super::{
    toy::{self, Toy},
    world::{block, blocks_until, FakeChain, FakeNet, Node, Weather, GENESIS, PATIENCE},
};
use crate::{
    context::work_ctx,
    journal::{Journal, Key, Phase, Value},
    network::transport::Misbehaviour,
    stream::StreamItem,
};
use assay_primitives::{
    api::{CommitView, JobView},
    AccountId, Answer, CheckVerdict, JobHash, JobPhase, Output, Role, StageRef, WorkCtx,
};
use polkadot_sdk::{sc_network::PeerId, sp_core::H256};
use std::{
    sync::{atomic::Ordering, Arc},
    time::Duration,
};
use tempfile::TempDir;

struct World {
    chain: FakeChain,
    net: FakeNet,
    dir: TempDir,
    engines: Vec<Arc<Toy>>,
    nodes: Vec<Node>,
}

const NAMES: [&str; 6] = ["Alice", "Bob", "Charlie", "Dave", "Eve", "Ferdie"];

impl World {
    async fn new(n: usize) -> Self {
        let (chain, net, dir) = (FakeChain::default(), FakeNet::default(), TempDir::new().unwrap());
        let engines: Vec<_> = (0..n).map(|_| Arc::new(Toy::default())).collect();
        let nodes: Vec<_> = (0..n)
            .map(|i| Node::start(NAMES[i], &chain, &net, engines[i].clone(), dir.path(), PeerId::random()))
            .collect();
        let this = Self { chain, net, dir, engines, nodes };
        // Two blocks: identities are read, peer ids announced and included.
        for _ in 0..3 {
            this.block().await;
        }
        this
    }

    fn refs(&self) -> Vec<&Node> {
        self.nodes.iter().collect()
    }

    async fn block(&self) {
        block(&self.chain, &self.refs()).await;
    }

    fn workers(&self, which: &[usize]) -> Vec<AccountId> {
        which.iter().map(|i| self.nodes[*i].worker.clone()).collect()
    }

    /// A job over `executors.len()` stages; every stage is checked by the same nodes.
    fn submit(&self, prompt: &[u32], max_new: u32, seed: u8, executors: &[usize], checkers: &[usize]) -> JobHash {
        let spec = toy::job_spec(prompt, max_new, seed, checkers.len() as u8 + 1);
        let spans = toy::spans(executors.len() as u8);
        let checkers = vec![self.workers(checkers); executors.len()];
        self.chain.submit(spec, &spans, &self.workers(executors), &checkers)
    }

    /// Stops a node, as a crash would. The others move up until it is restarted.
    async fn crash(&mut self, i: usize) -> PeerId {
        let node = self.nodes.remove(i);
        let peer = node.peer;
        node.crash(&self.net).await;
        peer
    }

    /// Starts a node again, with the same journal, key and peer id.
    async fn restart(&mut self, i: usize, peer: PeerId) {
        let (chain, net, engine, dir) = (&self.chain, &self.net, &self.engines[i], self.dir.path());
        let again = eventually(|| {
            let start = || Node::start(NAMES[i], chain, net, engine.clone(), dir, peer);
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(start)).ok()
        });
        let node = again.await;
        self.nodes.insert(i, node);
    }

    /// Restarts a node that has signed something else for a stage than what it is going to compute.
    async fn restart_having_signed(&mut self, i: usize, job: &JobHash, stage: u8, phase: Phase) {
        let peer = self.crash(i).await;
        let at = StageRef { job: *job, attempt: 0, stage };
        let WorkCtx { genesis, id, epoch: attempt, stage, range, role, .. } =
            work_ctx(GENESIS, &at, &self.chain.view(job).spec, Role::Executor);
        let path = self.dir.path().join(format!("{}.log", NAMES[i]));
        let journal = eventually(|| Journal::open(&path).ok()).await;
        let key = Key { genesis, job: id, attempt, stage, range, role, phase };
        journal.record(key, Value { digest: H256::repeat_byte(0xEE), evidence: Vec::new() }, 0).unwrap();
        drop(journal);
        self.restart(i, peer).await;
    }

    async fn until(&self, done: impl FnMut() -> bool) -> bool {
        blocks_until(&self.chain, &self.refs(), PATIENCE, done).await
    }

    async fn settle(&self, job: &JobHash) -> bool {
        self.until(|| self.chain.settled(job).is_some()).await
    }

    /// The job settled with the right answer, and nobody said anything that the rules refuse, but for openings that came second.
    fn assert_right(&self, job: &JobHash) {
        let receipt = self.chain.settled(job).expect("settled");
        let view = self.chain.view(job);
        let stages = view.stages.len() as u8;
        match &receipt.output {
            Output::Ids(ids) => assert_eq!(ids.to_vec(), toy::generate_staged(&view.spec, stages)),
            Output::Vector(vector) => assert_eq!(vector.to_vec(), toy::embed_staged(&view.spec, stages)),
        }
        let refused: Vec<_> =
            self.chain.refused(job).into_iter().filter(|(a, _)| !matches!(a, Answer::Reveal { .. })).collect();
        assert_eq!(refused, []);
    }
}

/// Waits up to five seconds. (The last disk write of a node that crashed may hold its journal for a moment.)
async fn eventually<T>(mut open: impl FnMut() -> Option<T>) -> T {
    for _ in 0..250 {
        if let Some(opened) = open() {
            return opened;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("it never came");
}

fn is_token(item: &StreamItem) -> bool {
    matches!(item, StreamItem::Token { .. })
}

fn commit(view: &mut JobView, stage: usize) -> &mut CommitView {
    view.stages[stage].commit.as_mut().unwrap()
}

fn answers(view: &JobView) -> Vec<Option<CheckVerdict>> {
    view.stages.iter().flat_map(|s| &s.seats).map(|s| s.answer).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jobs_of_one_to_four_stages_settle_with_all_checks_agreeing() {
    let world = World::new(6).await;
    for (executors, seed) in [(&[0][..], 1), (&[0, 1], 2), (&[0, 1, 2], 3), (&[3, 2, 1, 0], 4), (&[1, 1], 5)] {
        let job = world.submit(&[5, 6, 7, 8], 40, seed, executors, &[4, 5]);
        assert!(world.settle(&job).await, "{executors:?}: {:?}", world.chain.view(&job));
        world.assert_right(&job);
        assert!(answers(&world.chain.view(&job)).iter().all(|a| matches!(a, Some(CheckVerdict::Agree(_)))));
    }
    for (node, engine) in world.nodes.iter().zip(&world.engines) {
        assert_eq!(node.alarm.get(), None);
        assert_eq!(world.chain.announced(&node.controller), Some(crate::network::peer_to_chain(&node.peer)));
        // Once, before the first commit after the start; never for a check that agrees.
        assert!(engine.references.load(Ordering::SeqCst) <= 1);
    }
    assert_eq!(world.net.reports(), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn embeddings_of_one_to_four_stages_settle_with_all_checks_agreeing() {
    let world = World::new(6).await;
    let long: Vec<u32> = (0..400).map(|i| i % toy::VOCAB).collect();
    for (executors, text) in [(&[0][..], &[5, 6, 7][..]), (&[0, 1], &[9]), (&[3, 2, 1, 0], &long), (&[1, 1], &long)] {
        let spec = toy::embedding(text, 3);
        let n = executors.len();
        let checkers = vec![world.workers(&[4, 5]); n];
        let job = world.chain.submit(spec, &toy::spans(n as u8), &world.workers(executors), &checkers);
        assert!(world.settle(&job).await, "{executors:?}: {:?}", world.chain.view(&job));
        world.assert_right(&job);
        assert!(answers(&world.chain.view(&job)).iter().all(|a| matches!(a, Some(CheckVerdict::Agree(_)))));
    }
    assert!(world.nodes.iter().all(|node| node.alarm.get().is_none()));
    assert_eq!(world.net.reports(), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_embedding_survives_the_restart_of_a_stage_in_the_middle() {
    let mut world = World::new(5).await;
    world.engines[1].pace.store(400, Ordering::SeqCst);
    let spec = toy::embedding(&[5, 6, 7], 2);
    let checkers = vec![world.workers(&[4]); 3];
    let job = world.chain.submit(spec, &toy::spans(3), &world.workers(&[0, 1, 2]), &checkers);
    blocks_until(&world.chain, &world.refs(), 2, || false).await;
    let peer = world.crash(1).await;
    world.engines[1].pace.store(0, Ordering::SeqCst);
    world.restart(1, peer).await;
    assert!(world.settle(&job).await, "{:?}", world.chain.view(&job));
    world.assert_right(&job);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jobs_at_the_same_time_share_the_nodes() {
    let world = World::new(4).await;
    let jobs: Vec<_> = (0..6).map(|i| world.submit(&[i, 2, 3], 30, i as u8, &[0, 1], &[2, 3])).collect();
    for job in &jobs {
        assert!(world.settle(job).await);
        world.assert_right(job);
    }
    // Batched: far fewer extrinsics than the 6 * (2 commits + 4 checks + 2 openings) answers.
    assert!(world.chain.submissions() < 40, "{}", world.chain.submissions());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jobs_of_the_same_layers_are_stepped_together_and_one_that_panics_costs_itself() {
    let world = World::new(3).await;
    // The third stage that is opened panics in its first step.
    world.engines[0].panic_in.store(3, Ordering::SeqCst);
    world.engines[0].pace.store(2, Ordering::SeqCst);
    let jobs: Vec<_> = (0..6).map(|i| world.submit(&[i, 2, 3], 60, i as u8, &[0], &[1, 2])).collect();
    let settled = || jobs.iter().filter(|job| world.chain.settled(job).is_some()).count() == jobs.len() - 1;
    assert!(world.until(settled).await);
    jobs.iter().filter(|job| world.chain.settled(job).is_some()).for_each(|job| world.assert_right(job));
    assert!(world.engines[0].most_together.load(Ordering::SeqCst) > 1);
    assert!(world.nodes.iter().all(|node| node.alarm.get().is_none()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_lost_repeated_and_garbled_only_cost_time() {
    let world = World::new(4).await;
    world.net.set_weather(Weather { lost: 10, repeated: 10, garbled: 5 });
    let prompt: Vec<u32> = (0..200).map(|i| i % toy::VOCAB).collect();
    let job = world.submit(&prompt, 24, 2, &[0, 1, 2], &[3]);
    assert!(world.settle(&job).await, "{:?}", world.chain.view(&job));
    world.assert_right(&job);
    assert!(world.nodes.iter().all(|node| node.alarm.get().is_none()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_after_the_final_handoff_harm_nobody() {
    let world = World::new(4).await;
    // Into the stage between the ends, and into the last.
    world.net.overrun(world.nodes[0].peer);
    world.net.overrun(world.nodes[1].peer);
    let job = world.submit(&[1, 2, 3], 20, 1, &[0, 1, 2], &[3]);
    assert!(world.settle(&job).await, "{:?}", world.chain.view(&job));
    world.assert_right(&job);
    assert!(world.nodes.iter().all(|node| node.alarm.get().is_none()));
    assert!(world.net.reports().contains(&(world.nodes[0].peer, Misbehaviour::WrongContent)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn submissions_lost_are_submitted_again() {
    let world = World::new(3).await;
    let job = world.submit(&[1, 2, 3], 10, 1, &[0, 1], &[2]);
    world.chain.lose(3);
    assert!(world.settle(&job).await, "{:?}", world.chain.view(&job));
    world.assert_right(&job);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_upstream_is_reported_blocked_before_the_due_tick() {
    let mut world = World::new(3).await;
    let silent = world.nodes.remove(0);
    let executors = [silent.worker.clone(), world.nodes[0].worker.clone()];
    silent.crash(&world.net).await;
    let spec = toy::job_spec(&[1, 2, 3], 10, 1, 2);
    let job = world.chain.submit(spec, &toy::spans(2), &executors, &vec![world.workers(&[1]); 2]);
    world.chain.set_due(&job, 8);
    for _ in 0..8 {
        world.block().await;
        // Blocks of a length in which an answer of this block can be in the next.
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert!(world.chain.view(&job).stages[1].blocked);
    assert!(world.chain.view(&job).now <= world.chain.view(&job).due);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stage_of_an_embedding_that_is_fed_at_the_last_moment_says_so() {
    let world = World::new(3).await;
    let [upstream, stage] = [&world.engines[0], &world.engines[1]];
    upstream.hold.store(true, Ordering::SeqCst);
    stage.hold.store(true, Ordering::SeqCst);
    let spec = toy::embedding(&[1, 2, 3], 2);
    let job = world.chain.submit(spec, &toy::spans(2), &world.workers(&[0, 1]), &vec![world.workers(&[2]); 2]);
    world.chain.set_due(&job, 40);
    blocks_until(&world.chain, &world.refs(), 25, || false).await;
    upstream.hold.store(false, Ordering::SeqCst);
    eventually(|| (stage.steps.load(Ordering::SeqCst) > 0).then_some(())).await;
    let view = || world.chain.view(&job);
    assert!(blocks_until(&world.chain, &world.refs(), 12, || view().stages[0].commit.is_some()).await);
    assert!(blocks_until(&world.chain, &world.refs(), 12, || view().now + 2 == view().due).await);
    let says = |answer: &Answer| matches!(answer, Answer::Blocked { at } if at.stage == 1);
    eventually(|| (view().stages[1].blocked || world.chain.is_pooled(says)).then_some(())).await;
    world.block().await;
    stage.hold.store(false, Ordering::SeqCst);
    assert!(view().stages[1].blocked && view().now < view().due, "{:?}", view());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_restarted_in_the_middle_takes_the_stage_up_again() {
    let mut world = World::new(4).await;
    let job = world.submit(&[1, 2, 3], 60, 5, &[0, 1], &[2, 3]);
    // Stage 1 crashes before it could commit, and comes back with the same journal, key and peer id.
    let peer = world.crash(1).await;
    world.block().await;
    world.restart(1, peer).await;
    assert!(world.settle(&job).await, "{:?}", world.chain.view(&job));
    world.assert_right(&job);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handoff_that_contradicts_the_journal_blocks_its_stage_and_raises_no_alarm() {
    let prompt: Vec<u32> = (0..40).collect();
    let rows = 39 + toy::generate_staged(&toy::job_spec(&prompt, 10, 1, 2), 3).len() as u32;
    // One on the way; and the final one, which a commitment must not contradict.
    for signed in [32, rows] {
        let mut world = World::new(4).await;
        let job = world.submit(&prompt, 10, 1, &[0, 1, 2], &[3]);
        world.chain.set_due(&job, 8);
        world.restart_having_signed(1, &job, 1, Phase::Handoff(signed)).await;
        for _ in 0..8 {
            world.block().await;
            // Blocks of a length in which an answer of this block can be in the next.
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        let view = world.chain.view(&job);
        assert_eq!((view.stages[1].blocked, &view.stages[1].commit), (true, &None), "{signed}");
        assert_eq!(world.nodes[1].alarm.get(), None);
        let next = world.submit(&[1, 2, 3], 10, 2, &[0, 1, 2], &[3]);
        assert!(world.settle(&next).await, "{:?}", world.chain.view(&next));
        world.assert_right(&next);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_contradicts_the_journal_stops_the_worker() {
    let mut world = World::new(3).await;
    let job = world.submit(&[1, 2, 3], 10, 1, &[0, 1], &[2]);
    world.restart_having_signed(1, &job, 1, Phase::Commit).await;
    assert!(world.until(|| world.nodes[1].alarm.get().is_some()).await);
    assert_eq!(world.chain.view(&job).stages[1].commit, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_gone_for_a_block_in_a_reorg_is_carried_on() {
    let world = World::new(3).await;
    let job = world.submit(&[1, 2, 3], 30, 1, &[0, 1], &[2]);
    world.block().await;
    let view = world.chain.view(&job);
    world.chain.remove(&job);
    world.block().await;
    // The other fork has it too, under the same hash, because the hash is of its content.
    let again =
        world.chain.submit(view.spec.clone(), &toy::spans(2), &world.workers(&[0, 1]), &vec![world.workers(&[2]); 2]);
    assert_eq!(again, job);
    assert!(world.settle(&job).await, "{:?}", world.chain.view(&job));
    world.assert_right(&job);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commitment_that_a_reorg_replaces_before_the_verdict_is_checked_again() {
    let world = World::new(3).await;
    let job = world.submit(&[1, 2, 3], 10, 1, &[0, 1], &[2]);
    let drawn = || world.chain.view(&job).phase == JobPhase::Checking;
    assert!(world.until(drawn).await);
    // Decided by now, and not deep enough to be said.
    world.chain.rewrite(&job, |view| commit(view, 1).digest = H256::repeat_byte(0xEE));
    let checked = || answers(&world.chain.view(&job)).iter().all(Option::is_some);
    assert!(world.until(checked).await);
    let verdicts = answers(&world.chain.view(&job));
    assert!(matches!(verdicts[..], [Some(CheckVerdict::Agree(_)), Some(CheckVerdict::Dissent(_))]), "{verdicts:?}");
    assert_eq!(world.chain.refused(&job), []);
    assert_eq!(world.nodes[2].alarm.get(), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_right_root_beside_another_boundary_gets_a_dissent() {
    let world = World::new(3).await;
    let job = world.submit(&[1, 2, 3], 10, 1, &[0, 1], &[2]);
    let drawn = || world.chain.view(&job).phase == JobPhase::Checking;
    assert!(world.until(drawn).await);
    // The digest opens to the root that every checker computes; what was handed on, by the commitment, is something else.
    world.chain.rewrite(&job, |view| commit(view, 0).out_root = H256::repeat_byte(0xEE));
    let checked = || answers(&world.chain.view(&job)).iter().all(Option::is_some);
    assert!(world.until(checked).await);
    let verdicts = answers(&world.chain.view(&job));
    assert!(matches!(verdicts[..], [Some(CheckVerdict::Dissent(_)), Some(CheckVerdict::Agree(_))]), "{verdicts:?}");
    assert_eq!(world.nodes[2].alarm.get(), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_verdict_that_a_reorg_takes_away_is_said_again_only_of_the_same_commitment() {
    let mut world = World::new(4).await;
    let job = world.submit(&[1, 2, 3], 10, 1, &[0], &[2, 3]);
    // The other checker is silent, so that the seat stays open for a while.
    world.crash(3).await;
    let verdict = || answers(&world.chain.view(&job))[0];
    let agrees = || matches!(verdict(), Some(CheckVerdict::Agree(_)));
    assert!(world.until(agrees).await);

    let known = world.chain.view(&job).stages[0].commit.as_ref().unwrap().digest;
    let refork = |digest| {
        world.chain.rewrite(&job, |view| {
            commit(view, 0).digest = digest;
            view.stages[0].seats[0].answer = None;
        })
    };
    refork(H256::repeat_byte(0xEE));
    for _ in 0..8 {
        world.block().await;
        assert_eq!(verdict(), None);
    }
    refork(known);
    assert!(world.until(agrees).await);
    assert_eq!(world.nodes[2].alarm.get(), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_withheld_or_falsified_are_unavailable_never_a_dissent() {
    for falsify in [false, true] {
        let world = World::new(3).await;
        let job = world.submit(&[1, 2, 3], 10, 1, &[0, 1], &[2]);
        for peer in [world.nodes[0].peer, world.nodes[1].peer] {
            if falsify {
                world.net.falsify(peer);
            } else {
                world.net.withhold(peer);
            }
        }
        let checked = || answers(&world.chain.view(&job)).iter().all(Option::is_some);
        assert!(world.until(checked).await);
        let verdicts = answers(&world.chain.view(&job));
        assert!(matches!(verdicts[0], Some(CheckVerdict::Agree(_))), "stage 0 needs only public ids");
        assert!(matches!(verdicts[1], Some(CheckVerdict::Unavailable)), "{verdicts:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_executor_whose_kernels_are_broken_stops_before_its_first_commit() {
    let world = World::new(3).await;
    world.engines[1].broken_kernels.store(true, Ordering::SeqCst);
    let job = world.submit(&[1, 2, 3, 4, 5], 10, 1, &[0, 1], &[2]);
    assert!(world.until(|| world.nodes[1].alarm.get().is_some()).await);
    assert!(world.nodes[1].alarm.get().unwrap().contains("scalar reference"));
    for _ in 0..5 {
        world.block().await;
    }
    assert_eq!(world.chain.view(&job).stages[1].commit, None);
    assert_eq!(world.nodes[1].status.read().alarm, world.nodes[1].alarm.get());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_checker_whose_kernels_are_broken_stops_instead_of_dissenting() {
    let world = World::new(3).await;
    world.engines[2].broken_kernels.store(true, Ordering::SeqCst);
    let job = world.submit(&[1, 2, 3, 4, 5], 10, 1, &[0, 1], &[2]);
    assert!(world.until(|| world.nodes[2].alarm.get().is_some()).await);
    assert!(world.until(|| world.chain.view(&job).phase == JobPhase::Checking).await);
    for _ in 0..5 {
        world.block().await;
    }
    assert_eq!(world.chain.view(&job).phase, JobPhase::Checking);
    assert!(answers(&world.chain.view(&job)).iter().all(Option::is_none));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stages_that_finish_during_the_first_confirmation_wait_for_it_and_need_no_other() {
    let world = World::new(3).await;
    let executors = &world.engines[..2];
    executors.iter().for_each(|engine| engine.hold_references.store(true, Ordering::SeqCst));
    let jobs: Vec<_> = (0..4).map(|seed| world.submit(&[1, 2, 3], 10, seed, &[0, 1], &[2])).collect();
    for _ in 0..6 {
        world.block().await;
    }
    assert!(jobs.iter().all(|job| world.chain.view(job).stages.iter().all(|stage| stage.commit.is_none())));
    executors.iter().for_each(|engine| engine.hold_references.store(false, Ordering::SeqCst));
    for job in &jobs {
        assert!(world.settle(job).await, "{:?}", world.chain.view(job));
        world.assert_right(job);
    }
    assert!(executors.iter().all(|engine| engine.references.load(Ordering::SeqCst) == 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_confirmation_given_up_with_its_job_goes_on_with_another_stage() {
    let world = World::new(2).await;
    let engine = &world.engines[0];
    engine.hold_references.store(true, Ordering::SeqCst);
    let gone = world.submit(&[1, 2, 3], 10, 1, &[0], &[1]);
    assert!(world.until(|| engine.references.load(Ordering::SeqCst) == 1).await);
    let job = world.submit(&[1, 2, 3], 10, 2, &[0], &[1]);
    for _ in 0..4 {
        world.block().await;
    }
    world.chain.remove(&gone);
    assert!(world.until(|| engine.references.load(Ordering::SeqCst) == 2).await);
    engine.hold_references.store(false, Ordering::SeqCst);
    assert!(world.settle(&job).await, "{:?}", world.chain.view(&job));
    world.assert_right(&job);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_the_alarm_nothing_is_drawn_or_streamed() {
    let world = World::new(2).await;
    world.engines[0].pace.store(20, Ordering::SeqCst);
    let long = |seed: &u8| toy::generate_staged(&toy::job_spec(&[1, 2, 3], 400, *seed, 2), 1).len() > 200;
    let job = world.submit(&[1, 2, 3], 400, (0..).find(long).unwrap(), &[0], &[1]);
    let (_, mut items) = world.nodes[0].hub.subscribe(job).unwrap();
    let mut tokens = move || std::iter::from_fn(|| items.try_recv().ok()).filter(is_token).count();
    assert!(world.until(|| tokens() > 0).await);
    world.nodes[0].alarm.raise("a test".into());
    // The step under way ends.
    tokio::time::sleep(Duration::from_millis(200)).await;
    tokens();
    let steps = world.engines[0].steps.load(Ordering::SeqCst);
    assert!(steps < 200, "generation is not over");
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!((tokens(), world.engines[0].steps.load(Ordering::SeqCst)), (0, steps));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_executor_gets_dissents_after_the_reference_agreed_with_them() {
    let world = World::new(4).await;
    let job = world.submit(&[1, 2, 3, 4, 5], 10, 1, &[0, 1], &[2, 3]);
    // Confirmed once while it still computed right, then its machine goes wrong.
    assert!(world.settle(&job).await);
    world.engines[1].broken_kernels.store(true, Ordering::SeqCst);
    let job = world.submit(&[1, 2, 3, 4, 5], 10, 1, &[0, 1], &[2, 3]);
    let checked = || answers(&world.chain.view(&job)).iter().all(Option::is_some);
    assert!(world.until(checked).await);
    let verdicts = answers(&world.chain.view(&job));
    assert!(verdicts[..2].iter().all(|v| matches!(v, Some(CheckVerdict::Agree(_)))), "stage 0 is right");
    assert!(verdicts[2..].iter().all(|v| matches!(v, Some(CheckVerdict::Dissent(_)))), "stage 1 is not: {verdicts:?}");
    assert!(world.engines[2].references.load(Ordering::SeqCst) >= 1);
    assert!(world.nodes[2].alarm.get().is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_engine_that_panics_loses_one_task_and_nothing_else() {
    let world = World::new(3).await;
    world.engines[0].panic_in.store(1, Ordering::SeqCst);
    let lost = world.submit(&[1, 2, 3], 10, 1, &[0, 1], &[2]);
    world.block().await;
    let next = world.submit(&[1, 2, 3], 10, 2, &[0, 1], &[2]);
    assert!(world.settle(&next).await);
    world.assert_right(&next);
    assert_eq!(world.chain.view(&lost).stages[0].commit, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_node_streams_the_tokens_also_to_a_late_subscriber() {
    let world = World::new(4).await;
    let job = world.submit(&[1, 2, 3], 30, 2, &[0, 1], &[2]);
    // Node 3 has no part in the job.
    let (backlog, mut items) = world.nodes[3].hub.subscribe(job).unwrap();
    assert!(backlog.is_empty());
    assert!(world.settle(&job).await);
    for _ in 0..4 {
        world.block().await;
    }
    let mut seen = Vec::new();
    while let Ok(item) = items.try_recv() {
        seen.push(item);
    }
    let (late, _) = world.nodes[3].hub.subscribe(job).unwrap();
    assert_eq!(late, seen, "a late subscriber gets the same");

    let expected = toy::generate_staged(&world.chain.view(&job).spec, 2);
    let tokens: Vec<(u32, u32)> = seen
        .iter()
        .filter_map(|item| match item {
            StreamItem::Token { seq, id, provisional: true, .. } => Some((*seq, *id)),
            _ => None,
        })
        .collect();
    assert_eq!(tokens, (1..).zip(expected.iter().copied()).collect::<Vec<_>>());
    let text: String = seen
        .iter()
        .filter_map(|item| if let StreamItem::Token { text, .. } = item { text.clone() } else { None })
        .collect();
    assert_eq!(text, expected.iter().map(|id| format!("<{id}>")).collect::<String>());
    let settled = seen.iter().position(|item| matches!(item, StreamItem::Settled { .. })).unwrap();
    assert!(seen[settled..].iter().all(|item| !matches!(item, StreamItem::Token { .. })));
    assert!(matches!(seen.last(), Some(StreamItem::Finalized { .. })));
    assert!(seen.iter().any(|item| matches!(item, StreamItem::Phase { phase: "Checking", .. })));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_nobody_knows_ends_its_stream_with_the_reason() {
    let world = World::new(1).await;
    let (_, mut items) = world.nodes[0].hub.subscribe(JobHash::repeat_byte(3)).unwrap();
    for _ in 0..8 {
        world.block().await;
    }
    assert!(matches!(items.recv().await, Some(StreamItem::Error { code: crate::rpc::UNKNOWN_JOB, .. })));
    assert!(items.recv().await.is_none());
}
