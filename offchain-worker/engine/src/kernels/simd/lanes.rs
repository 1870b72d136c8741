//! A vector of 64-bit integers: the common ground of AVX2 (4 lanes) and AVX-512 (8 lanes).
//!
//! Outside of the matrix products every intermediate of the specification fits i64, so one lane per entry
//! is both simple and exact. Arithmetic wraps; callers stay within the ranges of the specification.

/// Operations on a vector of i64. A value of the implementing type proves that the machine has the
/// instructions; it is a token without data.
pub(super) trait Lanes: Copy {
    /// Lanes of one vector, at most 8.
    const N: usize;
    /// The vector.
    type V: Copy;

    /// `a` in every lane.
    fn splat(self, a: i64) -> Self::V;
    /// The first [`Self::N`] entries.
    fn load(self, a: &[i64]) -> Self::V;
    /// The first [`Self::N`] entries, sign-extended.
    fn load_i32(self, a: &[i32]) -> Self::V;
    /// The first [`Self::N`] entries, zero-extended.
    fn load_u32(self, a: &[u32]) -> Self::V;
    /// The first `2 * N` entries, two per lane, the first of each pair in the low half.
    fn load_pairs(self, a: &[i32]) -> Self::V;
    /// Writes the first [`Self::N`] entries.
    fn store(self, v: Self::V, to: &mut [i64]);
    /// Writes the low 32 bits of each lane.
    fn store_i32(self, v: Self::V, to: &mut [i32]);
    /// Writes the low 16 bits of each lane.
    fn store_i16(self, v: Self::V, to: &mut [i16]);
    /// `table[i]` of each lane's index, zero-extended. Every index must lie in the table.
    fn gather(self, table: &[u32; 256], index: Self::V) -> Self::V;
    /// `table[i] + 2^32 * table[i + 1]` of each lane's index, at most 1,023.
    fn gather_pair(self, table: &[u32; 1025], index: Self::V) -> Self::V;

    /// Wrapping sum.
    fn add(self, a: Self::V, b: Self::V) -> Self::V;
    /// Wrapping difference.
    fn sub(self, a: Self::V, b: Self::V) -> Self::V;
    /// Bitwise and.
    fn and(self, a: Self::V, b: Self::V) -> Self::V;
    /// Bitwise or.
    fn or(self, a: Self::V, b: Self::V) -> Self::V;
    /// The absolute value; 2^63, unsigned, of the least integer.
    fn abs(self, a: Self::V) -> Self::V;
    /// The signed minimum.
    fn min(self, a: Self::V, b: Self::V) -> Self::V;
    /// The signed maximum.
    fn max(self, a: Self::V, b: Self::V) -> Self::V;
    /// Per lane `x` where `test < 0`, else `y`.
    fn if_negative(self, test: Self::V, x: Self::V, y: Self::V) -> Self::V;
    /// The product of the low halves, signed.
    fn mul32(self, a: Self::V, b: Self::V) -> Self::V;
    /// The product of the low halves, unsigned.
    fn mul_u32(self, a: Self::V, b: Self::V) -> Self::V;
    /// `a << s`; 0 from `s = 64` on.
    fn shl(self, a: Self::V, s: u32) -> Self::V;
    /// Logical `a >> s`; 0 from `s = 64` on.
    fn shr(self, a: Self::V, s: u32) -> Self::V;
    /// Arithmetic `a >> s`, `s <= 63`.
    fn sra(self, a: Self::V, s: u32) -> Self::V;
    /// `a << s` per lane; 0 for a count outside `0..64`.
    fn shl_each(self, a: Self::V, s: Self::V) -> Self::V;
    /// Logical `a >> s` per lane; 0 for a count outside `0..64`.
    fn shr_each(self, a: Self::V, s: Self::V) -> Self::V;
    /// Arithmetic `a >> s` per lane, every count in `0..64`.
    fn sra_each(self, a: Self::V, s: Self::V) -> Self::V;

    /// The lanes in order; entries from [`Self::N`] on are 0.
    #[inline(always)]
    fn to_array(self, v: Self::V) -> [i64; 8] {
        let mut lanes = [0; 8];
        self.store(v, &mut lanes);
        lanes
    }

    /// The wrapping sum of the lanes.
    #[inline(always)]
    fn sum(self, v: Self::V) -> i64 {
        self.to_array(v).iter().fold(0, |sum, lane| sum.wrapping_add(*lane))
    }

    /// `rsh` of the specification, exact for every i64.
    #[inline(always)]
    fn rsh(self, a: Self::V, s: u32) -> Self::V {
        match s {
            0 => a,
            1..=62 => {
                let half = self.and(self.shr(a, s - 1), self.splat(1));
                self.add(self.sra(a, s), half)
            }
            _ => self.splat(0),
        }
    }

    /// `rsh` with a count per lane in `0..=63`, for `abs(a) <= 2^62`.
    #[inline(always)]
    fn rsh_each(self, a: Self::V, s: Self::V) -> Self::V {
        let one = self.splat(1);
        // For a count of 0 the shift by -1 gives 0.
        let half = self.shl_each(one, self.sub(s, one));
        self.sra_each(self.add(a, half), s)
    }

    /// The product with a factor in `0..2^32`, modulo 2^64: exact where it fits i64.
    #[inline(always)]
    fn mul_wide(self, a: Self::V, factor: Self::V) -> Self::V {
        let low = self.mul_u32(a, factor);
        let high = self.mul_u32(self.shr(a, 32), factor);
        self.add(low, self.shl(high, 32))
    }

    /// Clamps to `[low, high]`.
    #[inline(always)]
    fn clamp(self, a: Self::V, low: i64, high: i64) -> Self::V {
        self.min(self.max(a, self.splat(low)), self.splat(high))
    }

    /// `sat32`, still in 64-bit lanes.
    #[inline(always)]
    fn sat32(self, a: Self::V) -> Self::V {
        self.clamp(a, i64::from(i32::MIN), i64::from(i32::MAX))
    }
}
