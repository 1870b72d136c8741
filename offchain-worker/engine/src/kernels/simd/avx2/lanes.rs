//! Four lanes of i64. What AVX2 lacks in 64 bits (absolute value, minimum, arithmetic shift) is made of what
//! it has.

use std::arch::x86_64::*;

use super::Avx2;
use crate::kernels::simd::lanes::Lanes;

/// Intrinsics that touch registers only.
macro_rules! registers {
    ($($call:tt)*) => {
        // SAFETY: the receiver is an `Avx2`, which proves the feature; no memory is touched.
        unsafe { $($call)* }
    };
}

impl Avx2 {
    /// All bits of a lane where `a > b`.
    #[inline(always)]
    fn greater(self, a: __m256i, b: __m256i) -> __m256i {
        registers!(_mm256_cmpgt_epi64(a, b))
    }

    /// Per lane `x` where the bits of `mask` are set, else `y`.
    #[inline(always)]
    fn select(self, mask: __m256i, x: __m256i, y: __m256i) -> __m256i {
        registers!(_mm256_blendv_epi8(y, x, mask))
    }

    /// The even 32-bit halves of `v`, side by side in 128 bits.
    #[inline(always)]
    fn low_halves(self, v: __m256i) -> __m128i {
        registers!({
            let order = _mm256_setr_epi32(0, 2, 4, 6, 0, 2, 4, 6);
            _mm256_castsi256_si128(_mm256_permutevar8x32_epi32(v, order))
        })
    }
}

impl Lanes for Avx2 {
    const N: usize = 4;
    type V = __m256i;

    #[inline(always)]
    fn splat(self, a: i64) -> __m256i {
        registers!(_mm256_set1_epi64x(a))
    }

    #[inline(always)]
    fn load(self, a: &[i64]) -> __m256i {
        let a = &a[..4];
        // SAFETY: the token proves the feature; 4 i64 are readable.
        unsafe { _mm256_loadu_si256(a.as_ptr().cast()) }
    }

    #[inline(always)]
    fn load_i32(self, a: &[i32]) -> __m256i {
        let a = &a[..4];
        // SAFETY: the token proves the feature; 4 i32 are readable.
        unsafe { _mm256_cvtepi32_epi64(_mm_loadu_si128(a.as_ptr().cast())) }
    }

    #[inline(always)]
    fn load_u32(self, a: &[u32]) -> __m256i {
        let a = &a[..4];
        // SAFETY: the token proves the feature; 4 u32 are readable.
        unsafe { _mm256_cvtepu32_epi64(_mm_loadu_si128(a.as_ptr().cast())) }
    }

    #[inline(always)]
    fn load_pairs(self, a: &[i32]) -> __m256i {
        let a = &a[..8];
        // SAFETY: the token proves the feature; 8 i32 are readable.
        unsafe { _mm256_loadu_si256(a.as_ptr().cast()) }
    }

    #[inline(always)]
    fn store(self, v: __m256i, to: &mut [i64]) {
        let to = &mut to[..4];
        // SAFETY: the token proves the feature; 4 i64 are writable.
        unsafe { _mm256_storeu_si256(to.as_mut_ptr().cast(), v) }
    }

    #[inline(always)]
    fn store_i32(self, v: __m256i, to: &mut [i32]) {
        let to = &mut to[..4];
        // SAFETY: the token proves the feature; 4 i32 are writable.
        unsafe { _mm_storeu_si128(to.as_mut_ptr().cast(), self.low_halves(v)) }
    }

    #[inline(always)]
    fn store_i16(self, v: __m256i, to: &mut [i16]) {
        let to = &mut to[..4];
        // SAFETY: the token proves the feature; 4 i16 are writable.
        unsafe {
            let order = _mm_setr_epi8(0, 1, 4, 5, 8, 9, 12, 13, -1, -1, -1, -1, -1, -1, -1, -1);
            _mm_storel_epi64(to.as_mut_ptr().cast(), _mm_shuffle_epi8(self.low_halves(v), order));
        }
    }

    #[inline(always)]
    fn gather(self, table: &[u32; 256], index: __m256i) -> __m256i {
        let index = self.and(index, self.splat(255));
        // SAFETY: the token proves the feature; each index is in 0..256 by the mask.
        unsafe { _mm256_cvtepu32_epi64(_mm256_i64gather_epi32::<4>(table.as_ptr().cast(), index)) }
    }

    #[inline(always)]
    fn gather_pair(self, table: &[u32; 1025], index: __m256i) -> __m256i {
        let index = self.and(index, self.splat(1023));
        // SAFETY: the token proves the feature; each index is in 0..1024 by the mask, so that the entry and
        // the next one lie in the table.
        unsafe { _mm256_i64gather_epi64::<4>(table.as_ptr().cast(), index) }
    }

    #[inline(always)]
    fn add(self, a: __m256i, b: __m256i) -> __m256i {
        registers!(_mm256_add_epi64(a, b))
    }

    #[inline(always)]
    fn sub(self, a: __m256i, b: __m256i) -> __m256i {
        registers!(_mm256_sub_epi64(a, b))
    }

    #[inline(always)]
    fn and(self, a: __m256i, b: __m256i) -> __m256i {
        registers!(_mm256_and_si256(a, b))
    }

    #[inline(always)]
    fn or(self, a: __m256i, b: __m256i) -> __m256i {
        registers!(_mm256_or_si256(a, b))
    }

    #[inline(always)]
    fn abs(self, a: __m256i) -> __m256i {
        let sign = self.greater(self.splat(0), a);
        // SAFETY: registers only; the token proves the feature.
        self.sub(unsafe { _mm256_xor_si256(a, sign) }, sign)
    }

    #[inline(always)]
    fn min(self, a: __m256i, b: __m256i) -> __m256i {
        self.select(self.greater(a, b), b, a)
    }

    #[inline(always)]
    fn max(self, a: __m256i, b: __m256i) -> __m256i {
        self.select(self.greater(a, b), a, b)
    }

    #[inline(always)]
    fn if_negative(self, test: __m256i, x: __m256i, y: __m256i) -> __m256i {
        self.select(self.greater(self.splat(0), test), x, y)
    }

    #[inline(always)]
    fn mul32(self, a: __m256i, b: __m256i) -> __m256i {
        registers!(_mm256_mul_epi32(a, b))
    }

    #[inline(always)]
    fn mul_u32(self, a: __m256i, b: __m256i) -> __m256i {
        registers!(_mm256_mul_epu32(a, b))
    }

    #[inline(always)]
    fn shl(self, a: __m256i, s: u32) -> __m256i {
        registers!(_mm256_sll_epi64(a, _mm_cvtsi32_si128(s as i32)))
    }

    #[inline(always)]
    fn shr(self, a: __m256i, s: u32) -> __m256i {
        registers!(_mm256_srl_epi64(a, _mm_cvtsi32_si128(s as i32)))
    }

    #[inline(always)]
    fn sra(self, a: __m256i, s: u32) -> __m256i {
        // The sign bit, shifted along, is subtracted out: what remains has its copies above it.
        let sign = self.shr(self.splat(i64::MIN), s);
        // SAFETY: registers only; the token proves the feature.
        self.sub(unsafe { _mm256_xor_si256(self.shr(a, s), sign) }, sign)
    }

    #[inline(always)]
    fn shl_each(self, a: __m256i, s: __m256i) -> __m256i {
        registers!(_mm256_sllv_epi64(a, s))
    }

    #[inline(always)]
    fn shr_each(self, a: __m256i, s: __m256i) -> __m256i {
        registers!(_mm256_srlv_epi64(a, s))
    }

    #[inline(always)]
    fn sra_each(self, a: __m256i, s: __m256i) -> __m256i {
        let sign = self.shr_each(self.splat(i64::MIN), s);
        // SAFETY: registers only; the token proves the feature.
        self.sub(unsafe { _mm256_xor_si256(self.shr_each(a, s), sign) }, sign)
    }
}
