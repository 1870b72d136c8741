//! Several sequences in one step: every one of them gets what it gets alone, whoever is beside it.

mod support;

use std::sync::{
    atomic::{AtomicBool, Ordering},
    Arc,
};

use assay_engine::{
    kernels::Backend,
    package::Package,
    stage::{
        even_spans, Batch, BatchItem, Control, EndReason, Setup, Stage, StageCommit, StageInput, StageOutput,
        StageSpec, Token,
    },
    EngineError, Sampling,
};
use assay_exact::header::{Header, Placement};
use proptest::prelude::*;
use support::{all_flags, llama, package, prompt, Random};

/// What a stage is given for some positions.
#[derive(Clone, Debug)]
enum Given {
    Ids(Vec<u32>),
    Rows(Vec<i32>),
}

impl Given {
    fn input(&self) -> StageInput<'_> {
        match self {
            Self::Ids(ids) => StageInput::Ids(ids),
            Self::Rows(rows) => StageInput::Rows(rows),
        }
    }

    /// The positions `from..to` of `width` entries each.
    fn slice(&self, from: usize, to: usize, width: usize) -> Self {
        match self {
            Self::Ids(ids) => Self::Ids(ids[from..to].to_vec()),
            Self::Rows(rows) => Self::Rows(rows[from * width..to * width].to_vec()),
        }
    }

    fn positions(&self, width: usize) -> usize {
        match self {
            Self::Ids(ids) => ids.len(),
            Self::Rows(rows) => rows.len() / width,
        }
    }
}

/// One stage of a sequence that ran alone: its calls, what they gave, and its commitment.
struct Alone {
    spec: StageSpec,
    calls: Vec<(Given, StageOutput)>,
    last: Option<u32>,
    commit: StageCommit,
}

/// Runs a sequence alone over `stages` stages, the prompt in one call and then token by token.
fn alone(package: &Arc<Package>, spec: &StageSpec, stages: u32, setup: &Setup) -> Vec<Alone> {
    let spans = even_spans(package.header().layers, stages).unwrap();
    let specs = spans.iter().map(|span| StageSpec { first: span.start, end: span.end, ..spec.clone() });
    let specs: Vec<_> = specs.collect();
    let mut open: Vec<_> = specs.iter().map(|spec| Stage::open(package, spec.clone(), setup).unwrap()).collect();
    let mut calls = vec![Vec::new(); specs.len()];
    let mut given = Given::Ids(spec.prompt.to_vec());
    let last = loop {
        for (stage, calls) in open.iter_mut().zip(&mut calls) {
            let output = stage.forward(given.input(), &mut Control::default()).unwrap();
            calls.push((given, output.clone()));
            given = match output {
                StageOutput::Rows(rows) => Given::Rows(rows),
                StageOutput::Token(token) => Given::Ids(vec![token.id]),
                StageOutput::Prompt => panic!("the whole prompt was given"),
            };
        }
        let Some((_, StageOutput::Token(token))) = calls.last().and_then(|calls| calls.last()) else { unreachable!() };
        if token.end.is_some() {
            break token.id;
        }
    };
    let staged = specs.into_iter().zip(open).zip(calls);
    staged
        .map(|((spec, mut stage), calls)| {
            let told = (stages > 1 && spec.first == 0).then_some(last);
            told.into_iter().for_each(|id| stage.end(id).unwrap());
            Alone { spec, calls, last: told, commit: stage.finish().unwrap() }
        })
        .collect()
}

/// A sequence in the batch.
struct Member<'a> {
    alone: &'a Alone,
    stage: Stage,
    call: usize,
    done: usize,
}

/// Steps a stage of all sequences, each time a random part of those that are open and random parts of their inputs, and compares
/// every output and commitment with those of the sequences alone.
fn compare(package: &Arc<Package>, sequences: &[&Alone], setup: &Setup, random: &mut Random) {
    let width = package.header().d as usize;
    let mut batch = Batch::default();
    let mut waiting: Vec<_> = sequences.iter().collect();
    let mut members: Vec<Member<'_>> = Vec::new();
    while !(waiting.is_empty() && members.is_empty()) {
        while !waiting.is_empty() && (members.is_empty() || random.below(2) == 0) {
            let alone = waiting.swap_remove(random.below(waiting.len() as u64) as usize);
            let stage = Stage::open(package, alone.spec.clone(), setup).unwrap();
            members.push(Member { alone, stage, call: 0, done: 0 });
        }
        let steps = members.iter().any(|_| random.below(3) > 0);
        let mut taken = Vec::new();
        for member in members.iter_mut() {
            if steps && random.below(3) == 0 {
                continue;
            }
            let given = &member.alone.calls[member.call].0;
            let left = given.positions(width) - member.done;
            // A call in parts gives the rows of the parts; the last stage draws after the last part only if it is given whole.
            let n = if random.below(2) == 0 { left } else { 1 + random.below(left as u64) as usize };
            taken.push((given.slice(member.done, member.done + n, width), n, member));
        }
        let mut items: Vec<_> = taken
            .iter_mut()
            .map(|(given, _, member)| BatchItem { stage: &mut member.stage, input: given.input() })
            .collect();
        let outputs = batch.forward(&mut items, &mut Control::default());
        assert_eq!(outputs.len(), taken.len());
        for (output, (given, n, member)) in outputs.into_iter().zip(taken) {
            let (whole, expected) = &member.alone.calls[member.call];
            let (from, to) = (member.done, member.done + n);
            assert_eq!(given.positions(width), n);
            match (output.unwrap(), expected) {
                (StageOutput::Rows(rows), StageOutput::Rows(expected)) => {
                    assert_eq!(rows, expected[from * width..to * width]);
                }
                (StageOutput::Prompt, StageOutput::Token(_)) => assert!(to < whole.positions(width)),
                (found, expected) => assert_eq!(&found, expected),
            }
            member.done = to;
            if to == whole.positions(width) {
                (member.call, member.done) = (member.call + 1, 0);
            }
        }
        let (ended, open) = members.into_iter().partition(|member| member.call == member.alone.calls.len());
        members = open;
        for Member { alone, mut stage, .. } in ended {
            alone.last.into_iter().for_each(|id| stage.end(id).unwrap());
            assert_eq!(stage.finish().unwrap(), alone.commit);
        }
    }
}

fn sampling(i: u64) -> Sampling {
    match i % 3 {
        0 => Sampling::GREEDY,
        _ => Sampling { temperature: 900, top_k: 40, top_p: 60_000, seed: [i as u8; 32] },
    }
}

/// `count` sequences of different lengths over `stages` stages.
fn compare_sequences(header: Header, seed: u64, count: u64, longest: u64, stages: u32, setup: &Setup) {
    let (_directory, package) = package(header, seed);
    let mut random = Random::new(seed);
    let sequences: Vec<_> = (0..count)
        .map(|i| {
            let ids = prompt(package.header(), 1 + random.below(longest) as usize, seed + i);
            let (first, end) = (0, package.header().layers);
            let max_new = 1 + random.below(12) as u32;
            let spec = StageSpec { first, end, prompt: ids.into(), max_new, sampling: sampling(i) };
            alone(&package, &spec, stages, setup)
        })
        .collect();
    for stage in 0..stages as usize {
        let of_stage: Vec<_> = sequences.iter().map(|sequence| &sequence[stage]).collect();
        compare(&package, &of_stage, setup, &mut random);
    }
}

#[test]
fn batch_of_any_size_gives_every_sequence_what_it_gets_alone() {
    for count in 1..=9 {
        compare_sequences(llama(), 40 + count, count, 40, 1 + (count % 4) as u32, &Setup::default());
    }
}

#[test]
fn batch_with_every_flag_and_backend_gives_every_sequence_what_it_gets_alone() {
    let headers = [
        all_flags(Placement::Pre),
        all_flags(Placement::Post),
        all_flags(Placement::Sandwich),
        Header { experts: 5, experts_per_token: 2, ..llama() },
    ];
    for (i, header) in headers.into_iter().enumerate() {
        for backend in Backend::available() {
            for threads in [1, 3] {
                compare_sequences(header.clone(), 60 + i as u64, 4, 20, 2, &Setup::new(backend, threads));
            }
        }
    }
}

/// Prompts that take several passes beside sequences that decode.
#[test]
fn batch_of_long_prompts_and_single_tokens_gives_every_sequence_what_it_gets_alone() {
    compare_sequences(llama(), 77, 5, 400, 2, &Setup::default());
}

/// A stage over all layers whose prompt was computed, and the id it drew.
fn prompted(package: &Arc<Package>, ids: &[u32], max_new: u32) -> (Stage, u32) {
    let (first, end) = (0, package.header().layers);
    let spec = StageSpec { first, end, prompt: ids.into(), max_new, sampling: Sampling::GREEDY };
    let mut stage = Stage::open(package, spec, &Setup::default()).unwrap();
    match stage.forward(StageInput::Ids(ids), &mut Control::default()).unwrap() {
        StageOutput::Token(Token { id, .. }) => (stage, id),
        other => panic!("{other:?}"),
    }
}

#[test]
fn batch_with_a_bad_item_refuses_that_one_and_steps_the_others() {
    let (_directory, package) = package(llama(), 5);
    let (_other_directory, other) = support::package(llama(), 6);
    let ids = [5, 6, 7];
    let (mut good, id) = prompted(&package, &ids, 9);
    let (mut same, _) = prompted(&package, &ids, 9);
    let (mut bad, _) = prompted(&package, &ids, 9);
    let (mut foreign, strange) = prompted(&other, &ids, 9);
    let (mut ended, last) = prompted(&package, &ids, 1);
    let half = StageSpec { end: 2, ..good.spec().clone() };
    let mut half = Stage::open(&package, half, &Setup::default()).unwrap();
    let before = (bad.positions(), bad.in_root(), foreign.positions(), half.positions());

    let mut items = [
        BatchItem { stage: &mut bad, input: StageInput::Ids(&[10_000]) },
        BatchItem { stage: &mut good, input: StageInput::Ids(&[id]) },
        BatchItem { stage: &mut foreign, input: StageInput::Ids(&[strange]) },
        BatchItem { stage: &mut half, input: StageInput::Ids(&ids) },
        BatchItem { stage: &mut ended, input: StageInput::Ids(&[last]) },
    ];
    let outputs = Batch::default().forward(&mut items, &mut Control::default());
    assert!(matches!(outputs[0], Err(EngineError::TokenId { .. })), "{:?}", outputs[0]);
    assert!(matches!(outputs[2], Err(EngineError::Batch)) && matches!(outputs[3], Err(EngineError::Batch)));
    assert!(matches!(outputs[4], Err(EngineError::Ended)), "{:?}", outputs[4]);
    let alone = same.forward(StageInput::Ids(&[id]), &mut Control::default()).unwrap();
    assert_eq!(outputs[1].as_ref().unwrap(), &alone);
    assert_eq!(before, (bad.positions(), bad.in_root(), foreign.positions(), half.positions()));

    // The refused one goes on as if nothing had been.
    assert_eq!(bad.forward(StageInput::Ids(&[id]), &mut Control::default()).unwrap(), alone);
    assert!(Batch::default().forward(&mut [], &mut Control::default()).is_empty());
    let mut nothing = [BatchItem { stage: &mut half, input: StageInput::Ids(&[]) }];
    let outputs = Batch::default().forward(&mut nothing, &mut Control::default());
    assert!(matches!(outputs[..], [Err(EngineError::EmptyInput)]));
}

#[test]
fn batch_cancelled_ends_its_sequences_and_no_other() {
    let (_directory, package) = package(llama(), 5);
    let ids = [5, 6, 7];
    let (mut one, id) = prompted(&package, &ids, 9);
    let (mut two, _) = prompted(&package, &ids, 9);
    let (mut beside, _) = prompted(&package, &ids, 9);
    let cancel = AtomicBool::new(false);
    cancel.store(true, Ordering::Relaxed);
    let mut items = [
        BatchItem { stage: &mut one, input: StageInput::Ids(&[id]) },
        BatchItem { stage: &mut two, input: StageInput::Ids(&[id]) },
    ];
    let outputs = Batch::default().forward(&mut items, &mut Control::default().cancelled_by(&cancel));
    assert!(outputs.iter().all(|output| matches!(output, Err(EngineError::Cancelled))));
    let again = one.forward(StageInput::Ids(&[id]), &mut Control::default());
    assert!(matches!(again, Err(EngineError::Cancelled)));
    assert!(beside.forward(StageInput::Ids(&[id]), &mut Control::default()).is_ok());
}

#[test]
fn batch_sequence_that_ends_says_why() {
    let (_directory, package) = package(llama(), 5);
    let (mut one, id) = prompted(&package, &[5, 6, 7], 2);
    let mut items = [BatchItem { stage: &mut one, input: StageInput::Ids(&[id]) }];
    match Batch::default().forward(&mut items, &mut Control::default()).remove(0).unwrap() {
        StageOutput::Token(Token { end: Some(EndReason::MaxNew), .. }) => {}
        StageOutput::Token(Token { end: Some(EndReason::Eos), .. }) => {}
        other => panic!("{other:?}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn batch_of_random_sequences_equals_each_alone(seed in 0u64..1_000_000, count in 1u64..=9, stages in 1u32..=4) {
        compare_sequences(llama(), seed, count, 30, stages, &Setup::default());
    }
}
