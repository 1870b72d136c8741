//! Command-line options of the worker.

use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// Whether this node does inference.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Switch {
    /// Run the engine and act on assignments.
    #[default]
    On,
    /// Only relay and serve the streams of other nodes' jobs.
    Off,
}

/// Options of the inference worker.
#[derive(Clone, Debug, Args)]
pub struct InferenceParams {
    /// Whether this node runs models. A node without a registered worker key acts on nothing either way, but with `on` it can
    /// tokenize prompts for its RPC clients.
    #[arg(long, value_enum, default_value_t = Switch::On, value_name = "ON|OFF")]
    pub inference: Switch,

    /// A converted model package to hold, or the part of it that this provider serves. May be given more than once. The
    /// embedded demo model is always there.
    #[arg(long = "model", value_name = "DIR")]
    pub models: Vec<PathBuf>,

    /// Threads for inference, at low priority. Default: one fewer than the machine has, so that block production keeps one.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub inference_threads: Option<u16>,

    /// Kernels: `auto` takes the fastest that this machine runs. All give the same bits.
    #[arg(long, default_value = "auto", value_name = "auto|scalar|avx2|avx512")]
    pub backend: String,

    /// Deliberate misbehaviour, for tests of the network. Not in release builds.
    #[cfg(feature = "faults")]
    #[arg(long, value_enum, value_name = "FAULT")]
    pub inference_fault: Option<crate::faults::Fault>,
}

impl Default for InferenceParams {
    fn default() -> Self {
        Self {
            inference: Switch::On,
            models: Vec::new(),
            inference_threads: None,
            backend: "auto".into(),
            #[cfg(feature = "faults")]
            inference_fault: None,
        }
    }
}

impl InferenceParams {
    /// How many threads compute.
    pub fn threads(&self) -> usize {
        self.inference_threads.map(usize::from).unwrap_or_else(|| {
            std::thread::available_parallelism().map(|n| n.get().saturating_sub(1)).unwrap_or(1).max(1)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        inference: InferenceParams,
    }

    #[test]
    fn threads_default_leaves_one_core_and_is_at_least_one() {
        let cores = std::thread::available_parallelism().map(|n| n.get()).unwrap_or(1);
        let cli = Cli::parse_from(["node"]);
        assert_eq!(cli.inference.threads(), (cores - 1).max(1));
        assert_eq!(cli.inference.inference, Switch::On);
    }

    #[test]
    fn options_parse_repeated_models_and_refuse_no_threads() {
        let cli =
            Cli::parse_from(["node", "--inference", "off", "--model", "a", "--model", "b", "--inference-threads", "3"]);
        assert_eq!(cli.inference.models, [PathBuf::from("a"), PathBuf::from("b")]);
        assert_eq!(cli.inference.threads(), 3);
        assert_eq!(cli.inference.inference, Switch::Off);
        assert!(Cli::try_parse_from(["node", "--inference-threads", "0"]).is_err());
    }
}
