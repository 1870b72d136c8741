//! Which instruction set runs, chosen at run time.

use std::{fmt, str::FromStr};

use super::{simd, Kernels, Scalar};

/// An implementation of [`Kernels`]. All give the same bits; only the speed differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Backend {
    /// `assay-exact` itself: what a worker repeats a check with before it dissents.
    Scalar,
    /// x86-64 with AVX2.
    Avx2,
    /// x86-64 with AVX-512 F, BW, DQ, VL and VNNI.
    Avx512,
}

impl Backend {
    /// Every backend, the slowest first.
    pub const ALL: [Self; 3] = [Self::Scalar, Self::Avx2, Self::Avx512];

    /// The fastest backend that this machine can run.
    pub fn detect() -> Self {
        Self::ALL.into_iter().rev().find(|b| b.kernels().is_ok()).unwrap_or(Self::Scalar)
    }

    /// The backends that this machine can run, the slowest first.
    pub fn available() -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(|b| b.kernels().is_ok())
    }

    /// The ops of this backend; an error where the machine lacks its instructions.
    pub fn kernels(self) -> Result<&'static dyn Kernels, BackendError> {
        match self {
            Self::Scalar => Some(&Scalar as &dyn Kernels),
            Self::Avx2 => simd::avx2(),
            Self::Avx512 => simd::avx512(),
        }
        .ok_or(BackendError::Unavailable(self))
    }

    /// The name that [`FromStr`] reads.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Scalar => "scalar",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
        }
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Backend {
    type Err = BackendError;

    /// A backend's name, or `auto` for [`Backend::detect`].
    fn from_str(name: &str) -> Result<Self, Self::Err> {
        if name == "auto" {
            return Ok(Self::detect());
        }
        Self::ALL.into_iter().find(|b| b.name() == name).ok_or_else(|| BackendError::Unknown(name.to_owned()))
    }
}

/// Why a backend cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BackendError {
    /// The machine lacks its instructions.
    #[error("this machine cannot run the {0} kernels; choose `auto` or `scalar`")]
    Unavailable(Backend),
    /// No such backend.
    #[error("unknown kernel backend `{0}`; choose auto, scalar, avx2 or avx512")]
    Unknown(String),
}
