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
    package::Package,
    stage::{Control, Setup},
    tokenizer::Tokenizer,
    EngineError,
};
use clap::Args;

use super::{open, stages_json, Result};

/// Arguments of `embed`.
#[derive(Debug, Args)]
pub struct Embed {
    /// Package directory or archive of an encoder.
    #[arg(long, visible_alias = "package")]
    model: PathBuf,
    #[command(flatten)]
    texts: Texts,
    /// One JSON object a line: the vector's integers (units of 2^-15) and the stages' commitments.
    #[arg(long)]
    json: bool,
    /// Cut a text that is longer than the model's context; otherwise that is an error.
    #[arg(long, conflicts_with = "ids")]
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

/// What to embed.
#[derive(Debug, Args)]
#[group(multiple = false)]
struct Texts {
    /// The texts, one vector each. Without any, each line of FILE or of standard input is a text.
    text: Vec<String>,
    /// Read the texts from here, one a line; `-` for standard input.
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// One text as token ids, separated by commas, special ones included.
    #[arg(long, value_delimiter = ',')]
    ids: Option<Vec<u32>>,
}

impl Embed {
    /// Embeds the texts in order; each vector is printed when it is there.
    pub fn run(self) -> Result<()> {
        let package = Arc::new(open(&self.model)?);
        let threads = self.threads.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
        let mut embedder = Embedder::open(&package, self.stages, &Setup::new(self.backend, threads))?;
        let mut print = |number: usize, ids: &[u32]| -> Result<()> {
            let embedding = embedder.embed(ids, &mut Control::default())?;
            let line = if self.json { self.json(&package, number, ids, &embedding)? } else { plain(&embedding) };
            let mut out = std::io::stdout().lock();
            writeln!(out, "{line}")?;
            Ok(out.flush()?)
        };
        if let Some(ids) = &self.texts.ids {
            // Ids in, integers out needs no tokenizer.
            return print(1, ids);
        }

        let mut tokenizer = Tokenizer::load(&package)?;
        if self.truncate {
            tokenizer = tokenizer.truncating(package.header().context as usize)?;
        }
        let mut embed = |number: usize, text: &str| {
            print(number, &tokenizer.encode(text)?).map_err(|error| match error.downcast_ref() {
                Some(EngineError::TextLength { .. }) => format!("text {number}: {error} (--truncate cuts it)").into(),
                _ => error,
            })
        };
        let lines: Box<dyn BufRead> = match &self.texts.file {
            _ if !self.texts.text.is_empty() => {
                return (1..).zip(&self.texts.text).try_for_each(|(number, text)| embed(number, text))
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

    fn json(&self, package: &Package, number: usize, ids: &[u32], embedding: &Embedding) -> Result<String> {
        let object = serde_json::json!({
            "model_root": Hex(&package.model_root()).to_string(),
            "text": number,
            "tokens": ids.len(),
            "embedding": embedding.v,
            "stages": stages_json(package, self.stages, &embedding.commits)?,
        });
        Ok(object.to_string())
    }
}

/// The entries, which are multiples of 2^-15, in decimals that give them back exactly.
fn plain(embedding: &Embedding) -> String {
    let entries: Vec<String> = embedding.to_f32().into_iter().map(|v| v.to_string()).collect();
    entries.join(" ")
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::super::{Cli, Command};

    #[test]
    fn embed_takes_texts_or_a_file_or_ids_but_not_two_of_them() {
        let parse = |args: &[&str]| {
            Cli::try_parse_from([&["assay-engine", "embed", "--model", "m"], args].concat()).map(|cli| cli.command)
        };
        for two in [&["a", "--ids", "1"][..], &["a", "--file", "f"], &["--file", "f", "--ids", "1"]] {
            assert!(parse(two).is_err(), "{two:?}");
        }
        assert!(parse(&["--ids", "1,x"]).is_err() && parse(&["--ids", "1", "--truncate"]).is_err());
        let Ok(Command::Embed(embed)) = parse(&["--ids", "1,2", "--stages", "3", "--json"]) else {
            panic!("ids are taken")
        };
        assert_eq!((embed.texts.ids, embed.stages, embed.json), (Some(vec![1, 2]), 3, true));
        let Ok(Command::Embed(embed)) = parse(&["a", "b"]) else { panic!("texts are taken") };
        assert_eq!(embed.texts.text, ["a", "b"]);
        assert!(parse(&[]).is_ok(), "standard input");
    }
}
