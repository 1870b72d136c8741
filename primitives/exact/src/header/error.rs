//! What can be wrong with a header.

use core::fmt;

use super::limits;

/// A numeric field of a header, as the specification names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// The first word.
    SpecId,
    /// Decoder or encoder.
    Kind,
    /// Number of token ids.
    Vocab,
    /// Positions.
    Context,
    /// `d`.
    Width,
    /// `L`.
    Layers,
    /// `n_q`.
    QueryHeads,
    /// `n_kv`.
    KvHeads,
    /// `D`.
    HeadDim,
    /// Rotated entries.
    Rot,
    /// `f`.
    Hidden,
    /// Experts of a layer.
    Experts,
    /// Experts of a token.
    ExpertsPerToken,
    /// `F_h`.
    StreamFraction,
    /// Flags.
    Flags,
    /// Gate function.
    Activation,
    /// Place of the norms.
    Placement,
    /// Number of rope tables.
    RopeTables,
    /// `c_L`.
    FinalCapScale,
    /// `sigma_L`.
    FinalCapShift,
    /// `cap_L`.
    FinalCap,
    /// Pooling.
    Pool,
    /// Number of eos ids.
    EosCount,
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SpecId => "spec id",
            Self::Kind => "kind",
            Self::Vocab => "vocab",
            Self::Context => "context",
            Self::Width => "d",
            Self::Layers => "L",
            Self::QueryHeads => "n_q",
            Self::KvHeads => "n_kv",
            Self::HeadDim => "D",
            Self::Rot => "rot",
            Self::Hidden => "f",
            Self::Experts => "experts",
            Self::ExpertsPerToken => "experts per token",
            Self::StreamFraction => "F_h",
            Self::Flags => "flags",
            Self::Activation => "activation",
            Self::Placement => "placement",
            Self::RopeTables => "rope tables",
            Self::FinalCapScale => "c_L",
            Self::FinalCapShift => "sigma_L",
            Self::FinalCap => "cap_L",
            Self::Pool => "pool",
            Self::EosCount => "eos count",
        })
    }
}

/// Why a header has no semantics. Values are the field's 32 bits unsigned: no field may be negative.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderError {
    /// The bytes are not `92 + 4 * (eos count) + 64` long.
    Length {
        /// Bytes that the fields ask for.
        expected: u64,
        /// Bytes given.
        found: u64,
    },
    /// A field lies outside of its range, which may depend on the fields before it.
    OutOfRange {
        /// Which.
        field: Field,
        /// Its value.
        value: u32,
        /// Lowest value allowed here.
        min: u32,
        /// Highest value allowed here.
        max: u32,
    },
    /// `D` or `rot` is odd: entries are rotated in pairs.
    Odd {
        /// Which.
        field: Field,
        /// Its value.
        value: u32,
    },
    /// `n_q * D` exceeds the in-features of the output projection.
    QueryWidth(u32),
    /// `n_kv` does not divide `n_q`.
    KvHeads {
        /// `n_q`.
        query_heads: u32,
        /// `n_kv`.
        kv_heads: u32,
    },
    /// Flag bits without a meaning.
    UnknownFlags(u32),
    /// Flag bits that this kind of model must leave 0: its head's in an encoder, the router's in a dense
    /// model.
    UnusedFlags(u32),
    /// A decoder without flag 10, the final norm.
    NoFinalNorm,
    /// The eos id at this index is not above the one before it.
    EosOrder(u32),
    /// The eos id at this index is not below `vocab`.
    EosRange(u32),
}

impl fmt::Display for HeaderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length { expected, found } => {
                write!(f, "the header is {found} bytes long; its fields ask for {expected}")
            }
            Self::OutOfRange { field, value, min, max } => {
                write!(f, "{field} is {value}; {min}..={max} is allowed here")
            }
            Self::Odd { field, value } => write!(f, "{field} is {value}; it must be even"),
            Self::QueryWidth(width) => {
                write!(f, "n_q * D is {width}; at most {} is allowed", limits::IN_FEATURES)
            }
            Self::KvHeads { query_heads, kv_heads } => {
                write!(f, "n_kv = {kv_heads} does not divide n_q = {query_heads}")
            }
            Self::UnknownFlags(bits) => {
                write!(f, "flag bits {bits:#x} have no meaning; clear them")
            }
            Self::UnusedFlags(bits) => {
                write!(f, "flag bits {bits:#x} have no use in this kind of model; clear them")
            }
            Self::NoFinalNorm => f.write_str("a decoder has a final norm; set flag 10"),
            Self::EosOrder(i) => write!(f, "eos id {i} is not above the one before it; sort, no repeats"),
            Self::EosRange(i) => write!(f, "eos id {i} is not below vocab"),
        }
    }
}

impl core::error::Error for HeaderError {}
