//! What is compared, each in a process of its own: threads, memory and idle habits of one do not touch another's.
//!
//! The process is told what to do by lines of JSON on its standard input, and answers each by one on its standard output.
//! `llama_contender.py` is the same for llama.cpp.

use std::{
    io::{BufRead, Write},
    time::Instant,
};

use serde::{Deserialize, Serialize};

use super::shape::{Error, Shape};

/// A decoder that holds several sequences, each in a slot.
pub trait Contender {
    /// Begins a new sequence in `slot`, computes the prompt, up to the logits of its last position, and returns the id that
    /// they favour.
    fn prefill(&mut self, slot: usize, prompt: &[u32]) -> Result<u32, Error>;

    /// Computes one more position of the sequence in each of `slots`, all together, up to its logits.
    fn decode(&mut self, slots: &[usize]) -> Result<(), Error>;

    /// How many sequences [`Self::decode`] takes at most.
    fn together(&self) -> usize {
        1
    }
}

/// What a contender is told.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "lowercase")]
pub enum Request {
    /// [`Contender::prefill`] of [`Shape::prompt`].
    Prefill { slot: usize, prompt: usize },
    /// [`Contender::decode`], so many times.
    Decode { slots: Vec<usize>, tokens: usize },
}

/// What it answers. The first line of all says that it is ready.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Reply {
    /// What it is and how it was built.
    pub about: String,
    /// [`Contender::together`].
    pub together: usize,
    /// What each prefill or step took.
    pub seconds: Vec<f64>,
    /// The id that follows the prompt.
    pub next: Option<u32>,
    /// Why there is nothing else.
    pub error: Option<String>,
}

/// Does what it is told until its input ends.
pub fn serve(contender: &mut dyn Contender, about: String, shape: &Shape) -> Result<(), Error> {
    let mut out = std::io::stdout().lock();
    let mut say = |reply: &Reply| -> Result<(), Error> {
        serde_json::to_writer(&mut out, reply)?;
        writeln!(out)?;
        Ok(out.flush()?)
    };
    say(&Reply { about, together: contender.together(), ..Reply::default() })?;
    for line in std::io::stdin().lock().lines() {
        let request = serde_json::from_str(&line?)?;
        say(&answer(contender, request, shape)
            .unwrap_or_else(|e| Reply { error: Some(e.to_string()), ..Reply::default() }))?;
    }
    Ok(())
}

fn answer(contender: &mut dyn Contender, request: Request, shape: &Shape) -> Result<Reply, Error> {
    match request {
        Request::Prefill { slot, prompt } => {
            let prompt = shape.prompt(prompt);
            let begin = Instant::now();
            let next = contender.prefill(slot, &prompt)?;
            Ok(Reply { seconds: vec![begin.elapsed().as_secs_f64()], next: Some(next), ..Reply::default() })
        }
        Request::Decode { slots, tokens } => {
            let mut seconds = Vec::with_capacity(tokens);
            for _ in 0..tokens {
                let begin = Instant::now();
                contender.decode(&slots)?;
                seconds.push(begin.elapsed().as_secs_f64());
            }
            Ok(Reply { seconds, ..Reply::default() })
        }
    }
}
