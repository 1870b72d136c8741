//! Kernels for x86-64 with AVX2.

use crate::kernels::{Backend, Kernels};

/// The AVX2 backend; a value exists only on a machine that can run it.
#[derive(Debug)]
pub(super) struct Avx2(());

static KERNELS: Avx2 = Avx2(());

impl Avx2 {
    /// The backend, if this machine has the instructions.
    pub(super) fn new() -> Option<&'static Self> {
        is_x86_feature_detected!("avx2").then_some(&KERNELS)
    }
}

impl Kernels for Avx2 {
    fn backend(&self) -> Backend {
        Backend::Avx2
    }
}
