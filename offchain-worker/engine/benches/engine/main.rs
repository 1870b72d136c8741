//! The speed of the engine beside candle's own, on the same machine in the same run.
//!
//! `cargo bench -p assay-engine` measures both shapes; `-- demo` or `-- 1b` one of them. The number of threads is
//! that of the machine, or `RAYON_NUM_THREADS`, for every contender alike. Weights are random: speed does not
//! depend on them.

mod candle;
mod checks;
mod contender;
mod exact;
mod machine;
mod shape;

use assay_engine::{kernels::Backend, stage::Setup};

use candle::{F32, Q8};
use contender::{median, rate, Contender, Plan};
use exact::Exact;
use shape::{Error, Shape};

/// Memory for the 1.1 B shape in f32, in Q8_0 and as a package, with room to spare.
const LARGE_MEMORY: usize = 10 << 30;

fn main() -> Result<(), Error> {
    let chosen: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    let wants = |name: &str| chosen.is_empty() || chosen.iter().any(|c| c == name);
    let threads = std::env::var("RAYON_NUM_THREADS").ok().and_then(|n| n.parse().ok()).filter(|n| *n > 0);
    let threads = threads.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));

    println!("{}", machine::describe(threads));
    println!("kernels: {}", Backend::detect());
    let bandwidth = machine::read_bandwidth(threads);
    println!("memory read bandwidth: {:.1} GB/s\n", bandwidth / 1e9);

    if wants("demo") {
        let plan = Plan { rounds: 7, prompt: 128, tokens: 128 };
        measure(Shape::DEMO, plan, threads, bandwidth, 256, true)?;
    }
    if wants("1b") {
        let plan = Plan { rounds: 3, prompt: 128, tokens: 16 };
        measure(Shape::LLAMA_1B, plan, threads, bandwidth, 64, machine::available_memory() > LARGE_MEMORY)?;
    }
    Ok(())
}

/// One shape: all contenders in turn, then what verification costs.
fn measure(
    shape: Shape,
    plan: Plan,
    threads: usize,
    bandwidth: f64,
    recheck_tokens: usize,
    with_candle: bool,
) -> Result<(), Error> {
    println!("{}, random weights", shape.name);
    let directory = tempfile::tempdir()?;
    let package = exact::package(&shape, &directory.path().join("package"))?;
    let setup = Setup::new(Backend::detect(), threads).shared()?;
    let mut contenders: Vec<Box<dyn Contender>> = vec![Box::new(Exact::new(shape, package.clone(), setup.clone()))];
    if with_candle {
        contenders.push(Box::new(Q8::new(shape)?));
        contenders.push(Box::new(F32::new(shape)?));
    } else {
        println!("candle left out: its f32 weights need {} GiB of free memory", LARGE_MEMORY >> 30);
    }

    let times = contender::run(&mut contenders, plan, shape.vocab)?;
    println!(
        "medians of {} rounds in turn (slowest to fastest), prompt of {}, then {} tokens",
        plan.rounds, plan.prompt, plan.tokens
    );
    println!("{:<16}{:<34}{:<34}decode / bandwidth limit", "", "prefill, tokens/s", "decode, tokens/s");
    for (contender, times) in contenders.iter().zip(&times) {
        let limit = bandwidth / contender.bytes_per_token() as f64;
        let share = 1.0 / median(&mut times.decode.clone()).as_secs_f64() / limit;
        println!(
            "{:<16}{:<34}{:<34}{:.0} %",
            contender.name(),
            rate(plan.prompt, &times.prefill),
            rate(1, &times.decode),
            100.0 * share
        );
    }
    if let [exact, others @ ..] = &times[..] {
        let speed = |times: &[std::time::Duration]| 1.0 / median(&mut times.to_vec()).as_secs_f64();
        for (other, contender) in others.iter().zip(&contenders[1..]) {
            println!(
                "assay / {}: prefill {:.2}x, decode {:.2}x",
                contender.name(),
                speed(&exact.prefill) / speed(&other.prefill),
                speed(&exact.decode) / speed(&other.decode)
            );
        }
        let (hashing, token) = (checks::commitment_time(&shape), median(&mut exact.decode.clone()));
        println!(
            "commitments: {:.1} us per token, {:.2} % of decode",
            hashing.as_secs_f64() * 1e6,
            100.0 * hashing.as_secs_f64() / token.as_secs_f64()
        );
    }
    // The others' weights are not needed any more.
    drop(contenders);
    let (generated, checked) = checks::recheck(&shape, &package, &setup, 32, recheck_tokens)?;
    println!(
        "re-check of 32 + {recheck_tokens} tokens by prefill: {:.1} ms, {:.1} % of the {:.1} ms that generated them; commitment equal",
        checked.as_secs_f64() * 1e3,
        100.0 * checked.as_secs_f64() / generated.as_secs_f64(),
        generated.as_secs_f64() * 1e3
    );
    if shape.layers <= Shape::DEMO.layers {
        let (same, all) = checks::agreement(&shape, &package)?;
        println!("exactness: {same} of {all} generations equal scalar's (backends, 1 to 3 threads, 1 to 4 stages)");
        if same != all {
            return Err("the backends disagree".into());
        }
    }
    println!();
    Ok(())
}
