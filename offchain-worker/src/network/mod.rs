//! How workers meet over sc-network.
//!
//! | module | holds |
//! |---|---|
//! | [`messages`] | what they send, with its limits |
//! | [`protocol`] | names and configurations of the two protocols |
//! | [`peers`] | who is behind an open stream, and how to write to it |
//! | [`transport`] | [`ShardTransport`]: send, broadcast, fetch by content; and its implementation |
//!
//! Decoding is a ring of machines, so latency decides: activations, handoffs and tokens go over one long-lived, ordered
//! notification stream per pair of nodes, opened before any job needs it. Rows for checkers are large and unhurried: they go by
//! content over request-response.

pub mod messages;
pub mod peers;
pub mod protocol;
pub mod transport;

pub use transport::{Delivery, NetEvent, ShardTransport};

use polkadot_sdk::sc_network::PeerId;

/// A peer id as the chain has it: its text, `12D3Koo..`, which every explorer shows as it is.
pub fn peer_to_chain(peer: &PeerId) -> Vec<u8> {
    peer.to_base58().into_bytes()
}

/// Reads a peer id that the chain has; none if it is none.
pub fn peer_from_chain(bytes: &[u8]) -> Option<PeerId> {
    std::str::from_utf8(bytes).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peer_from_chain_reads_what_was_announced_and_nothing_else() {
        let peer = PeerId::random();
        assert_eq!(peer_from_chain(&peer_to_chain(&peer)), Some(peer));
        assert!(peer_to_chain(&peer).len() <= 64, "the chain takes no more");
        assert_eq!(peer_from_chain(b""), None);
        assert_eq!(peer_from_chain(b"12D3KooWnonsense"), None);
        assert_eq!(peer_from_chain(&[0xff, 0xfe]), None);
    }
}
