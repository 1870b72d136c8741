//! An opened Hugging Face folder or GGUF file: checked as a whole before anything is computed.

use super::{
    calibrate::Calibration,
    census::Census,
    checkpoint::Checkpoint,
    config::ConfigFile,
    error::{ConvertError, Result},
    families::Family,
    fold::Folding,
    gguf::{self, Gguf},
    parts,
    plan::{weight, DecoderPlan},
    profile::Profile,
    tokenizer::{chat_template, SourceTokenizer},
    weights::Weights,
};
use crate::{float::Decoder, package::encode};
use assay_exact::{
    header::{Header, Kind, Pool},
    layout::{Entry, PartName},
    statics::LayerStatics,
};
use candle_core::{DType, Device};
use candle_nn::VarBuilder;
use std::{path::Path, sync::Arc};

/// Windows of the census.
const CENSUS_WINDOWS: usize = 16;
/// Tokens per window of the census, context permitting.
const CENSUS_LENGTH: usize = 512;

/// Fraction bits of a linear layer's output that is neither a residual row nor a value.
const PROJECTION_FRACTION: i32 = 16;

/// A checkpoint with its configuration and tokenizer, known to fit together.
#[derive(Clone)]
pub struct Source {
    plan: DecoderPlan,
    weights: Weights,
    tokenizer: Arc<SourceTokenizer>,
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
        let tokenizer = Arc::new(SourceTokenizer::read(tokenizer.unwrap_or(&own), plan.vocab)?);
        let chat_template = chat_template(folder)?;
        let weights = Weights::new(checkpoint, Folding::identity(&plan).transforms(&plan));
        Ok(Self { plan, weights, tokenizer, chat_template })
    }

    /// The same model with weights and activations scaled by `folding`: equal logits, up to float rounding.
    pub fn folded(&self, folding: &Folding) -> Self {
        let weights = Weights::new(self.weights.checkpoint().clone(), folding.transforms(&self.plan));
        Self { weights, ..self.clone() }
    }

    fn from_gguf(path: &Path, tokenizer: Option<&Path>) -> Result<Self> {
        let file = Gguf::open(path)?;
        let (config, checkpoint) = (file.config()?, file.checkpoint()?);
        let family = Family::of(&config)?;
        let plan = family.plan(&config)?;
        family.check_tensors(&plan, &checkpoint)?;
        let tokenizer = Arc::new(match tokenizer {
            Some(tokenizer) => SourceTokenizer::read(tokenizer, plan.vocab)?,
            None => SourceTokenizer::parse(path, file.tokenizer_json()?, plan.vocab)?,
        });
        let chat_template = file.chat_template()?;
        let weights = Weights::new(checkpoint, Folding::identity(&plan).transforms(&plan));
        Ok(Self { plan, weights, tokenizer, chat_template })
    }

    /// Reads every weight once and refuses NaN, infinity and what no row scale expresses, so that a damaged checkpoint is
    /// found before the census, which takes much longer.
    pub fn check_weights(&self) -> Result<()> {
        self.plan.tensors().try_for_each(|(name, _)| self.weights.checkpoint().check_values(&name))
    }

    /// The weights as the graph has them.
    pub(super) fn weights(&self) -> &Weights {
        &self.weights
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
    pub fn float(&self) -> Decoder<'static> {
        let backend = Box::new(self.weights.clone());
        Decoder::new(VarBuilder::from_backend(backend, DType::F32, Device::Cpu), self.plan.clone())
    }

    /// Windows of `text` for the census.
    pub fn census_windows(&self, text: &str) -> Result<Vec<Vec<u32>>> {
        self.tokenizer.windows(text, CENSUS_WINDOWS, CENSUS_LENGTH.min(self.plan.context))
    }

    /// Measures the activations over `windows`: their ranges, and what folding needs to know.
    pub fn census(&self, windows: &[Vec<u32>]) -> Result<(Census, Profile)> {
        let plan = &self.plan;
        let census = Census::new(plan.layers.len(), plan.heads, plan.kv_heads);
        let mut observers = (census, Profile::new(plan));
        self.float().forward(windows, &mut observers, |_, _| Ok(()))?;
        Ok((observers.0.checked()?, observers.1))
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
            layers: size(plan.layers.len()),
            query_heads: size(plan.heads),
            kv_heads: size(plan.kv_heads),
            head_dim: size(plan.head_dim),
            rot: size(plan.head_dim),
            hidden: size(plan.ffn),
            experts: size(plan.experts.map_or(0, |experts| experts.count)),
            experts_per_token: size(plan.experts.map_or(0, |experts| experts.per_token)),
            f_h: calibration.f_h,
            flags: plan.flags(),
            activation: plan.activation,
            placement: plan.placement,
            rope_tables: size(plan.ropes.len()),
            final_cap: calibration.final_cap,
            pool: Pool::None,
            eos: plan.eos.clone(),
            // The writer fills these in.
            tokenizer: [0; 32],
            chat_template: [0; 32],
        }
    }

    /// The bytes of one part; `None` for parts that models of this kind do not have.
    pub fn part(&self, calibration: &Calibration, entry: Entry, part: PartName) -> Result<Option<Vec<u8>>> {
        let (plan, weights, names) = (&self.plan, &self.weights, &self.plan.names);
        let table = [plan.vocab, plan.hidden];
        let bytes = match entry {
            Entry::Header => self.header(calibration).encode(),
            Entry::Tables => {
                let tables = plan.ropes.iter().map(|rope| rope.table(plan.context, plan.head_dim));
                encode::rope_tables(tables.flatten().collect::<Vec<_>>().as_flattened())
            }
            Entry::Embedding => parts::table(weights, &names.embed(), table, plan.embedding_scale)?,
            Entry::FinalNorm => {
                parts::norm(weights, &names.final_norm(), plan.hidden, plan.eps, calibration.f_h as i32)?
            }
            Entry::Head if plan.tied => parts::scales(weights, &names.embed(), table)?,
            Entry::Head => parts::table(weights, &names.head(), table, 1.)?,
            Entry::Layer(index) => {
                let Some(statics) = calibration.layers.get(index as usize) else { return Ok(None) };
                return self.layer_part(index as usize, calibration.f_h, statics, part);
            }
            Entry::Positions | Entry::EmbeddingNorm => return Ok(None),
        };
        Ok(Some(bytes))
    }

    fn layer_part(&self, layer: usize, f_h: u32, statics: &LayerStatics, part: PartName) -> Result<Option<Vec<u8>>> {
        let (plan, weights, names) = (&self.plan, &self.weights, &self.plan.names);
        let (d, f, q, kv) = (plan.hidden, plan.ffn, plan.query_width(), plan.kv_width());
        let f_h = f_h as i32;
        let norm = |part: &str, n: usize, fraction: i32| {
            parts::norm(weights, &weight(&names.layer(layer, part)), n, plan.eps, fraction)
        };
        let linear = |module: String, shape: [usize; 2], bias: bool, f_out: i32| {
            parts::linear(weights, &module, shape, bias.then_some(f_out))
        };
        let attention =
            |part: &str, shape: [usize; 2], f_out: i32| linear(names.layer(layer, part), shape, plan.qkv_bias, f_out);
        let mlp = |expert: Option<u32>, part: &str, shape: [usize; 2], f_out: i32| {
            let module = names.mlp(layer, expert.map(|expert| expert as usize), part);
            linear(module, shape, plan.mlp_bias, f_out)
        };
        Ok(Some(match part {
            PartName::Whole => return Ok(None),
            PartName::Statics => statics.encode(),
            PartName::AttentionNorm => norm(names.attention_norm, d, f_h)?,
            PartName::AttentionOutNorm => norm(names.attention_out_norm, d, statics.f_o)?,
            PartName::Query => attention(names.q, [q, d], PROJECTION_FRACTION)?,
            PartName::Key => attention(names.k, [kv, d], PROJECTION_FRACTION)?,
            PartName::Value => attention(names.v, [kv, d], -statics.e_v)?,
            PartName::Output => linear(names.layer(layer, names.o), [d, q], plan.output_bias, statics.f_o)?,
            PartName::QueryNorm => norm(names.q_norm, plan.head_dim, PROJECTION_FRACTION)?,
            PartName::KeyNorm => norm(names.k_norm, plan.head_dim, PROJECTION_FRACTION)?,
            PartName::MlpNorm => norm(names.mlp_norm, d, f_h)?,
            PartName::MlpOutNorm => norm(names.mlp_out_norm, d, statics.f_d)?,
            PartName::Router => {
                let Some(experts) = plan.experts else { return Ok(None) };
                let module = names.layer(layer, names.router);
                linear(module, [experts.count, d], plan.mlp_bias, PROJECTION_FRACTION)?
            }
            PartName::Gate(expert) => mlp(expert, names.gate, [f, d], PROJECTION_FRACTION)?,
            PartName::Up(expert) => mlp(expert, names.up, [f, d], PROJECTION_FRACTION)?,
            PartName::Down(expert) => mlp(expert, names.down, [d, f], statics.f_d)?,
        }))
    }
}
