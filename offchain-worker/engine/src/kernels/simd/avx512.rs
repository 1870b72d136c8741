//! Kernels for x86-64 with AVX-512.

use crate::kernels::{Backend, Kernels};

/// The AVX-512 backend; a value exists only on a machine that can run it.
#[derive(Debug)]
pub(super) struct Avx512(());

static KERNELS: Avx512 = Avx512(());

impl Avx512 {
    /// The backend, if this machine has the instructions.
    pub(super) fn new() -> Option<&'static Self> {
        is_x86_feature_detected!("avx512f").then_some(&KERNELS)
    }
}

impl Kernels for Avx512 {
    fn backend(&self) -> Backend {
        Backend::Avx512
    }
}
