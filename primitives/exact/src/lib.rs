//! The bit-exact integer semantics of a transformer.
//!
//! This crate is the one definition of what an inference computes: engine kernels are tested against it,
//! checkers and the chain's runtime call it. No floats, no unsafe code, no dependency on the machine. The
//! specification, written for a second implementer, is `docs/exact.md`; "section" in these pages means a
//! section of it.
//!
//! | module | section | what it holds |
//! |---|---|---|
//! | [`prim`] | 1 | rounding shifts, saturation, roots, exponentials, gates, softmax, `unit` |
//! | [`tables`] | 1 | the constants `T1`, `T2`, `S`, `G`, `GT` |
//! | [`header`], [`layout`], [`statics`] | 2, 11 | the package: header, parts of each entry, per-layer constants, all limits |
//! | [`linear`] | 3 | int8 weights times 15-bit activations |
//! | [`requantize`] | 4 | a row of wide integers to 15 bits |
//! | [`norm`] | 5 | RMS norm, LayerNorm, QK-norm |
//! | [`rope`] | 6 | rotary position embedding |
//! | [`attention`] | 7 | one query head over cached keys and values |
//! | [`mlp`] | 8 | gates and experts |
//! | [`embed`], [`residual`], [`sampling`] | 9 | rows in, residual additions, vectors and token ids out |
//! | [`hash`], [`merkle`], [`commit`] | 11 | BLAKE2b, Merkle lists, stage commitments |
//! | [`work`] | - | work units of a span, the measure by which a job is priced |
//!
//! # Conventions
//!
//! - *Total functions.* Saturation is part of the semantics. Within the ranges of section 2 nothing
//!   overflows, also with overflow checks on.
//! - *Shapes are the caller's duty.* Each function states the lengths it needs and asserts them in debug
//!   builds; in release builds it computes over the shorter length rather than panic, and the result then
//!   has no meaning.
//! - *Buffers are the caller's.* Only [`merkle`], [`commit`] and [`header`] allocate, O(log n) hashes per
//!   list and never more than the input's own length.
//! - *Fixed point.* `Q F` is the value `n * 2^-F`; an exponent `e` means `n * 2^e`. A15 is an i16 row with
//!   `abs <= 2^14` under one exponent.
//! - *Hashing* is generic over [`hash::Hasher`], so that a runtime can call its host function.
//!
//! # Features
//!
//! `std` (default): lets BLAKE2b choose the machine's SIMD at run time. Results do not depend on it.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod attention;
pub mod commit;
pub mod embed;
pub mod hash;
pub mod header;
pub mod layout;
pub mod linear;
pub mod merkle;
pub mod mlp;
pub mod norm;
pub mod prim;
pub mod requantize;
pub mod residual;
pub mod rope;
pub mod sampling;
pub mod statics;
pub mod tables;
pub mod work;
