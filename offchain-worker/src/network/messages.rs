//! What workers send each other. SCALE, bounded, and validated as far as the bytes alone allow; whether a message is from the
//! right worker, about a job that exists, is decided where the job is known.

use crate::engine::Rows;
use assay_primitives::{AccountId, JobHash, StageRef, WorkerSignature, MAX_INPUT_IDS, MAX_NEW_TOKENS, MAX_STAGES};
use codec::{Decode, DecodeAll, DecodeLimit, Encode};
use polkadot_sdk::{sp_core::H256, sp_io::hashing::blake2_256};

/// Most bytes of rows in one message or response.
pub const MAX_ROWS_BYTES: usize = 4 * 1024 * 1024;
/// Most bytes of one notification: the rows and their header.
pub const MAX_NOTIFICATION: u64 = MAX_ROWS_BYTES as u64 + 64 * 1024;
/// Most bytes of a request for rows.
pub const MAX_REQUEST: u64 = 256;
/// Most positions of one sequence.
pub const MAX_POSITIONS: u32 = MAX_INPUT_IDS + MAX_NEW_TOKENS;
/// Most ids in one token frame.
pub const MAX_FRAME_IDS: usize = 256;
/// Widest residual row that has semantics (`docs/exact.md`, section 2).
pub const MAX_WIDTH: u32 = 1 << 14;

/// Generated ids, signed by the worker of the last stage.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct TokenFrame {
    /// The last stage of an attempt.
    pub at: StageRef,
    /// Generated ids up to and including these.
    pub seq: u32,
    /// The newest of them, `1..=MAX_FRAME_IDS`; the first is number `seq - len + 1`.
    pub ids: Vec<u32>,
    /// Over [`assay_primitives::digest::token_frame`] of `seq` and the running root.
    pub signature: WorkerSignature,
}

impl TokenFrame {
    /// Generated ids before this frame's.
    pub fn start(&self) -> u32 {
        self.seq.saturating_sub(self.ids.len() as u32)
    }
}

/// A notification between workers.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum RingMessage {
    /// First on a new stream: the worker account that the sender's node acts for. Binds the rest of the stream to it.
    #[codec(index = 0)]
    Hello {
        /// The worker.
        worker: AccountId,
        /// Over [`hello_digest`].
        signature: WorkerSignature,
    },
    /// Boundary rows, from the stage `at` to the next one around the ring.
    #[codec(index = 1)]
    Rows {
        /// The producer.
        at: StageRef,
        /// Position of the first row.
        start: u32,
        /// The rows.
        rows: Rows,
    },
    /// The producer's signature over its rows so far.
    #[codec(index = 2)]
    Handoff {
        /// The producer.
        at: StageRef,
        /// Rows covered.
        n_rows: u32,
        /// Their root.
        root: H256,
        /// No more rows follow.
        last: bool,
        /// Over [`assay_primitives::digest::handoff`].
        signature: WorkerSignature,
    },
    /// Asks the producer `at` for its rows from a position on, and its newest handoff: after a late start, a lost message or a
    /// restart.
    #[codec(index = 3)]
    Want {
        /// The producer.
        at: StageRef,
        /// First position missing.
        from: u32,
    },
    /// Streamed ids; passed on once by whoever could verify them.
    #[codec(index = 4)]
    Tokens(TokenFrame),
    /// Asks for the streamed ids of an attempt from a sequence number on.
    #[codec(index = 5)]
    WantTokens {
        /// The job.
        job: JobHash,
        /// The attempt.
        attempt: u32,
        /// Generated ids already known.
        from: u32,
    },
}

/// Asks for boundary rows by content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct RowsRequest {
    /// Root of the whole list.
    pub root: H256,
    /// First row wanted.
    pub from: u32,
}

/// Some of the rows, or none if the content is unknown here.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct RowsResponse {
    /// Rows in the whole list.
    pub total: u32,
    /// Those from the requested one on, as many as fit.
    pub rows: Option<Rows>,
}

/// Why bytes from a peer were dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// Not SCALE of the type, or bytes left over.
    #[error("the bytes do not decode")]
    Codec,
    /// Rows that are not whole, empty, too many or too wide.
    #[error("the rows are empty, not whole, too many or too wide")]
    Rows,
    /// A position, count or stage that no job can have.
    #[error("a position, count or stage is over the protocol's limit")]
    Range,
}

/// No message nests deeper.
const MAX_DEPTH: u32 = 8;

fn check_stage(at: &StageRef) -> Result<(), Malformed> {
    if u32::from(at.stage) >= MAX_STAGES {
        return Err(Malformed::Range);
    }
    Ok(())
}

fn check_rows(start: u32, rows: &Rows) -> Result<(), Malformed> {
    let wide = matches!(rows, Rows::Hidden { width, .. } if *width > MAX_WIDTH);
    if rows.is_empty() || wide || !rows.is_well_formed() || rows.bytes() > MAX_ROWS_BYTES {
        return Err(Malformed::Rows);
    }
    match (rows.len() as u32).checked_add(start) {
        Some(end) if end <= MAX_POSITIONS => Ok(()),
        _ => Err(Malformed::Range),
    }
}

impl RingMessage {
    /// Reads a notification. Total: any bytes give a message within its limits, or the reason.
    pub fn read(bytes: &[u8]) -> Result<Self, Malformed> {
        if bytes.len() as u64 > MAX_NOTIFICATION {
            return Err(Malformed::Range);
        }
        let message = Self::decode_all_with_depth_limit(MAX_DEPTH, &mut &bytes[..]).map_err(|_| Malformed::Codec)?;
        match &message {
            Self::Hello { .. } => {}
            Self::Rows { at, start, rows } => {
                check_stage(at)?;
                check_rows(*start, rows)?;
            }
            Self::Handoff { at, n_rows, .. } => {
                check_stage(at)?;
                if *n_rows == 0 || *n_rows > MAX_POSITIONS {
                    return Err(Malformed::Range);
                }
            }
            Self::Want { at, from } => {
                check_stage(at)?;
                if *from > MAX_POSITIONS {
                    return Err(Malformed::Range);
                }
            }
            Self::Tokens(frame) => {
                check_stage(&frame.at)?;
                let n = frame.ids.len();
                if n == 0 || n > MAX_FRAME_IDS || (frame.seq as usize) < n || frame.seq > MAX_NEW_TOKENS {
                    return Err(Malformed::Range);
                }
            }
            Self::WantTokens { from, .. } => {
                if *from > MAX_NEW_TOKENS {
                    return Err(Malformed::Range);
                }
            }
        }
        Ok(message)
    }
}

impl RowsRequest {
    /// Reads a request.
    pub fn read(bytes: &[u8]) -> Result<Self, Malformed> {
        let request = Self::decode_all(&mut &bytes[..]).map_err(|_| Malformed::Codec)?;
        if request.from >= MAX_POSITIONS {
            return Err(Malformed::Range);
        }
        Ok(request)
    }
}

impl RowsResponse {
    /// Reads the response to a request from row `from` on.
    pub fn read(bytes: &[u8], from: u32) -> Result<Self, Malformed> {
        let response = Self::decode_all_with_depth_limit(MAX_DEPTH, &mut &bytes[..]).map_err(|_| Malformed::Codec)?;
        if let Some(rows) = &response.rows {
            check_rows(from, rows)?;
            if response.total > MAX_POSITIONS || from + rows.len() as u32 > response.total {
                return Err(Malformed::Range);
            }
        }
        Ok(response)
    }
}

/// What a worker signs to bind itself to a node: `H("assay/hello/v1" ‖ genesis ‖ peer id ‖ worker)`. The stream is encrypted and
/// authenticated for that peer id, so nobody else can use the signature.
pub fn hello_digest(genesis: H256, peer: &[u8], worker: &AccountId) -> H256 {
    let mut bytes = b"assay/hello/v1".to_vec();
    (genesis, peer, worker).encode_to(&mut bytes);
    H256(blake2_256(&bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at() -> StageRef {
        StageRef { job: H256::repeat_byte(1), attempt: 0, stage: 1 }
    }

    fn signature() -> WorkerSignature {
        WorkerSignature::from_raw([7; 64])
    }

    fn samples() -> Vec<RingMessage> {
        vec![
            RingMessage::Hello { worker: AccountId::new([3; 32]), signature: signature() },
            RingMessage::Rows { at: at(), start: 5, rows: Rows::Hidden { width: 4, values: (0..12).collect() } },
            RingMessage::Rows { at: at(), start: 0, rows: Rows::Ids(vec![1, 2, 3]) },
            RingMessage::Handoff { at: at(), n_rows: 32, root: H256::zero(), last: true, signature: signature() },
            RingMessage::Want { at: at(), from: 9 },
            RingMessage::Tokens(TokenFrame { at: at(), seq: 3, ids: vec![7, 8], signature: signature() }),
            RingMessage::WantTokens { job: H256::zero(), attempt: 1, from: 0 },
        ]
    }

    #[test]
    fn read_of_each_kind_returns_it() {
        for message in samples() {
            assert_eq!(RingMessage::read(&message.encode()), Ok(message));
        }
    }

    #[test]
    fn read_of_bytes_left_over_is_refused() {
        for message in samples() {
            let mut bytes = message.encode();
            bytes.push(0);
            assert_eq!(RingMessage::read(&bytes), Err(Malformed::Codec));
        }
    }

    #[test]
    fn read_beyond_a_limit_names_it() {
        let rows = |start, rows| RingMessage::read(&RingMessage::Rows { at: at(), start, rows }.encode());
        assert_eq!(rows(0, Rows::Ids(vec![])), Err(Malformed::Rows));
        assert_eq!(rows(0, Rows::Hidden { width: 0, values: vec![1] }), Err(Malformed::Rows));
        assert_eq!(rows(0, Rows::Hidden { width: 4, values: vec![1; 6] }), Err(Malformed::Rows));
        assert_eq!(
            rows(0, Rows::Hidden { width: MAX_WIDTH + 1, values: vec![1; MAX_WIDTH as usize + 1] }),
            Err(Malformed::Rows)
        );
        assert_eq!(rows(MAX_POSITIONS, Rows::Ids(vec![1])), Err(Malformed::Range));
        assert_eq!(rows(u32::MAX, Rows::Ids(vec![1])), Err(Malformed::Range));
        let stage = StageRef { stage: MAX_STAGES as u8, ..at() };
        assert_eq!(RingMessage::read(&RingMessage::Want { at: stage, from: 0 }.encode()), Err(Malformed::Range));
        let frame = |seq, n| {
            RingMessage::read(
                &RingMessage::Tokens(TokenFrame { at: at(), seq, ids: vec![1; n], signature: signature() }).encode(),
            )
        };
        assert_eq!(frame(1, 2), Err(Malformed::Range));
        assert_eq!(frame(1, 0), Err(Malformed::Range));
        assert_eq!(frame(MAX_NEW_TOKENS + 1, 1), Err(Malformed::Range));
    }

    #[test]
    fn read_of_a_huge_length_prefix_allocates_nothing() {
        // Rows::Ids with a compact length of 2^30 and no data.
        let mut bytes = vec![1];
        at().encode_to(&mut bytes);
        0u32.encode_to(&mut bytes);
        bytes.push(0);
        codec::Compact(1u32 << 30).encode_to(&mut bytes);
        assert_eq!(RingMessage::read(&bytes), Err(Malformed::Codec));
    }

    proptest! {
        #[test]
        fn read_of_any_bytes_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
            let _ = RingMessage::read(&bytes);
            let _ = RowsRequest::read(&bytes);
            let _ = RowsResponse::read(&bytes, 3);
        }

        #[test]
        fn read_of_a_damaged_message_is_refused_or_within_limits(
            which in 0usize..7, at in any::<prop::sample::Index>(), flip in 1u8..=255, cut in any::<prop::sample::Index>(),
        ) {
            let mut bytes = samples()[which].encode();
            let i = at.index(bytes.len());
            bytes[i] ^= flip;
            bytes.truncate(cut.index(bytes.len()) + 1);
            if let Ok(RingMessage::Rows { start, rows, .. }) = RingMessage::read(&bytes) {
                prop_assert!(start as usize + rows.len() <= MAX_POSITIONS as usize);
                prop_assert!(rows.is_well_formed() && !rows.is_empty());
            }
        }

        #[test]
        fn response_beyond_its_total_is_refused(from in 0u32..10, n in 1usize..10, total in 0u32..12) {
            let response = RowsResponse { total, rows: Some(Rows::Ids(vec![0; n])) };
            let read = RowsResponse::read(&response.encode(), from);
            prop_assert_eq!(read.is_ok(), from + n as u32 <= total);
        }
    }
}
