//! Hooks into the float forward pass.

use candle_core::{Result, Tensor};

/// A place in the graph where an observer sees the activation. T is the number of positions of the window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Site {
    /// `[T, d]`: the embedding row, and the residual stream after each of a layer's two additions.
    Residual,
    /// `[T, d]`: what a sublayer adds to the residual stream.
    Sublayer,
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
    /// `[T, vocab]`, seen with the number of layers as layer.
    Logits,
}

impl Site {
    /// The name in reports and errors.
    pub fn name(self) -> &'static str {
        match self {
            Self::Residual => "residual stream",
            Self::Sublayer => "sublayer output",
            Self::Query => "query",
            Self::Key => "key",
            Self::Value => "value",
            Self::Gate => "gate",
            Self::Up => "up",
            Self::Logits => "logits",
        }
    }
}

/// Sees every activation that has an integer format in the exact engine.
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
