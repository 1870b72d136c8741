//! The results as tables in Markdown.

use super::{
    measure::{count, Results, BATCH},
    process::Who,
    shape::Shape,
    stats::{figure, median, ratios, spread},
};

/// What was measured of this engine alone, with all threads.
#[derive(Clone, Debug)]
pub struct Alone {
    /// Seconds per token of hashing what is committed.
    pub commitment: f64,
    /// Of each re-check, its share of the time that generated the answer.
    pub recheck: Vec<f64>,
    /// Prompt and answer that were re-checked.
    pub recheck_tokens: (usize, usize),
    /// Bytes of the package's files.
    pub package: usize,
}

/// All contenders, all numbers of threads.
pub fn speeds(shape: &Shape, results: &[Results]) -> String {
    let Some(plan) = results.first().map(|r| r.plan) else { return String::new() };
    let [short, long] = plan.contexts.map(figure_of);
    let mut text = format!(
        "Tokens per second: medians of {} rounds in turn (slowest to fastest). Limit: what the same threads read from memory, \
         {}, over the bytes of weights that a token needs.\n\n\
         | threads | | prefill of {} | decode at {short} | decode at {long} | of the limit, at {short} and {long} | \
         {BATCH} sequences at {short} |\n|---|---|---|---|---|---|---|\n",
        rounds(results),
        results.iter().map(|r| format!("{}: {} GB/s", count(r.threads), spread(&in_gb(&r.bandwidth)))).collect::<Vec<_>>().join("; "),
        plan.prefill,
    );
    for result in results {
        for samples in &result.samples {
            let share = |decode: &[f64]| percent(of_limit(shape, result, samples.who, decode));
            let batch = if samples.batch.is_empty() { "not offered".into() } else { spread(&samples.batch) };
            text += &format!(
                "| {} | {} | {} | {} | {} | {}, {} | {batch} |\n",
                result.threads,
                samples.who.name(),
                spread(&samples.prefill),
                spread(&samples.decode[0]),
                spread(&samples.decode[1]),
                share(&samples.decode[0]),
                share(&samples.decode[1]),
            );
        }
    }
    text
}

/// What must hold, what was measured, and whether it does.
pub fn targets(shape: &Shape, results: &Results, alone: &Alone) -> String {
    let mut text = format!("| {} | measured | target | |\n|---|---|---|---|\n", count(results.threads));
    let mut row = |what: String, measured: String, target: &str, holds: Option<bool>| {
        let verdict = holds.map_or("not measured", |holds| if holds { "holds" } else { "missed" });
        text += &format!("| {what} | {measured} | {target} | {verdict} |\n");
    };
    let Some(assay) = results.of(Who::Assay) else { return text };
    let contexts = results.plan.contexts;
    for (at, context) in contexts.into_iter().enumerate() {
        let context = figure_of(context);
        for (who, least) in [(Who::CandleQ8, 1.0), (Who::LlamaCpp, 0.9)] {
            let of = results.of(who).map(|other| ratios(&assay.decode[at], &other.decode[at])).unwrap_or_default();
            let holds = median(&of).map(|ratio| ratio >= least);
            row(format!("decode at {context} / {}", who.name()), times(&of), &format!(">= {least:.1}x"), holds);
        }
    }
    for (at, context) in contexts.into_iter().enumerate() {
        let share = of_limit(shape, results, Who::Assay, &assay.decode[at]);
        row(
            format!("decode at {}, of the limit", figure_of(context)),
            percent(share),
            ">= 70 %",
            share.map(|s| s >= 0.7),
        );
    }
    let of = results.of(Who::CandleQ8).map(|other| ratios(&assay.prefill, &other.prefill)).unwrap_or_default();
    let holds = median(&of).map(|ratio| ratio >= 1.0);
    row(format!("prefill of {} / {}", results.plan.prefill, Who::CandleQ8.name()), times(&of), ">= 1.0x", holds);
    let of = ratios(&assay.batch, &assay.decode[0]);
    let holds = median(&of).map(|ratio| ratio >= 4.0);
    row(format!("{BATCH} sequences together / one, at {}", figure_of(contexts[0])), times(&of), ">= 4.0x", holds);
    let share = median(&assay.decode[0]).map(|rate| alone.commitment * rate);
    let measured = format!("{} ({:.1} us)", exact_percent(share), alone.commitment * 1e6);
    row("commitments, of decode time".into(), measured, "<= 2 %", share.map(|s| s <= 0.02));
    let share = median(&alone.recheck);
    let (prompt, answer) = alone.recheck_tokens;
    let measured = spread(&alone.recheck.iter().map(|s| 100.0 * s).collect::<Vec<_>>());
    row(
        format!("re-check of {prompt} + {answer} tokens by prefill, of the time that generated them"),
        format!("{measured} %"),
        "<= 20 %",
        share.map(|s| s <= 0.2),
    );
    let (resident, positions) = assay.memory;
    let needed = alone.package + positions * shape.cache_bytes();
    let measured = format!(
        "{} MiB resident ({} mapped) of {} MiB: {:+.1} %",
        mib(resident.all),
        mib(resident.mapped),
        mib(needed),
        100.0 * (resident.all as f64 / needed as f64 - 1.0)
    );
    let holds = resident.all as f64 <= 1.1 * needed as f64;
    row(format!("memory after {positions} positions, of weights and cache"), measured, "<= +10 %", Some(holds));
    text
}

/// Whether the contenders, which have the same weights, give the same token after the same prompt.
pub fn agreement(results: &Results) -> String {
    let Some(assay) = results.of(Who::Assay) else { return String::new() };
    let word = |next| if next == assay.next { "the same id" } else { "another id" };
    let said =
        results.samples.iter().filter(|s| s.who != Who::Assay).map(|s| format!("{}: {}", s.who.name(), word(s.next)));
    format!(
        "The id after a prompt of {}, beside this engine's: {}.",
        results.plan.prefill,
        said.collect::<Vec<_>>().join("; ")
    )
}

/// The share of its limit that decoding reaches.
fn of_limit(shape: &Shape, results: &Results, who: Who, decode: &[f64]) -> Option<f64> {
    Some(median(decode)? * who.bytes_per_token(shape) / median(&results.bandwidth)?)
}

fn rounds(results: &[Results]) -> String {
    results.iter().map(|r| format!("{} ({})", r.plan.rounds, count(r.threads))).collect::<Vec<_>>().join(" and ")
}

fn in_gb(bandwidth: &[f64]) -> Vec<f64> {
    bandwidth.iter().map(|b| b / 1e9).collect()
}

fn figure_of(n: usize) -> String {
    if n < 1000 {
        n.to_string()
    } else {
        figure(n as f64)
    }
}

fn times(ratios: &[f64]) -> String {
    // The sign after the median.
    spread(ratios).replacen(" (", "x (", 1)
}

fn percent(share: Option<f64>) -> String {
    share.map_or("-".into(), |share| format!("{:.0} %", 100.0 * share))
}

fn exact_percent(share: Option<f64>) -> String {
    share.map_or("-".into(), |share| format!("{:.2} %", 100.0 * share))
}

fn mib(bytes: usize) -> usize {
    bytes >> 20
}
