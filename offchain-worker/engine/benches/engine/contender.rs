//! What is compared, and how: the same prompt, the same number of tokens, turn by turn.

use std::time::{Duration, Instant};

use super::shape::Error;

/// A decoder of one shape.
pub trait Contender {
    fn name(&self) -> &'static str;

    /// Bytes of weights that decoding one token reads.
    fn bytes_per_token(&self) -> usize;

    /// Begins a new sequence and computes the prompt, up to the logits of its last position.
    fn prefill(&mut self, prompt: &[u32]) -> Result<(), Error>;

    /// Computes one more position, up to its logits.
    fn decode(&mut self) -> Result<(), Error>;
}

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    pub rounds: usize,
    pub prompt: usize,
    pub tokens: usize,
}

/// The times of one contender.
#[derive(Clone, Debug, Default)]
pub struct Times {
    /// Per round, of the whole prompt.
    pub prefill: Vec<Duration>,
    /// Per round, the median of one token.
    pub decode: Vec<Duration>,
}

/// Rounds of all contenders in turn, so that what else the machine does falls on all of them. The first
/// round warms up and is dropped.
pub fn run(contenders: &mut [Box<dyn Contender>], plan: Plan, vocab: usize) -> Result<Vec<Times>, Error> {
    let mut times = vec![Times::default(); contenders.len()];
    let prompt: Vec<u32> = (0..plan.prompt).map(|i| (i * 7919 % vocab) as u32).collect();
    for round in 0..=plan.rounds {
        for (contender, times) in contenders.iter_mut().zip(&mut times) {
            eprint!("\r  round {round} of {}: {:<24}", plan.rounds, contender.name());
            let begin = Instant::now();
            contender.prefill(&prompt)?;
            let prefill = begin.elapsed();
            let tokens = if round == 0 { 2 } else { plan.tokens };
            let mut decode = Vec::with_capacity(tokens);
            for _ in 0..tokens {
                let begin = Instant::now();
                contender.decode()?;
                decode.push(begin.elapsed());
            }
            if round > 0 {
                times.prefill.push(prefill);
                times.decode.push(median(&mut decode));
            }
        }
    }
    eprint!("\r{:60}\r", "");
    Ok(times)
}

/// The middle one, the lower of two.
pub fn median(times: &mut [Duration]) -> Duration {
    times.sort();
    times.get(times.len().saturating_sub(1) / 2).copied().unwrap_or_default()
}

/// `units` per second: the median, and the range over rounds.
pub fn rate(units: usize, times: &[Duration]) -> String {
    let mut times = times.to_vec();
    let middle = median(&mut times);
    let per_second = |t: &Duration| units as f64 / t.as_secs_f64();
    match (times.last(), times.first()) {
        (Some(slowest), Some(fastest)) => {
            format!("{:9.1} ({:.1} to {:.1})", per_second(&middle), per_second(slowest), per_second(fastest))
        }
        _ => String::from("not measured"),
    }
}
