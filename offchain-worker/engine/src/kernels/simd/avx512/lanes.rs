//! Eight lanes of i64.

use std::arch::x86_64::*;

use super::Avx512;
use crate::kernels::simd::lanes::Lanes;

/// Intrinsics that touch registers only.
macro_rules! registers {
    ($($call:tt)*) => {
        // SAFETY: the receiver is an `Avx512`, which proves the features; no memory is touched.
        unsafe { $($call)* }
    };
}

impl Lanes for Avx512 {
    const N: usize = 8;
    type V = __m512i;

    #[inline(always)]
    fn splat(self, a: i64) -> __m512i {
        registers!(_mm512_set1_epi64(a))
    }

    #[inline(always)]
    fn load(self, a: &[i64]) -> __m512i {
        let a = &a[..8];
        // SAFETY: the token proves the features; 8 i64 are readable.
        unsafe { _mm512_loadu_si512(a.as_ptr().cast()) }
    }

    #[inline(always)]
    fn load_i32(self, a: &[i32]) -> __m512i {
        let a = &a[..8];
        // SAFETY: the token proves the features; 8 i32 are readable.
        unsafe { _mm512_cvtepi32_epi64(_mm256_loadu_si256(a.as_ptr().cast())) }
    }

    #[inline(always)]
    fn load_u32(self, a: &[u32]) -> __m512i {
        let a = &a[..8];
        // SAFETY: the token proves the features; 8 u32 are readable.
        unsafe { _mm512_cvtepu32_epi64(_mm256_loadu_si256(a.as_ptr().cast())) }
    }

    #[inline(always)]
    fn load_pairs(self, a: &[i32]) -> __m512i {
        let a = &a[..16];
        // SAFETY: the token proves the features; 16 i32 are readable.
        unsafe { _mm512_loadu_si512(a.as_ptr().cast()) }
    }

    #[inline(always)]
    fn store(self, v: __m512i, to: &mut [i64]) {
        let to = &mut to[..8];
        // SAFETY: the token proves the features; 8 i64 are writable.
        unsafe { _mm512_storeu_si512(to.as_mut_ptr().cast(), v) }
    }

    #[inline(always)]
    fn store_i32(self, v: __m512i, to: &mut [i32]) {
        let to = &mut to[..8];
        // SAFETY: the token proves the features; 8 i32 are writable.
        unsafe { _mm256_storeu_si256(to.as_mut_ptr().cast(), _mm512_cvtepi64_epi32(v)) }
    }

    #[inline(always)]
    fn store_i16(self, v: __m512i, to: &mut [i16]) {
        let to = &mut to[..8];
        // SAFETY: the token proves the features; 8 i16 are writable.
        unsafe { _mm_storeu_si128(to.as_mut_ptr().cast(), _mm512_cvtepi64_epi16(v)) }
    }

    #[inline(always)]
    fn gather(self, table: &[u32; 256], index: __m512i) -> __m512i {
        let index = self.and(index, self.splat(255));
        // SAFETY: the token proves the features; each index is in 0..256 by the mask.
        unsafe { _mm512_cvtepu32_epi64(_mm512_i64gather_epi32::<4>(index, table.as_ptr().cast())) }
    }

    #[inline(always)]
    fn gather_pair(self, table: &[u32; 1025], index: __m512i) -> __m512i {
        let index = self.and(index, self.splat(1023));
        // SAFETY: the token proves the features; each index is in 0..1024 by the mask, so that the entry
        // and the next one lie in the table.
        unsafe { _mm512_i64gather_epi64::<4>(index, table.as_ptr().cast()) }
    }

    #[inline(always)]
    fn add(self, a: __m512i, b: __m512i) -> __m512i {
        registers!(_mm512_add_epi64(a, b))
    }

    #[inline(always)]
    fn sub(self, a: __m512i, b: __m512i) -> __m512i {
        registers!(_mm512_sub_epi64(a, b))
    }

    #[inline(always)]
    fn and(self, a: __m512i, b: __m512i) -> __m512i {
        registers!(_mm512_and_si512(a, b))
    }

    #[inline(always)]
    fn or(self, a: __m512i, b: __m512i) -> __m512i {
        registers!(_mm512_or_si512(a, b))
    }

    #[inline(always)]
    fn abs(self, a: __m512i) -> __m512i {
        registers!(_mm512_abs_epi64(a))
    }

    #[inline(always)]
    fn min(self, a: __m512i, b: __m512i) -> __m512i {
        registers!(_mm512_min_epi64(a, b))
    }

    #[inline(always)]
    fn max(self, a: __m512i, b: __m512i) -> __m512i {
        registers!(_mm512_max_epi64(a, b))
    }

    #[inline(always)]
    fn if_negative(self, test: __m512i, x: __m512i, y: __m512i) -> __m512i {
        registers!(_mm512_mask_blend_epi64(_mm512_movepi64_mask(test), y, x))
    }

    #[inline(always)]
    fn mul32(self, a: __m512i, b: __m512i) -> __m512i {
        registers!(_mm512_mul_epi32(a, b))
    }

    #[inline(always)]
    fn mul_u32(self, a: __m512i, b: __m512i) -> __m512i {
        registers!(_mm512_mul_epu32(a, b))
    }

    #[inline(always)]
    fn shl(self, a: __m512i, s: u32) -> __m512i {
        registers!(_mm512_sll_epi64(a, _mm_cvtsi32_si128(s as i32)))
    }

    #[inline(always)]
    fn shr(self, a: __m512i, s: u32) -> __m512i {
        registers!(_mm512_srl_epi64(a, _mm_cvtsi32_si128(s as i32)))
    }

    #[inline(always)]
    fn sra(self, a: __m512i, s: u32) -> __m512i {
        registers!(_mm512_sra_epi64(a, _mm_cvtsi32_si128(s as i32)))
    }

    #[inline(always)]
    fn shl_each(self, a: __m512i, s: __m512i) -> __m512i {
        registers!(_mm512_sllv_epi64(a, s))
    }

    #[inline(always)]
    fn shr_each(self, a: __m512i, s: __m512i) -> __m512i {
        registers!(_mm512_srlv_epi64(a, s))
    }

    #[inline(always)]
    fn sra_each(self, a: __m512i, s: __m512i) -> __m512i {
        registers!(_mm512_srav_epi64(a, s))
    }

    #[inline(always)]
    fn mul_wide(self, a: __m512i, factor: __m512i) -> __m512i {
        registers!(_mm512_mullo_epi64(a, factor))
    }
}
