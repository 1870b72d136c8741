//! Arguments.

use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;

/// Verified AI inference on the Assay chain.
///
/// Exit codes: 0 done (for `infer`: settled as asked for), 2 usage, 3 no connection, 4 refused by the node or the chain, 5 the
/// job was refunded, 6 not found, 7 timeout, 8 a receipt does not verify.
#[derive(Parser)]
#[command(name = "assay", version, propagate_version = true)]
pub struct Cli {
    /// JSON-RPC address of a node.
    #[arg(long, global = true, env = "ASSAY_URL", default_value = "ws://127.0.0.1:9944")]
    pub url: String,
    /// Allow an unencrypted connection to another machine.
    #[arg(long, global = true)]
    pub insecure: bool,
    /// One JSON object a line instead of text, for programs.
    #[arg(long, global = true)]
    pub json: bool,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Commands.
#[derive(Subcommand)]
pub enum Command {
    /// Ask for an inference: submit, stream the answer, wait for the verdict.
    Infer(Infer),
    /// Ask for a text's vector by an encoder: submit, wait for the verdict, print it.
    Embed(Embed),
    /// Show an open job.
    Job {
        /// The job's hash.
        job: String,
    },
    /// Show a job's receipt, and check what can be checked of it.
    Receipt {
        /// The job's hash.
        job: String,
    },
    /// List models.
    Models,
    /// List providers and their asks.
    Providers,
    /// Bond tokens, as a provider or as a validator.
    Bond(Bond),
    /// Begin to withdraw part of a bond.
    Unbond(Bond),
    /// Withdraw what has finished unbonding.
    Withdraw {
        /// Which part of the bond.
        #[arg(long, default_value = "provider", value_parser = ["provider", "validator"])]
        part: String,
        /// Who signs.
        #[command(flatten)]
        key: Key,
    },
    /// Offer to run and check a span of a model, or replace the offer.
    Ask(Ask),
    /// Register a provider: its worker key signs all its results.
    Register(Register),
    /// Register a model, so that providers can offer it and clients ask for it.
    Publish(Publish),
}

/// Whose key signs.
#[derive(Args)]
pub struct Key {
    /// Secret of the account that signs: a mnemonic, 0x seed or derivation such as //Alice. Prefer --key-file outside test networks.
    #[arg(long, env = "ASSAY_SURI", hide_env_values = true, value_name = "SECRET")]
    pub suri: Option<String>,
    /// File that holds the secret, on one line.
    #[arg(long, value_name = "FILE", conflicts_with = "suri")]
    pub key_file: Option<PathBuf>,
}

/// `assay infer`.
#[derive(Args)]
pub struct Infer {
    /// The prompt; `-` reads it from standard input.
    pub prompt: String,
    /// Model: its name, or the beginning of its id.
    #[arg(long, default_value = "demo")]
    pub model: String,
    /// Generate at most this many tokens.
    #[arg(long, default_value_t = 64)]
    pub max_new_tokens: u32,
    /// Randomness: 0 is greedy, 1 as the model was trained; up to 65.535.
    #[arg(long, default_value_t = 0.0)]
    pub temperature: f64,
    /// Choose among the K most likely tokens; 0 is all.
    #[arg(long, default_value_t = 0)]
    pub top_k: u32,
    /// Choose among the most likely tokens that together have this probability.
    #[arg(long, default_value_t = 1.0)]
    pub top_p: f64,
    /// Seed of the draw: a number, or 64 hex digits; random if absent.
    #[arg(long)]
    pub seed: Option<String>,
    /// Terms and payment.
    #[command(flatten)]
    pub terms: Terms,
}

/// `assay embed`.
#[derive(Args)]
pub struct Embed {
    /// The text; `-` reads it from standard input.
    pub text: String,
    /// Model: its name, or the beginning of its id. It must be an encoder.
    #[arg(long)]
    pub model: String,
    /// Terms and payment.
    #[command(flatten)]
    pub terms: Terms,
}

/// How a job is checked, paid and waited for.
#[derive(Args)]
pub struct Terms {
    /// How the answer is checked: `quorum:K` (K controllers per stage must agree on every bit) or `none`.
    #[arg(long, default_value = "quorum:3")]
    pub verify: String,
    /// Pay at most this per work unit; the chain's reserve price if absent.
    #[arg(long, value_name = "PRICE")]
    pub max_price: Option<String>,
    /// Which of the model's templates: how many stages, cut where.
    #[arg(long, default_value_t = 0)]
    pub template: u8,
    /// Be paid this much out of the guilty stage's bond if a wrong result is proven.
    #[arg(long, default_value = "0")]
    pub insure: String,
    /// Give every deadline this many more ticks (blocks).
    #[arg(long, default_value_t = 0)]
    pub extra_ticks: u32,
    /// Only say what it would cost and who would run it.
    #[arg(long)]
    pub quote: bool,
    /// Return as soon as the job is submitted.
    #[arg(long)]
    pub no_wait: bool,
    /// Give up this many seconds after the call is sent, included or not (a submitted job goes on).
    #[arg(long, default_value_t = 600)]
    pub timeout: u64,
    /// Who signs and pays.
    #[command(flatten)]
    pub key: Key,
}

/// `assay bond` and `assay unbond`.
#[derive(Args)]
pub struct Bond {
    /// How much, e.g. `100` or `2.5`.
    pub amount: String,
    /// Which part of the bond: `provider` answers for inference, `validator` for consensus; neither for the other.
    #[arg(long, default_value = "provider", value_parser = ["provider", "validator"])]
    pub part: String,
    /// Who signs.
    #[command(flatten)]
    pub key: Key,
}

/// `assay ask`.
#[derive(Args)]
pub struct Ask {
    /// Layers, e.g. `0..4`: one of the spans of the model's templates.
    pub span: String,
    /// Model: its name, or the beginning of its id.
    #[arg(long, default_value = "demo")]
    pub model: String,
    /// Price per work unit (a million multiply-accumulates), e.g. `0.00002` or `50u`.
    #[arg(long, required_unless_present = "withdraw")]
    pub price: Option<String>,
    /// Stages executed at once.
    #[arg(long, default_value_t = 2)]
    pub slots: u16,
    /// Stages checked at once.
    #[arg(long, default_value_t = 4)]
    pub check_slots: u16,
    /// Work units per tick that the machine sustains: deadlines follow from it.
    #[arg(long, default_value_t = 1_000)]
    pub rate: u64,
    /// Withdraw the offer instead.
    #[arg(long)]
    pub withdraw: bool,
    /// Who signs.
    #[command(flatten)]
    pub key: Key,
}

/// `assay register`.
#[derive(Args)]
pub struct Register {
    /// Secret of the worker key, to prove possession of it; the node's keystore must hold the same key (`author_insertKey`, type `asay`).
    #[arg(long, value_name = "SECRET", env = "ASSAY_WORKER_SURI", hide_env_values = true)]
    pub worker_suri: String,
    /// CPU threads offered.
    #[arg(long, default_value_t = 1)]
    pub threads: u16,
    /// Memory offered, MiB.
    #[arg(long, default_value_t = 1024)]
    pub memory_mib: u32,
    /// Accelerators, e.g. `1x H100`.
    #[arg(long, default_value = "")]
    pub accelerators: String,
    /// Who signs: the controller.
    #[command(flatten)]
    pub key: Key,
}

/// `assay publish`.
#[derive(Args)]
pub struct Publish {
    /// The package's folder, as `assay-engine convert` writes it.
    pub package: PathBuf,
    /// A label for people; the folder's name if absent.
    #[arg(long)]
    pub name: Option<String>,
    /// A way to cut the model into stages, e.g. `0..3,3..6`; may be given several times. One stage of all layers if absent.
    #[arg(long, value_name = "SPANS")]
    pub template: Vec<String>,
    /// Who signs, and pays the deposit.
    #[command(flatten)]
    pub key: Key,
}
