//! The gated MLP in f32, dense or a [mixture of experts](https://arxiv.org/abs/1701.06538).

use super::{
    decoder::linear,
    observe::{Observer, Site},
};
use crate::convert::{DecoderPlan, ExpertsPlan};
use assay_exact::mlp::Activation;
use candle_core::{DType, Result, Tensor};
use candle_nn::{ops, Linear, Module, VarBuilder};

/// The second block of a layer.
pub(super) enum Mlp<'a> {
    Dense(GatedMlp),
    Experts(Experts<'a>),
}

impl<'a> Mlp<'a> {
    pub fn load(vb: &'a VarBuilder<'a>, plan: &'a DecoderPlan, layer: usize) -> Result<Self> {
        Ok(match plan.experts {
            None => Self::Dense(GatedMlp::load(vb, plan, layer, None)?),
            Some(experts) => Self::Experts(Experts {
                router: linear(
                    vb,
                    &plan.names.layer(layer, plan.names.router),
                    [experts.count, plan.hidden],
                    plan.mlp_bias,
                )?,
                experts,
                vb,
                plan,
            }),
        })
    }

    /// `inputs`: each window's `[T, d]`; the outputs likewise.
    pub fn forward(&self, layer: usize, inputs: &[Tensor], observer: &mut dyn Observer) -> Result<Vec<Tensor>> {
        match self {
            Self::Dense(mlp) => inputs.iter().map(|x| mlp.forward(layer, x, observer)).collect(),
            Self::Experts(experts) => experts.forward(layer, inputs, observer),
        }
    }
}

/// `down(A(gate) * up)`
#[derive(Debug, Clone)]
pub(super) struct GatedMlp {
    gate_proj: Linear,
    up_proj: Linear,
    down_proj: Linear,
    activation: Activation,
}

impl GatedMlp {
    fn load(vb: &VarBuilder<'_>, plan: &DecoderPlan, layer: usize, expert: Option<usize>) -> Result<Self> {
        let (d, f, names) = (plan.hidden, plan.ffn, &plan.names);
        let linear = |part, shape| linear(vb, &names.mlp(layer, expert, part), shape, plan.mlp_bias);
        Ok(Self {
            gate_proj: linear(names.gate, [f, d])?,
            up_proj: linear(names.up, [f, d])?,
            down_proj: linear(names.down, [d, f])?,
            activation: plan.activation,
        })
    }

    fn forward(&self, layer: usize, x: &Tensor, observer: &mut dyn Observer) -> Result<Tensor> {
        let gate = self.gate_proj.forward(x)?;
        let up = self.up_proj.forward(x)?;
        observer.observe(layer, Site::Gate, &gate)?;
        observer.observe(layer, Site::Up, &up)?;
        let activation = match self.activation {
            Activation::Silu => candle_nn::Activation::Silu,
            Activation::Gelu => candle_nn::Activation::Gelu,
            Activation::GeluTanh => candle_nn::Activation::GeluPytorchTanh,
        };
        let x = (activation.forward(&gate)? * up)?;
        observer.observe(layer, Site::DownInput, &x)?;
        let y = self.down_proj.forward(&x)?;
        observer.observe(layer, Site::MlpOutput, &y)?;
        Ok(y)
    }
}

/// The router and where the experts are: each is loaded once for all windows.
pub(super) struct Experts<'a> {
    router: Linear,
    experts: ExpertsPlan,
    vb: &'a VarBuilder<'a>,
    plan: &'a DecoderPlan,
}

/// Tokens of one window that go through an expert, and their probabilities.
#[derive(Default, Clone)]
struct Share {
    tokens: Vec<u32>,
    weights: Vec<f32>,
}

impl Experts<'_> {
    fn forward(&self, layer: usize, inputs: &[Tensor], observer: &mut dyn Observer) -> Result<Vec<Tensor>> {
        let shares = inputs.iter().map(|x| self.route(layer, x, observer)).collect::<Result<Vec<_>>>()?;
        let mut outputs = inputs.iter().map(Tensor::zeros_like).collect::<Result<Vec<_>>>()?;
        for expert in 0..self.experts.count {
            if shares.iter().all(|shares| shares[expert].tokens.is_empty()) {
                continue;
            }
            let mlp = GatedMlp::load(self.vb, self.plan, layer, Some(expert))?;
            for ((x, y), shares) in inputs.iter().zip(&mut outputs).zip(&shares) {
                let Share { tokens, weights } = &shares[expert];
                if tokens.is_empty() {
                    continue;
                }
                let weights = Tensor::new(weights.as_slice(), x.device())?.unsqueeze(1)?;
                let tokens = Tensor::new(tokens.as_slice(), x.device())?;
                let out = mlp.forward(layer, &x.index_select(&tokens, 0)?, observer)?;
                *y = y.index_add(&tokens, &out.broadcast_mul(&weights)?, 0)?;
            }
        }
        for y in &outputs {
            observer.observe(layer, Site::MlpOutput, y)?;
        }
        Ok(outputs)
    }

    /// The share of each expert in the window `x`.
    fn route(&self, layer: usize, x: &Tensor, observer: &mut dyn Observer) -> Result<Vec<Share>> {
        let logits = self.router.forward(x)?;
        observer.observe(layer, Site::Router, &logits)?;
        let rows = ops::softmax_last_dim(&logits)?.to_dtype(DType::F32)?.to_vec2::<f32>()?;
        let mut shares = vec![Share::default(); self.experts.count];
        for (token, p) in (0u32..).zip(&rows) {
            // By (probability descending, id ascending): the sort is stable.
            let mut order: Vec<usize> = (0..p.len()).collect();
            order.sort_by(|a, b| p[*b].total_cmp(&p[*a]));
            order.truncate(self.experts.per_token);
            let sum = if self.experts.over_all { 1. } else { order.iter().map(|expert| p[*expert]).sum() };
            for expert in order {
                shares[expert].tokens.push(token);
                shares[expert].weights.push(p[expert] / sum);
            }
        }
        Ok(shares)
    }
}
