//! Moves messages between workers: the trait that the rest of the worker knows, and its implementation over sc-network.

use super::{
    messages::{hello_digest, RingMessage, RowsRequest, RowsResponse, MAX_ROWS_BYTES},
    peers::Peers,
    protocol::{ring_name, rows_name, ProtocolHandles, REQUEST_TIMEOUT},
};
use crate::{engine::Rows, keys, rows::RowStore};
use assay_primitives::AccountId;
use codec::Encode;
use futures::{future::BoxFuture, Future, FutureExt, StreamExt};
use polkadot_sdk::{
    sc_network::{
        config::IncomingRequest,
        multiaddr::Protocol,
        request_responses::OutgoingResponse,
        service::traits::{NetworkService, NotificationEvent, NotificationService, ValidationResult},
        IfDisconnected, Multiaddr, PeerId, ProtocolName, ReputationChange,
    },
    sp_core::H256,
};
use std::{
    collections::HashSet,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::{mpsc, OwnedSemaphorePermit, Semaphore};

/// Requests for rows that this node has under way at once.
const FETCHES: usize = 4;
/// Time that each MiB that arrived adds to a fetch's: half a MiB a second, beyond the first request's time.
const FETCH_PER_MIB: Duration = Duration::from_secs(2);
/// Messages that wait for the worker. Beyond, a peer's message is dropped: rings heal by asking again.
const EVENT_QUEUE: usize = 4096;
/// KiB of messages that wait for the worker. Beyond, as above.
const EVENT_KIB: usize = 64 * 1024;

/// What the network tells the worker.
#[derive(Debug)]
pub enum NetEvent {
    /// A stream is open: say hello.
    Opened(PeerId),
    /// A peer proved which worker it acts for.
    Identified(PeerId, AccountId),
    /// A stream is gone.
    Closed(PeerId),
    /// A well-formed message, with the worker that the peer proved to act for.
    Message(PeerId, Option<AccountId>, RingMessage),
}

/// An event on its way to the worker, with its share of the memory that waiting messages may take.
#[derive(Debug)]
pub struct Delivery {
    /// The event.
    pub event: NetEvent,
    _share: Option<OwnedSemaphorePermit>,
}

impl From<NetEvent> for Delivery {
    fn from(event: NetEvent) -> Self {
        Self { event, _share: None }
    }
}

/// What a peer did wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Misbehaviour {
    /// Bytes that are no message.
    Malformed,
    /// A signature that does not verify.
    BadSignature,
    /// A message that no honest worker sends about this job.
    WrongContent,
    /// Rows that do not hash to the root that was asked for.
    WrongRows,
}

impl Misbehaviour {
    fn reputation(self) -> ReputationChange {
        match self {
            Self::Malformed => ReputationChange::new(-(1 << 12), "assay: malformed message"),
            Self::BadSignature => ReputationChange::new(-(1 << 12), "assay: bad signature"),
            Self::WrongContent => ReputationChange::new(-(1 << 10), "assay: wrong content"),
            Self::WrongRows => ReputationChange::new(-(1 << 12), "assay: rows of another root"),
        }
    }
}

/// Why rows could not be fetched.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// The request failed.
    #[error("the request failed: {0}")]
    Request(String),
    /// The peer does not have them.
    #[error("the peer does not have them")]
    Unknown,
    /// It sent something else.
    #[error("the peer sent rows of another root, kind or number")]
    Wrong,
}

/// How a worker reaches others. Everything else about the network is behind it.
pub trait ShardTransport: Send + Sync + 'static {
    /// This node.
    fn local_peer(&self) -> PeerId;
    /// Queues a message to the node that acts for a worker, known by its proof or by the peer id that the chain has. False if
    /// there is no stream to it: the receiver will ask for what it missed.
    fn send(&self, worker: &AccountId, peer: Option<PeerId>, message: &RingMessage) -> bool;
    /// Queues a message to a peer.
    fn send_to(&self, peer: &PeerId, message: &RingMessage) -> bool;
    /// Queues a message to all peers but one.
    fn broadcast(&self, message: &RingMessage, except: Option<&PeerId>);
    /// Fetches the whole list with this root.
    fn fetch(&self, peer: PeerId, root: H256) -> BoxFuture<'static, Result<Rows, FetchError>>;
    /// Notes misbehaviour.
    fn report(&self, peer: &PeerId, what: Misbehaviour);
    /// Keeps streams open to exactly these providers' nodes, besides those that came by themselves.
    fn keep(&self, peers: &HashSet<PeerId>);
    /// Whether a request for old data is within the peer's rate.
    fn may_want(&self, peer: &PeerId) -> bool;
    /// Nodes with an open stream, each with the worker that it proved.
    fn peers(&self) -> Vec<(PeerId, Option<AccountId>)>;
}

/// [`ShardTransport`] over sc-network.
pub struct ScTransport {
    network: Arc<dyn NetworkService>,
    peers: Peers,
    ring: ProtocolName,
    rows: ProtocolName,
    fetches: Arc<Semaphore>,
}

impl ScTransport {
    /// The transport and the two tasks behind it: one reads the ring, one serves rows.
    pub fn new(
        network: Arc<dyn NetworkService>,
        handles: ProtocolHandles,
        store: RowStore,
    ) -> (Self, mpsc::Receiver<Delivery>, BoxFuture<'static, ()>, BoxFuture<'static, ()>) {
        let ProtocolHandles { genesis, notifications, requests } = handles;
        let peers = Peers::default();
        let (tx, rx) = mpsc::channel(EVENT_QUEUE);
        let transport = Self {
            network: network.clone(),
            peers: peers.clone(),
            ring: ring_name(genesis),
            rows: rows_name(genesis),
            fetches: Arc::new(Semaphore::new(FETCHES)),
        };
        let reader = read_ring(genesis, network, notifications, peers, tx).boxed();
        (transport, rx, reader, serve_rows(requests, store).boxed())
    }
}

impl ShardTransport for ScTransport {
    fn local_peer(&self) -> PeerId {
        self.network.local_peer_id()
    }

    fn send(&self, worker: &AccountId, peer: Option<PeerId>, message: &RingMessage) -> bool {
        let bytes = message.encode();
        let proven = self.peers.of_worker(worker);
        if proven.is_empty() {
            return peer.is_some_and(|peer| self.peers.send(&peer, bytes));
        }
        // To the newest that proved the worker: one of them may be the dying connection of a node that restarted.
        let mut sent = false;
        for peer in &proven {
            sent |= self.peers.send(peer, bytes.clone());
        }
        sent
    }

    fn send_to(&self, peer: &PeerId, message: &RingMessage) -> bool {
        self.peers.send(peer, message.encode())
    }

    fn broadcast(&self, message: &RingMessage, except: Option<&PeerId>) {
        let bytes = message.encode();
        for peer in self.peers.connected() {
            if Some(&peer) != except {
                self.peers.send(&peer, bytes.clone());
            }
        }
    }

    fn fetch(&self, peer: PeerId, root: H256) -> BoxFuture<'static, Result<Rows, FetchError>> {
        let (network, name, fetches, peers) =
            (self.network.clone(), self.rows.clone(), self.fetches.clone(), self.peers.clone());
        async move {
            let _permit = fetches.acquire().await.map_err(|e| FetchError::Request(e.to_string()))?;
            let ask = |request: RowsRequest| {
                let asked = network.request(peer, name.clone(), request.encode(), None, IfDisconnected::TryConnect);
                async move { asked.await.map(|(bytes, _)| bytes).map_err(|e| e.to_string()) }
            };
            let result = fetch_all(ask, root).await;
            if result == Err(FetchError::Wrong) {
                network.report_peer(peer, Misbehaviour::WrongRows.reputation());
                peers.annoyed(&peer);
            }
            result
        }
        .boxed()
    }

    fn report(&self, peer: &PeerId, what: Misbehaviour) {
        punish(&*self.network, &self.peers, &self.ring, peer, what);
    }

    fn keep(&self, peers: &HashSet<PeerId>) {
        let local = self.local_peer();
        let addresses: HashSet<Multiaddr> = peers
            .iter()
            .filter(|peer| **peer != local)
            .map(|peer| Multiaddr::empty().with(Protocol::P2p((*peer).into())))
            .collect();
        if let Err(error) = self.network.set_reserved_peers(self.ring.clone(), addresses) {
            log::debug!(target: crate::LOG_TARGET, "could not set the providers' peers: {error}");
        }
    }

    fn may_want(&self, peer: &PeerId) -> bool {
        self.peers.may_want(peer)
    }

    fn peers(&self) -> Vec<(PeerId, Option<AccountId>)> {
        self.peers.connected().into_iter().map(|peer| (peer, self.peers.worker(&peer))).collect()
    }
}

/// Lowers a peer's reputation, and closes its stream when its patience is used up.
fn punish(network: &dyn NetworkService, peers: &Peers, ring: &ProtocolName, peer: &PeerId, what: Misbehaviour) {
    log::debug!(target: crate::LOG_TARGET, "{peer}: {what:?}");
    network.report_peer(*peer, what.reputation());
    if peers.annoyed(peer) {
        network.disconnect_peer(*peer, ring.clone());
    }
}

/// Asks for one chunk after the other, and believes nothing before the root fits. A peer that gives less than it could, or gives
/// it too slowly, is left for the next one: it would hold a permit, and the check, for as long as it likes.
async fn fetch_all<F>(ask: impl Fn(RowsRequest) -> F, root: H256) -> Result<Rows, FetchError>
where
    F: Future<Output = Result<Vec<u8>, String>>,
{
    let started = Instant::now();
    let mut all: Option<(u32, Rows)> = None;
    loop {
        let (from, bytes) = all.as_ref().map_or((0, 0), |(_, rows)| (rows.len() as u32, rows.bytes()));
        let left = fetch_time(bytes).saturating_sub(started.elapsed()).min(REQUEST_TIMEOUT);
        let bytes = tokio::time::timeout(left, ask(RowsRequest { root, from }))
            .await
            .map_err(|_| FetchError::Request("not all rows came in time".into()))?
            .map_err(FetchError::Request)?;
        let RowsResponse { total, rows } = RowsResponse::read(&bytes, from).map_err(|_| FetchError::Wrong)?;
        let rows = rows.ok_or(FetchError::Unknown)?;
        let short = rows.len() < full_chunk(&rows) && from + (rows.len() as u32) < total;
        let other = all.as_mut().is_some_and(|(first, all)| *first != total || !all.append(&rows));
        if short || other {
            return Err(FetchError::Wrong);
        }
        let (total, rows) = all.take().unwrap_or((total, rows));
        if (rows.len() as u32) < total {
            all = Some((total, rows));
            continue;
        }
        return match rows.root() == root {
            true => Ok(rows),
            false => Err(FetchError::Wrong),
        };
    }
}

/// Time within which a fetch has to go on after so many bytes of rows.
fn fetch_time(bytes: usize) -> Duration {
    REQUEST_TIMEOUT + FETCH_PER_MIB.mul_f64(bytes as f64 / (1024.0 * 1024.0))
}

/// Rows of this kind and width in one response, unless they are the last.
fn full_chunk(rows: &Rows) -> usize {
    let bytes = rows.width().unwrap_or(1).max(1) as usize * 4;
    (MAX_ROWS_BYTES / bytes).max(1)
}

/// Answers requests for rows, until the network ends.
async fn serve_rows(requests: async_channel::Receiver<IncomingRequest>, store: RowStore) {
    let mut requests = Box::pin(requests);
    while let Some(IncomingRequest { payload, pending_response, .. }) = requests.next().await {
        let (result, reputation_changes) = match RowsRequest::read(&payload) {
            Ok(request) => (Ok(answer(&store, request).encode()), Vec::new()),
            Err(_) => (Err(()), vec![Misbehaviour::Malformed.reputation()]),
        };
        let _ = pending_response.send(OutgoingResponse { result, reputation_changes, sent_feedback: None });
    }
}

/// As many of the rows asked for as fit in one response.
pub fn answer(store: &RowStore, request: RowsRequest) -> RowsResponse {
    let Some(rows) = store.get(&request.root).filter(|rows| (request.from as usize) < rows.len()) else {
        return RowsResponse { total: 0, rows: None };
    };
    let from = request.from as usize;
    RowsResponse { total: rows.len() as u32, rows: Some(rows.slice(from, from + full_chunk(&rows))) }
}

/// Reads the ring's notifications, until the network ends.
async fn read_ring(
    genesis: H256,
    network: Arc<dyn NetworkService>,
    mut notifications: Box<dyn NotificationService>,
    peers: Peers,
    events: mpsc::Sender<Delivery>,
) {
    let ring = ring_name(genesis);
    let memory = Arc::new(Semaphore::new(EVENT_KIB));
    while let Some(event) = notifications.next_event().await {
        let mut share = None;
        let event = match event {
            NotificationEvent::ValidateInboundSubstream { result_tx, .. } => {
                let _ = result_tx.send(ValidationResult::Accept);
                continue;
            }
            NotificationEvent::NotificationStreamOpened { peer, .. } => match notifications.message_sink(&peer) {
                Some(sink) => {
                    peers.open(peer, sink);
                    NetEvent::Opened(peer)
                }
                None => continue,
            },
            NotificationEvent::NotificationStreamClosed { peer } => {
                peers.close(&peer);
                NetEvent::Closed(peer)
            }
            NotificationEvent::NotificationReceived { peer, notification } => match RingMessage::read(&notification) {
                Ok(RingMessage::Hello { worker, signature }) => {
                    let digest = hello_digest(genesis, &peer.to_bytes(), &worker);
                    if !keys::verify(&worker, digest, &signature) {
                        punish(&*network, &peers, &ring, &peer, Misbehaviour::BadSignature);
                        continue;
                    }
                    peers.identify(&peer, worker.clone());
                    NetEvent::Identified(peer, worker)
                }
                Ok(message) => {
                    let kib = notification.len().div_ceil(1024) as u32;
                    let Ok(permit) = memory.clone().try_acquire_many_owned(kib) else { continue };
                    share = Some(permit);
                    NetEvent::Message(peer, peers.worker(&peer), message)
                }
                Err(_) => {
                    punish(&*network, &peers, &ring, &peer, Misbehaviour::Malformed);
                    continue;
                }
            },
        };
        match events.try_send(Delivery { event, _share: share }) {
            Ok(()) => {}
            // A flood, or a worker that is restarting: streams' state must not be lost, messages may.
            Err(mpsc::error::TrySendError::Full(full)) => {
                if !matches!(full.event, NetEvent::Message(..)) && events.send(full).await.is_err() {
                    return;
                }
            }
            Err(mpsc::error::TrySendError::Closed(_)) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;

    /// Rows of two and a half responses, and their root.
    fn rows() -> (Rows, H256) {
        let width = 1 << 14;
        let full = full_chunk(&Rows::empty(Some(width)));
        let rows = Rows::Hidden { width, values: vec![7; (2 * full + full / 2) * width as usize] };
        let root = rows.root();
        (rows, root)
    }

    #[tokio::test]
    async fn fetch_asks_for_one_full_chunk_after_the_other() {
        let (rows, root) = rows();
        let store = RowStore::default();
        store.insert(H256::zero(), root, Arc::new(rows.clone()));
        let asked = RefCell::new(Vec::new());
        let ask = |request: RowsRequest| {
            asked.borrow_mut().push(request.from);
            let bytes = answer(&store, request).encode();
            async move { Ok(bytes) }
        };
        assert!(fetch_all(ask, root).await == Ok(rows));
        assert_eq!(*asked.borrow(), [0, 64, 128]);
    }

    #[tokio::test]
    async fn fetch_of_chunks_that_are_short_or_of_another_total_ends_at_the_first() {
        let (rows, root) = rows();
        for (chunk, grows) in [(1, 0), (63, 0), (64, 1)] {
            let asked = RefCell::new(0);
            let ask = |RowsRequest { from, .. }: RowsRequest| {
                *asked.borrow_mut() += 1;
                let part = rows.slice(from as usize, from as usize + chunk);
                let total = rows.len() as u32 + grows * from;
                let bytes = RowsResponse { total, rows: Some(part) }.encode();
                async move { Ok(bytes) }
            };
            assert!(fetch_all(ask, root).await == Err(FetchError::Wrong));
            assert_eq!(*asked.borrow(), 1 + grows);
        }
    }

    #[test]
    fn fetch_time_is_one_request_and_what_the_bytes_that_came_add() {
        assert_eq!(fetch_time(0), REQUEST_TIMEOUT);
        assert_eq!(fetch_time(MAX_ROWS_BYTES), REQUEST_TIMEOUT + 4 * FETCH_PER_MIB);
        // A full response just before each request's own end is too slow at the second.
        assert!(fetch_time(MAX_ROWS_BYTES) < 2 * REQUEST_TIMEOUT);
    }
}
