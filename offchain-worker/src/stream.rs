//! Token streams of jobs, for whoever subscribes on this node.
//!
//! Every node keeps the streams of the jobs that it hears of, verified against the last stage's worker key, bounded, so that a
//! late subscriber gets what was already streamed. Tokens are provisional: what counts is the receipt at the end.

use crate::{
    chain::JobState, context::work_ctx, engine::Engine, keys, network::messages::TokenFrame, receipt::ReceiptView,
};
use assay_exact::{
    hash::Blake2b,
    merkle::{leaf_hash, ListBuilder},
};
use assay_primitives::{api::JobView, digest, JobHash, JobInput, JobPhase, ModelId, Output, Role};
use parking_lot::Mutex;
use polkadot_sdk::sp_core::{hexdisplay::HexDisplay, H256};
use serde::Serialize;
use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::mpsc;

/// Jobs whose streams are kept.
const MAX_JOBS: usize = 256;
/// Frames kept that cannot be verified yet, per job.
const MAX_AHEAD: usize = 64;
/// Items that wait for one subscriber. Beyond, it is dropped: it reads slower than the job runs.
const MAX_WAITING: usize = 2_048;
/// Subscribers of one job.
const MAX_SUBSCRIBERS: usize = 64;
/// A missing part of a stream is asked for no more often.
const WANT_EVERY: Duration = Duration::from_millis(500);
/// Best blocks after which a job that was never seen is called unknown, and one that vanished refunded.
const ABSENT_BLOCKS: u32 = 4;

/// What a subscriber gets, in order.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "camelCase")]
pub enum StreamItem {
    /// A generated token.
    Token {
        /// Attempt, from 0. A new one starts the text again.
        attempt: u32,
        /// Its number in the attempt, from 1.
        seq: u32,
        /// Its id.
        id: u32,
        /// The text that is certain with it; empty in the middle of a character, none if this node has no tokenizer of the
        /// model.
        text: Option<String>,
        /// Always true: nothing is verified before the receipt.
        provisional: bool,
        /// The executor's signature over all ids so far, with the last id of each signed frame.
        signature: Option<String>,
    },
    /// A new attempt begins: the text starts again.
    Restarted {
        /// Attempt, from 0.
        attempt: u32,
    },
    /// The job moved on.
    Phase {
        /// Name of the [`JobPhase`].
        phase: &'static str,
        /// Attempt, from 0.
        attempt: u32,
        /// Present tick.
        now: u32,
        /// When the phase ends.
        due: u32,
    },
    /// The job is settled at the best block.
    Settled {
        /// The receipt.
        receipt: Box<ReceiptView>,
    },
    /// The settled block is final. The stream ends.
    Finalized {
        /// Number of the block that was final when this was seen.
        block: u32,
    },
    /// The job ended without a result, and the client was refunded. The stream ends.
    Refunded {
        /// What this node knows of it.
        reason: String,
    },
    /// The stream ends for another reason.
    Error {
        /// See [`crate::rpc`].
        code: i32,
        /// What to do.
        message: String,
    },
}

/// What became of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// Verified and new: pass it on.
    New,
    /// Known already, or kept until it can be verified.
    Quiet,
    /// Its job is not known yet: look for it.
    Unknown,
    /// Not by the last stage's worker.
    Forged,
}

#[derive(Default)]
struct Stream {
    view: Option<Arc<JobView>>,
    list: ListBuilder<Blake2b>,
    ids: Vec<u32>,
    text: TextWindow,
    frames: Vec<TokenFrame>,
    ahead: Vec<TokenFrame>,
    items: Vec<StreamItem>,
    subscribers: Vec<mpsc::Sender<StreamItem>>,
    absent: u32,
    settled_at: Option<u32>,
    ended: bool,
    wanted: Option<Instant>,
    incomplete: bool,
    order: u64,
}

struct Inner {
    genesis: H256,
    engine: Option<Arc<dyn Engine>>,
    streams: HashMap<JobHash, Stream>,
    next: u64,
}

/// A handle to all streams.
#[derive(Clone)]
pub struct StreamHub {
    inner: Arc<Mutex<Inner>>,
}

impl StreamHub {
    /// `engine` turns ids to text, where it can.
    pub fn new(genesis: H256, engine: Option<Arc<dyn Engine>>) -> Self {
        Self { inner: Arc::new(Mutex::new(Inner { genesis, engine, streams: HashMap::new(), next: 0 })) }
    }

    /// What was streamed so far, and what will be. None if the job has too many subscribers.
    pub fn subscribe(&self, job: JobHash) -> Option<(Vec<StreamItem>, mpsc::Receiver<StreamItem>)> {
        let mut inner = self.inner.lock();
        let stream = inner.stream(job);
        stream.subscribers.retain(|subscriber| !subscriber.is_closed());
        if stream.subscribers.len() >= MAX_SUBSCRIBERS {
            return None;
        }
        let (tx, rx) = mpsc::channel(MAX_WAITING);
        if !stream.ended {
            stream.subscribers.push(tx);
            // Frames may have passed before this node knew the job.
            stream.incomplete = true;
        }
        Some((stream.items.clone(), rx))
    }

    /// A frame, from a peer or from this node's own last stage.
    pub fn frame(&self, frame: &TokenFrame) -> Heard {
        let mut inner = self.inner.lock();
        let (genesis, engine) = (inner.genesis, inner.engine.clone());
        let stream = inner.stream(frame.at.job);
        if stream.ended {
            return Heard::Quiet;
        }
        let known = stream.view.as_ref().is_some_and(|view| view.attempt == frame.at.attempt);
        if !known {
            stream.keep_ahead(frame);
            return Heard::Unknown;
        }
        let heard = stream.verify(genesis, engine.as_deref(), frame);
        if heard == Heard::New {
            stream.drain_ahead(genesis, engine.as_deref());
        }
        heard
    }

    /// A best block's state of a job.
    pub fn job(&self, job: &JobHash, state: &JobState, best: u32, finalized: u32) {
        let mut inner = self.inner.lock();
        let (genesis, engine) = (inner.genesis, inner.engine.clone());
        let Some(stream) = inner.streams.get_mut(job) else { return };
        match state {
            JobState::Open(view) => stream.open(genesis, engine.as_deref(), view),
            JobState::Settled(receipt) => {
                stream.absent = 0;
                if stream.settled_at.is_none() {
                    stream.settled_at = Some(best);
                    let text = match &receipt.output {
                        Output::Ids(ids) => engine.as_ref().and_then(|e| e.detokenize(&receipt.model, ids).ok()),
                        Output::Vector(_) => None,
                    };
                    stream.push(StreamItem::Settled { receipt: Box::new(ReceiptView::of(receipt, text)) });
                }
                if stream.settled_at.is_some_and(|block| finalized >= block) && !stream.ended {
                    stream.push(StreamItem::Finalized { block: finalized });
                    stream.end();
                }
            }
            JobState::Absent => {
                stream.absent += 1;
                if stream.absent >= ABSENT_BLOCKS && !stream.ended {
                    let last = stream.view.as_ref().map(|view| (view.attempt, phase_name(view.phase)));
                    stream.push(match last {
                        Some((attempt, phase)) => StreamItem::Refunded {
                            reason: format!(
                                "the job left the state after attempt {attempt}, last seen {phase}; the block's Refunded event \
                                 says why"
                            ),
                        },
                        None => StreamItem::Error {
                            code: crate::rpc::UNKNOWN_JOB,
                            message: format!(
                                "no job {job:?} at the best block, and no recent receipt; use the hash of the \
                                 JobSubmitted event on this chain"
                            ),
                        },
                    });
                    stream.end();
                }
            }
        }
    }

    /// Jobs whose state is of interest.
    pub fn watched(&self) -> BTreeSet<JobHash> {
        let inner = self.inner.lock();
        inner.streams.iter().filter(|(_, stream)| !stream.ended).map(|(job, _)| *job).collect()
    }

    /// Parts of streams to ask the network for: job, attempt, ids known.
    pub fn wants(&self) -> Vec<(JobHash, u32, u32)> {
        let mut inner = self.inner.lock();
        let mut wants = Vec::new();
        for (job, stream) in &mut inner.streams {
            let Some(view) = &stream.view else { continue };
            let asked = stream.wanted.is_some_and(|wanted| wanted.elapsed() < WANT_EVERY);
            if stream.incomplete && !stream.ended && !asked {
                stream.wanted = Some(Instant::now());
                // Asked once at subscription; a gap shows itself again.
                stream.incomplete = !stream.ahead.is_empty();
                wants.push((*job, view.attempt, stream.ids.len() as u32));
            }
        }
        wants
    }

    /// The signed frames of an attempt that go beyond `from` ids.
    pub fn frames(&self, job: &JobHash, attempt: u32, from: u32) -> Vec<TokenFrame> {
        let inner = self.inner.lock();
        let Some(stream) = inner.streams.get(job) else { return Vec::new() };
        stream.frames.iter().filter(|frame| frame.at.attempt == attempt && frame.seq > from).cloned().collect()
    }
}

impl Inner {
    /// The stream of a job; an old one without subscribers makes room for a new one.
    fn stream(&mut self, job: JobHash) -> &mut Stream {
        if !self.streams.contains_key(&job) && self.streams.len() >= MAX_JOBS {
            let rank = |stream: &Stream| {
                (!stream.subscribers.is_empty(), stream.view.is_some() && !stream.ended, stream.order)
            };
            if let Some(oldest) = self.streams.iter().min_by_key(|(_, s)| rank(s)).map(|(job, _)| *job) {
                self.streams.remove(&oldest);
            }
        }
        let order = self.next;
        self.next += 1;
        self.streams.entry(job).or_insert_with(|| Stream { order, ..Stream::default() })
    }
}

impl Stream {
    fn push(&mut self, item: StreamItem) {
        self.items.push(item.clone());
        // A full buffer is a slow reader: dropping its sender ends its stream with an error (see `crate::rpc`).
        self.subscribers.retain(|subscriber| subscriber.try_send(item.clone()).is_ok());
    }

    fn end(&mut self) {
        self.ended = true;
        self.subscribers.clear();
        self.ahead.clear();
    }

    fn open(&mut self, genesis: H256, engine: Option<&dyn Engine>, view: &Arc<JobView>) {
        self.absent = 0;
        // A re-org took the settlement back.
        self.settled_at = None;
        let before = self.view.as_ref().map(|view| (view.phase, view.attempt));
        if before.map(|(_, attempt)| attempt) != Some(view.attempt) {
            self.restart(view);
            if view.attempt > 0 {
                self.push(StreamItem::Restarted { attempt: view.attempt });
            }
        }
        if before != Some((view.phase, view.attempt)) {
            self.push(StreamItem::Phase {
                phase: phase_name(view.phase),
                attempt: view.attempt,
                now: view.now,
                due: view.due,
            });
        }
        self.view = Some(view.clone());
        self.drain_ahead(genesis, engine);
    }

    /// A new attempt: its ids begin again after the prompt.
    fn restart(&mut self, view: &JobView) {
        self.list = ListBuilder::new();
        if let JobInput::Inline(prompt) = &view.spec.input {
            prompt.iter().for_each(|id| self.list.push_hash(leaf_hash::<Blake2b>(&[&id.to_le_bytes()])));
        }
        self.ids.clear();
        self.text = TextWindow::default();
        self.frames.clear();
    }

    fn keep_ahead(&mut self, frame: &TokenFrame) {
        if self.ahead.len() < MAX_AHEAD && !self.ahead.contains(frame) {
            self.ahead.push(frame.clone());
        }
    }

    fn drain_ahead(&mut self, genesis: H256, engine: Option<&dyn Engine>) {
        let Some(attempt) = self.view.as_ref().map(|view| view.attempt) else { return };
        self.ahead.retain(|frame| frame.at.attempt >= attempt);
        self.ahead.sort_by_key(|frame| (frame.at.attempt, frame.seq));
        for frame in std::mem::take(&mut self.ahead) {
            if frame.at.attempt > attempt {
                self.keep_ahead(&frame);
            } else {
                self.verify(genesis, engine, &frame);
            }
        }
    }

    fn verify(&mut self, genesis: H256, engine: Option<&dyn Engine>, frame: &TokenFrame) -> Heard {
        let Some(view) = self.view.clone() else { return Heard::Quiet };
        let have = self.ids.len();
        if frame.seq as usize <= have {
            return Heard::Quiet;
        }
        if frame.start() as usize > have {
            self.keep_ahead(frame);
            self.incomplete = true;
            return Heard::Quiet;
        }
        let Some(last) = view.stages.last() else { return Heard::Quiet };
        if usize::from(frame.at.stage) + 1 != view.stages.len() || frame.seq > view.spec.task.max_new_tokens() {
            return Heard::Forged;
        }
        let fresh = &frame.ids[have - frame.start() as usize..];
        let mut list = self.list.clone();
        fresh.iter().for_each(|id| list.push_hash(leaf_hash::<Blake2b>(&[&id.to_le_bytes()])));
        let ctx = work_ctx(genesis, &frame.at, &view.spec, Role::Executor);
        let signed = digest::token_frame(&ctx, frame.seq, H256(list.root()));
        if !keys::verify(&last.worker, signed, &frame.signature) {
            return Heard::Forged;
        }
        self.list = list;
        for (i, id) in fresh.iter().enumerate() {
            self.ids.push(*id);
            let text = engine.and_then(|engine| self.text.push(engine, &view.spec.model, *id));
            let signature = (i + 1 == fresh.len())
                .then(|| format!("0x{}", HexDisplay::from(&AsRef::<[u8]>::as_ref(&frame.signature))));
            self.push(StreamItem::Token {
                attempt: frame.at.attempt,
                seq: self.ids.len() as u32,
                id: *id,
                text,
                provisional: true,
                signature,
            });
        }
        self.frames.push(frame.clone());
        Heard::New
    }
}

/// Text of ids that arrive one by one: the newest ids are decoded with a few before them, and text is given out once it ends in
/// a whole character.
#[derive(Default)]
struct TextWindow {
    ids: Vec<u32>,
    start: usize,
    shown: usize,
}

impl TextWindow {
    fn push(&mut self, engine: &dyn Engine, model: &ModelId, id: u32) -> Option<String> {
        self.ids.push(id);
        let before = engine.detokenize(model, &self.ids[self.start..self.shown]).ok()?;
        let text = engine.detokenize(model, &self.ids[self.start..]).ok()?;
        // U+FFFD at the end: the other bytes of a character are in ids to come.
        let new = text.get(before.len()..).filter(|new| !new.is_empty() && !new.ends_with('\u{fffd}'));
        Some(match new {
            Some(new) => {
                self.start = self.shown;
                self.shown = self.ids.len();
                new.to_string()
            }
            None => String::new(),
        })
    }
}

/// The name of a phase in the stream.
pub fn phase_name(phase: JobPhase) -> &'static str {
    match phase {
        JobPhase::Running => "Running",
        JobPhase::Drawing => "Drawing",
        JobPhase::Checking => "Checking",
        JobPhase::Revealing => "Revealing",
        JobPhase::Escalated => "Escalated",
        JobPhase::Requeue => "Requeue",
    }
}

#[cfg(test)]
#[path = "stream_tests.rs"]
mod tests;
