//! The MLP (section 8).

use assay_exact::{
    header::{Flags, Header},
    layout::{Entry, PartName},
    mlp::Activation,
};

use super::{buffers::Tail, fit, Buffers, Executor};
use crate::package::{LinearPart, Package, PackageError};

const GATE_FRACTION: i32 = 16;

/// A dense MLP, gated (`down(A(gate) * up)`) or not (`down(A(up))`).
#[derive(Debug)]
pub(crate) struct Mlp {
    gate: Option<LinearPart>,
    up: LinearPart,
    down: LinearPart,
    activation: Activation,
    hidden: usize,
    f_d: i32,
}

impl Mlp {
    pub fn load(package: &Package, header: &Header, entry: Entry, f_d: i32) -> Result<Self, PackageError> {
        let linear = |name| LinearPart::load(package, entry, name);
        Ok(Self {
            gate: (!header.flags.has(Flags::UNGATED)).then(|| linear(PartName::Gate(None))).transpose()?,
            up: linear(PartName::Up(None))?,
            down: linear(PartName::Down(None))?,
            activation: header.activation,
            hidden: header.hidden as usize,
            f_d,
        })
    }

    /// From `buffers.x` `[n, d]` to `buffers.line` `[n, d]`, Q`F_d`. The input of the down projection stays in
    /// `buffers.tail`.
    pub fn forward(&self, run: Executor<'_>, buffers: &mut Buffers) {
        let Buffers { x, gate, up, wide, line, tail: Tail { down, .. }, .. } = buffers;
        let x = x.view();
        let (n, f) = (x.tokens(), self.hidden);
        let up = fit(up, n * f);
        run.threads.linear(run.kernels, self.up.rows(), x, GATE_FRACTION, up);
        let (q, exponents) = down.resize(n, f);
        match &self.gate {
            Some(projection) => {
                let gate = fit(gate, n * f);
                run.threads.linear(run.kernels, projection.rows(), x, GATE_FRACTION, gate);
                let (gate, up) = (&*gate, &*up);
                run.threads.rows(q, exponents, wide, |t, q, wide| {
                    let row = t * f..(t + 1) * f;
                    run.kernels.gated(self.activation, &gate[row.clone()], &up[row], wide, q)
                });
            }
            None => {
                let up = &*up;
                run.threads.rows(q, exponents, wide, |t, q, wide| {
                    run.kernels.ungated(self.activation, &up[t * f..(t + 1) * f], wide, q)
                });
            }
        }
        let d = self.down.rows().rows();
        run.threads.linear(run.kernels, self.down.rows(), down.view(), self.f_d, fit(line, n * d));
    }
}
