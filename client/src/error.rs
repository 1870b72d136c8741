//! What can go wrong, and the exit code that says so.

/// An error of a command.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The arguments make no sense together, or name something that does not exist.
    #[error("{0}")]
    Usage(String),
    /// The node cannot be reached, or stopped answering.
    #[error("cannot reach the node at {url}: {reason}\n  is it running, and does --url name its JSON-RPC port?")]
    Connection {
        /// Where.
        url: String,
        /// Why.
        reason: String,
    },
    /// The node answered, but not as this program expects.
    #[error("the node's answer to {what} cannot be understood: {reason}\n  this command line and the node may be of different versions")]
    Protocol {
        /// To what.
        what: String,
        /// Why.
        reason: String,
    },
    /// The node refused a request.
    #[error("{0}")]
    Refused(String),
    /// The node has another call of this account under the nonce that this one was signed with.
    #[error("{call} was not taken: {reason}\n  another call of the account is on its way; send this one again when that is in a block")]
    NonceTaken {
        /// Pallet and call.
        call: String,
        /// What the node said.
        reason: String,
    },
    /// The chain refused the call.
    #[error("the chain refused {call}: {reason}")]
    Dispatch {
        /// Pallet and call.
        call: String,
        /// The error's documentation.
        reason: String,
    },
    /// The job ended without a settled result; the client has its money back.
    #[error("job {job} was refunded: {reason}")]
    Refunded {
        /// Which job.
        job: String,
        /// Why.
        reason: String,
    },
    /// Nothing is known of it.
    #[error("{0}")]
    NotFound(String),
    /// It took longer than `--timeout`.
    #[error("no end of job {job} within {seconds} s; `assay job {job}` shows where it stands")]
    Timeout {
        /// Which job.
        job: String,
        /// How long it waited.
        seconds: u64,
    },
    /// It was sent, and no best block had it within the time.
    #[error(
        "{call} was sent and is not included after {seconds} s; extrinsic {extrinsic} may still come into a block, so look at the \
         account's events before you send it again"
    )]
    NotIncluded {
        /// Pallet and call.
        call: String,
        /// Hash of the extrinsic.
        extrinsic: String,
        /// How long it waited.
        seconds: u64,
    },
    /// The node did not take it within the time.
    #[error("the node at {url} did not take {call} within {seconds} s; it may have passed it on before it stopped answering")]
    NotTaken {
        /// Pallet and call.
        call: String,
        /// Where.
        url: String,
        /// How long it waited.
        seconds: u64,
    },
    /// A receipt does not hold what it claims.
    #[error("the receipt does not verify: {0}")]
    BadReceipt(String),
}

impl Error {
    /// Exit code: 2 usage, 3 connection or protocol, 4 refused by node or chain, 5 refunded, 6 not found, 7 timeout, 8 bad receipt.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) => 2,
            Self::Connection { .. } | Self::Protocol { .. } => 3,
            Self::Refused(_) | Self::NonceTaken { .. } | Self::Dispatch { .. } => 4,
            Self::Refunded { .. } => 5,
            Self::NotFound(_) => 6,
            Self::Timeout { .. } | Self::NotIncluded { .. } | Self::NotTaken { .. } => 7,
            Self::BadReceipt(_) => 8,
        }
    }
}

/// Result of a command.
pub type Result<T> = std::result::Result<T, Error>;
