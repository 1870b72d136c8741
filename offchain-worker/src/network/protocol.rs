//! Names and configurations of the protocols.

use super::messages::{MAX_NOTIFICATION, MAX_REQUEST, MAX_ROWS_BYTES};
use polkadot_sdk::{
    sc_network::{
        config::{IncomingRequest, NonReservedPeerMode, SetConfig},
        peer_store::PeerStoreProvider,
        service::NotificationMetrics,
        NetworkBackend, NotificationService, ProtocolName,
    },
    sp_core::{hexdisplay::HexDisplay, H256},
    sp_runtime::traits::Block as BlockT,
};
use std::{sync::Arc, time::Duration};

/// Streams of nodes that are no known provider: clients' nodes, for the token stream.
const IN_PEERS: u32 = 32;
/// Streams that this node opens to nodes it happens to know, for the token stream.
const OUT_PEERS: u32 = 8;
/// Requests for rows that wait to be served.
const INBOUND_QUEUE: usize = 32;
/// A request covers one chunk of at most 4 MiB.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(20);

/// `/<genesis>/assay/ring/1`
pub fn ring_name(genesis: H256) -> ProtocolName {
    format!("/{}/assay/ring/1", HexDisplay::from(&genesis.0)).into()
}

/// `/<genesis>/assay/rows/1`
pub fn rows_name(genesis: H256) -> ProtocolName {
    format!("/{}/assay/rows/1", HexDisplay::from(&genesis.0)).into()
}

/// The worker's ends of both protocols.
pub struct ProtocolHandles {
    pub(crate) genesis: H256,
    pub(crate) notifications: Box<dyn NotificationService>,
    pub(crate) requests: async_channel::Receiver<IncomingRequest>,
}

/// Both protocols, for the network's configuration.
pub struct ProtocolConfigs<B: BlockT, N: NetworkBackend<B, <B as BlockT>::Hash>> {
    /// For `add_notification_protocol`.
    pub ring: N::NotificationProtocolConfig,
    /// For `add_request_response_protocol`.
    pub rows: N::RequestResponseProtocolConfig,
    /// For [`crate::start`].
    pub handles: ProtocolHandles,
}

/// Makes both protocols. Every node speaks them, so that it can show streams to its RPC clients.
pub fn configs<B: BlockT, N: NetworkBackend<B, <B as BlockT>::Hash>>(
    genesis: H256,
    metrics: NotificationMetrics,
    peer_store: Arc<dyn PeerStoreProvider>,
) -> ProtocolConfigs<B, N> {
    let set = SetConfig {
        in_peers: IN_PEERS,
        out_peers: OUT_PEERS,
        reserved_nodes: Vec::new(),
        non_reserved_mode: NonReservedPeerMode::Accept,
    };
    let (ring, notifications) =
        N::notification_config(ring_name(genesis), Vec::new(), MAX_NOTIFICATION, None, set, metrics, peer_store);
    let (inbound, requests) = async_channel::bounded(INBOUND_QUEUE);
    let rows = N::request_response_config(
        rows_name(genesis),
        Vec::new(),
        MAX_REQUEST,
        MAX_ROWS_BYTES as u64 + 1024,
        REQUEST_TIMEOUT,
        Some(inbound),
    );
    ProtocolConfigs { ring, rows, handles: ProtocolHandles { genesis, notifications, requests } }
}
