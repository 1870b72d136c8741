//! The contenders' processes, seen from the one that measures.

use std::{
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use super::{
    contender::{Reply, Request},
    machine::{self, Resident},
    shape::{Error, Shape},
};

/// Who is compared, in the order of the tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    Assay,
    LlamaCpp,
    CandleQ8,
    CandleF32,
}

impl Who {
    pub fn name(self) -> &'static str {
        match self {
            Self::Assay => "assay (exact)",
            Self::LlamaCpp => "llama.cpp Q8_0",
            Self::CandleQ8 => "candle Q8_0",
            Self::CandleF32 => "candle f32",
        }
    }

    /// Bytes of weights that decoding one token reads.
    pub fn bytes_per_token(self, shape: &Shape) -> f64 {
        let weights = shape.active_weights() as f64;
        match self {
            Self::Assay => weights,
            // A block of 32 weights carries an f16 scale.
            Self::LlamaCpp | Self::CandleQ8 => weights * 34.0 / 32.0,
            Self::CandleF32 => weights * 4.0,
        }
    }
}

/// Where the same weights lie in two forms.
#[derive(Clone, Debug)]
pub struct Files {
    pub package: PathBuf,
    pub gguf: PathBuf,
}

/// A contender's process, stopped when this is dropped.
pub struct Process {
    pub who: Who,
    /// What it said of itself.
    pub about: String,
    /// How many sequences it decodes together.
    pub together: usize,
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

impl Process {
    /// Starts one and waits until its model is loaded. `python` can load llama.cpp. Of `slots` sequences none is longer
    /// than `positions`.
    pub fn start(
        who: Who,
        shape: &Shape,
        files: &Files,
        threads: usize,
        slots: usize,
        positions: usize,
        python: Option<&Path>,
    ) -> Result<Self, Error> {
        let mut command = match who {
            Who::LlamaCpp => {
                let mut command = Command::new(python.ok_or("llama.cpp was not built")?);
                command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/benches/engine/llama_contender.py"));
                command.arg(&files.gguf).args([shape.vocab, threads, slots, positions].map(|n| n.to_string()));
                command
            }
            _ => {
                let (kind, path) = match who {
                    Who::Assay => ("assay", &files.package),
                    Who::CandleQ8 => ("candle-q8", &files.gguf),
                    _ => ("candle-f32", &files.gguf),
                };
                let mut command = Command::new(std::env::current_exe()?);
                command.args(["contender", kind, shape.key, &threads.to_string(), &slots.to_string()]).arg(path);
                command
            }
        };
        // candle takes its number of threads from here.
        command.env("RAYON_NUM_THREADS", threads.to_string()).env_remove("CANDLE_NUM_THREADS");
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        let (Some(stdin), Some(stdout)) = (stdin, stdout) else { return Err("a child without pipes".into()) };
        let mut process = Self { who, about: String::new(), together: 1, child, stdin, stdout: BufReader::new(stdout) };
        let ready = process.reply()?;
        (process.about, process.together) = (ready.about, ready.together);
        Ok(process)
    }

    /// Seconds of the prefill, and the id that follows the prompt.
    pub fn prefill(&mut self, slot: usize, prompt: usize) -> Result<(f64, u32), Error> {
        let reply = self.ask(&Request::Prefill { slot, prompt })?;
        match (&reply.seconds[..], reply.next) {
            ([seconds], Some(next)) => Ok((*seconds, next)),
            _ => Err(format!("{}: an answer that is none: {reply:?}", self.who.name()).into()),
        }
    }

    /// Seconds of each step. One more comes first and is not counted: it wakes the threads.
    pub fn decode(&mut self, slots: &[usize], tokens: usize) -> Result<Vec<f64>, Error> {
        let mut seconds = self.ask(&Request::Decode { slots: slots.to_vec(), tokens: tokens + 1 })?.seconds;
        if seconds.len() != tokens + 1 {
            return Err(format!("{}: {} steps of {}", self.who.name(), seconds.len(), tokens + 1).into());
        }
        Ok(seconds.split_off(1))
    }

    /// Its resident memory now.
    pub fn resident(&self) -> Result<Resident, Error> {
        machine::resident(self.child.id())
    }

    fn ask(&mut self, request: &Request) -> Result<Reply, Error> {
        writeln!(self.stdin, "{}", serde_json::to_string(request)?)?;
        self.stdin.flush()?;
        self.reply()
    }

    fn reply(&mut self) -> Result<Reply, Error> {
        let name = self.who.name();
        let mut line = String::new();
        if self.stdout.read_line(&mut line)? == 0 {
            return Err(format!("{name}: its process ended, {}", self.child.wait()?).into());
        }
        let reply: Reply = serde_json::from_str(&line).map_err(|e| format!("{name}: {e} in {line:?}"))?;
        match reply.error {
            Some(error) => Err(format!("{name}: {error}").into()),
            None => Ok(reply),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already; either way nothing of it is needed any more.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
