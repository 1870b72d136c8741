//! `assay-engine embed`: texts to vectors.

use std::{
    io::{BufRead, Write},
    path::PathBuf,
    sync::Arc,
};

use assay_engine::{
    embed::{Embedder, Embedding},
    hex::Hex,
    kernels::Backend,
    stage::{Control, Setup},
    tokenizer::Tokenizer,
    EngineError,
};
use clap::Args;

use super::{open, Result};

/// Arguments of `embed`.
#[derive(Debug, Args)]
pub struct Embed {
    /// Package directory or archive of an encoder.
    #[arg(long, visible_alias = "package")]
    model: PathBuf,
    /// The texts, one vector each. Without any, each line of FILE or of standard input is a text.
    text: Vec<String>,
    /// Read the texts from here, one a line; `-` for standard input.
    #[arg(long, value_name = "FILE", conflicts_with = "text")]
    file: Option<PathBuf>,
    /// One JSON object a line, with the tokens and the stages' roots.
    #[arg(long)]
    json: bool,
    /// Cut a text that is longer than the model's context; otherwise that is an error.
    #[arg(long)]
    truncate: bool,
    /// Divide the layers over this many stages.
    #[arg(long, default_value_t = 1)]
    stages: u32,
    /// Threads; by default one per core.
    #[arg(long)]
    threads: Option<usize>,
    /// Kernels: auto, scalar, avx2 or avx512.
    #[arg(long, default_value = "auto")]
    backend: Backend,
}

impl Embed {
    /// Embeds the texts in order; each vector is printed when it is there.
    pub fn run(self) -> Result<()> {
        let package = Arc::new(open(&self.model)?);
        let threads = self.threads.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
        let mut embedder = Embedder::open(&package, self.stages, &Setup::new(self.backend, threads))?;
        let context = package.header().context;
        let mut tokenizer = Tokenizer::load(&package)?;
        if self.truncate {
            tokenizer = tokenizer.truncating(context as usize)?;
        }
        let mut embed = |number: usize, text: &str| -> Result<()> {
            let ids = tokenizer.encode(text)?;
            let embedding = match embedder.embed(&ids, &mut Control::default()) {
                Err(error @ EngineError::TextLength { .. }) => {
                    return Err(format!("text {number}: {error} (--truncate cuts it)").into())
                }
                embedding => embedding?,
            };
            let mut out = std::io::stdout().lock();
            writeln!(out, "{}", if self.json { json(number, ids.len(), &embedding) } else { plain(&embedding) })?;
            Ok(out.flush()?)
        };
        let lines: Box<dyn BufRead> = match &self.file {
            _ if !self.text.is_empty() => {
                return (1..).zip(&self.text).try_for_each(|(number, text)| embed(number, text))
            }
            Some(path) if path.as_os_str() != "-" => {
                let file = std::fs::File::open(path).map_err(|error| format!("{}: {error}", path.display()))?;
                Box::new(std::io::BufReader::new(file))
            }
            _ => Box::new(std::io::stdin().lock()),
        };
        for (number, line) in (1..).zip(lines.lines()) {
            embed(number, &line.map_err(|error| format!("line {number}: {error}"))?)?;
        }
        Ok(())
    }
}

/// The entries, which are multiples of 2^-15, in decimals that give them back exactly.
fn entries(embedding: &Embedding) -> impl Iterator<Item = String> {
    embedding.to_f32().into_iter().map(|v| v.to_string())
}

fn plain(embedding: &Embedding) -> String {
    entries(embedding).collect::<Vec<_>>().join(" ")
}

fn json(number: usize, tokens: usize, embedding: &Embedding) -> String {
    let roots: Vec<String> = embedding.commits.iter().map(|commit| Hex(&commit.stage_root).to_string()).collect();
    serde_json::json!({
        "text": number,
        "tokens": tokens,
        "embedding": embedding.to_f32(),
        "stage_roots": roots,
    })
    .to_string()
}
