//! Hooks into the float forward pass.

use candle_core::{Result, Tensor};

/// A place in the graph where an observer sees the activation. T is the number of positions of the window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Site {
    /// `[T, d]`: the embedding row, the residual stream after each of a layer's two additions, and with sandwich norms what
    /// is added.
    Residual,
    /// `[T, d]`: the normed input of the query, key and value projections.
    AttentionInput,
    /// `[T, d]`: what attention gives, before a norm on it.
    AttentionOutput,
    /// `[T, d]`: the normed input of the MLP, or of the router and the experts.
    MlpInput,
    /// `[T, f]`: the input of the down projection; T the tokens of an expert.
    DownInput,
    /// `[T, d]`: what the MLP gives, before a norm on it; of each expert, and of their sum.
    MlpOutput,
    /// `[n_q, T, D]`, `[n_kv, T, D]`: queries and keys before their norms; only with QK-norm.
    Projection,
    /// `[n_q, T, D]`, before RoPE.
    Query,
    /// `[n_kv, T, D]`, before RoPE.
    Key,
    /// `[n_kv, T, D]`
    Value,
    /// `[T, f]`, before the activation function.
    Gate,
    /// `[T, f]`
    Up,
    /// `[T, experts]`
    Router,
    /// `[T, vocab]`, before a cap, seen with the number of layers as layer.
    Logits,
}

impl Site {
    /// The name in reports and errors.
    pub fn name(self) -> &'static str {
        match self {
            Self::Residual => "residual stream",
            Self::AttentionInput => "attention input",
            Self::AttentionOutput => "attention output",
            Self::MlpInput => "MLP input",
            Self::DownInput => "down projection input",
            Self::MlpOutput => "MLP output",
            Self::Projection => "query or key projection",
            Self::Query => "query",
            Self::Key => "key",
            Self::Value => "value",
            Self::Gate => "gate",
            Self::Up => "up",
            Self::Router => "router",
            Self::Logits => "logits",
        }
    }
}

/// Sees every activation whose range matters to the exact engine.
pub trait Observer {
    /// Called once per site and window, in the order of the graph.
    fn observe(&mut self, layer: usize, site: Site, activation: &Tensor) -> Result<()>;
}

/// Looks away.
pub struct NoObserver;

impl Observer for NoObserver {
    fn observe(&mut self, _: usize, _: Site, _: &Tensor) -> Result<()> {
        Ok(())
    }
}
