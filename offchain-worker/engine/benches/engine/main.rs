//! The speed of the engine beside candle's own Llamas and llama.cpp, on the same machine in the same run, with the same
//! weights.
//!
//! `make bench-engine` measures all shapes; `BENCH=demo`, `BENCH=0.5b` or `BENCH=1b` one of them. Every contender runs in a
//! process of its own ([`contender`]) and does the same in turn ([`measure`]). Weights are random: speed does not depend on
//! them. `ASSAY_LLAMA_CPP` names a Python that can load llama.cpp (`scripts/llama-cpp.sh`); without it that column is left
//! out.

mod candle;
mod checks;
mod contender;
mod exact;
mod gguf;
mod machine;
mod measure;
mod process;
mod report;
mod shape;
mod stats;
mod weights;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Instant,
};

use assay_engine::{kernels::Backend, package::Package, stage::Setup};

use measure::{Plan, Results};
use process::{Files, Who};
use report::Alone;
use shape::{Error, Shape};

/// Prompt and answer of the re-check, and how often it is measured.
const RECHECK: (usize, usize, usize) = (32, 256, 3);

fn main() -> Result<(), Error> {
    let words: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    if let [first, rest @ ..] = &words[..] {
        if first == "contender" {
            return serve(rest);
        }
    }
    let unknown = words.iter().find(|word| Shape::by_key(word).is_none());
    if let Some(word) = unknown {
        let keys = Shape::ALL.map(|shape| shape.key).join(", ");
        return Err(format!("there is no shape {word:?}: choose of {keys}").into());
    }
    let python = std::env::var_os("ASSAY_LLAMA_CPP").filter(|path| !path.is_empty()).map(PathBuf::from);
    let all = std::thread::available_parallelism().map_or(1, usize::from);

    println!("{}\nkernels: {}", machine::describe(), Backend::detect());
    if python.is_none() {
        println!(
            "llama.cpp is left out: ASSAY_LLAMA_CPP names no Python that can load it (scripts/llama-cpp.sh builds it)"
        );
    }
    let begin = Instant::now();
    for shape in Shape::ALL {
        if words.is_empty() || words.iter().any(|word| word == shape.key) {
            measure(&shape, all, python.as_deref())?;
        }
    }
    println!("\nMeasured in {:.1} minutes.", begin.elapsed().as_secs_f64() / 60.0);
    Ok(())
}

/// One shape: all contenders with all threads and with one, then what verification costs.
fn measure(shape: &Shape, all: usize, python: Option<&Path>) -> Result<(), Error> {
    println!("\n### {}\n", shape.name);
    measure::progress("writing the weights");
    // In the build's own folder, so that a stopped run leaves nothing elsewhere; the next run removes it.
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("engine-bench");
    if folder.exists() {
        std::fs::remove_dir_all(&folder)?;
    }
    std::fs::create_dir_all(&folder)?;
    let files = Files { package: folder.join("package"), gguf: folder.join("model.gguf") };
    exact::write_package(shape, &files.package)?;
    let package_bytes = machine::settle(&files.package)?;
    gguf::write(shape, &files.gguf)?;

    let mut contenders = vec![Who::Assay];
    contenders.extend(python.map(|_| Who::LlamaCpp));
    contenders.push(Who::CandleQ8);
    // In f32, three times in 8 bits, the file in the cache of the system, and room to spare.
    let needed = 9 * shape.parameters() + (3 << 30);
    if machine::available_memory() >= needed {
        contenders.push(Who::CandleF32);
    } else {
        println!("candle f32 is left out: all of it needs {} GiB of free memory\n", needed >> 30);
    }

    let plan = Plan::of(shape);
    let mut results = vec![measure::run(shape, &files, plan, &contenders, all, python)?];
    if all > 1 {
        let plan = Plan { rounds: plan.rounds.div_ceil(2), ..plan };
        results.push(measure::run(shape, &files, plan, &contenders, 1, python)?);
    }
    let alone = alone(shape, &files, package_bytes, all)?;
    print(shape, &results, &alone);
    std::fs::remove_dir_all(&folder)?;
    Ok(())
}

/// What is measured of this engine only.
fn alone(shape: &Shape, files: &Files, package_bytes: usize, threads: usize) -> Result<Alone, Error> {
    measure::progress("re-checks");
    let package = Arc::new(Package::open(&files.package)?);
    let setup = Setup::new(Backend::detect(), threads).shared()?;
    let (prompt, answer, times) = RECHECK;
    let mut recheck = Vec::new();
    for _ in 0..times {
        let (generated, checked) = checks::recheck(shape, &package, &setup, prompt, answer)?;
        recheck.push(checked.as_secs_f64() / generated.as_secs_f64());
    }
    if shape.layers <= Shape::DEMO.layers {
        let (same, all) = checks::agreement(shape, &package)?;
        measure::progress("");
        println!("Exactness: {same} of {all} generations equal scalar's (backends, 1 to 3 threads, 1 to 4 stages).\n");
        if same != all {
            return Err("the backends disagree".into());
        }
    }
    measure::progress("");
    let commitment = checks::commitment_time(shape);
    Ok(Alone { commitment, recheck, recheck_tokens: (prompt, answer), package: package_bytes })
}

fn print(shape: &Shape, results: &[Results], alone: &Alone) {
    println!("{}", report::speeds(shape, results));
    let Some(first) = results.first() else { return };
    println!("{}", report::targets(shape, first, alone));
    println!("{}", report::agreement(first));
    for about in first.about.iter().filter(|about| !about.is_empty()) {
        let lacking = machine::lacking(about);
        let native = if lacking.is_empty() {
            "native code".into()
        } else {
            format!("NOT native code, lacks {}", lacking.join(", "))
        };
        println!("{about}: {native}.");
    }
}

/// A contender's process: `contender KIND SHAPE THREADS SLOTS PATH`.
fn serve(words: &[String]) -> Result<(), Error> {
    let [kind, key, threads, slots, path] = words else { return Err("a contender has five arguments".into()) };
    let shape = Shape::by_key(key).ok_or_else(|| format!("there is no shape {key:?}"))?;
    let (threads, slots, path) = (threads.parse()?, slots.parse()?, Path::new(path));
    let mut contender: Box<dyn contender::Contender> = match &kind[..] {
        "assay" => Box::new(exact::Exact::open(shape, path, &Setup::new(Backend::detect(), threads), slots)?),
        "candle-q8" => Box::new(candle::Q8::open(path, slots)?),
        "candle-f32" => Box::new(candle::F32::open(shape, path, slots)?),
        other => return Err(format!("there is no contender {other:?}").into()),
    };
    contender::serve(&mut *contender, String::new(), &shape)
}
