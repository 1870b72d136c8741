//! The MLP, dense or a mixture of experts (section 8).

use assay_exact::{
    header::{Flags, Header},
    layout::{Entry, PartName},
    mlp::{add_expert, finish_experts, route, Activation, ChosenExpert},
};

use super::{
    buffers::{A15Rows, ExpertBuffers, MlpBuffers},
    fit, Buffers, Executor,
};
use crate::{
    kernels::A15,
    package::{LinearPart, Package, PackageError},
};

/// Fraction bits of gate, up and router.
const PROJECTION_FRACTION: i32 = 16;

/// The second block of a layer.
#[derive(Debug)]
pub(crate) enum Mlp {
    /// One MLP for every token.
    Dense(DenseMlp),
    /// Each token through a few of many.
    Experts(Experts),
}

impl Mlp {
    pub fn load(package: &Package, header: &Header, entry: Entry, f_d: i32) -> Result<Self, PackageError> {
        if header.experts == 0 {
            return DenseMlp::load(package, header, entry, None, f_d).map(Self::Dense);
        }
        Ok(Self::Experts(Experts {
            router: LinearPart::load(package, entry, PartName::Router)?,
            experts: (0..header.experts)
                .map(|expert| DenseMlp::load(package, header, entry, Some(expert), f_d))
                .collect::<Result<_, _>>()?,
            per_token: header.experts_per_token as usize,
            over_all: header.flags.has(Flags::ROUTER_OVER_ALL),
        }))
    }

    /// From `buffers.x` `[n, d]` to `buffers.line` `[n, d]`, Q`F_d`. The inputs of the down projections stay in
    /// `buffers.down`: one row per token, or one per (token, chosen expert).
    pub fn forward(&self, run: Executor<'_>, buffers: &mut Buffers) {
        let Buffers { x, mlp, down, wide, line, experts, .. } = buffers;
        match self {
            Self::Dense(dense) => {
                let y = fit(line, x.view().tokens() * dense.width());
                dense.forward(run, x.view(), mlp, down, wide, y);
            }
            Self::Experts(mixture) => mixture.forward(run, x, (mlp, experts), down, wide, line),
        }
    }
}

/// `down(A(gate) * up)`, or `down(A(up))` without a gate.
#[derive(Debug)]
pub(crate) struct DenseMlp {
    gate: Option<LinearPart>,
    up: LinearPart,
    down: LinearPart,
    activation: Activation,
    hidden: usize,
    f_d: i32,
}

impl DenseMlp {
    fn load(
        package: &Package,
        header: &Header,
        entry: Entry,
        expert: Option<u32>,
        f_d: i32,
    ) -> Result<Self, PackageError> {
        let linear = |name| LinearPart::load(package, entry, name);
        Ok(Self {
            gate: (!header.flags.has(Flags::UNGATED)).then(|| linear(PartName::Gate(expert))).transpose()?,
            up: linear(PartName::Up(expert))?,
            down: linear(PartName::Down(expert))?,
            activation: header.activation,
            hidden: header.hidden as usize,
            f_d,
        })
    }

    fn width(&self) -> usize {
        self.down.rows().rows()
    }

    /// `y` is `[n, d]`; the down projection's input is left in `down` `[n, f]`.
    fn forward(
        &self,
        run: Executor<'_>,
        x: A15<'_>,
        buffers: &mut MlpBuffers,
        down: &mut A15Rows,
        wide: &mut Vec<i64>,
        y: &mut [i32],
    ) {
        let (n, f) = (x.tokens(), self.hidden);
        let up = fit(&mut buffers.up, n * f);
        run.threads.linear(run.kernels, self.up.rows(), x, PROJECTION_FRACTION, up);
        let (q, exponents) = down.resize(n, f);
        match &self.gate {
            Some(projection) => {
                let gate = fit(&mut buffers.gate, n * f);
                run.threads.linear(run.kernels, projection.rows(), x, PROJECTION_FRACTION, gate);
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
        run.threads.linear(run.kernels, self.down.rows(), down.view(), self.f_d, y);
    }
}

/// A mixture of experts: the router chooses a few for each token.
#[derive(Debug)]
pub(crate) struct Experts {
    router: LinearPart,
    experts: Vec<DenseMlp>,
    per_token: usize,
    over_all: bool,
}

impl Experts {
    /// Expert by expert, so that each reads its weights once for all of its tokens. The weighted sums are exact:
    /// their order does not matter.
    fn forward(
        &self,
        run: Executor<'_>,
        x: &A15Rows,
        (mlp, buffers): (&mut MlpBuffers, &mut ExpertBuffers),
        down: &mut A15Rows,
        wide: &mut Vec<i64>,
        line: &mut Vec<i32>,
    ) {
        let (n, k, d) = (x.view().tokens(), self.per_token, x.columns());
        let ExpertBuffers { logits, chosen, inputs, down: expert_down, out, sums } = buffers;
        let logits = fit(logits, n * self.experts.len());
        run.threads.linear(run.kernels, self.router.rows(), x.view(), PROJECTION_FRACTION, logits);
        chosen.clear();
        chosen.resize(n * k, ChosenExpert::default());
        for (logits, chosen) in logits.chunks_exact(self.experts.len()).zip(chosen.chunks_exact_mut(k)) {
            route(logits, self.over_all, chosen);
        }

        let sums = fit(sums, n * d);
        sums.fill(0);
        down.resize(n * k, self.experts[0].hidden);
        for (id, expert) in (0u32..).zip(&self.experts) {
            let slots = || (0..n * k).filter(|slot| chosen[*slot].id == id);
            let tokens = slots().count();
            if tokens == 0 {
                continue;
            }
            inputs.resize(tokens, d);
            for (i, slot) in slots().enumerate() {
                inputs.set_row(i, x.row(slot / k));
            }
            let out = fit(out, tokens * d);
            expert.forward(run, inputs.view(), mlp, expert_down, wide, out);
            for ((i, slot), out) in slots().enumerate().zip(out.chunks_exact(d)) {
                down.set_row(slot, expert_down.row(i));
                add_expert(chosen[slot].weight, out, &mut sums[slot / k * d..(slot / k + 1) * d]);
            }
        }
        finish_experts(sums, fit(line, n * d));
    }
}
