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

pub use transport::{NetEvent, ShardTransport};
