//! Runs a target over many inputs and reports the ones that break the rules: no panic, and no memory beyond a multiple of the
//! input's size.
//!
//! | variable | meaning |
//! |---|---|
//! | `ASSAY_FUZZ_INPUTS` | inputs of all targets together; 20,000 by default |
//! | `ASSAY_FUZZ_SEED` | another seed gives other inputs; 1 by default |
//! | `ASSAY_FUZZ_ONLY` | runs the one input of this index |

use crate::{allocator, support::Random, watch};
use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    panic::{catch_unwind, set_hook, take_hook, AssertUnwindSafe},
    sync::Once,
    time::{Duration, Instant},
};

/// What tokenizers are tried on.
pub const TEXT: &str = "a b ab  abc\n\u{e9}\u{4e2d} z </s> 12345 it's a b c d e f g h i j k l m n o p";

/// Failures that are shown before a run gives up.
const SHOWN: usize = 5;
/// Fewer inputs say nothing about what the mutations reach.
const REPRESENTATIVE: u64 = 1000;

thread_local! {
    /// Whether this thread is within an entry point.
    static RUNNING: Cell<bool> = const { Cell::new(false) };
    /// Panics there since the last look, those included that the entry point itself turned into an error.
    static PANICS: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// Within entry points, keeps a panic's message instead of printing it: a backtrace costs more memory than any input may.
fn keep_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let default = take_hook();
        set_hook(Box::new(move |info| match RUNNING.get() {
            true => PANICS.with_borrow_mut(|panics| panics.push(info.to_string().replace('\n', " "))),
            false => default(info),
        }));
    });
}

/// One entry point.
pub trait Target {
    /// For reports.
    const NAME: &'static str;
    /// Its share of all inputs, in thousandths; by speed.
    const SHARE: u64;
    /// Memory that any input may cost, in bytes: tables whose size has a limit in the specification.
    const BASE: usize;
    /// Bytes of memory per byte of input on top of it.
    const PER_BYTE: usize;
    /// Whether the entry point starts threads, whose memory counts too.
    const THREADS: bool = false;

    /// Makes the next input and puts it where the entry point reads it; returns its size in bytes.
    fn prepare(&mut self, random: &mut Random) -> usize;

    /// Calls the entry point. `Err` is its error as text: a refusal, which is as good as success.
    fn run(&mut self) -> Result<(), String>;
}

/// Runs `target`. Panics if any input failed, or if the inputs were too dull: fewer than `kinds` different errors, or none
/// accepted.
pub fn fuzz<T: Target>(mut target: T, kinds: usize) {
    let number = |name: &str| std::env::var(name).ok().map(|value| value.parse::<u64>().expect(name));
    let inputs = number("ASSAY_FUZZ_INPUTS").unwrap_or(20_000) * T::SHARE / 1000;
    let seed = number("ASSAY_FUZZ_SEED").unwrap_or(1);
    let only = number("ASSAY_FUZZ_ONLY");
    keep_panics();
    let begin = Instant::now();
    let mut summary = Summary::default();
    for index in only.map_or(0..inputs, |index| index..index + 1) {
        // Each input depends on its index alone, so any one can be run again by itself.
        let mut random = Random::new(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (index + 1));
        let size = target.prepare(&mut random);
        let started = Instant::now();
        let watched = watch::over(T::NAME, index);
        allocator::start(T::NAME, index);
        RUNNING.set(true);
        let result = catch_unwind(AssertUnwindSafe(|| target.run()));
        RUNNING.set(false);
        let peak = allocator::peak() + if T::THREADS { allocator::peak_of_others() } else { 0 };
        drop(watched);
        summary.slowest = summary.slowest.max((started.elapsed(), index));
        let limit = T::BASE + T::PER_BYTE * size;
        summary.heaviest = summary.heaviest.max((peak, index));
        if peak > limit {
            summary.fail(format!("input {index} of {size} bytes held {peak} bytes of memory, more than {limit}"));
        }
        let panics = PANICS.take();
        match result {
            Ok(Ok(())) => summary.accepted += 1,
            Ok(Err(error)) => {
                if only.is_some() {
                    eprintln!("{}: {error}", T::NAME);
                }
                *summary.refusals.entry(kind(&error)).or_default() += 1;
            }
            Err(_) => summary.fail(format!("input {index}: {}", panics.join("; "))),
        }
        for panic in panics {
            // By its place; the words may quote the input.
            let place = panic.split(": ").next().unwrap_or_default().to_string();
            summary.contained.entry(place).or_insert((0, index)).0 += 1;
        }
        if summary.failures.len() >= SHOWN {
            break;
        }
    }
    eprintln!(
        "{}: {inputs} inputs in {:.1} s: {} accepted, {} refused for {} reasons; slowest {:?}, most memory {} KiB (inputs {} and {})",
        T::NAME,
        begin.elapsed().as_secs_f64(),
        summary.accepted,
        summary.refusals.values().sum::<u64>(),
        summary.refusals.len(),
        summary.slowest.0,
        summary.heaviest.0 >> 10,
        summary.slowest.1,
        summary.heaviest.1,
    );
    for (panic, (times, first)) in &summary.contained {
        eprintln!("{}: {times} panics from input {first} on: {panic}", T::NAME);
    }
    assert!(
        summary.failures.is_empty(),
        "{}, seed {seed} (ASSAY_FUZZ_SEED={seed} ASSAY_FUZZ_ONLY=index runs one again):\n{}",
        T::NAME,
        summary.failures.join("\n")
    );
    if only.is_none() && inputs >= REPRESENTATIVE {
        assert!(summary.accepted > 0, "{}: every input was refused", T::NAME);
        assert!(summary.refusals.len() >= kinds, "{}: only {:#?}", T::NAME, summary.refusals);
    }
}

#[derive(Default)]
struct Summary {
    accepted: u64,
    refusals: BTreeMap<String, u64>,
    failures: Vec<String>,
    /// Panics that ended as errors: how many, and the first input.
    contained: BTreeMap<String, (u64, u64)>,
    slowest: (Duration, u64),
    heaviest: (usize, u64),
}

impl Summary {
    fn fail(&mut self, failure: String) {
        eprintln!("{failure}");
        self.failures.push(failure);
    }
}

/// An error without what differs from input to input: its words, but no path, number or name.
fn kind(error: &str) -> String {
    let words = error.split_whitespace().filter(|word| {
        let plain = word.trim_end_matches([':', ';', ',']);
        plain.len() > 1 && plain.bytes().all(|b| b.is_ascii_lowercase())
    });
    words.take(8).collect::<Vec<_>>().join(" ")
}
