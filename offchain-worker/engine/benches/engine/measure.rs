//! The rounds: every contender does the same in turn, so that what else the machine does falls on all of them.

use std::path::Path;

use super::{
    machine::{Reader, Resident},
    process::{Files, Process, Who},
    shape::{Error, Shape},
    stats::median,
};

/// A prefill that takes longer is measured once.
const LONG_PREFILL: f64 = 9.0;
/// Sequences of a batch.
pub const BATCH: usize = 8;
/// The slots: two kept sequences for decoding, one that prefill overwrites, and a batch.
const SHORT: usize = 0;
const LONG: usize = 1;
const PREFILL: usize = 2;
const FIRST_OF_BATCH: usize = 3;
const SLOTS: usize = FIRST_OF_BATCH + BATCH;

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    pub rounds: usize,
    /// Tokens decoded in a round at each context.
    pub tokens: usize,
    /// Prompt of the prefill that is measured.
    pub prefill: usize,
    /// Positions before the tokens that are decoded: a short context and a long one.
    pub contexts: [usize; 2],
    /// Whether a sequence begins anew in each round; else it goes on, and its context grows by the tokens.
    pub anew: bool,
}

impl Plan {
    /// What fits the shape's context, and the time of a run.
    pub fn of(shape: &Shape) -> Self {
        match shape.context {
            ..=1024 => Self { rounds: 15, tokens: 32, prefill: 448, contexts: [128, 448], anew: true },
            _ => Self { rounds: 5, tokens: 12, prefill: 512, contexts: [128, 1024], anew: false },
        }
    }

    /// Positions of the longest sequence.
    fn positions(&self) -> usize {
        let steps = self.tokens + 1;
        self.contexts[1] + steps * if self.anew { 2 } else { self.rounds + 1 }
    }
}

/// What was measured of one contender with one number of threads: one value for each round.
#[derive(Clone, Debug)]
pub struct Samples {
    pub who: Who,
    /// Tokens per second.
    pub prefill: Vec<f64>,
    /// Tokens per second, at each of the contexts.
    pub decode: [Vec<f64>; 2],
    /// Tokens per second of all sequences of a batch, at the short context; empty where it is not offered.
    pub batch: Vec<f64>,
    /// The id that follows the prompt of the prefill.
    pub next: u32,
    /// Resident after the first tokens were decoded at the long context, and how many positions that sequence had.
    pub memory: (Resident, usize),
}

/// All contenders with one number of threads.
#[derive(Clone, Debug)]
pub struct Results {
    pub threads: usize,
    pub plan: Plan,
    pub samples: Vec<Samples>,
    /// Bytes per second that these threads read, in each round.
    pub bandwidth: Vec<f64>,
    /// What the contenders said of themselves.
    pub about: Vec<String>,
}

impl Results {
    pub fn of(&self, who: Who) -> Option<&Samples> {
        self.samples.iter().find(|samples| samples.who == who)
    }
}

/// Starts the contenders, lets them warm up, and measures them in rounds.
pub fn run(
    shape: &Shape,
    files: &Files,
    plan: Plan,
    contenders: &[Who],
    threads: usize,
    python: Option<&Path>,
) -> Result<Results, Error> {
    let reader = Reader::new(threads);
    let mut bandwidth = Vec::new();
    let mut processes = Vec::new();
    let mut samples = Vec::new();
    for &who in contenders {
        progress(&format!("{}, {}: loading, then filling the contexts", count(threads), who.name()));
        let started = Process::start(who, shape, files, threads, SLOTS, plan.positions(), python);
        let mut process = match started {
            // Not part of this project: whatever ails it there, the others can be measured.
            Err(error) if who == Who::LlamaCpp => {
                progress("");
                println!("llama.cpp is left out: {error}\n");
                continue;
            }
            started => started?,
        };
        process.prefill(LONG, plan.contexts[1])?;
        process.decode(&[LONG], plan.tokens)?;
        let memory = (process.resident()?, plan.contexts[1] + plan.tokens + 1);
        let (_, next) = process.prefill(SHORT, plan.contexts[0])?;
        if process.together >= BATCH {
            for slot in FIRST_OF_BATCH..SLOTS {
                process.prefill(slot, plan.contexts[0])?;
            }
        }
        samples.push(Samples {
            who,
            prefill: Vec::new(),
            decode: [Vec::new(), Vec::new()],
            batch: Vec::new(),
            next,
            memory,
        });
        processes.push(process);
    }
    for round in 0..plan.rounds {
        bandwidth.push(reader.bandwidth());
        // No one is always the first.
        for i in 0..processes.len() {
            let i = (i + round) % processes.len();
            progress(&format!("{}, round {} of {}: {}", count(threads), round + 1, plan.rounds, samples[i].who.name()));
            one_turn(&mut processes[i], &mut samples[i], plan)?;
        }
    }
    progress("");
    Ok(Results { threads, plan, samples, bandwidth, about: processes.iter().map(|p| p.about.clone()).collect() })
}

fn one_turn(process: &mut Process, samples: &mut Samples, plan: Plan) -> Result<(), Error> {
    let long = samples.prefill.last().is_some_and(|rate| plan.prefill as f64 / rate > LONG_PREFILL);
    if !long {
        let (seconds, next) = process.prefill(PREFILL, plan.prefill)?;
        samples.prefill.push(plan.prefill as f64 / seconds);
        samples.next = next;
    }
    for (at, slot) in [SHORT, LONG].into_iter().enumerate() {
        if plan.anew {
            process.prefill(slot, plan.contexts[at])?;
        }
        samples.decode[at].extend(rate(1, &process.decode(&[slot], plan.tokens)?));
    }
    if process.together >= BATCH {
        let slots: Vec<usize> = (FIRST_OF_BATCH..SLOTS).collect();
        if plan.anew {
            for slot in &slots {
                process.prefill(*slot, plan.contexts[0])?;
            }
        }
        samples.batch.extend(rate(BATCH, &process.decode(&slots, plan.tokens)?));
    }
    Ok(())
}

/// Tokens per second of steps of `sequences` tokens each, by the median step.
fn rate(sequences: usize, seconds: &[f64]) -> Option<f64> {
    median(seconds).map(|seconds| sequences as f64 / seconds)
}

/// `2 threads`.
pub fn count(threads: usize) -> String {
    format!("{threads} thread{}", if threads == 1 { "" } else { "s" })
}

/// On the terminal, each over the one before.
pub fn progress(what: &str) {
    eprint!("\r{:78}\r{what}", "");
}
