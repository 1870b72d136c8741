//! Tests of the ring's state machine: stages fed by hand, in every order that a network can bring about.

use super::*;
use crate::engine::Engine;
use crate::tests::toy::{self, Toy};
use assay_primitives::JobSpec;
use polkadot_sdk::sp_core::sr25519;
use proptest::prelude::*;

fn handoff(due: HandoffDue) -> SignedHandoff {
    let HandoffDue { n_rows, root, last } = due;
    SignedHandoff { n_rows, root, last, signature: sr25519::Signature::from_raw([0; 64]) }
}

fn stage(spec: &JobSpec, n: u8, i: u8) -> StageRun {
    let at = StageRef { job: H256::repeat_byte(1), attempt: 0, stage: i };
    let spec = StageSpec::of(spec, toy::spans(n)[i as usize]).unwrap();
    let engine = Toy::default().open(&spec).unwrap();
    StageRun::new(at, n, spec, toy::model(), engine)
}

/// What goes from one stage to the next.
#[derive(Clone)]
enum Packet {
    Rows(u32, Rows),
    Handoff(SignedHandoff),
}

/// Does all work of a stage; returns what it sends.
fn work(stage: &mut StageRun) -> Vec<Packet> {
    let mut out = Vec::new();
    loop {
        if let Some(due) = stage.handoff_due() {
            out.push(Packet::Handoff(handoff(due)));
        }
        let Some(Work { mut engine, input, .. }) = stage.next_work() else { return out };
        let rows = engine.forward(&input).unwrap();
        let produced = stage.computed(engine, rows).unwrap();
        out.extend(produced.rows.map(|(start, rows)| Packet::Rows(start, rows)));
    }
}

fn give(stage: &mut StageRun, packet: &Packet) {
    match packet {
        Packet::Rows(start, rows) => assert!(!matches!(stage.accept(*start, rows), Accepted::Wrong(_))),
        Packet::Handoff(handoff) => stage.accept_handoff(handoff.clone()),
    }
}

/// Runs a ring over a network that loses, repeats and reorders by the given dice, and heals by `missing`.
fn run(spec: &JobSpec, n: u8, mut dice: impl FnMut() -> u8) -> Vec<StageRun> {
    let mut stages: Vec<_> = (0..n).map(|i| stage(spec, n, i)).collect();
    let mut wires: Vec<Vec<Packet>> = vec![Vec::new(); n as usize];
    let mut handoffs: Vec<Vec<SignedHandoff>> = vec![Vec::new(); n as usize];
    for round in 0..10_000 {
        let mut quiet = true;
        for i in 0..n as usize {
            for packet in work(&mut stages[i]) {
                quiet = false;
                if let Packet::Handoff(h) = &packet {
                    handoffs[i].push(h.clone());
                }
                match dice() % 8 {
                    0 => {}
                    1 => wires[i].extend([packet.clone(), packet]),
                    2 => wires[i].insert(0, packet),
                    _ => wires[i].push(packet),
                }
            }
        }
        for i in 0..n as usize {
            for packet in std::mem::take(&mut wires[i]) {
                quiet = false;
                assert!(stages[i].feeds());
                give(&mut stages[(i + 1) % n as usize], &packet);
            }
        }
        if stages.iter().all(|s| s.missing().is_none()) && quiet {
            return stages;
        }
        if quiet {
            // Silence: everyone asks its upstream again.
            for i in 0..n as usize {
                if let Some(from) = stages[(i + 1) % n as usize].missing() {
                    let mut again: Vec<_> = stages[i].replay_output(from).map(|(s, r)| Packet::Rows(s, r)).collect();
                    again.extend(handoffs[i].iter().cloned().map(Packet::Handoff));
                    wires[i].extend(again);
                }
            }
        }
        assert!(round < 9_999, "the ring stands still");
    }
    unreachable!()
}

fn check(spec: &JobSpec, stages: Vec<StageRun>) {
    let n = stages.len();
    let expected = toy::generate_staged(spec, n as u8);
    assert_eq!(stages[n - 1].generated(), expected);
    assert_eq!(stages[0].ids(), stages[n - 1].ids());
    let roots: Vec<_> = stages.iter().map(|s| (s.input().root(), s.output().root())).collect();
    for (i, mut stage) in stages.into_iter().enumerate() {
        assert_eq!(roots[i].1, roots[(i + 1) % n].0, "boundaries join around the ring");
        let positions = stage.spec().prompt.len() + expected.len() - 1;
        assert_eq!(stage.fed as usize, positions, "the last id is never fed");
        assert!(!stage.is_overfed());
        if n > 1 {
            let last = stage.final_handoff().expect("the final handoff is there").clone();
            assert_eq!((last.last, last.root), (true, stage.input().root()));
        }
        let outcome = stage.take_finished().expect("finished").finish(stage.generated().last().copied()).unwrap();
        assert_eq!((outcome.in_root, outcome.out_root), roots[i]);
    }
}

#[test]
fn rings_of_one_to_four_stages_generate_the_same_ids_and_join() {
    for n in 1..=4 {
        for seed in 0..6 {
            let spec = toy::job_spec(&[5, 6, 7], 40, seed, 1);
            check(&spec, run(&spec, n, || 7));
        }
    }
}

/// A line of stages: the first is fed by nobody, the last feeds nobody.
fn check_embedding(spec: &JobSpec, stages: Vec<StageRun>) {
    let n = stages.len();
    let roots: Vec<_> = stages.iter().map(|s| (s.input().root(), s.output().root())).collect();
    assert!(roots.windows(2).all(|pair| pair[0].1 == pair[1].0), "boundaries join");
    for (i, mut stage) in stages.into_iter().enumerate() {
        let positions = stage.spec().prompt.len() as u32;
        assert_eq!((stage.fed, stage.input().len()), (positions, positions));
        assert!(!stage.is_overfed() && stage.generated().is_empty());
        match stage.final_handoff() {
            Some(last) => assert_eq!((last.last, last.n_rows, last.root), (true, positions, stage.input().root())),
            None => assert_eq!(i, 0),
        }
        let answer = stage.answer();
        assert_eq!(answer.is_some(), i + 1 == n);
        if let Some(answer) = answer {
            assert_eq!(answer, Output::Vector(toy::embed_staged(spec, n as u8).try_into().unwrap()));
        }
        let outcome = stage.take_finished().expect("finished").finish(stage.generated().last().copied()).unwrap();
        assert_eq!((outcome.in_root, outcome.out_root), roots[i]);
    }
}

#[test]
fn lines_of_one_to_four_stages_embed_a_text_and_join() {
    for n in 1..=4 {
        for length in [1, 2, 127, 128, 129, 500] {
            let text: Vec<u32> = (0..length).map(|i| i * 3 % toy::VOCAB).collect();
            let spec = toy::embedding(&text, 1);
            check_embedding(&spec, run(&spec, n, || 7));
        }
    }
}

#[test]
fn a_line_takes_whole_texts_only_and_nothing_beyond() {
    let spec = toy::embedding(&[5, 6, 7], 1);
    let mut last = stage(&spec, 2, 1);
    let rows = |n: usize| Rows::Hidden { width: toy::WIDTH, values: vec![1; n * 4] };
    assert_eq!(last.accept(0, &rows(2)), Accepted::New);
    assert!(last.next_work().is_none(), "every position sees every other one");
    assert_eq!(last.missing(), Some(2));
    assert!(matches!(last.accept(2, &rows(2)), Accepted::Wrong(_)), "more than the text has");
    assert!(matches!(last.accept(2, &Rows::Vector(vec![1; 4])), Accepted::Wrong(_)));
    assert_eq!(last.accept(2, &rows(1)), Accepted::New);
    let work = last.next_work().unwrap();
    assert_eq!((work.input.len(), work.decode), (3, false));
    let wrong = [Rows::Ids(vec![1]), Rows::Vector(vec![1; 3]), Rows::Vector(vec![]), rows(3)];
    for (i, out) in wrong.into_iter().enumerate() {
        let mut last = stage(&spec, 2, 1);
        assert_eq!(last.accept(0, &rows(3)), Accepted::New);
        let work = last.next_work().unwrap();
        assert!(last.computed(work.engine, out).is_err(), "{i}");
        assert_eq!(last.answer(), None);
    }
    // Nothing flows back to the stage that reads the input.
    let mut first = stage(&spec, 2, 0);
    assert_eq!(first.missing(), None);
    assert!(matches!(first.accept(3, &Rows::Ids(vec![1])), Accepted::Wrong(_)));
    assert!(matches!(first.accept(0, &Rows::Ids(vec![5])), Accepted::Wrong(_)));
    first.accept_handoff(handoff(HandoffDue { n_rows: 3, root: first.input().root(), last: true }));
    assert_eq!(first.final_handoff(), None);
}

#[test]
fn a_long_prompt_goes_in_chunks_and_signs_every_32_rows() {
    let prompt: Vec<u32> = (0..300).map(|i| i % toy::VOCAB).collect();
    let spec = toy::job_spec(&prompt, 50, 1, 1);
    let mut first = stage(&spec, 2, 0);
    let packets = work(&mut first);
    let rows: Vec<_> =
        packets.iter().filter_map(|p| if let Packet::Rows(s, r) = p { Some((*s, r.len())) } else { None }).collect();
    assert_eq!(rows, [(0, 128), (128, 128), (256, 44)]);
    let signed: Vec<_> = packets
        .iter()
        .filter_map(|p| if let Packet::Handoff(h) = p { Some((h.n_rows, h.last)) } else { None })
        .collect();
    assert_eq!(signed, [(128, false), (256, false), (288, false)]);
    check(&spec, run(&spec, 3, || 7));
}

#[test]
fn accept_rows_before_their_predecessors_reports_the_gap() {
    let spec = toy::job_spec(&[1, 2, 3], 8, 0, 1);
    let mut middle = stage(&spec, 4, 1);
    let rows = |n: usize| Rows::Hidden { width: toy::WIDTH, values: vec![1; n * 4] };
    assert_eq!(middle.accept(2, &rows(1)), Accepted::Gap(0));
    assert_eq!(middle.accept(0, &rows(2)), Accepted::New);
    assert_eq!(middle.accept(0, &rows(2)), Accepted::Known);
    assert_eq!(middle.accept(1, &rows(2)), Accepted::New);
    assert_eq!(middle.input().len(), 3);
}

#[test]
fn accept_what_no_honest_upstream_sends_is_wrong_and_changes_nothing() {
    let spec = toy::job_spec(&[1, 2, 3], 2, 0, 1);
    let mut middle = stage(&spec, 3, 1);
    let wide = Rows::Hidden { width: 5, values: vec![0; 5] };
    assert!(matches!(middle.accept(0, &wide), Accepted::Wrong(_)));
    assert!(matches!(middle.accept(0, &Rows::Ids(vec![1])), Accepted::Wrong(_)));
    let many = Rows::Hidden { width: toy::WIDTH, values: vec![0; 5 * 4] };
    assert!(matches!(middle.accept(0, &many), Accepted::Wrong(_)), "T_in + max_new - 1 positions at most");
    assert_eq!(middle.input().len(), 0);

    let mut first = stage(&spec, 3, 0);
    assert!(matches!(first.accept(3, &Rows::Ids(vec![toy::VOCAB])), Accepted::Wrong(_)));
    assert!(matches!(first.accept(3, &Rows::Ids(vec![toy::EOS, 1])), Accepted::Wrong(_)), "nothing follows the end");
    assert!(matches!(first.accept(3, &Rows::Ids(vec![1, 2, 3])), Accepted::Wrong(_)), "more than max_new");
    assert_eq!(first.input().len(), 3);
    assert_eq!(first.accept(3, &Rows::Ids(vec![1, 2])), Accepted::New);
}

#[test]
fn handoff_over_other_rows_than_were_sent_breaks_the_attempt() {
    let spec = toy::job_spec(&[1, 2, 3], 8, 0, 1);
    let mut middle = stage(&spec, 3, 1);
    let rows = Rows::Hidden { width: toy::WIDTH, values: vec![1; 12] };
    middle.accept(0, &rows);
    middle.accept_handoff(handoff(HandoffDue { n_rows: 3, root: H256::repeat_byte(7), last: true }));
    assert!(middle.broken().is_some());
    assert!(middle.next_work().is_none() && middle.take_finished().is_none());
    assert_eq!(middle.missing(), None, "there is nothing left to ask for");
}

#[test]
fn handoff_that_ends_before_generation_does_breaks_the_last_stage() {
    let spec = toy::job_spec(&[1, 2, 3], 8, 0, 1);
    let (mut first, mut last) = (stage(&spec, 2, 0), stage(&spec, 2, 1));
    for packet in work(&mut first) {
        give(&mut last, &packet);
    }
    last.accept_handoff(handoff(HandoffDue { n_rows: 3, root: first.output().root(), last: true }));
    assert!(last.broken().is_none(), "the next id may be the end");
    assert!(!work(&mut last).is_empty());
    assert!(last.broken().is_some(), "it was not");
}

#[test]
fn rows_after_the_final_handoff_are_refused_and_change_nothing() {
    let spec = toy::job_spec(&[5, 6, 7], 40, 3, 1);
    let extra = Rows::Hidden { width: toy::WIDTH, values: vec![1; toy::WIDTH as usize] };
    let mut stages = run(&spec, 3, || 7);
    for stage in &mut stages[1..] {
        let (n, root) = (stage.input().len(), stage.input().root());
        assert!(matches!(stage.accept(n, &extra), Accepted::Wrong(_)), "stage {}", stage.at().stage);
        // Also where they come with rows that are known.
        let mut both = stage.input().rows().slice(n as usize - 1, n as usize);
        assert!(both.append(&extra));
        assert!(matches!(stage.accept(n - 1, &both), Accepted::Wrong(_)));
        assert_eq!((stage.input().len(), stage.input().root()), (n, root));
    }
    check(&spec, stages);
}

#[test]
fn rows_after_the_last_draw_and_before_the_final_handoff_are_refused() {
    let spec = toy::job_spec(&[1, 2, 3], 1, 0, 1);
    let (mut first, mut last) = (stage(&spec, 2, 0), stage(&spec, 2, 1));
    for packet in work(&mut first) {
        give(&mut last, &packet);
    }
    work(&mut last);
    let extra = Rows::Hidden { width: toy::WIDTH, values: vec![1; toy::WIDTH as usize] };
    assert!(matches!(last.accept(3, &extra), Accepted::Wrong(_)));
    last.accept_handoff(handoff(HandoffDue { n_rows: 3, root: first.output().root(), last: true }));
    assert!(!last.is_overfed() && last.take_finished().is_some());
}

#[test]
fn rows_before_their_end_is_known_never_finish_a_stage() {
    let spec = toy::job_spec(&[1, 2, 3], 8, 0, 1);
    let mut middle = stage(&spec, 3, 1);
    let rows = Rows::Hidden { width: toy::WIDTH, values: vec![1; 4 * toy::WIDTH as usize] };
    let root = rows.slice(0, 3).root();
    assert_eq!(middle.accept(0, &rows), Accepted::New);
    assert!(middle.is_overfed());
    work(&mut middle);
    assert!(!middle.is_overfed());
    middle.accept_handoff(handoff(HandoffDue { n_rows: 3, root, last: true }));
    assert!(middle.final_handoff().is_none() && middle.take_finished().is_none());
}

#[test]
fn final_handoff_that_arrives_before_the_last_draw_is_noted_is_kept() {
    let spec = toy::job_spec(&[1, 2, 3], 1, 0, 1);
    let (mut first, mut last) = (stage(&spec, 2, 0), stage(&spec, 2, 1));
    for packet in work(&mut first) {
        give(&mut last, &packet);
    }
    // The inference thread has drawn the id and sent it on; the first stage answers before the draw is noted here.
    let Work { mut engine, input, .. } = last.next_work().unwrap();
    let drawn = engine.forward(&input).unwrap();
    assert_eq!(first.accept(3, &drawn), Accepted::New);
    let due = first.handoff_due().unwrap();
    assert_eq!((due.n_rows, due.last), (3, true));
    last.accept_handoff(handoff(due));
    assert!(last.broken().is_none() && last.final_handoff().is_none());
    let extra = Rows::Hidden { width: toy::WIDTH, values: vec![1; toy::WIDTH as usize] };
    assert!(matches!(last.accept(3, &extra), Accepted::Wrong(_)), "it is final before it is judged");
    last.computed(engine, drawn).unwrap();
    assert_eq!(last.final_handoff().map(|handoff| handoff.n_rows), Some(3));
    assert!(last.take_finished().is_some());
}

#[test]
fn final_handoff_that_arrives_before_the_last_id_is_drawn_is_kept() {
    let spec = toy::job_spec(&[1, 2, 3], 1, 0, 1);
    let (mut first, mut last) = (stage(&spec, 2, 0), stage(&spec, 2, 1));
    for packet in work(&mut first) {
        give(&mut last, &packet);
    }
    last.accept_handoff(handoff(HandoffDue { n_rows: 3, root: first.output().root(), last: true }));
    assert!(last.final_handoff().is_none());
    assert!(!work(&mut last).is_empty());
    assert!(last.broken().is_none());
    assert_eq!(last.final_handoff().map(|handoff| handoff.n_rows), Some(3));
}

#[test]
fn a_restarted_stage_recomputes_from_its_upstreams_rows() {
    for n in 2..=4 {
        for lost in 0..n {
            let spec = toy::job_spec(&[5, 6, 7], 40, 3, 1);
            let mut stages = run(&spec, n, || 7);
            let upstream = ((lost + n - 1) % n) as usize;
            let mut fresh = stage(&spec, n, lost);
            for (start, rows) in stages[upstream].replay_output(fresh.input().len()) {
                give(&mut fresh, &Packet::Rows(start, rows));
                work(&mut fresh);
            }
            let (n_rows, root) = (stages[upstream].output().len(), stages[upstream].output().root());
            fresh.accept_handoff(handoff(HandoffDue { n_rows, root, last: true }));
            work(&mut fresh);
            assert_eq!(fresh.output().root(), stages[lost as usize].output().root());
            assert!(fresh.take_finished().is_some());
            stages.clear();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn rings_heal_from_loss_repetition_and_reordering(
        n in 1u8..=4, seed in 0u8..8, prompt in 1usize..150, max_new in 1u32..60,
        dice in proptest::collection::vec(any::<u8>(), 64),
    ) {
        let prompt: Vec<u32> = (0..prompt as u32).map(|i| (i * 7 + 1) % toy::VOCAB).collect();
        let mut i = 0;
        let mut dice = || { i += 1; dice[i % dice.len()].wrapping_add((i / dice.len()) as u8) };
        let spec = toy::job_spec(&prompt, max_new, seed, 1);
        check(&spec, run(&spec, n, &mut dice));
        let spec = toy::embedding(&prompt, 1);
        check_embedding(&spec, run(&spec, n, &mut dice));
    }
}
