//! The network.

use super::GENESIS;
use crate::{
    engine::Rows,
    keys::verify,
    network::{
        messages::{hello_digest, RingMessage, RowsRequest, RowsResponse},
        transport::{answer, Delivery, FetchError, Misbehaviour, NetEvent},
        ShardTransport,
    },
    rows::RowStore,
    tests::toy,
};
use assay_primitives::AccountId;
use codec::Encode;
use futures::{future::BoxFuture, FutureExt};
use parking_lot::Mutex;
use polkadot_sdk::{sc_network::PeerId, sp_core::H256};
use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
};
use tokio::sync::mpsc;

/// What happens to messages.
#[derive(Clone, Copy, Default)]
pub struct Weather {
    /// Of a hundred messages, this many are lost, repeated, garbled.
    pub lost: u32,
    pub repeated: u32,
    pub garbled: u32,
}

#[derive(Default)]
struct NetState {
    nodes: BTreeMap<PeerId, (mpsc::Sender<Delivery>, RowStore)>,
    workers: BTreeMap<(PeerId, PeerId), AccountId>,
    weather: Weather,
    dice: u32,
    pub reports: Vec<(PeerId, Misbehaviour)>,
    withheld: HashSet<PeerId>,
    wrong_rows: HashSet<PeerId>,
    overrun: HashSet<PeerId>,
}

/// The network: a full mesh.
#[derive(Clone, Default)]
pub struct FakeNet(Arc<Mutex<NetState>>);

impl FakeNet {
    pub fn set_weather(&self, weather: Weather) {
        self.0.lock().weather = weather;
    }
    pub fn reports(&self) -> Vec<(PeerId, Misbehaviour)> {
        self.0.lock().reports.clone()
    }
    /// This peer serves no rows.
    pub fn withhold(&self, peer: PeerId) {
        self.0.lock().withheld.insert(peer);
    }
    /// This peer serves rows that hash to something else.
    pub fn falsify(&self, peer: PeerId) {
        self.0.lock().wrong_rows.insert(peer);
    }
    /// This peer sends one more row after each final handoff.
    pub fn overrun(&self, peer: PeerId) {
        self.0.lock().overrun.insert(peer);
    }
    pub fn disconnect(&self, peer: &PeerId) {
        self.0.lock().nodes.remove(peer);
    }

    pub fn join(&self, peer: PeerId, rows: RowStore) -> mpsc::Receiver<Delivery> {
        let (tx, rx) = mpsc::channel(65_536);
        let mut state = self.0.lock();
        for (other, (other_tx, _)) in &state.nodes {
            let _ = other_tx.try_send(NetEvent::Opened(peer).into());
            let _ = tx.try_send(NetEvent::Opened(*other).into());
        }
        state.nodes.insert(peer, (tx, rows));
        rx
    }

    fn deliver(&self, from: PeerId, to: &PeerId, message: &RingMessage) -> bool {
        let mut state = self.0.lock();
        let Some((tx, _)) = state.nodes.get(to) else { return false };
        let tx = tx.clone();
        if let RingMessage::Hello { worker, signature } = message {
            // Hellos come over a stream that was just opened: never lost.
            assert!(verify(worker, hello_digest(GENESIS, &from.to_bytes(), worker), signature));
            state.workers.insert((*to, from), worker.clone());
            let _ = tx.try_send(NetEvent::Identified(from, worker.clone()).into());
            return true;
        }
        state.dice = state.dice.wrapping_mul(1_103_515_245).wrapping_add(12_345);
        let roll = (state.dice >> 16) % 100;
        let Weather { lost, repeated, garbled } = state.weather;
        let worker = state.workers.get(&(*to, from)).cloned();
        if roll < lost {
            return true;
        }
        let mut bytes = message.encode();
        if roll < lost + garbled {
            // Streams are authenticated: what differs on arrival was sent so, and this is about what does not even decode.
            // Altered rows are the ring's own test.
            bytes.truncate(state.dice as usize % bytes.len());
            bytes.push(0xff);
        }
        let copies = if roll >= 100 - repeated { 2 } else { 1 };
        for _ in 0..copies {
            match RingMessage::read(&bytes) {
                Ok(RingMessage::Hello { .. }) => {}
                Ok(message) => {
                    let _ = tx.try_send(NetEvent::Message(from, worker.clone(), message).into());
                }
                Err(_) => state.reports.push((from, Misbehaviour::Malformed)),
            }
        }
        if let (RingMessage::Handoff { at, n_rows, last: true, .. }, true) = (message, state.overrun.contains(&from)) {
            let rows = Rows::Hidden { width: toy::WIDTH, values: vec![1; toy::WIDTH as usize] };
            let extra = RingMessage::Rows { at: *at, start: *n_rows, rows };
            let _ = tx.try_send(NetEvent::Message(from, worker, extra).into());
        }
        true
    }
}

/// One node's end of it.
pub struct FakeTransport {
    pub net: FakeNet,
    pub local: PeerId,
}

impl ShardTransport for FakeTransport {
    fn local_peer(&self) -> PeerId {
        self.local
    }
    fn send(&self, worker: &AccountId, peer: Option<PeerId>, message: &RingMessage) -> bool {
        let proven: Vec<PeerId> = {
            let state = self.net.0.lock();
            state
                .workers
                .iter()
                .filter(|((me, _), w)| *me == self.local && *w == worker)
                .map(|((_, p), _)| *p)
                .collect()
        };
        let targets = if proven.is_empty() { peer.into_iter().collect() } else { proven };
        targets.iter().map(|peer| self.net.deliver(self.local, peer, message)).filter(|sent| *sent).count() > 0
    }
    fn send_to(&self, peer: &PeerId, message: &RingMessage) -> bool {
        self.net.deliver(self.local, peer, message)
    }
    fn broadcast(&self, message: &RingMessage, except: Option<&PeerId>) {
        let peers: Vec<PeerId> = self.net.0.lock().nodes.keys().copied().collect();
        for peer in peers.iter().filter(|p| **p != self.local && Some(*p) != except) {
            self.net.deliver(self.local, peer, message);
        }
    }
    fn fetch(&self, peer: PeerId, root: H256) -> BoxFuture<'static, Result<Rows, FetchError>> {
        let state = self.net.0.lock();
        let store = state.nodes.get(&peer).map(|(_, rows)| rows.clone()).filter(|_| !state.withheld.contains(&peer));
        let wrong = state.wrong_rows.contains(&peer);
        async move {
            let store = store.ok_or(FetchError::Unknown)?;
            let request = RowsRequest::read(&RowsRequest { root, from: 0 }.encode()).unwrap();
            let response = RowsResponse::read(&answer(&store, request).encode(), 0).map_err(|_| FetchError::Wrong)?;
            let mut rows = response.rows.ok_or(FetchError::Unknown)?;
            if let (true, Rows::Hidden { values, .. }) = (wrong, &mut rows) {
                values[0] ^= 1;
            }
            if rows.root() == root {
                Ok(rows)
            } else {
                Err(FetchError::Wrong)
            }
        }
        .boxed()
    }
    fn report(&self, peer: &PeerId, what: Misbehaviour) {
        self.net.0.lock().reports.push((*peer, what));
    }
    fn keep(&self, _: &HashSet<PeerId>) {}
    fn may_want(&self, _: &PeerId) -> bool {
        true
    }
    fn peers(&self) -> Vec<(PeerId, Option<AccountId>)> {
        let state = self.net.0.lock();
        let worker = |peer: &PeerId| state.workers.get(&(self.local, *peer)).cloned();
        state.nodes.keys().filter(|p| **p != self.local).map(|p| (*p, worker(p))).collect()
    }
}
