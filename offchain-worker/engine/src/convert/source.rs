//! An opened Hugging Face folder or GGUF file: checked as a whole before anything is computed.

use super::{
    calibrate::Calibration,
    census::Census,
    checkpoint::Checkpoint,
    config::ConfigFile,
    error::{ConvertError, Result},
    families::{DecoderPlan, Family},
    gguf::{self, Gguf},
    parts,
    tokenizer::{chat_template, SourceTokenizer},
};
use crate::{float::llama, package::encode};
use assay_exact::{
    header::{Flags, Header, Kind, Placement, Pool},
    layout::{Entry, PartName},
    mlp::Activation,
    sampling::FinalCap,
};
use candle_core::{DType, Device};
use candle_nn::VarBuilder;
use std::path::Path;

/// Windows of the census.
const CENSUS_WINDOWS: usize = 16;
/// Tokens per window of the census, context permitting.
const CENSUS_LENGTH: usize = 512;

/// A checkpoint with its configuration and tokenizer, known to fit together.
pub struct Source {
    plan: DecoderPlan,
    checkpoint: Checkpoint,
    tokenizer: SourceTokenizer,
    chat_template: Vec<u8>,
}

impl Source {
    /// Opens `path`, a Hugging Face folder or a GGUF file, and checks configuration, tensor names, shapes and types,
    /// tokenizer and vocabulary. Reads headers only; what it allocates does not depend on sizes that the configuration
    /// claims.
    pub fn open(path: &Path) -> Result<Self> {
        Self::open_with(path, None)
    }

    /// [`Self::open`] with the `tokenizer.json` at `tokenizer` instead of the source's own.
    pub fn open_with(path: &Path, tokenizer: Option<&Path>) -> Result<Self> {
        if path.is_dir() {
            Self::from_folder(path, tokenizer)
        } else if gguf::is_gguf(path)? {
            Self::from_gguf(path, tokenizer)
        } else {
            Err(ConvertError::SourceKind { path: path.into() })
        }
    }

    fn from_folder(folder: &Path, tokenizer: Option<&Path>) -> Result<Self> {
        let config = ConfigFile::read(&folder.join("config.json"))?;
        let family = Family::of(&config)?;
        let mut plan = family.plan(&config)?;
        // Where both name ids that end a generation, generation_config.json is the one in use.
        let generation = folder.join("generation_config.json");
        if generation.exists() {
            let ids = ConfigFile::read(&generation)?.token_ids("eos_token_id", plan.vocab)?;
            if !ids.is_empty() {
                plan.eos = ids;
            }
        }
        let checkpoint = Checkpoint::open(folder)?;
        family.check_tensors(&plan, &checkpoint)?;
        let own = folder.join("tokenizer.json");
        let tokenizer = SourceTokenizer::read(tokenizer.unwrap_or(&own), plan.vocab)?;
        let chat_template = chat_template(folder)?;
        Ok(Self { plan, checkpoint, tokenizer, chat_template })
    }

    fn from_gguf(path: &Path, tokenizer: Option<&Path>) -> Result<Self> {
        let file = Gguf::open(path)?;
        let (config, checkpoint) = (file.config()?, file.checkpoint()?);
        let family = Family::of(&config)?;
        let plan = family.plan(&config)?;
        family.check_tensors(&plan, &checkpoint)?;
        let tokenizer = match tokenizer {
            Some(tokenizer) => SourceTokenizer::read(tokenizer, plan.vocab)?,
            None => SourceTokenizer::parse(path, file.tokenizer_json()?, plan.vocab)?,
        };
        let chat_template = file.chat_template()?;
        Ok(Self { plan, checkpoint, tokenizer, chat_template })
    }

    /// Reads every weight once and refuses NaN, infinity and what no row scale expresses, so that a damaged checkpoint is
    /// found before the census, which takes much longer.
    pub fn check_weights(&self) -> Result<()> {
        self.plan.tensors().iter().try_for_each(|(name, _)| self.checkpoint.check_values(name))
    }

    /// Shape and tensor names.
    pub fn plan(&self) -> &DecoderPlan {
        &self.plan
    }

    /// The tokenizer.
    pub fn tokenizer(&self) -> &SourceTokenizer {
        &self.tokenizer
    }

    /// The chat template; empty if there is none.
    pub fn chat_template(&self) -> &[u8] {
        &self.chat_template
    }

    /// The float reference over this checkpoint.
    pub fn float(&self) -> llama::Llama<'static> {
        let plan = &self.plan;
        let config = llama::Config {
            vocab: plan.vocab,
            context: plan.context,
            hidden: plan.hidden,
            layers: plan.layers,
            heads: plan.heads,
            kv_heads: plan.kv_heads,
            head_dim: plan.head_dim,
            ffn: plan.ffn,
            eps: plan.eps,
            frequencies: plan.rope.frequencies(plan.head_dim),
            tied: plan.tied,
        };
        let backend = Box::new(self.checkpoint.clone());
        llama::Llama::new(VarBuilder::from_backend(backend, DType::F32, Device::Cpu), config)
    }

    /// Windows of `text` for the census.
    pub fn census_windows(&self, text: &str) -> Result<Vec<Vec<u32>>> {
        self.tokenizer.windows(text, CENSUS_WINDOWS, CENSUS_LENGTH.min(self.plan.context))
    }

    /// Measures the activations' ranges over `windows`.
    pub fn census(&self, windows: &[Vec<u32>]) -> Result<Census> {
        let plan = &self.plan;
        let mut census = Census::new(plan.layers, plan.heads, plan.kv_heads);
        self.float().forward(windows, &mut census, |_, _| Ok(()))?;
        census.checked()
    }

    /// The package's header (section 11), without the digests that the package writer computes.
    pub fn header(&self, calibration: &Calibration) -> Header {
        let plan = &self.plan;
        // Sizes were bounded by the limits of section 2 when config.json was read.
        let size = |n: usize| n as u32;
        Header {
            kind: Kind::Decoder,
            vocab: size(plan.vocab),
            context: size(plan.context),
            d: size(plan.hidden),
            layers: size(plan.layers),
            query_heads: size(plan.heads),
            kv_heads: size(plan.kv_heads),
            head_dim: size(plan.head_dim),
            rot: size(plan.head_dim),
            hidden: size(plan.ffn),
            experts: 0,
            experts_per_token: 0,
            f_h: calibration.f_h,
            flags: if plan.tied { Flags::FINAL_NORM.with(Flags::SHARED_HEAD) } else { Flags::FINAL_NORM },
            activation: Activation::Silu,
            placement: Placement::Pre,
            rope_tables: 1,
            final_cap: FinalCap { c: 0, sigma: 0, cap: 0 },
            pool: Pool::None,
            eos: plan.eos.clone(),
            // The writer fills these in.
            tokenizer: [0; 32],
            chat_template: [0; 32],
        }
    }

    /// The bytes of one part; `None` for parts that models of this kind do not have.
    pub fn part(&self, calibration: &Calibration, entry: Entry, part: PartName) -> Result<Option<Vec<u8>>> {
        let (plan, checkpoint) = (&self.plan, &self.checkpoint);
        let names = &plan.names;
        let (d, f) = (plan.hidden, plan.ffn);
        let (q, kv) = (plan.heads * plan.head_dim, plan.kv_heads * plan.head_dim);
        let linear = |tensor: &str, shape| parts::linear(checkpoint, tensor, shape);
        let norm = |tensor: &str| parts::norm(checkpoint, tensor, d, plan.eps, calibration.f_h);
        let bytes = match entry {
            Entry::Header => self.header(calibration).encode(),
            Entry::Tables => encode::rope_tables(plan.rope.table(plan.context, plan.head_dim).as_flattened()),
            Entry::Embedding => linear(&names.embed, [plan.vocab, d])?,
            Entry::FinalNorm => norm(&names.final_norm)?,
            Entry::Head if plan.tied => parts::scales(checkpoint, &names.embed, [plan.vocab, d])?,
            Entry::Head => linear(&names.head, [plan.vocab, d])?,
            Entry::Layer(index) => {
                let (Some(layer), Some(statics)) =
                    (names.layers.get(index as usize), calibration.layers.get(index as usize))
                else {
                    return Ok(None);
                };
                match part {
                    PartName::Statics => statics.encode(),
                    PartName::AttentionNorm => norm(&layer.attention_norm)?,
                    PartName::Query => linear(&layer.q, [q, d])?,
                    PartName::Key => linear(&layer.k, [kv, d])?,
                    PartName::Value => linear(&layer.v, [kv, d])?,
                    PartName::Output => linear(&layer.o, [d, q])?,
                    PartName::MlpNorm => norm(&layer.mlp_norm)?,
                    PartName::Gate(None) => linear(&layer.gate, [f, d])?,
                    PartName::Up(None) => linear(&layer.up, [f, d])?,
                    PartName::Down(None) => linear(&layer.down, [d, f])?,
                    _ => return Ok(None),
                }
            }
            Entry::Positions | Entry::EmbeddingNorm => return Ok(None),
        };
        Ok(Some(bytes))
    }
}
