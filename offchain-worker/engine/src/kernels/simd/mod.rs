//! SIMD backends. Each equals the scalar reference bit for bit; see section 3 of the specification for the
//! instruction sequences that are exact.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;

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
