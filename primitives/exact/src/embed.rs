//! Section 9: the rows that enter a model, and the vector that leaves an encoder.

use crate::linear::{Planes, RowScale, SECOND_PLANE_BITS};
use crate::prim::{rsh, sat16, sat32, scale32, Eps, UnitScale};

/// A quantized row of the embedding or position matrix with its packed scale.
#[derive(Clone, Copy, Debug)]
pub struct EmbeddingRow<'a> {
    /// `[d]`.
    pub weights: Planes<'a>,
    /// Packed [`RowScale`].
    pub scale: u32,
}

impl EmbeddingRow<'_> {
    #[inline]
    fn entry(&self, i: usize, f_h: u32) -> i64 {
        let RowScale { m, k } = RowScale::unpack(self.scale);
        let at = |plane: &[i8]| i64::from(plane.get(i).copied().unwrap_or(0));
        let (weight, bits) = match self.weights.second {
            // Exact: a row is no sum, so that nothing of its weights has to be rounded away.
            Some(second) => ((at(self.weights.first) << SECOND_PLANE_BITS) + at(second), SECOND_PLANE_BITS),
            None => (at(self.weights.first), 0),
        };
        i64::from(scale32(weight, m, k.saturating_add_unsigned(bits).saturating_sub_unsigned(f_h)))
    }
}

/// The residual row of one token: `token` of id x, `position` of p where the model has flag 8.
///
/// Shapes: the rows and `h` have `d` entries; `h` is Q`f_h`. The embedding norm, if any, follows.
pub fn embed_row(token: EmbeddingRow<'_>, position: Option<EmbeddingRow<'_>>, f_h: u32, h: &mut [i32]) {
    debug_assert_eq!(token.weights.first.len(), h.len());
    debug_assert!(position.is_none_or(|p| p.weights.first.len() == h.len()));
    for (i, h) in h.iter_mut().enumerate() {
        *h = sat32(token.entry(i, f_h) + position.map_or(0, |p| p.entry(i, f_h)));
    }
}

/// Mean pooling: adds a position's final row to the sum. At most 2^17 positions. Shapes: equal lengths.
pub fn pool_add(sum: &mut [i64], h: &[i32]) {
    debug_assert_eq!(sum.len(), h.len());
    for (sum, h) in sum.iter_mut().zip(h) {
        *sum = sum.saturating_add(i64::from(*h));
    }
}

/// The embedding vector of a text: the pooled row at unit length, i16 Q15. Shapes: equal lengths.
pub fn embedding_output(pooled: &[i64], v: &mut [i16]) {
    debug_assert_eq!(pooled.len(), v.len());
    let scale = UnitScale::of(pooled.iter().copied(), Eps::ZERO);
    for (c, v) in pooled.iter().zip(v) {
        *v = sat16(rsh(i64::from(scale.apply(*c)), 15));
    }
}
