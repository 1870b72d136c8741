//! Every SIMD backend against the scalar reference, bit for bit: section 13's "0 mismatches in 10^6", with
//! random and extreme inputs and every kind of length.
//!
//! A backend that this machine lacks is named and passed over; the others run all cases.

mod attention;
mod cases;
mod linear;
mod rows;

use std::{fs, path::Path};

use assay_engine::kernels::{Backend, Kernels};

/// Outputs compared per op and backend.
const OUTPUTS: usize = 1_000_000;

/// The instructions that section 3 forbids: their sums saturate, and so depend on the order of the terms.
#[test]
fn simd_sources_hold_no_saturating_product() {
    fn visit(directory: &Path, files: &mut usize) {
        for entry in fs::read_dir(directory).expect("the sources lie beside the tests") {
            let path = entry.expect("a readable directory").path();
            if path.is_dir() {
                visit(&path, files);
                continue;
            }
            *files += 1;
            let source = fs::read_to_string(&path).expect("a source file");
            for forbidden in ["maddubs_epi16", "dpbusds_epi32", "dpwssds_epi32", "hadds_epi16", "adds_epi16"] {
                assert!(!source.contains(forbidden), "{} uses {forbidden}", path.display());
            }
        }
    }
    let mut files = 0;
    visit(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/kernels/simd"), &mut files);
    assert!(files > 5, "found {files} sources");
}

/// What the kernel says of the CPU and what the engine offers must agree: a backend that is wrongly passed over would make every
/// comparison of it pass by not being made.
#[test]
fn backends_of_this_cpu_are_all_compared() {
    let Ok(info) = fs::read_to_string("/proc/cpuinfo") else { return };
    let Some(flags) = info.lines().find(|line| line.starts_with("flags")) else { return };
    let has = |all: &[&str]| all.iter().all(|flag| flags.split_whitespace().any(|f| f == *flag));
    assert_eq!(Backend::Avx2.kernels().is_ok(), has(&["avx2"]));
    let avx512 = ["avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512_vnni"];
    assert_eq!(Backend::Avx512.kernels().is_ok(), has(&avx512));
}

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
