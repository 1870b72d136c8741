//! Section 9: the residual stream's saturating addition.

/// `h = sat32(h + y)`, both Q`F_h`. Shapes: equal lengths.
pub fn add(h: &mut [i32], y: &[i32]) {
    debug_assert_eq!(h.len(), y.len());
    for (h, y) in h.iter_mut().zip(y) {
        *h = h.saturating_add(*y);
    }
}
