//! A node.

use super::{net::FakeTransport, FakeChain, FakeNet, GENESIS};
use crate::{
    chain::{self, At, Snapshot, Watched},
    compute::Compute,
    context::{Alarm, Context},
    engine::Engine,
    journal::Journal,
    keys::{insert_dev_key, Keys},
    metrics::Metrics,
    network::ShardTransport,
    rows::RowStore,
    rpc::Status,
    service::{Mailboxes, Service},
    stream::StreamHub,
};
use assay_primitives::AccountId;
use parking_lot::RwLock;
use polkadot_sdk::{sc_network::PeerId, sp_keystore::testing::MemoryKeystore};
use std::{
    path::Path,
    sync::{atomic::AtomicU32, Arc},
    time::Duration,
};
use tokio::sync::mpsc;

/// A node: its worker's loop runs on the test's runtime.
pub struct Node {
    pub worker: AccountId,
    pub controller: AccountId,
    pub peer: PeerId,
    pub hub: StreamHub,
    pub alarm: Alarm,
    pub status: Arc<RwLock<Status>>,
    chain: FakeChain,
    keys: Keys,
    watched: Watched,
    snapshots: mpsc::Sender<Snapshot>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Node {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Node {
    /// Starts a node whose journal lies in `dir`. Give the same name, directory and peer to restart one.
    pub fn start(
        name: &str,
        chain: &FakeChain,
        net: &FakeNet,
        engine: Arc<dyn Engine>,
        dir: &Path,
        peer: PeerId,
    ) -> Self {
        let store = Arc::new(MemoryKeystore::new());
        let worker = insert_dev_key(&*store, &format!("//{name}")).unwrap();
        let controller = AccountId::new(polkadot_sdk::sp_io::hashing::blake2_256(name.as_bytes()));
        chain.register(worker.clone(), controller.clone());
        let keys = Keys::new(store);
        let rows = RowStore::default();
        let network = net.join(peer, rows.clone());
        let transport: Arc<dyn ShardTransport> = Arc::new(FakeTransport { net: net.clone(), local: peer });
        let (events, event_events) = mpsc::unbounded_channel();
        let (snapshots, snapshot_events) = mpsc::channel(1);
        let alarm = Alarm::default();
        let ctx = Context {
            genesis: GENESIS,
            chain: Arc::new(chain.clone()),
            engine: engine.clone(),
            compute: Compute::new(1).unwrap(),
            transport: transport.clone(),
            keys: keys.clone(),
            journal: Journal::open(dir.join(format!("{name}.log"))).unwrap(),
            rows: rows.clone(),
            events,
            block: Arc::new(AtomicU32::new(0)),
            alarm: alarm.clone(),
            metrics: Metrics::default(),
        };
        let hub = StreamHub::new(GENESIS, Some(engine));
        let watched = Watched::default();
        let status = Arc::new(RwLock::new(Status::default()));
        let service = Service {
            genesis: GENESIS,
            chain: Arc::new(chain.clone()),
            transport,
            keys: keys.clone(),
            hub: hub.clone(),
            watched: watched.clone(),
            status: status.clone(),
            acting: Some((ctx, Arc::new(chain.clone()))),
            #[cfg(feature = "faults")]
            fault: None,
        };
        let mut mail = Mailboxes { network, snapshots: snapshot_events, events: event_events };
        let task = tokio::spawn(async move { service.run(&mut mail).await });
        Self { worker, controller, peer, hub, alarm, status, chain: chain.clone(), keys, watched, snapshots, task }
    }

    /// Stops it, as a crash would: nothing is said to anybody. Waits until its journal is free.
    pub async fn crash(mut self, net: &FakeNet) {
        net.disconnect(&self.peer);
        self.task.abort();
        let _ = (&mut self.task).await;
    }

    async fn see(&self, at: At) {
        let snapshot = chain::read(&self.chain, &self.keys, &self.watched, at, at.number.saturating_sub(2)).unwrap();
        let _ = self.snapshots.send(snapshot).await;
    }
}

/// A block that all nodes see.
pub async fn block(chain: &FakeChain, nodes: &[&Node]) {
    let at = chain.mine();
    for node in nodes {
        node.see(at).await;
    }
    tokio::time::sleep(Duration::from_millis(60)).await;
}

/// Blocks until `done`, at most `most`.
pub async fn blocks_until(chain: &FakeChain, nodes: &[&Node], most: u32, mut done: impl FnMut() -> bool) -> bool {
    for _ in 0..most {
        if done() {
            return true;
        }
        block(chain, nodes).await;
    }
    done()
}
