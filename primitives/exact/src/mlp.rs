//! Section 8: the MLP's gate, and the mixture of experts.

use crate::prim::{inv, lut, max_of, rsh, sat32, softmax_weight, LOG2E_Q16};
use crate::requantize::requantize_iter;
use crate::tables::{GateTable, G, GT, S};

/// The exponent of a gated product before requantizing: two Q16 factors.
pub const GATED_EXPONENT: i32 = -32;

/// The exponent of an ungated product before requantizing: Q16 times Q24.
pub const UNGATED_EXPONENT: i32 = -40;

/// The gate function of a package: `x * f(x)` is SiLU, GELU or its tanh approximation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// Logistic gate (SiLU, SwiGLU).
    Silu = 0,
    /// Exact GELU.
    Gelu = 1,
    /// GELU by the tanh approximation.
    GeluTanh = 2,
}

impl Activation {
    /// From the header's field.
    pub const fn from_id(id: i32) -> Option<Self> {
        match id {
            0 => Some(Self::Silu),
            1 => Some(Self::Gelu),
            2 => Some(Self::GeluTanh),
            _ => None,
        }
    }

    /// The table of section 1.
    #[inline]
    pub const fn table(self) -> &'static GateTable {
        match self {
            Self::Silu => &S,
            Self::Gelu => &G,
            Self::GeluTanh => &GT,
        }
    }
}

/// One entry of a gated MLP: `A(gate) * up`, exponent [`GATED_EXPONENT`], `abs <= 2^62`.
#[inline]
pub fn gated_entry(table: &GateTable, gate: i32, up: i32) -> i64 {
    rsh(i64::from(gate) * i64::from(lut(table, gate)), 24) * i64::from(up)
}

/// One entry of an ungated MLP: `A(up)`, exponent [`UNGATED_EXPONENT`].
#[inline]
pub fn ungated_entry(table: &GateTable, up: i32) -> i64 {
    i64::from(up) * i64::from(lut(table, up))
}

/// The input of the down projection of a gated MLP. Returns its exponent.
///
/// Shapes: `gate`, `up` (i32 Q16) and `q` (A15) have equal lengths.
pub fn gated(activation: Activation, gate: &[i32], up: &[i32], q: &mut [i16]) -> i32 {
    debug_assert!(gate.len() == up.len() && up.len() == q.len());
    let table = activation.table();
    let y = gate.iter().zip(up).map(|(g, u)| gated_entry(table, *g, *u));
    requantize_iter(y, GATED_EXPONENT, q)
}

/// The input of the down projection of an ungated MLP. Returns its exponent. Shapes: equal lengths.
pub fn ungated(activation: Activation, up: &[i32], q: &mut [i16]) -> i32 {
    debug_assert_eq!(up.len(), q.len());
    let table = activation.table();
    requantize_iter(up.iter().map(|u| ungated_entry(table, *u)), UNGATED_EXPONENT, q)
}

/// One expert that a token goes through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChosenExpert {
    /// Its index in the layer.
    pub id: u32,
    /// `p_e`, Q24.
    pub weight: u32,
}

/// Chooses `chosen.len()` experts by the router's output (i32 Q16) and weighs them.
///
/// The order is (logit descending, id ascending); it is also the order of the down projections in the
/// tail commitment. `over_all` (flag 11) normalises over all experts instead of the chosen ones. Returns
/// how many were chosen: fewer than asked only if there are fewer experts.
pub fn route(logits: &[i32], over_all: bool, chosen: &mut [ChosenExpert]) -> usize {
    let mut n = 0;
    for (id, logit) in logits.iter().enumerate() {
        // Insertion keeps ties in order of id: a later expert passes only those strictly below it.
        let at = chosen[..n].iter().position(|c| logits[c.id as usize] < *logit).unwrap_or(n);
        if at >= chosen.len() {
            continue;
        }
        n = (n + 1).min(chosen.len());
        chosen[at..n].rotate_right(1);
        chosen[at] = ChosenExpert { id: id as u32, weight: 0 };
    }
    let max = max_of(logits.iter().map(|l| i64::from(*l)));
    let weight = |l: i32| softmax_weight(max, i64::from(l), LOG2E_Q16, 16);
    let chosen = &mut chosen[..n];
    for c in chosen.iter_mut() {
        c.weight = weight(logits[c.id as usize]);
    }
    let z: u64 = if over_all {
        logits.iter().map(|l| u64::from(weight(*l))).sum()
    } else {
        chosen.iter().map(|c| u64::from(c.weight)).sum()
    };
    let z = inv(z);
    for c in chosen {
        c.weight = rsh(i64::from(c.weight) * z.r, z.b + 6) as u32;
    }
    n
}

/// Adds one expert's down projection to the sum. Shapes: equal lengths; at most 64 experts.
pub fn add_expert(weight: u32, down: &[i32], sum: &mut [i64]) {
    debug_assert_eq!(down.len(), sum.len());
    for (sum, down) in sum.iter_mut().zip(down) {
        *sum = sum.saturating_add(i64::from(weight) * i64::from(*down));
    }
}

/// The output of the experts from the weighted sum. Shapes: equal lengths.
pub fn finish_experts(sum: &[i64], out: &mut [i32]) {
    debug_assert_eq!(sum.len(), out.len());
    for (sum, out) in sum.iter().zip(out) {
        *out = sat32(rsh(*sum, 24));
    }
}
