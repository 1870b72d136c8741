//! The worker's one loop.
//!
//! It only routes: blocks and messages in, tasks started, results passed on. Everything that takes time (the runtime, the
//! engine, the disk, the network) happens beside it and comes back as an event.

use crate::{
    chain::{read_job, At, Chain, Identity, JobState, Snapshot, Watched},
    context::{Context, Event},
    keys::Keys,
    network::{
        messages::{hello_digest, RingMessage, TokenFrame},
        peer_from_chain, peer_to_chain,
        transport::Misbehaviour,
        Delivery, NetEvent, ShardTransport,
    },
    panics,
    provider::Provider,
    rpc::Status,
    stream::{Heard, StreamHub},
    submitter::TxPool,
};
use assay_primitives::JobHash;
use parking_lot::RwLock;
use polkadot_sdk::{sc_network::PeerId, sp_core::H256};
use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::Arc,
    time::Duration,
};
use tokio::sync::mpsc;

/// How often silence is noticed and token frames are flushed.
const TICK: Duration = Duration::from_millis(25);
/// Providers whose nodes this node keeps streams to.
const MAX_KEPT: usize = 256;
/// Jobs read out of turn between two best blocks.
const MAX_LOOK_UPS: usize = 64;
/// Of these, those that one peer may bring up.
const MAX_BROUGHT: usize = 16;

/// What the loop is made of on every node.
pub struct Service {
    /// Genesis hash.
    pub genesis: H256,
    /// The runtime API.
    pub chain: Arc<dyn Chain>,
    /// How others are reached.
    pub transport: Arc<dyn ShardTransport>,
    /// The worker's key.
    pub keys: Keys,
    /// Token streams.
    pub hub: StreamHub,
    /// Jobs to read at each block.
    pub watched: Watched,
    /// What `inference_status` says.
    pub status: Arc<RwLock<Status>>,
    /// What a provider needs; none with `--inference off`.
    pub acting: Option<(Context, Arc<dyn TxPool>)>,
    /// Deliberate misbehaviour.
    #[cfg(feature = "faults")]
    pub fault: Option<crate::faults::Fault>,
}

/// The loop's mailboxes. They outlive a restart of the loop.
pub struct Mailboxes {
    /// From the network.
    pub network: mpsc::Receiver<Delivery>,
    /// From the chain.
    pub snapshots: mpsc::Receiver<Snapshot>,
    /// From tasks.
    pub events: mpsc::UnboundedReceiver<Event>,
}

struct Loop<'a> {
    service: &'a Service,
    provider: Option<Provider>,
    at: Option<At>,
    finalized: u32,
    look_ups: LookUps,
    found: mpsc::UnboundedSender<(JobHash, JobState)>,
    kept: HashSet<PeerId>,
}

/// Jobs read out of turn since the last best block. One that is absent stays among them: it is read again at the next block,
/// and not for each of its frames.
#[derive(Default)]
struct LookUps {
    jobs: BTreeSet<JobHash>,
    brought: HashMap<PeerId, usize>,
}

impl LookUps {
    /// Whether a peer may bring up another job.
    fn has_room(&self, peer: &PeerId) -> bool {
        self.jobs.len() < MAX_LOOK_UPS && self.brought.get(peer).is_none_or(|n| *n < MAX_BROUGHT)
    }

    /// Notes a job; false if it was read since the last block. `peer` brought it up; none if this node itself did.
    fn note(&mut self, job: JobHash, peer: Option<PeerId>) -> bool {
        let new = self.jobs.insert(job);
        if let Some(peer) = peer.filter(|_| new) {
            *self.brought.entry(peer).or_default() += 1;
        }
        new
    }

    /// A new best block.
    fn clear(&mut self) {
        self.jobs.clear();
        self.brought.clear();
    }
}

impl Service {
    /// Runs until a mailbox closes, which happens when the node shuts down.
    pub async fn run(&self, mail: &mut Mailboxes) {
        let (found, mut lookups) = mpsc::unbounded_channel();
        let mut this = Loop {
            service: self,
            provider: None,
            at: None,
            finalized: 0,
            look_ups: LookUps::default(),
            found,
            kept: HashSet::new(),
        };
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                event = mail.events.recv() => match event {
                    Some(event) => this.on_event(event),
                    None => return,
                },
                event = mail.network.recv() => match event {
                    Some(delivery) => this.on_network(delivery.event),
                    None => return,
                },
                snapshot = mail.snapshots.recv() => match snapshot {
                    Some(snapshot) => this.on_block(snapshot),
                    None => return,
                },
                Some((job, state)) = lookups.recv() => this.on_lookup(job, state),
                _ = tick.tick() => this.on_tick(),
            }
        }
    }
}

impl Loop<'_> {
    fn on_block(&mut self, snapshot: Snapshot) {
        let service = self.service;
        self.at = Some(snapshot.at);
        self.finalized = snapshot.finalized;
        self.look_ups.clear();
        for (job, state) in &snapshot.jobs {
            service.hub.job(job, state, snapshot.at.number, snapshot.finalized);
        }
        self.identify(snapshot.identity.clone());
        self.keep(&snapshot);
        if let Some(provider) = &mut self.provider {
            provider.on_block(&snapshot);
        }
        self.stream_own();
        let own = self.provider.as_ref().map(Provider::watched).unwrap_or_default();
        service.watched.set(own, service.hub.watched());
        self.report(&snapshot);
    }

    /// Begins to act for an identity, or stops: keys are inserted, registered and rotated while the node runs.
    fn identify(&mut self, identity: Option<Identity>) {
        let service = self.service;
        if self.provider.as_ref().map(Provider::identity) == identity.as_ref() {
            return;
        }
        let Some((ctx, pool)) = &service.acting else { return };
        self.provider = identity.map(|identity| {
            let provider = Provider::new(ctx.clone(), pool.clone(), identity);
            #[cfg(feature = "faults")]
            let provider = provider.with_fault(service.fault);
            provider
        });
        for (peer, _) in service.transport.peers() {
            self.greet(&peer);
        }
    }

    /// Proves to a peer which worker this node acts for.
    fn greet(&self, peer: &PeerId) {
        let Some(provider) = &self.provider else { return };
        let worker = provider.identity().worker.clone();
        let digest = hello_digest(self.service.genesis, &self.service.transport.local_peer().to_bytes(), &worker);
        match self.service.keys.sign_digest(&worker, digest) {
            Ok(signature) => {
                self.service.transport.send_to(peer, &RingMessage::Hello { worker, signature });
            }
            Err(error) => log::error!(target: crate::LOG_TARGET, "{error}"),
        }
    }

    /// Keeps streams open to the providers' nodes, long before a job needs them. A node that is no provider has enough of the
    /// streams that it happens to have.
    fn keep(&mut self, snapshot: &Snapshot) {
        if self.provider.is_none() {
            return;
        }
        let local = self.service.transport.local_peer();
        let peers: HashSet<PeerId> = snapshot
            .providers
            .iter()
            .filter_map(|(_, peer)| peer_from_chain(peer))
            .filter(|peer| *peer != local)
            .take(MAX_KEPT)
            .collect();
        if peers != self.kept {
            self.service.transport.keep(&peers);
            self.kept = peers;
        }
    }

    fn on_event(&mut self, event: Event) {
        let Some(provider) = &mut self.provider else { return };
        let frames = provider.on_event(event);
        self.stream(frames);
    }

    fn on_network(&mut self, event: NetEvent) {
        match event {
            NetEvent::Opened(peer) => self.greet(&peer),
            NetEvent::Identified(peer, worker) => {
                log::debug!(target: crate::LOG_TARGET, "{peer} acts for worker {worker}");
            }
            NetEvent::Closed(_) => {}
            NetEvent::Message(peer, _, RingMessage::Tokens(frame)) => self.on_frame(peer, frame),
            NetEvent::Message(peer, _, RingMessage::WantTokens { job, attempt, from }) => {
                if self.service.transport.may_want(&peer) {
                    for frame in self.service.hub.frames(&job, attempt, from) {
                        self.service.transport.send_to(&peer, &RingMessage::Tokens(frame));
                    }
                }
            }
            NetEvent::Message(peer, worker, message) => {
                let Some(provider) = &mut self.provider else { return };
                let frames = provider.on_message(peer, worker.as_ref(), message);
                self.stream(frames);
            }
        }
    }

    fn on_frame(&mut self, peer: PeerId, frame: TokenFrame) {
        let job = frame.at.job;
        let room = self.look_ups.has_room(&peer);
        // Anybody can make up a job: before it takes a stream's place, its peer's share of the look-ups must allow it.
        if !room && !self.service.watched.contains(&job) {
            return;
        }
        match self.service.hub.frame(&frame) {
            Heard::New => self.service.transport.broadcast(&RingMessage::Tokens(frame), Some(&peer)),
            Heard::Unknown if room => self.look_up(job, Some(peer)),
            // The next block is read anyway.
            Heard::Quiet | Heard::Unknown => {}
            Heard::Forged => self.service.transport.report(&peer, Misbehaviour::BadSignature),
        }
    }

    /// Reads a job at once, without waiting for the next block: its tokens are already here.
    fn look_up(&mut self, job: JobHash, peer: Option<PeerId>) {
        if !self.look_ups.note(job, peer) {
            return;
        }
        self.service.watched.add(job);
        let Some(at) = self.at else { return };
        let (chain, found) = (self.service.chain.clone(), self.found.clone());
        panics::spawn("look up", async move {
            // The newest block, which may be newer than the last snapshot.
            let read = move || {
                let best = chain.best();
                let at = if best.number >= at.number { best } else { at };
                read_job(&*chain, at.hash, job)
            };
            if let Ok(Ok(state)) = panics::blocking(read).await {
                let _ = found.send((job, state));
            }
        });
    }

    fn on_lookup(&mut self, job: JobHash, state: JobState) {
        // Not yet, on this node: only blocks count towards calling it unknown.
        if state != JobState::Absent {
            self.service.hub.job(&job, &state, self.at.map_or(0, |at| at.number), self.finalized);
        }
    }

    fn on_tick(&mut self) {
        if let Some(provider) = &mut self.provider {
            let frames = provider.on_tick();
            self.stream(frames);
        }
        for (job, attempt, from) in self.service.hub.wants() {
            self.service.transport.broadcast(&RingMessage::WantTokens { job, attempt, from }, None);
        }
    }

    fn stream_own(&mut self) {
        if let Some(provider) = &mut self.provider {
            let frames = provider.on_tick();
            self.stream(frames);
        }
    }

    /// This node's own tokens: to its subscribers and to its peers.
    fn stream(&mut self, frames: Vec<TokenFrame>) {
        for frame in frames {
            if self.service.hub.frame(&frame) == Heard::Unknown {
                self.look_up(frame.at.job, None);
            }
            self.service.transport.broadcast(&RingMessage::Tokens(frame), None);
        }
    }

    fn report(&self, snapshot: &Snapshot) {
        let service = self.service;
        let alarm = service.acting.as_ref().and_then(|(ctx, _)| ctx.alarm.get());
        let (tasks, pending) = self.provider.as_ref().map_or((0, 0), |p| (p.tasks(), p.pending()));
        if let Some((ctx, _)) = &service.acting {
            ctx.metrics.state(tasks, pending, ctx.rows.bytes(), alarm.is_some());
        }
        let mut status = service.status.write();
        status.best_block = snapshot.at.number;
        status.worker = snapshot.key.as_ref().map(ToString::to_string);
        status.controller = snapshot.identity.as_ref().map(|identity| identity.controller.to_string());
        status.announced = !snapshot.peer.is_empty() && snapshot.peer == peer_to_chain(&service.transport.local_peer());
        status.tasks = tasks;
        status.pending_answers = pending;
        // A failure to start stays in place of a later alarm.
        status.alarm = alarm.or(status.alarm.take());
        status.peers = service
            .transport
            .peers()
            .into_iter()
            .map(|(peer, worker)| (peer.to_string(), worker.map(|worker| worker.to_string())))
            .collect();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn look_ups_are_shared_among_peers_and_end_with_the_block() {
        let mut look_ups = LookUps::default();
        let mut jobs = (0u64..).map(JobHash::from_low_u64_be);
        let greedy = PeerId::random();
        while look_ups.has_room(&greedy) {
            let job = jobs.next().unwrap();
            assert!(look_ups.note(job, Some(greedy)));
            assert!(!look_ups.note(job, Some(greedy)), "once a block, also if it is absent");
        }
        assert_eq!(look_ups.jobs.len(), MAX_BROUGHT);
        for _ in 1..MAX_LOOK_UPS / MAX_BROUGHT {
            let peer = PeerId::random();
            (0..MAX_BROUGHT)
                .for_each(|_| assert!(look_ups.has_room(&peer) && look_ups.note(jobs.next().unwrap(), Some(peer))));
        }
        assert!(!look_ups.has_room(&PeerId::random()), "all are taken");
        assert!(look_ups.note(jobs.next().unwrap(), None), "this node's own are not limited");
        look_ups.clear();
        assert!(look_ups.has_room(&greedy));
    }
}
