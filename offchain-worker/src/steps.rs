//! Steps of the stages that are executed here, those of the same layers together.
//!
//! Decoding reads every weight for one row of each sequence, and sequences that are stepped together share that read. While a
//! step is computed, what other jobs' stages of the same layers need next gathers, and is computed by the next one. No stage
//! waits for company, and none's result depends on it ([`assay_engine::stage::Batch`]).

use crate::{
    compute::{guarded, Busy, Class},
    context::{Context, Event},
    engine::{EngineError, Rows, Stage, Step},
    network::messages::RingMessage,
    ring::pieces,
};
use assay_primitives::{AccountId, SpanKey, StageRef};
use polkadot_sdk::sc_network::PeerId;
use std::{
    collections::{BTreeMap, VecDeque},
    time::Instant,
};

/// Most stages in one step. The weights are read once for all of them, and with more a step takes in proportion longer.
pub const MAX_TOGETHER: usize = 32;

/// What one stage computes next.
pub struct Piece {
    /// The stage.
    pub at: StageRef,
    /// Its run's number: a stage that was given up and begun again does not take the first run's engine.
    pub run: u64,
    /// Its state.
    pub engine: Box<dyn Stage>,
    /// Its input.
    pub input: Rows,
    /// Number of the first row that comes out.
    pub start: u32,
    /// The worker on another machine that waits for the rows, and its node.
    pub remote: Option<(AccountId, Option<PeerId>)>,
}

/// What became of a [`Piece`].
pub struct Stepped {
    /// The stage.
    pub at: StageRef,
    /// Its run's number.
    pub run: u64,
    /// Its state, and what came out.
    pub result: Result<(Box<dyn Stage>, Rows), EngineError>,
}

#[derive(Default)]
struct Lane {
    waiting: VecDeque<Piece>,
    /// A step is being computed.
    busy: bool,
}

/// Decoding pieces that wait for the step before theirs.
#[derive(Default)]
pub struct Steps(BTreeMap<SpanKey, Lane>);

impl Steps {
    /// Queues a piece for the next step of its layers.
    pub fn push(&mut self, layers: SpanKey, piece: Piece) {
        self.0.entry(layers).or_default().waiting.push_back(piece);
    }

    /// A step of these layers ended.
    pub fn ended(&mut self, layers: &SpanKey) {
        if let Some(lane) = self.0.get_mut(layers) {
            lane.busy = false;
        }
    }

    /// Begins the steps that can begin, with the pieces that are still `wanted`. Returns the stages of those that could not.
    pub fn begin(&mut self, ctx: &Context, wanted: impl Fn(&Piece) -> bool) -> Vec<(StageRef, Busy)> {
        let mut refused = Vec::new();
        self.0.retain(|layers, lane| {
            if lane.busy {
                return true;
            }
            lane.waiting.retain(&wanted);
            let step: Vec<Piece> = lane.waiting.drain(..lane.waiting.len().min(MAX_TOGETHER)).collect();
            if step.is_empty() {
                return false;
            }
            let stages: Vec<StageRef> = step.iter().map(|piece| piece.at).collect();
            match compute(ctx, Class::Decode, Some(*layers), step) {
                Ok(()) => lane.busy = true,
                Err(busy) => refused.extend(stages.into_iter().map(|at| (at, busy))),
            }
            true
        });
        refused
    }
}

/// Computes pieces of the same layers on an inference thread, sends their rows on, and reports them in one event.
pub fn compute(ctx: &Context, class: Class, layers: Option<SpanKey>, mut step: Vec<Piece>) -> Result<(), Busy> {
    let ctx = ctx.clone();
    let pool = ctx.compute.clone();
    pool.spawn(class, move || {
        let started = Instant::now();
        let outputs = forward(&ctx, &mut step);
        let (positions, took) = (step.iter().map(|piece| piece.input.len()).sum(), started.elapsed());
        let mut results = Vec::with_capacity(step.len());
        for (Piece { at, run, engine, start, remote, .. }, output) in step.into_iter().zip(outputs) {
            // The next machine waits: what is for another node leaves from here, not through the loop.
            if let (Some((worker, peer)), Ok(rows)) = (&remote, &output) {
                for (first, rows) in pieces(rows, 0) {
                    let message = RingMessage::Rows { at, start: start + first as u32, rows };
                    ctx.transport.send(worker, *peer, &message);
                }
            }
            results.push(Stepped { at, run, result: output.map(|rows| (engine, rows)) });
        }
        ctx.metrics.step(class, positions, took);
        ctx.emit(Event::Stepped { layers, results });
    })
}

/// One result for each piece, whatever happens.
fn forward(ctx: &Context, step: &mut [Piece]) -> Vec<Result<Rows, EngineError>> {
    let n = step.len();
    let result = guarded(|| {
        let mut steps: Vec<Step<'_>> =
            step.iter_mut().map(|piece| Step { stage: &mut *piece.engine, input: &piece.input }).collect();
        let outputs = ctx.engine.forward(&mut steps);
        match outputs.len() == n {
            true => Ok(outputs),
            false => Err(EngineError::Failed("the engine returned another number of results than steps".into())),
        }
    });
    result.unwrap_or_else(|error| {
        let text = error.to_string();
        let again = |_| match &error {
            EngineError::Panicked(text) => EngineError::Panicked(text.clone()),
            _ => EngineError::Failed(text.clone()),
        };
        (0..n).map(|i| Err(again(i))).collect()
    })
}
