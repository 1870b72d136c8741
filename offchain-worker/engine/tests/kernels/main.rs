//! Every SIMD backend against the scalar reference, bit for bit: section 13's "0 mismatches in 10^6", with
//! random and extreme inputs and every kind of length.
//!
//! A backend that this machine lacks is named and passed over; the others run all cases.

mod attention;
mod cases;
mod linear;
mod rows;

use assay_engine::kernels::{Backend, Kernels};

/// Outputs compared per op and backend.
const OUTPUTS: usize = 1_000_000;

/// Calls `check` for each SIMD backend of this machine, and says which ones are missing.
fn for_each_backend(check: impl Fn(&'static dyn Kernels)) {
    for backend in Backend::ALL {
        if backend == Backend::Scalar {
            continue;
        }
        match backend.kernels() {
            Ok(kernels) => {
                assert_eq!(kernels.backend(), backend);
                check(kernels);
            }
            Err(error) => eprintln!("not tested: {error}"),
        }
    }
}

/// Repeats `case`, which returns how many outputs it compared, until [`OUTPUTS`] are reached.
fn repeat(mut case: impl FnMut(u64) -> usize) {
    let mut compared = 0;
    let mut seed = 0;
    while compared < OUTPUTS {
        compared += case(seed);
        seed += 1;
    }
}

/// The first entry that differs, with what led there.
fn assert_same<T: PartialEq + std::fmt::Debug>(expected: &[T], actual: &[T], context: impl Fn() -> String) {
    assert_eq!(expected.len(), actual.len());
    if let Some(i) = (0..expected.len()).find(|i| expected[*i] != actual[*i]) {
        panic!("entry {i}: expected {:?}, got {:?}; {}", expected[i], actual[i], context());
    }
}
