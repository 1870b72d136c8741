//! Why the worker could not start.

use crate::journal::JournalError;

/// Why the worker could not start. The node runs on without it: see [`crate::start`].
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The journal.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// Threads could not be started.
    #[error("cannot start inference threads: {0}")]
    Threads(#[from] std::io::Error),
    /// A model package or the kernels.
    #[error("{0}")]
    Engine(String),
    /// Metrics or RPC methods clash.
    #[error("{0}")]
    Other(String),
}
