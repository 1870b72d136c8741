//! Work units: integer multiply-accumulates, from a header alone.
//!
//! Prices are per work unit, so that the count must be the same for everybody and must not need the
//! package. For one position `p` (from 0) of a span:
//!
//! ```text
//! layer      d*(n_q + 2*n_kv)*D + n_q*D*d  +  2*n_q*D*keys(p)  +  mlp
//! keys(p)    p + 1 in a decoder; the text's length in an encoder
//! mlp        m*d*f, m = 3 gated or 2 ungated;   experts: experts*d + k*(m*d*f + d)
//! embedding  d, twice that with a position matrix       spans that begin at layer 0
//! head       vocab*d, per position whose logits are used     decoder spans that end at layer L
//! flag 13    all but 2*n_q*D*keys(p) twice
//! ```
//!
//! Norms, rotations, gates and requantizing are linear in the same sizes with small factors and are not
//! counted. A layer's window lies in its statics and shortens the real work; the count ignores it, as it
//! is an upper bound that needs no part of the package. Sums saturate at `u64::MAX`.

use crate::header::{Flags, Header, Kind};

/// Work of the layers `first..end` for the positions `from_pos..to_pos`, given the positions before, with
/// the head applied to each of them where the span has it.
///
/// That is decoding exactly; for prefill, which needs one row of logits, see [`prefill_work`]. An
/// encoder computes all positions at once: its text is `to_pos` long. `end` beyond the model counts as its
/// end; an empty span or range is 0.
pub fn span_work(header: &Header, first: u32, end: u32, from_pos: u32, to_pos: u32) -> u64 {
    let heads = u64::from(to_pos.saturating_sub(from_pos));
    trunk_work(header, first, end, from_pos, to_pos).saturating_add(head_work(header, first, end).saturating_mul(heads))
}

/// Work of prefilling a prompt of `n` positions: the head is applied to the last one only.
pub fn prefill_work(header: &Header, first: u32, end: u32, n: u32) -> u64 {
    let heads = u64::from(n.min(1));
    trunk_work(header, first, end, 0, n).saturating_add(head_work(header, first, end).saturating_mul(heads))
}

/// Work of decoding `n` positions after a context of `context` positions.
pub fn decode_work(header: &Header, first: u32, end: u32, context: u32, n: u32) -> u64 {
    span_work(header, first, end, context, context.saturating_add(n))
}

/// Work of a whole job: `t_in` prompt ids and `generated` ids after them; an encoder generates none.
///
/// `N = t_in + generated - 1` positions are computed (the last id is never fed) and `generated` rows of
/// logits are used. An escrow uses the most that may be generated, a settlement what was.
pub fn job_work(header: &Header, first: u32, end: u32, t_in: u32, generated: u32) -> u64 {
    match header.kind {
        Kind::Encoder => trunk_work(header, first, end, 0, t_in),
        Kind::Decoder => {
            let positions = t_in.saturating_add(generated.saturating_sub(1));
            trunk_work(header, first, end, 0, positions)
                .saturating_add(head_work(header, first, end).saturating_mul(u64::from(generated)))
        }
    }
}

/// Everything but the head.
fn trunk_work(header: &Header, first: u32, end: u32, from_pos: u32, to_pos: u32) -> u64 {
    let end = end.min(header.layers);
    if first >= end || from_pos >= to_pos {
        return 0;
    }
    let positions = u64::from(to_pos - from_pos);
    let keys = match header.kind {
        Kind::Decoder => triangle(to_pos) - triangle(from_pos),
        Kind::Encoder => positions * u64::from(to_pos),
    };
    let per_key = 2 * u64::from(header.query_width());
    let layer = linear_work(header).saturating_mul(positions).saturating_add(per_key.saturating_mul(keys));
    let embedding = if first == 0 { embedding_work(header).saturating_mul(positions) } else { 0 };
    layer.saturating_mul(u64::from(end - first)).saturating_add(embedding)
}

/// `1 + 2 + .. + n`.
fn triangle(n: u32) -> u64 {
    let n = u64::from(n);
    n * (n + 1) / 2
}

/// The linear layers of one layer for one position.
fn linear_work(header: &Header) -> u64 {
    let mul = |a: u32, b: u32| u64::from(a) * u64::from(b);
    let Header { d, hidden, experts, experts_per_token, .. } = *header;
    let attention =
        mul(d, header.query_width()).saturating_mul(2).saturating_add(mul(d, header.kv_width()).saturating_mul(2));
    let matrices = if header.flags.has(Flags::UNGATED) { 2 } else { 3 };
    let dense = mul(d, hidden).saturating_mul(matrices);
    let mlp = if experts == 0 {
        dense
    } else {
        dense.saturating_add(u64::from(d)).saturating_mul(u64::from(experts_per_token)).saturating_add(mul(experts, d))
    };
    attention.saturating_add(mlp).saturating_mul(planes(header))
}

/// Planes of each matrix of weights.
fn planes(header: &Header) -> u64 {
    if header.flags.has(Flags::SECOND_PLANE) {
        2
    } else {
        1
    }
}

/// Looking up one position's row.
fn embedding_work(header: &Header) -> u64 {
    let rows = if header.flags.has(Flags::POSITIONS) { 2 } else { 1 };
    rows * planes(header) * u64::from(header.d)
}

/// One row of logits, in a span that has the head.
fn head_work(header: &Header, first: u32, end: u32) -> u64 {
    if header.kind == Kind::Decoder && first < header.layers && end >= header.layers {
        planes(header) * u64::from(header.vocab) * u64::from(header.d)
    } else {
        0
    }
}
