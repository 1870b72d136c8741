//! Open streams: who is behind them, and how to write to them.

use assay_primitives::AccountId;
use parking_lot::RwLock;
use polkadot_sdk::sc_network::{service::traits::MessageSink, PeerId};
use std::{collections::HashMap, sync::Arc, time::Instant};

/// Tokens of a peer's allowance of nonsense; each malformed message takes one, and they come back slowly.
const PATIENCE: u32 = 16;
/// Requests for old rows or tokens that a peer may make in a second.
const WANTS_PER_SECOND: f64 = 50.0;

struct Peer {
    sink: Box<dyn MessageSink>,
    worker: Option<AccountId>,
    patience: u32,
    wants: f64,
    seen: Instant,
}

/// The open streams. Shared with the inference threads, which write to them.
#[derive(Clone, Default)]
pub struct Peers {
    inner: Arc<RwLock<HashMap<PeerId, Peer>>>,
}

impl Peers {
    /// A stream was opened.
    pub fn open(&self, peer: PeerId, sink: Box<dyn MessageSink>) {
        let fresh = Peer { sink, worker: None, patience: PATIENCE, wants: WANTS_PER_SECOND, seen: Instant::now() };
        self.inner.write().insert(peer, fresh);
    }

    /// A stream was closed.
    pub fn close(&self, peer: &PeerId) {
        self.inner.write().remove(peer);
    }

    /// A peer proved which worker it acts for. The newest proof counts: keys are rotated.
    pub fn identify(&self, peer: &PeerId, worker: AccountId) {
        if let Some(peer) = self.inner.write().get_mut(peer) {
            peer.worker = Some(worker);
        }
    }

    /// The worker behind a peer, if it proved one.
    pub fn worker(&self, peer: &PeerId) -> Option<AccountId> {
        self.inner.read().get(peer)?.worker.clone()
    }

    /// The peers that proved this worker.
    pub fn of_worker(&self, worker: &AccountId) -> Vec<PeerId> {
        let peers = self.inner.read();
        peers.iter().filter(|(_, p)| p.worker.as_ref() == Some(worker)).map(|(id, _)| *id).collect()
    }

    /// Peers with an open stream.
    pub fn connected(&self) -> Vec<PeerId> {
        self.inner.read().keys().copied().collect()
    }

    /// Whether a peer has an open stream.
    pub fn is_connected(&self, peer: &PeerId) -> bool {
        self.inner.read().contains_key(peer)
    }

    /// Takes note of a malformed message; true when the peer has used up its patience.
    pub fn annoyed(&self, peer: &PeerId) -> bool {
        let mut peers = self.inner.write();
        let Some(peer) = peers.get_mut(peer) else { return false };
        peer.patience = peer.patience.saturating_sub(1);
        peer.patience == 0
    }

    /// Whether a request for old data is within the peer's rate.
    pub fn may_want(&self, peer: &PeerId) -> bool {
        let mut peers = self.inner.write();
        let Some(peer) = peers.get_mut(peer) else { return false };
        let now = Instant::now();
        peer.wants =
            (peer.wants + now.duration_since(peer.seen).as_secs_f64() * WANTS_PER_SECOND).min(WANTS_PER_SECOND);
        peer.seen = now;
        if peer.wants < 1.0 {
            return false;
        }
        peer.wants -= 1.0;
        true
    }

    /// Queues a notification without waiting. False if there is no stream. All messages go this one way, because only
    /// messages of one kind keep their order.
    pub fn send(&self, peer: &PeerId, bytes: Vec<u8>) -> bool {
        match self.inner.read().get(peer) {
            Some(peer) => {
                peer.sink.send_sync_notification(bytes);
                true
            }
            None => false,
        }
    }
}
