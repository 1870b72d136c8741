//! Sections 2 and 11: the constants inside of a package's parts, decoded and checked.
//!
//! A loader, a converter and a registry call these on every statics and norm part: a package that breaks
//! a limit has no semantics.

use alloc::vec::Vec;
use core::fmt;

use crate::attention::{HeadScale, SoftCap};
use crate::header::{limits, word, Flags, Header, Kind, Placement};
use crate::prim::Eps;

/// The constants of one layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerStatics {
    /// `W`: keys that a position sees, itself included; 0 for all. 0 in an encoder.
    pub window: u32,
    /// The rope table of the layer, `None` without rotation.
    pub rope_table: Option<u32>,
    /// Exponent of the values.
    pub e_v: i32,
    /// Fraction bits of the output projection's result; `F_h` except with sandwich norms.
    pub f_o: i32,
    /// Fraction bits of the down projection's result; `F_h` except with sandwich norms.
    pub f_d: i32,
    /// Per query head.
    pub query_heads: Vec<QueryHead>,
    /// `sigma` of section 6 per kv head.
    pub kv_sigma: Vec<u32>,
}

/// The constants of one query head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueryHead {
    /// `sigma` of section 6.
    pub sigma: u32,
    /// `c`, `sigma_l` and the soft-cap of section 7.
    pub scale: HeadScale,
}

/// The constants of a norm part, before its gain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NormConstants {
    /// Fraction bits of gain and bias.
    pub f_g: u32,
    /// Epsilon.
    pub eps: Eps,
}

/// Why a layer's or a norm's constants have no semantics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StaticsError {
    /// The part has another length.
    Length {
        /// Bytes that the header asks for.
        expected: u64,
        /// Bytes given.
        found: u64,
    },
    /// A constant lies outside of its range.
    OutOfRange {
        /// Which, as the specification names it.
        field: &'static str,
        /// The head it belongs to, 0 if to none.
        head: u32,
        /// Its value.
        value: i32,
        /// Lowest value allowed here.
        min: i32,
        /// Highest value allowed here.
        max: i32,
    },
}

impl fmt::Display for StaticsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length { expected, found } => {
                write!(f, "the part is {found} bytes long; the header asks for {expected}")
            }
            Self::OutOfRange { field, head, value, min, max } => {
                write!(f, "{field} (head {head}) is {value}; {min}..={max} is allowed here")
            }
        }
    }
}

impl core::error::Error for StaticsError {}

/// Reads little endian words and checks them. Past the end it reads 0: lengths are checked before.
struct Reader<'a> {
    words: core::slice::ChunksExact<'a, u8>,
    head: u32,
}

impl<'a> Reader<'a> {
    fn new(bytes: &'a [u8], words: u32) -> Result<Self, StaticsError> {
        let (expected, found) = (4 * u64::from(words), bytes.len() as u64);
        if expected != found {
            return Err(StaticsError::Length { expected, found });
        }
        Ok(Self { words: bytes.chunks_exact(4), head: 0 })
    }

    fn next(&mut self, field: &'static str, min: i32, max: i32) -> Result<i32, StaticsError> {
        let value = self.words.next().map_or(0, word) as i32;
        if value < min || value > max {
            return Err(StaticsError::OutOfRange { field, head: self.head, value, min, max });
        }
        Ok(value)
    }

    fn next_u32(&mut self, field: &'static str, max: u32) -> Result<u32, StaticsError> {
        self.next(field, 0, max as i32).map(i32::unsigned_abs)
    }
}

impl LayerStatics {
    /// Decodes and checks a statics part of a package with this (valid) header.
    pub fn parse(bytes: &[u8], header: &Header) -> Result<Self, StaticsError> {
        let mut r = Reader::new(bytes, header.statics_words())?;
        let window_max = match header.kind {
            Kind::Decoder => i32::MAX,
            Kind::Encoder => 0,
        };
        let window = r.next("W", 0, window_max)?.unsigned_abs();
        let rope_table = r.next("rope table", -1, header.rope_tables as i32 - 1)?;
        let limit = limits::LAYER_EXPONENT as i32;
        let e_v = r.next("e_v", -limit, limit)?;
        let (min, max) = match header.placement {
            Placement::Sandwich => (-limit, limit),
            Placement::Pre | Placement::Post => (header.f_h as i32, header.f_h as i32),
        };
        let f_o = r.next("F_o", min, max)?;
        let f_d = r.next("F_d", min, max)?;

        let soft_cap = header.flags.has(Flags::SOFT_CAP);
        let query_heads = (0..header.query_heads)
            .map(|head| {
                r.head = head;
                let sigma = r.next_u32("sigma", limits::SHIFT)?;
                let c = r.next_u32("c", limits::SCALE)?;
                let sigma_l = r.next_u32("sigma_l", limits::SHIFT)?;
                let soft_cap = match soft_cap {
                    true => Some(SoftCap {
                        c: r.next_u32("c_0", limits::SCALE)?,
                        sigma: r.next_u32("sigma_0", limits::SHIFT)?,
                    }),
                    false => None,
                };
                Ok(QueryHead { sigma, scale: HeadScale { c, sigma_l, soft_cap } })
            })
            .collect::<Result<_, _>>()?;
        let kv_sigma = (0..header.kv_heads)
            .map(|head| {
                r.head = head;
                r.next_u32("kv sigma", limits::SHIFT)
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { window, rope_table: u32::try_from(rope_table).ok(), e_v, f_o, f_d, query_heads, kv_sigma })
    }

    /// The bytes of the part. Checks nothing.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut put = |value: i32| bytes.extend_from_slice(&value.to_le_bytes());
        put(self.window as i32);
        put(self.rope_table.map_or(-1, |t| t as i32));
        put(self.e_v);
        put(self.f_o);
        put(self.f_d);
        for QueryHead { sigma, scale } in &self.query_heads {
            put(*sigma as i32);
            put(scale.c as i32);
            put(scale.sigma_l as i32);
            if let Some(cap) = &scale.soft_cap {
                put(cap.c as i32);
                put(cap.sigma as i32);
            }
        }
        for sigma in &self.kv_sigma {
            put(*sigma as i32);
        }
        bytes
    }
}

impl NormConstants {
    /// Bytes before the gain.
    pub const BYTES: usize = 12;

    /// Decodes and checks the first [`Self::BYTES`] bytes of a norm part.
    pub fn parse(bytes: &[u8]) -> Result<Self, StaticsError> {
        let mut r = Reader::new(bytes, 3)?;
        let f_g = r.next_u32("F_g", limits::GAIN_FRACTION)?;
        let m = r.next_u32("eps m", limits::EPS_MANTISSA - 1)?;
        let limit = limits::EPS_EXPONENT as i32;
        let k = r.next("eps k", -limit, limit)?;
        Ok(Self { f_g, eps: Eps { m, k } })
    }

    /// The bytes. Checks nothing.
    pub fn encode(&self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        let words = [self.f_g as i32, self.eps.m as i32, self.eps.k];
        for (to, from) in bytes.chunks_exact_mut(4).zip(words) {
            to.copy_from_slice(&from.to_le_bytes());
        }
        bytes
    }
}

/// Whether every entry of a rope table keeps `abs <= 2^30`.
pub fn rope_entries_in_range(entries: &[i32]) -> bool {
    entries.iter().all(|e| e.unsigned_abs() <= limits::ROPE_ENTRY)
}
