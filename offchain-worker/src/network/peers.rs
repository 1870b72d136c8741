//! Open streams: who is behind them, and how to write to them.

use assay_primitives::AccountId;
use parking_lot::RwLock;
use polkadot_sdk::sc_network::{service::traits::MessageSink, PeerId};
use std::{collections::HashMap, sync::Arc, time::Instant};

/// Tokens of a peer's allowance of nonsense; each malformed message takes one, and they come back slowly.
const PATIENCE: u32 = 16;
/// Requests for old rows or tokens that a peer may make in a second.
const WANTS_PER_SECOND: f64 = 50.0;
/// Peers that may act for one worker: a node, and the dying connection of what it was before a restart. A worker's key signs for
/// as many peers as it likes, and each would get all that the worker is sent.
const PEERS_PER_WORKER: usize = 2;

struct Peer {
    sink: Box<dyn MessageSink>,
    worker: Option<AccountId>,
    /// Greater than those of earlier proofs.
    proof: u64,
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
        let (wants, seen) = (WANTS_PER_SECOND, Instant::now());
        let fresh = Peer { sink, worker: None, proof: 0, patience: PATIENCE, wants, seen };
        self.inner.write().insert(peer, fresh);
    }

    /// A stream was closed.
    pub fn close(&self, peer: &PeerId) {
        self.inner.write().remove(peer);
    }

    /// A peer proved which worker it acts for. The newest proof counts: keys are rotated.
    pub fn identify(&self, peer: &PeerId, worker: AccountId) {
        let mut peers = self.inner.write();
        let last = peers.values().map(|peer| peer.proof).max().unwrap_or(0);
        if let Some(peer) = peers.get_mut(peer) {
            (peer.worker, peer.proof) = (Some(worker), last + 1);
        }
    }

    /// The worker behind a peer, if it proved one.
    pub fn worker(&self, peer: &PeerId) -> Option<AccountId> {
        self.inner.read().get(peer)?.worker.clone()
    }

    /// The peers that proved this worker, newest first, at most two.
    pub fn of_worker(&self, worker: &AccountId) -> Vec<PeerId> {
        let peers = self.inner.read();
        let mut proven: Vec<_> =
            peers.iter().filter(|(_, p)| p.worker.as_ref() == Some(worker)).map(|(id, p)| (p.proof, *id)).collect();
        proven.sort_by_key(|(proof, _)| std::cmp::Reverse(*proof));
        proven.into_iter().take(PEERS_PER_WORKER).map(|(_, id)| id).collect()
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

#[cfg(test)]
mod tests {
    use super::*;
    use futures::future::BoxFuture;
    use polkadot_sdk::sc_network::error::Error;

    struct Nowhere;

    impl MessageSink for Nowhere {
        fn send_sync_notification(&self, _: Vec<u8>) {}

        fn send_async_notification<'a, 'b>(&'a self, _: Vec<u8>) -> BoxFuture<'b, Result<(), Error>>
        where
            'a: 'b,
            Self: 'b,
        {
            Box::pin(async { Ok(()) })
        }
    }

    #[test]
    fn of_worker_gives_the_two_newest_that_proved_it() {
        let peers = Peers::default();
        let (worker, other) = (AccountId::new([1; 32]), AccountId::new([2; 32]));
        let ids: Vec<PeerId> = (0..5).map(|_| PeerId::random()).collect();
        for id in &ids {
            peers.open(*id, Box::new(Nowhere));
            peers.identify(id, worker.clone());
        }
        assert_eq!(peers.of_worker(&worker), [ids[4], ids[3]]);
        peers.identify(&ids[0], worker.clone());
        peers.identify(&ids[3], other.clone());
        assert_eq!(peers.of_worker(&worker), [ids[0], ids[4]]);
        peers.close(&ids[4]);
        assert_eq!(peers.of_worker(&worker), [ids[0], ids[2]]);
        assert_eq!(peers.of_worker(&other), [ids[3]]);
    }
}
