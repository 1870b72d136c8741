//! An opened folder of an encoder: checked as a whole before anything is computed.

use super::{
    parts,
    plan::EncoderPlan,
    pooling,
    texts::{passages, phrases, spread},
};
use crate::{
    convert::{
        calibrate::{Calibration, Graph, LayerGraph},
        census::Census,
        checkpoint::Checkpoint,
        config::ConfigFile,
        error::{ConvertError, Result},
        families::bert,
        tokenizer::SourceTokenizer,
        weights::Weights,
    },
    float::{bert as float, Observer},
    package::encode,
};
use assay_exact::{
    header::{Flags, Header, Kind, Placement, Pool},
    layout::{Entry, PartName},
    mlp::Activation,
    sampling::FinalCap,
};
use candle_core::{DType, Device};
use candle_nn::VarBuilder;
use std::path::Path;

/// Passages to calibrate with.
const CALIBRATION_PASSAGES: usize = 192;
/// Texts to calibrate with that are as long as the model allows.
const CALIBRATION_LONG_TEXTS: usize = 8;
/// Phrases to calibrate with.
const CALIBRATION_PHRASES: usize = 256;
/// Headroom of the values. Their 16 bits are what a vector loses most by, and they are a linear map of a row that a norm has
/// just bounded, without their bias: no text takes them far beyond what calibration saw.
pub(super) const VALUE_HEADROOM: f64 = 2.;
/// Fewer tokens of calibration text say nothing about ranges.
const LEAST_TOKENS: usize = 64;
/// Fraction bits of queries, keys and up.
const PROJECTION_FRACTION: i32 = 16;

/// A checkpoint of an encoder with its configuration and tokenizer, known to fit together.
pub struct EncoderSource {
    plan: EncoderPlan,
    checkpoint: Checkpoint,
    tokenizer: SourceTokenizer,
}

/// The encoder architecture that `config.json` names, if it does.
pub(super) fn architecture(config: &ConfigFile) -> Option<&'static str> {
    let names = config.get("architectures")?.as_array()?;
    let [name] = &names[..] else { return None };
    bert::ARCHITECTURES.into_iter().find(|known| name == known)
}

impl EncoderSource {
    /// Opens `folder` and checks configuration, pooling, tensor names, shapes and types, tokenizer and vocabulary. Reads
    /// headers only; what it allocates does not depend on sizes that `config.json` claims.
    ///
    /// `tokenizer` is read in place of the folder's own `tokenizer.json`.
    pub fn open(folder: &Path, tokenizer: Option<&Path>) -> Result<Self> {
        let config = ConfigFile::read(&folder.join("config.json"))?;
        let architecture = architecture(&config).ok_or_else(|| ConvertError::Architecture {
            path: config.path().into(),
            found: config.get("architectures").map_or("none".into(), ToString::to_string),
            supported: bert::ARCHITECTURES.to_vec(),
        })?;
        let checkpoint = Checkpoint::open(folder)?;
        let (pool, max_length) = (pooling::read(folder)?, pooling::max_length(folder)?);
        let plan = bert::plan(&config, &checkpoint, architecture, pool, max_length)?;
        plan.check_tensors(&checkpoint, bert::ignored)?;
        let own = folder.join("tokenizer.json");
        let tokenizer = SourceTokenizer::read(tokenizer.unwrap_or(&own), plan.vocab)?;
        Ok(Self { plan, checkpoint, tokenizer })
    }

    /// Reads every weight once and refuses NaN, infinity and what no row scale expresses, so that a damaged checkpoint is
    /// found before the census, which takes much longer.
    pub fn check_weights(&self) -> Result<()> {
        self.plan.tensors().iter().try_for_each(|(name, _)| self.checkpoint.check_values(name))
    }

    /// Shape and tensor names.
    pub fn plan(&self) -> &EncoderPlan {
        &self.plan
    }

    /// The tokenizer.
    pub fn tokenizer(&self) -> &SourceTokenizer {
        &self.tokenizer
    }

    /// The float reference over this checkpoint.
    pub fn float(&self) -> float::Bert<'static> {
        use candle_nn::Activation as Float;
        let plan = &self.plan;
        let names = &plan.names;
        let config = float::Config {
            vocab: plan.vocab,
            positions: plan.positions,
            token_types: plan.token_types,
            hidden: plan.hidden,
            layers: plan.layers,
            heads: plan.heads,
            ffn: plan.ffn,
            eps: plan.eps,
            activation: match plan.activation {
                Activation::Silu => Float::Silu,
                Activation::Gelu => Float::Gelu,
                Activation::GeluTanh => Float::GeluPytorchTanh,
            },
            norm_names: if names.embedding_norm.weight.ends_with(".gamma") {
                ["gamma", "beta"]
            } else {
                ["weight", "bias"]
            },
            first: plan.pool == Pool::First,
        };
        let vb = VarBuilder::from_backend(Box::new(self.checkpoint.clone()), DType::F32, Device::Cpu);
        let prefix = names.words.strip_suffix("embeddings.word_embeddings.weight").unwrap_or_default();
        float::Bert::new(if prefix.is_empty() { vb } else { vb.pp(prefix.trim_end_matches('.')) }, config)
    }

    /// The ids of a text, special ones included, its end cut off where the model's context ends.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>> {
        let mut ids = self.tokenizer.encode(text, true)?;
        if ids.len() > self.plan.context {
            // What follows the text is one special id at most in this family.
            let last = ids.last().copied();
            ids.truncate(self.plan.context - 1);
            ids.extend(last);
        }
        Ok(ids)
    }

    /// Texts to calibrate with: passages as they are, some as long as the model allows, and phrases, as short as the
    /// queries that vectors are searched with.
    pub fn calibration_texts(&self, text: &str) -> Result<Vec<Vec<u32>>> {
        let passages = passages(text);
        let mut texts =
            spread(&passages, CALIBRATION_PASSAGES).map(|text| self.encode(text)).collect::<Result<Vec<_>>>()?;
        let found = texts.iter().map(Vec::len).sum();
        if found < LEAST_TOKENS {
            return Err(ConvertError::CalibrationTooShort { found, needed: LEAST_TOKENS });
        }
        let eighth = passages.len().div_ceil(CALIBRATION_LONG_TEXTS);
        for run in passages.chunks(eighth.max(1)) {
            texts.push(self.encode(&run.join("\n"))?);
        }
        for phrase in phrases(&passages, CALIBRATION_PHRASES) {
            texts.push(self.encode(&phrase)?);
        }
        // Of what the tokenizer drops as a whole.
        texts.retain(|ids| !ids.is_empty());
        Ok(texts)
    }

    /// Measures the activations' ranges over `texts`.
    pub fn census(&self, texts: &[Vec<u32>]) -> Result<Census> {
        let plan = &self.plan;
        let mut census = Census::new(plan.layers, plan.heads, plan.heads);
        self.float().forward(texts, &mut census)?;
        census.checked()
    }

    /// The formats for these ranges.
    pub fn calibrate(&self, census: &Census) -> Result<Calibration> {
        let plan = &self.plan;
        // Nothing rotates. The census counts pairs as if it did, which costs at most half a bit.
        let layer = LayerGraph { score_scale: 1. / (plan.head_dim as f64).sqrt(), window: None, rope: None };
        let (placement, layers) = (Placement::Post, vec![layer; plan.layers]);
        let value_headroom = VALUE_HEADROOM;
        let graph = Graph { placement, attention_cap: None, final_cap: None, value_headroom, layers };
        Calibration::from_census(census, &graph)
    }

    /// The vectors of the float reference.
    pub fn vectors(&self, texts: &[Vec<u32>], observer: &mut dyn Observer) -> Result<Vec<Vec<f32>>> {
        Ok(self.float().forward(texts, observer)?)
    }

    /// The package's header (section 11), without the digests that the package writer computes.
    pub fn header(&self, calibration: &Calibration) -> Header {
        let plan = &self.plan;
        // Sizes were bounded by the limits of section 2 when config.json was read.
        let size = |n: usize| n as u32;
        let flags = [
            Flags::LAYER_NORM,
            Flags::UNGATED,
            Flags::QKV_BIAS,
            Flags::OUTPUT_BIAS,
            Flags::MLP_BIAS,
            Flags::POSITIONS,
            Flags::EMBEDDING_NORM,
            // A vector shows every rounding of a weight, where a choice of tokens hides most.
            Flags::SECOND_PLANE,
        ];
        Header {
            kind: Kind::Encoder,
            vocab: size(plan.vocab),
            context: size(plan.context),
            d: size(plan.hidden),
            layers: size(plan.layers),
            query_heads: size(plan.heads),
            kv_heads: size(plan.heads),
            head_dim: size(plan.head_dim),
            rot: 0,
            hidden: size(plan.ffn),
            experts: 0,
            experts_per_token: 0,
            f_h: calibration.f_h,
            flags: flags.into_iter().fold(Flags(0), Flags::with),
            activation: plan.activation,
            placement: Placement::Post,
            rope_tables: 0,
            final_cap: FinalCap { c: 0, sigma: 0, cap: 0 },
            pool: plan.pool,
            eos: Vec::new(),
            // The writer fills these in.
            tokenizer: [0; 32],
            chat_template: [0; 32],
        }
    }

    /// The bytes of one part; `None` for parts that models of this kind do not have.
    pub(super) fn part(&self, calibration: &Calibration, entry: Entry, part: PartName) -> Result<Option<Vec<u8>>> {
        let (plan, weights) = (&self.plan, &Weights::from(self.checkpoint.clone()));
        let names = &plan.names;
        let (d, f, f_h) = (plan.hidden, plan.ffn, calibration.f_h);
        let norm = |pair| parts::layer_norm(weights, pair, d, plan.eps, f_h);
        let linear = |pair, shape, f_out| parts::linear(weights, pair, shape, f_out);
        let bytes = match entry {
            Entry::Header => self.header(calibration).encode(),
            Entry::Tables => encode::rope_tables(&[]),
            Entry::Embedding => parts::tokens(weights, plan)?,
            Entry::Positions => parts::positions(weights, plan)?,
            Entry::EmbeddingNorm => norm(&names.embedding_norm)?,
            Entry::Layer(index) => {
                let (Some(layer), Some(statics)) =
                    (names.layers.get(index as usize), calibration.layers.get(index as usize))
                else {
                    return Ok(None);
                };
                match part {
                    PartName::Statics => statics.encode(),
                    PartName::AttentionNorm => norm(&layer.attention_norm)?,
                    PartName::Query => linear(&layer.q, [d, d], PROJECTION_FRACTION)?,
                    PartName::Key => linear(&layer.k, [d, d], PROJECTION_FRACTION)?,
                    PartName::Value => parts::values(weights, &layer.v, d)?,
                    PartName::Output => parts::output(weights, &layer.o, &layer.v, d, statics.f_o)?,
                    PartName::MlpNorm => norm(&layer.mlp_norm)?,
                    PartName::Up(None) => linear(&layer.up, [f, d], PROJECTION_FRACTION)?,
                    PartName::Down(None) => linear(&layer.down, [d, f], statics.f_d)?,
                    _ => return Ok(None),
                }
            }
            Entry::FinalNorm | Entry::Head => return Ok(None),
        };
        Ok(Some(bytes))
    }
}
