//! The command line.

mod embed;

use std::{
    error::Error,
    io::{IsTerminal, Read, Write},
    ops::ControlFlow,
    path::{Path, PathBuf},
    sync::Arc,
};

use assay_engine::{
    chat::{apart, ChatTemplate, Message},
    convert, demo,
    generate::{generate, Generation, Request},
    hex::{parse_digest, Hex},
    kernels::Backend,
    package::{entry_file, Package},
    stage::{even_spans, Control, EndReason, Progress, Setup, StageCommit},
    tokenizer::Tokenizer,
    Sampling,
};
use assay_exact::{
    hash::Digest,
    header::{Flags, Kind},
};
use clap::{Args, Parser, Subcommand};

type Result<T, E = Box<dyn Error>> = std::result::Result<T, E>;

/// Runs, inspects and converts exact model packages, without a chain.
#[derive(Debug, Parser)]
#[command(name = "assay-engine", version)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Generate text.
    Generate(Generate),
    /// Turn texts into vectors.
    Embed(embed::Embed),
    /// Show what a package is.
    Inspect {
        /// Package directory or archive, or `demo`.
        package: PathBuf,
        /// Also list the entries with their roots.
        #[arg(long)]
        entries: bool,
    },
    /// Hash every byte of a package and compare with its roots.
    Verify {
        /// Package directory or archive, or `demo`.
        package: PathBuf,
        /// The model root that the package must have, 64 hexadecimal digits.
        #[arg(long, value_parser = parse_digest)]
        root: Option<Digest>,
    },
    /// Turn a Hugging Face checkpoint or a GGUF file into a package.
    Convert(convert::Arguments),
    /// Renders a chat for `generate --chat`, within limits that this process sets itself.
    #[command(name = apart::ARGUMENT, hide = true)]
    RenderChat,
}

#[derive(Debug, Args)]
struct Generate {
    /// Package directory or archive, or `demo` for the embedded model.
    #[arg(long, default_value = "demo")]
    package: PathBuf,
    #[command(flatten)]
    prompt: Prompt,
    #[command(flatten)]
    chat: Chat,
    /// Most tokens to generate.
    #[arg(long, default_value_t = 128)]
    max_new_tokens: u32,
    /// 0 takes the likeliest token; 1 draws from the model's distribution. In steps of 0.001, to 65.535.
    #[arg(long, default_value = "0", value_parser = parse_temperature)]
    temperature: u16,
    /// Draw from the K likeliest tokens only; 0 for all.
    #[arg(long, default_value_t = 0)]
    top_k: u32,
    /// Draw from the likeliest tokens that hold this probability together, above 0 to 1.
    #[arg(long, default_value = "1", value_parser = parse_top_p)]
    top_p: u32,
    /// Seed of the draws: a number, or 64 hexadecimal digits.
    #[arg(long, default_value = "0", value_parser = parse_seed)]
    seed: Digest,
    /// Divide the layers over this many stages.
    #[arg(long, default_value_t = 1)]
    stages: u32,
    /// Threads; by default one per core.
    #[arg(long)]
    threads: Option<usize>,
    /// Kernels: auto, scalar, avx2 or avx512.
    #[arg(long, default_value = "auto")]
    backend: Backend,
    /// Also print the stages' commitments.
    #[arg(long)]
    roots: bool,
    /// Print the ids and the stages' commitments as one JSON object, instead of the text.
    #[arg(long)]
    json: bool,
}

/// What to continue.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Prompt {
    /// The text to continue; `-` reads it from standard input.
    #[arg(long)]
    prompt: Option<String>,
    /// The same as token ids, separated by commas.
    #[arg(long, value_delimiter = ',')]
    ids: Option<Vec<u32>>,
}

/// How a prompt's text becomes ids.
#[derive(Debug, Args)]
struct Chat {
    /// The prompt is a user's message: the model's chat template makes the text of it.
    #[arg(long, conflicts_with = "ids")]
    chat: bool,
    /// Instructions before the message of --chat.
    #[arg(long, value_name = "TEXT", requires = "chat")]
    system: Option<String>,
}

impl Cli {
    /// Runs the command.
    pub fn run(self) -> Result<()> {
        match self.command {
            Command::Generate(arguments) => arguments.run(),
            Command::Embed(arguments) => arguments.run(),
            Command::Inspect { package, entries } => inspect(&open(&package)?, entries),
            Command::Verify { package, root } => {
                let package = open(&package)?;
                package.verify(root)?;
                println!("{}  ok", Hex(&package.model_root()));
                Ok(())
            }
            Command::Convert(arguments) => Ok(convert::run(&arguments)?),
            Command::RenderChat => Ok(apart::serve(std::io::stdin().lock(), std::io::stdout().lock())?),
        }
    }
}

impl Generate {
    fn run(self) -> Result<()> {
        let package = Arc::new(open(&self.package)?);
        // Ids in, ids out needs none.
        let tokenizer = match (&self.prompt.ids, self.json) {
            (Some(_), true) => None,
            _ => Some(Tokenizer::load(&package)?),
        };
        let prompt = match (self.prompt.ids, self.prompt.prompt, &tokenizer) {
            (Some(ids), ..) => ids,
            (None, Some(text), Some(tokenizer)) => self.chat.encode(prompt_text(text)?, &package, tokenizer)?,
            (None, ..) => return Err("give --prompt or --ids".into()),
        };
        let request = Request {
            prompt: prompt.into(),
            max_new: self.max_new_tokens,
            sampling: Sampling { temperature: self.temperature, top_k: self.top_k, top_p: self.top_p, seed: self.seed },
            stages: self.stages,
        };
        let threads = self.threads.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
        let setup = Setup::new(self.backend, threads);

        let show_progress = std::io::stderr().is_terminal();
        let mut progress = |p: Progress| {
            if show_progress && p.of > 1 {
                let end = if p.positions == p.of { "\r\x1b[K" } else { "\r" };
                eprint!("\rprompt: {} of {} tokens{end}", p.positions, p.of);
            }
        };
        let mut control = Control::default().reporting_to(&mut progress);
        let mut text = tokenizer.as_ref().filter(|_| !self.json).map(Tokenizer::stream);
        let mut out = std::io::stdout();
        let mut failed = None;
        let mut show = |piece: Result<String, _>| -> Result<()> {
            out.write_all(piece.map_err(Box::new)?.as_bytes())?;
            Ok(out.flush()?)
        };
        let generation = generate(&package, &request, &setup, &mut control, |token| {
            // The id that ends a generation is part of the answer's ids but not of its text.
            let Some(text) = text.as_mut().filter(|_| token.end != Some(EndReason::Eos)) else {
                return ControlFlow::Continue(());
            };
            match show(text.push(token.id)) {
                Ok(()) => ControlFlow::Continue(()),
                Err(error) => {
                    failed = Some(error);
                    ControlFlow::Break(())
                }
            }
        })?;
        if let Some(error) = failed {
            return Err(error);
        }
        match text {
            Some(text) => {
                show(text.finish())?;
                println!();
            }
            None => println!("{}", generation_json(&package, self.stages, &generation)?),
        }

        let (prompt, new) = (generation.prompt_length, generation.generated().len());
        eprintln!(
            "{prompt} prompt tokens in {:.3} s ({:.1}/s); {new} new tokens, {:.1}/s; {} kernels, {threads} threads, {} stages",
            generation.prefill.as_secs_f64(),
            prompt as f64 / generation.prefill.as_secs_f64(),
            // The first new token comes with the prompt.
            (new - 1) as f64 / generation.decode.as_secs_f64().max(1e-9),
            self.backend,
            self.stages,
        );
        if self.roots {
            for (i, commit) in generation.commits.iter().enumerate() {
                eprintln!("stage {i}: {}", Hex(&commit.stage_root));
                eprintln!("  in {}  out {}", Hex(&commit.in_root), Hex(&commit.out_root));
                eprintln!("  kv {}  tail {}", Hex(&commit.kv_root), Hex(&commit.tail_root));
            }
        }
        Ok(())
    }
}

impl Chat {
    /// The ids of a prompt: of its text, or of what the model's chat template makes of it.
    fn encode(self, prompt: String, package: &Package, tokenizer: &Tokenizer) -> Result<Vec<u32>> {
        if !self.chat {
            return Ok(tokenizer.encode(&prompt)?);
        }
        let system = self.system.map(|text| Message::new("system", text));
        let messages: Vec<Message> = system.into_iter().chain([Message::new("user", prompt)]).collect();
        Ok(tokenizer
            .encode_rendered(&ChatTemplate::load(package)?.render_apart(&std::env::current_exe()?, &messages)?)?)
    }
}

/// What `generate --json` prints: every id, and the commitment of each stage's span.
fn generation_json(package: &Package, stages: u32, generation: &Generation) -> Result<serde_json::Value> {
    Ok(serde_json::json!({
        "model_root": Hex(&package.model_root()).to_string(),
        "prompt_length": generation.prompt_length,
        "ids": generation.ids,
        "stages": stages_json(package, stages, &generation.commits)?,
    }))
}

/// The commitment of each of `stages` stages that share the package's layers.
fn stages_json(package: &Package, stages: u32, commits: &[StageCommit]) -> Result<Vec<serde_json::Value>> {
    let hex = |digest: &Digest| Hex(digest).to_string();
    let spans = even_spans(package.header().layers, stages)?;
    let stages = spans.iter().zip(commits).map(|(span, commit)| {
        serde_json::json!({
            "first": span.start,
            "end": span.end,
            "positions": commit.positions,
            "in_root": hex(&commit.in_root),
            "out_root": hex(&commit.out_root),
            "kv_root": hex(&commit.kv_root),
            "tail_root": hex(&commit.tail_root),
            "stage_root": hex(&commit.stage_root),
        })
    });
    Ok(stages.collect())
}

fn open(package: &Path) -> Result<Package> {
    if package == Path::new("demo") && !package.exists() {
        return Ok(demo::package()?);
    }
    Ok(Package::open(package)?)
}

fn inspect(package: &Package, entries: bool) -> Result<()> {
    let h = package.header();
    let bytes: u64 = h.entries().map(|entry| h.file_size(entry)).sum();
    println!("model root    {}", Hex(&package.model_root()));
    println!("kind          {:?}, {:?} norms, {:?}", h.kind, h.placement, h.activation);
    println!("layers        {} of width {}, MLP {}", h.layers, h.d, h.hidden);
    println!("attention     {} heads over {} kv heads of {}", h.query_heads, h.kv_heads, h.head_dim);
    if h.kind == Kind::Encoder {
        println!("pooling       {:?}", h.pool);
    }
    println!("rope          {} tables, {} entries rotated", h.rope_tables, h.rot);
    println!("experts       {} ({} per token)", h.experts, h.experts_per_token);
    let planes = if h.flags.has(Flags::SECOND_PLANE) { "15 bits, in two planes" } else { "8 bits" };
    println!("weights       of {planes}");
    println!("vocabulary    {} ids, eos {:?}", h.vocab, h.eos);
    println!("context       {} positions", h.context);
    println!("residual      {} fraction bits; flags {:#06x}", h.f_h, h.flags.0);
    println!("size          {:.1} MB", bytes as f64 / 1e6);
    println!("chat template {}", if package.chat_template().is_some() { "yes" } else { "no" });
    if entries {
        for (entry, root) in package.entry_roots() {
            println!("{}  {:>12}  {}", Hex(root), h.file_size(*entry), entry_file(*entry));
        }
    }
    Ok(())
}

fn prompt_text(prompt: String) -> Result<String> {
    if prompt != "-" {
        return Ok(prompt);
    }
    let mut bytes = Vec::new();
    std::io::stdin().read_to_end(&mut bytes)?;
    Ok(String::from_utf8(bytes).map_err(|e| format!("the prompt is not UTF-8: {e}"))?)
}

/// A fraction in units of `1 / one`, rounded.
fn parse_fraction(text: &str, one: u32, min: u32, max: u32) -> Result<u32, String> {
    let value: f64 = text.parse().map_err(|_| format!("`{text}` is not a number"))?;
    let scaled = (value * f64::from(one)).round();
    if !(f64::from(min)..=f64::from(max)).contains(&scaled) {
        let (min, max) = (f64::from(min) / f64::from(one), f64::from(max) / f64::from(one));
        return Err(format!("{value} is out of range; give {min} to {max}"));
    }
    Ok(scaled as u32)
}

fn parse_temperature(text: &str) -> Result<u16, String> {
    // The range is that of u16.
    parse_fraction(text, 1000, 0, u16::MAX.into()).map(|t| t as u16)
}

fn parse_top_p(text: &str) -> Result<u32, String> {
    parse_fraction(text, 1 << 16, 1, 1 << 16)
}

fn parse_seed(text: &str) -> Result<Digest, String> {
    if let Ok(number) = text.parse::<u64>() {
        let mut seed = [0; 32];
        seed[..8].copy_from_slice(&number.to_le_bytes());
        return Ok(seed);
    }
    parse_digest(text).map_err(|_| "give a number below 2^64, or 64 hexadecimal digits".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parse_fractions_round_to_the_unit_and_refuse_the_rest() {
        assert_eq!(parse_temperature("0.8"), Ok(800));
        assert_eq!(parse_temperature("65.535"), Ok(65535));
        assert!(parse_temperature("-0.1").is_err() && parse_temperature("66").is_err());
        assert!(parse_temperature("NaN").is_err() && parse_temperature("hot").is_err());
        assert_eq!(parse_top_p("1"), Ok(65536));
        assert_eq!(parse_top_p("0.5"), Ok(32768));
        assert!(parse_top_p("0").is_err() && parse_top_p("1.1").is_err());
    }

    #[test]
    fn parse_seed_takes_numbers_and_digests() {
        assert_eq!(parse_seed("258").map(|s| (s[0], s[1], s[2])), Ok((2, 1, 0)));
        assert_eq!(parse_seed(&"ab".repeat(32)), Ok([0xab; 32]));
        assert!(parse_seed("seed").is_err());
    }

    #[test]
    fn generate_takes_text_or_ids_but_not_both() {
        let parse = |args: &[&str]| Cli::try_parse_from([&["assay-engine", "generate"], args].concat());
        assert!(parse(&[]).is_err());
        assert!(parse(&["--prompt", "a", "--ids", "1"]).is_err());
        assert!(parse(&["--ids", "1,-2"]).is_err());
        let Ok(Cli { command: Command::Generate(Generate { prompt, json: true, .. }) }) =
            parse(&["--ids", "1,2", "--json"])
        else {
            panic!("ids are taken")
        };
        assert_eq!(prompt.ids, Some(vec![1, 2]));
        assert!(parse(&["--prompt", "a", "--chat", "--system", "b"]).is_ok());
        assert!(parse(&["--ids", "1", "--chat"]).is_err());
        assert!(parse(&["--prompt", "a", "--system", "b"]).is_err());
    }

    #[test]
    fn cli_definition_is_consistent() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }
}
