//! SIMD backends for x86-64. Each equals the scalar reference bit for bit.
//!
//! | file | what it holds |
//! |---|---|
//! | `lanes` | the vector of 64-bit integers that both instruction sets offer |
//! | `rows` | sections 4 to 8 and the linear epilogue, written once over `lanes` |
//! | `tiles` | prefill: packing and blocking of a matrix product, over one micro-kernel per instruction set |
//! | `scratch` | per-thread buffers for packed operands |
//! | `avx2`, `avx512` | the implementations of `lanes`, the mat-vec of decode, the micro-kernels, attention |
//!
//! **Why the sums are exact.** A linear layer sums at most 2^16 products of 22 bits. AVX-512 splits an
//! activation into two signed bytes and sums each plane in i32 lanes, which K = 65,793 could not wrap; AVX2
//! multiplies 16-bit pairs and widens to i64 after at most 1,022 products per lane. The saturating forms
//! (`vpmaddubsw`, `vpdpbusds`, `vpdpwssds`) are forbidden: their result depends on the order of the terms.
//!
//! **Unsafe code.** Intrinsics need the instructions and, for loads and stores, valid pointers. The first is
//! proven by the backend's value, which `new` hands out only after detection; the second by the slices that
//! each function takes. Every other module of the engine is safe to call with any slices.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "x86_64")]
mod lanes;
#[cfg(target_arch = "x86_64")]
mod rows;
#[cfg(target_arch = "x86_64")]
mod scratch;
#[cfg(target_arch = "x86_64")]
mod tiles;

use super::Kernels;

/// The AVX2 kernels, if this machine has the instructions.
pub(super) fn avx2() -> Option<&'static dyn Kernels> {
    #[cfg(target_arch = "x86_64")]
    return avx2::Avx2::new().map(|k| k as &dyn Kernels);
    #[cfg(not(target_arch = "x86_64"))]
    None
}

/// The AVX-512 kernels, if this machine has the instructions.
pub(super) fn avx512() -> Option<&'static dyn Kernels> {
    #[cfg(target_arch = "x86_64")]
    return avx512::Avx512::new().map(|k| k as &dyn Kernels);
    #[cfg(not(target_arch = "x86_64"))]
    None
}
