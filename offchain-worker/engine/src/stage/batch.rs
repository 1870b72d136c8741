//! Several sequences in one step: continuous batching.
//!
//! Decoding reads every weight for one row of each sequence. Sequences of the same layers that are stepped together share that
//! read: the linears see all of their rows, attention and commitments each sequence its own. No result depends on which
//! other sequences are beside it, so they may join and leave between any two steps.
//!
//! ```no_run
//! # use assay_engine::stage::*;
//! # fn step(a: &mut Stage, b: &mut Stage, ids: [u32; 2]) {
//! let mut batch = Batch::default();
//! let mut items =
//!     [BatchItem { stage: a, input: StageInput::Ids(&ids[..1]) }, BatchItem { stage: b, input: StageInput::Ids(&ids[1..]) }];
//! for output in batch.forward(&mut items, &mut Control::default()) {
//!     println!("{output:?}");
//! }
//! # }
//! ```

use std::sync::{atomic::AtomicBool, Arc};

use assay_exact::{hash::Blake2b, sampling::draw};

use super::{Control, Progress, Stage, StageInput, StageOutput, CHUNK, HEAD_CHUNK};
use crate::{
    model::{fit, Buffers, Executor, Lane, Model},
    EngineError,
};

/// Intermediate rows of a call, reused by the next one.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    pub buffers: Buffers,
    /// Residual rows `[n, d]` of all sequences, one after the other; after a pass its output rows.
    pub rows: Vec<i32>,
    /// Final rows that something is drawn after, `[m, d]`.
    finals: Vec<i32>,
    /// `[m, vocab]`.
    pub logits: Vec<i32>,
    pub order: Vec<u32>,
}

/// One sequence's part in a step.
#[derive(Debug)]
pub struct BatchItem<'a> {
    /// Its stage.
    pub stage: &'a mut Stage,
    /// Its next positions, as [`Stage::forward`] takes them: one in a decode, any number of a prompt.
    pub input: StageInput<'a>,
}

/// Steps stages of the same layers together. Holds only scratch: any stages may come in any step.
#[derive(Debug, Default)]
pub struct Batch {
    scratch: Scratch,
}

impl Batch {
    /// Computes the next positions of every item, by the kernels and threads of the first. Each gets what [`Stage::forward`] would
    /// give it alone, in the order of the items.
    ///
    /// # Errors
    /// Each item has its own: those of [`Stage::forward`], found before anything of that item changes, and [`EngineError::Batch`]
    /// for other layers or another model than those of the first item whose input is good. Neither concerns the others. Cancelled
    /// by `control`, all items that were not refused end with [`EngineError::Cancelled`], and their stages cannot go on: to end one
    /// sequence alone, leave it out of the next step.
    pub fn forward(
        &mut self,
        items: &mut [BatchItem<'_>],
        control: &mut Control<'_>,
    ) -> Vec<Result<StageOutput, EngineError>> {
        let mut model = None;
        let mut work: Vec<_> = items
            .iter_mut()
            .map(|BatchItem { stage, input }| {
                let left = stage.check(*input)?;
                let own = (stage.model_root, stage.spec.first, stage.spec.end);
                if *model.get_or_insert(own) != own {
                    return Err(EngineError::Batch);
                }
                Ok(Work { stage, input: *input, done: 0, left, out: Vec::new() })
            })
            .collect();
        let Some(threads) = work.iter().flatten().next().map(|work| Arc::clone(&work.stage.threads)) else {
            return work.into_iter().map(|work| work.map(|_| StageOutput::Prompt)).collect();
        };
        let computed = threads.install(|| self.compute(&mut work, control));
        work.into_iter()
            .map(|work| match (work, &computed) {
                (Err(error), _) => Err(error),
                (Ok(_), Err(_)) => Err(EngineError::Cancelled),
                (Ok(work), Ok(())) => Ok(work.stage.output(work.out)),
            })
            .collect()
    }

    fn compute(
        &mut self,
        work: &mut [Result<Work<'_, '_>, EngineError>],
        control: &mut Control<'_>,
    ) -> Result<(), EngineError> {
        let scratch = &mut self.scratch;
        let of = work.iter().flatten().map(|work| work.left as u32).sum();
        let mut positions = 0;
        loop {
            // The shortest first: what they leave of the pass goes to a prompt beside them.
            let mut open: Vec<_> = work.iter_mut().flatten().filter(|work| work.left > 0).collect();
            if open.is_empty() {
                return Ok(());
            }
            open.sort_by_key(|work| work.left);
            open.truncate(CHUNK);
            let (mut room, mut sharers) = (CHUNK, open.len());
            let mut parts = Vec::with_capacity(open.len());
            let mut ended = Vec::with_capacity(open.len());
            let mut outs = Vec::with_capacity(open.len());
            for Work { stage, input, done, left, out } in open {
                let d = stage.header().d as usize;
                let n = (room / sharers).min(*left);
                (room, sharers) = (room - n, sharers - 1);
                parts.push(BatchItem { stage, input: input.slice(*done..*done + n, d) });
                (*done, *left) = (*done + n, *left - n);
                positions += n as u32;
                ended.push((n, *left == 0));
                outs.push(out);
            }
            pass(&mut parts, scratch, control.cancel())?;
            draw_each(&mut parts, &ended, scratch);
            let mut at = 0;
            for ((part, out), (n, _)) in parts.iter().zip(outs).zip(&ended) {
                let d = part.stage.header().d as usize;
                if !part.stage.is_last() {
                    out.extend_from_slice(&scratch.rows[at * d..(at + n) * d]);
                }
                at += n;
            }
            control.report(Progress { positions, of });
        }
    }
}

/// An item on its way.
struct Work<'a, 'b> {
    stage: &'a mut &'b mut Stage,
    input: StageInput<'b>,
    done: usize,
    left: usize,
    /// Its output rows, if it gives rows.
    out: Vec<i32>,
}

/// One pass of all parts through the layers, which are the same: rows in, layers, rows out, and everything that is committed of
/// them. The output rows lie in the scratch, part after part. Cancelled, no part can go on.
pub(super) fn pass(parts: &mut [BatchItem<'_>], scratch: &mut Scratch, cancel: &AtomicBool) -> Result<(), EngineError> {
    let Some(first) = parts.first() else { return Ok(()) };
    let d = first.stage.header().d as usize;
    let Scratch { buffers, rows, .. } = scratch;
    let h = fit(rows, d * parts.iter().map(|part| part.input.positions(d)).sum::<usize>());

    let mut rest = &mut *h;
    for BatchItem { stage, input } in parts.iter_mut() {
        let (own, others) = rest.split_at_mut(input.positions(d) * d);
        stage.feed(*input, own, buffers);
        rest = others;
    }

    let mut run: Option<(&Model, Executor<'_>)> = None;
    let mut lanes = Vec::with_capacity(parts.len());
    for BatchItem { stage, input } in parts.iter_mut() {
        let Stage { model, kernels, threads, cache, positions, .. } = &mut **stage;
        run.get_or_insert((model, Executor { kernels: *kernels, threads }));
        lanes.push(Lane { start: *positions as usize, n: input.positions(d), cache });
    }
    let computed = match run {
        Some((model, run)) => model.forward(run, h, &mut lanes, buffers, cancel),
        None => Ok(()),
    };

    let mut at = 0;
    for BatchItem { stage, input } in parts.iter_mut() {
        let n = input.positions(d);
        match computed {
            Ok(()) => stage.settle(&h[at * d..(at + n) * d], at..at + n, buffers),
            Err(_) => stage.stopped = true,
        }
        at += n;
    }
    computed
}

/// Draws an id after every part that has ended its input and draws one: the head sees their rows together. `ended` has each part's
/// rows in this pass, and whether its input ends with them.
fn draw_each(parts: &mut [BatchItem<'_>], ended: &[(usize, bool)], scratch: &mut Scratch) {
    let Scratch { buffers, rows, finals, logits, order, .. } = scratch;
    finals.clear();
    let mut drawing = Vec::with_capacity(parts.len());
    let mut at = 0;
    for (i, (part, (n, ends))) in parts.iter().zip(ended).enumerate() {
        let d = part.stage.header().d as usize;
        at += n;
        if *ends && part.stage.draws() {
            drawing.push(i);
            finals.extend_from_slice(&rows[(at - 1) * d..at * d]);
        }
    }
    let mut drawn = Vec::with_capacity(drawing.len());
    if let Some(Stage { model, kernels, threads, .. }) = drawing.first().map(|i| &*parts[*i].stage) {
        let run = Executor { kernels: *kernels, threads };
        let (width, vocab) = (model.header().d as usize, model.header().vocab as usize);
        let (cap, order) = (model.header().final_cap(), fit(order, vocab));
        let mut next = drawing.iter();
        for h in finals.chunks(HEAD_CHUNK * width) {
            for (logits, i) in model.logits(run, h, logits, buffers).chunks_exact(vocab).zip(&mut next) {
                let stage = &parts[*i].stage;
                drawn.push((*i, draw::<Blake2b>(logits, cap, &stage.spec.sampling, stage.positions, order)));
            }
        }
    }
    for (i, id) in drawn {
        parts[i].stage.append_drawn(id);
    }
}
