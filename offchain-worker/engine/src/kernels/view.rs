//! A mutable matrix view that can be split both by rows and by columns.

use std::marker::PhantomData;

/// `[rows, columns]` of i32 inside a row-major matrix whose rows lie `stride` apart.
///
/// A batch of tokens through a block of output features writes such a view; threads take disjoint blocks.
#[derive(Debug)]
pub struct RowsMut<'a> {
    first: *mut i32,
    rows: usize,
    columns: usize,
    stride: usize,
    _owner: PhantomData<&'a mut [i32]>,
}

// SAFETY: a view is an exclusive borrow of its elements, like `&mut [i32]`: no two views of one matrix
// share an element (`split_rows` and `split_columns` consume their source and are disjoint).
unsafe impl Send for RowsMut<'_> {}

impl<'a> RowsMut<'a> {
    /// The whole of a row-major matrix with `columns` columns.
    ///
    /// # Panics
    /// If `columns` is zero or does not divide the length.
    pub fn new(matrix: &'a mut [i32], columns: usize) -> Self {
        assert!(columns > 0 && matrix.len().is_multiple_of(columns), "matrix of {} in rows of {columns}", matrix.len());
        let rows = matrix.len() / columns;
        Self { first: matrix.as_mut_ptr(), rows, columns, stride: columns, _owner: PhantomData }
    }

    /// Number of rows (tokens).
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Number of columns (output features) of the view.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Row `t` of the view.
    ///
    /// # Panics
    /// If there is no such row.
    pub fn row_mut(&mut self, t: usize) -> &mut [i32] {
        assert!(t < self.rows, "row {t} of {}", self.rows);
        // SAFETY: t < rows, and each row's `columns` elements at `t * stride` lie within the borrowed
        // matrix; the borrow of self makes the slice exclusive.
        unsafe { std::slice::from_raw_parts_mut(self.first.add(t * self.stride), self.columns) }
    }

    /// The first `at` rows and the others.
    ///
    /// # Panics
    /// If there are fewer rows.
    pub fn split_rows(self, at: usize) -> (Self, Self) {
        assert!(at <= self.rows, "split at row {at} of {}", self.rows);
        // `wrapping_add`: with at == rows of the last block the pointer may lie past the end, unread.
        let second = self.first.wrapping_add(at * self.stride);
        (Self { rows: at, ..self }, Self { first: second, rows: self.rows - at, ..self })
    }

    /// The first `at` columns and the others.
    ///
    /// # Panics
    /// If there are fewer columns.
    pub fn split_columns(self, at: usize) -> (Self, Self) {
        assert!(at <= self.columns, "split at column {at} of {}", self.columns);
        let second = self.first.wrapping_add(at);
        (Self { columns: at, ..self }, Self { first: second, columns: self.columns - at, ..self })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn split_both_ways_covers_each_element_once() {
        let mut matrix = vec![0; 5 * 7];
        let (left, right) = RowsMut::new(&mut matrix, 7).split_columns(3);
        let (top, bottom) = right.split_rows(2);
        for (n, mut view) in [left, top, bottom].into_iter().enumerate() {
            for t in 0..view.rows() {
                view.row_mut(t).iter_mut().for_each(|v| *v += n as i32 + 1);
            }
        }
        for (i, v) in matrix.iter().enumerate() {
            let expected = match (i / 7, i % 7) {
                (_, 0..=2) => 1,
                (0..=1, _) => 2,
                _ => 3,
            };
            assert_eq!(*v, expected, "element {i}");
        }
    }

    #[test]
    #[should_panic(expected = "row 1 of 1")]
    fn row_mut_beyond_the_last_row_panics() {
        RowsMut::new(&mut [0; 4], 4).row_mut(1);
    }
}
