//! The ops over candle tensors, as `CustomOp`s.
//!
//! The bodies are those of [`kernels`](crate::kernels), so that a tensor program and the stage executor agree on
//! every bit. The executor itself works on slices: at a small model's speed the tensors' bookkeeping is measurable.
//!
//! Weights are U8 tensors that carry i8 bytes (candle has no i8). A row of A15 is an I16 row with its exponent's two
//! halves, low first, after its entries: an op has one output tensor, and a row never travels without its exponent.

use std::sync::Arc;

use assay_exact::{mlp::Activation, norm::Norm, statics::NormConstants};
use candle_core::{bail, CpuStorage, CustomOp1, CustomOp2, DType, Layout, Result, Shape, Tensor, WithDType};

use crate::kernels::{Kernels, LinearRows, Threads, A15};

/// I16 entries that hold a row's exponent.
const EXPONENT: usize = 2;

/// Rows of A15 as one I16 tensor `[n, k + 2]` (section 4).
#[derive(Clone, Debug)]
pub struct A15Tensor(Tensor);

impl A15Tensor {
    /// From mantissas `[n, k]` and exponents `[n]`, on the CPU.
    pub fn new(q: &[i16], exponents: &[i32]) -> Result<Self> {
        let n = exponents.len();
        if n == 0 || q.is_empty() || !q.len().is_multiple_of(n) {
            bail!("{} mantissas for {n} exponents", q.len());
        }
        let k = q.len() / n;
        let rows = pack(k, n, |t, row| {
            row.copy_from_slice(&q[t * k..(t + 1) * k]);
            exponents[t]
        });
        Ok(Self(Tensor::from_vec(rows, (n, k + EXPONENT), &candle_core::Device::Cpu)?))
    }

    /// The packed tensor.
    pub fn tensor(&self) -> &Tensor {
        &self.0
    }

    /// Mantissas `[n, k]` and exponents `[n]`.
    pub fn to_vecs(&self) -> Result<(Vec<i16>, Vec<i32>)> {
        let (_, columns) = self.0.dims2()?;
        Ok(unpack(&self.0.flatten_all()?.to_vec1::<i16>()?, columns - EXPONENT))
    }
}

/// A linear layer of one plane of weights (section 3).
#[derive(Clone, Debug)]
pub struct ExactLinear {
    weights: Tensor,
    op: LinearOp,
}

#[derive(Clone, Debug)]
struct LinearOp {
    scales: Arc<[u32]>,
    bias: Option<Arc<[i32]>>,
    f_out: i32,
    kernels: &'static dyn Kernels,
    threads: Arc<Threads>,
}

impl ExactLinear {
    /// `weights` is U8 `[out, in]` (i8 bytes), `scales` `[out]` packed, `bias` `[out]` Q`f_out`.
    pub fn new(
        weights: &Tensor,
        scales: Arc<[u32]>,
        bias: Option<Arc<[i32]>>,
        f_out: i32,
        kernels: &'static dyn Kernels,
        threads: Arc<Threads>,
    ) -> Result<Self> {
        let (out, _) = weights.dims2()?;
        if weights.dtype() != DType::U8 {
            bail!("weights are {:?}; give U8 (i8 bytes)", weights.dtype());
        }
        if scales.len() != out || bias.as_ref().is_some_and(|b| b.len() != out) {
            bail!("{out} rows of weights, {} scales, {:?} biases", scales.len(), bias.map(|b| b.len()));
        }
        let op = LinearOp { scales, bias, f_out, kernels, threads };
        Ok(Self { weights: weights.contiguous()?, op })
    }

    /// I32 `[n, out]`, Q`f_out`.
    pub fn forward(&self, x: &A15Tensor) -> Result<Tensor> {
        x.0.apply_op2(&self.weights, self.op.clone())
    }
}

impl CustomOp2 for LinearOp {
    fn name(&self) -> &'static str {
        "exact-linear"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        w: &CpuStorage,
        w_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (out, inputs) = w_layout.shape().dims2()?;
        let (n, columns) = x_layout.shape().dims2()?;
        if columns != inputs + EXPONENT {
            bail!("exact-linear: rows of {columns} entries, exponent included, for [{out}, {inputs}]");
        }
        let (q, exponents) = unpack(values(x, x_layout)?, inputs);
        let part = LinearRows {
            w: bytemuck::cast_slice(values::<u8>(w, w_layout)?).into(),
            scales: &self.scales,
            bias: self.bias.as_deref(),
            inputs,
        };
        let mut y = vec![0; n * out];
        let x = A15 { q: &q, exponents: &exponents };
        self.threads.install(|| self.threads.linear(self.kernels, part, x, self.f_out, &mut y));
        Ok((CpuStorage::I32(y), (n, out).into()))
    }
}

/// A norm of residual rows (section 5).
#[derive(Clone, Debug)]
pub struct ExactNorm {
    constants: NormConstants,
    gain: Arc<[i32]>,
    bias: Option<Arc<[i32]>>,
    kernels: &'static dyn Kernels,
}

impl ExactNorm {
    /// `gain` `[d]`, Q`F_g`; a `bias` makes it a LayerNorm.
    pub fn new(
        constants: NormConstants,
        gain: Arc<[i32]>,
        bias: Option<Arc<[i32]>>,
        kernels: &'static dyn Kernels,
    ) -> Result<Self> {
        if gain.is_empty() || bias.as_ref().is_some_and(|b| b.len() != gain.len()) {
            bail!("{} gains, {:?} biases", gain.len(), bias.map(|b| b.len()));
        }
        Ok(Self { constants, gain, bias, kernels })
    }

    /// `A15(norm)` of I32 rows `[n, d]`.
    pub fn a15(&self, h: &Tensor) -> Result<A15Tensor> {
        h.contiguous()?.apply_op1(NormOp { norm: self.clone(), to: None }).map(A15Tensor)
    }

    /// `to(F, norm)` of I32 rows `[n, d]`: I32 `[n, d]` in Q`f`.
    pub fn to(&self, f: u32, h: &Tensor) -> Result<Tensor> {
        h.contiguous()?.apply_op1(NormOp { norm: self.clone(), to: Some(f) })
    }
}

struct NormOp {
    norm: ExactNorm,
    to: Option<u32>,
}

impl CustomOp1 for NormOp {
    fn name(&self) -> &'static str {
        "exact-norm"
    }

    fn cpu_fwd(&self, h: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let ExactNorm { constants, gain, bias, kernels } = &self.norm;
        let (n, d) = layout.shape().dims2()?;
        if gain.len() != d {
            bail!("exact-norm: rows of {d} entries, {} gains", gain.len());
        }
        let norm = Norm { f_g: constants.f_g, eps: constants.eps, gain, bias: bias.as_deref() };
        let h = values::<i32>(h, layout)?;
        let mut wide = vec![0; d];
        Ok(match self.to {
            None => {
                let rows = pack(d, n, |t, q| kernels.norm_a15(&norm, &h[t * d..(t + 1) * d], &mut wide, q));
                (CpuStorage::I16(rows), (n, d + EXPONENT).into())
            }
            Some(f) => {
                let mut out = vec![0; n * d];
                for (h, out) in h.chunks_exact(d).zip(out.chunks_exact_mut(d)) {
                    kernels.norm_to(&norm, f, h, &mut wide, out);
                }
                (CpuStorage::I32(out), (n, d).into())
            }
        })
    }
}

/// The gate of an MLP (section 8): the input of its down projection.
#[derive(Clone, Copy, Debug)]
pub struct ExactGate {
    /// The gate function.
    pub activation: Activation,
    /// The backend.
    pub kernels: &'static dyn Kernels,
}

impl ExactGate {
    /// From I32 Q16 rows `[n, f]` of both projections.
    pub fn forward(&self, gate: &Tensor, up: &Tensor) -> Result<A15Tensor> {
        gate.contiguous()?.apply_op2(&up.contiguous()?, *self).map(A15Tensor)
    }
}

impl CustomOp2 for ExactGate {
    fn name(&self) -> &'static str {
        "exact-gate"
    }

    fn cpu_fwd(
        &self,
        gate: &CpuStorage,
        g_layout: &Layout,
        up: &CpuStorage,
        u_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (n, f) = g_layout.shape().dims2()?;
        if u_layout.shape() != g_layout.shape() {
            bail!("exact-gate: {:?} and {:?}", g_layout.shape(), u_layout.shape());
        }
        let (gate, up) = (values::<i32>(gate, g_layout)?, values::<i32>(up, u_layout)?);
        let mut wide = vec![0; f];
        let rows = pack(f, n, |t, q| {
            let row = t * f..(t + 1) * f;
            self.kernels.gated(self.activation, &gate[row.clone()], &up[row], &mut wide, q)
        });
        Ok((CpuStorage::I16(rows), (n, f + EXPONENT).into()))
    }
}

/// `n` packed rows of `k` entries; `row` fills one and returns its exponent.
fn pack(k: usize, n: usize, mut row: impl FnMut(usize, &mut [i16]) -> i32) -> Vec<i16> {
    let mut rows = vec![0; n * (k + EXPONENT)];
    for (t, packed) in rows.chunks_exact_mut(k + EXPONENT).enumerate() {
        let (q, halves) = packed.split_at_mut(k);
        let exponent = row(t, q);
        halves.copy_from_slice(&[exponent as i16, (exponent >> 16) as i16]);
    }
    rows
}

/// Mantissas `[n, k]` and exponents `[n]` of packed rows.
fn unpack(rows: &[i16], k: usize) -> (Vec<i16>, Vec<i32>) {
    let rows = rows.chunks_exact(k + EXPONENT);
    let exponents = rows.clone().map(|row| i32::from(row[k] as u16) | i32::from(row[k + 1]) << 16).collect();
    (rows.flat_map(|row| &row[..k]).copied().collect(), exponents)
}

fn values<'a, T: WithDType>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [T]> {
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(&storage.as_slice::<T>()?[start..end]),
        None => bail!("the tensor must be contiguous: {layout:?}"),
    }
}

#[cfg(test)]
mod tests {
    use assay_exact::{linear::linear_row, prim::Eps};
    use candle_core::Device;

    use super::*;
    use crate::kernels::Backend;

    fn kernels() -> &'static dyn Kernels {
        Backend::detect().kernels().expect("detected")
    }

    #[test]
    fn tensor_program_equals_the_reference_ops() -> Result<()> {
        let (n, d, f) = (3, 10, 7);
        let h: Vec<i32> = (0..n * d).map(|i| (i as i32 * 7919 - 90_000) << 6).collect();
        let gain: Vec<i32> = (0..d).map(|i| 1 << (12 + i % 3)).collect();
        let w: Vec<i8> = (0..2 * f * d).map(|i| (i * 37 % 255) as u8 as i8).collect();
        let scales: Vec<u32> = (0..2 * f).map(|i| (20 << 24) + (1 << 23) + i as u32).collect();
        let constants = NormConstants { f_g: 12, eps: Eps { m: 9_000_000, k: 3 } };

        let threads = Arc::new(Threads::new(2).map_err(candle_core::Error::wrap)?);
        let linear = |half: usize| {
            let bytes: Vec<u8> = w[half * f * d..][..f * d].iter().map(|w| *w as u8).collect();
            let weights = Tensor::from_vec(bytes, (f, d), &Device::Cpu)?;
            let scales = scales[half * f..][..f].to_vec();
            ExactLinear::new(&weights, scales.into(), None, 16, kernels(), threads.clone())
        };
        let x = ExactNorm::new(constants, gain.clone().into(), None, kernels())?.a15(&Tensor::from_vec(
            h.clone(),
            (n, d),
            &Device::Cpu,
        )?)?;
        let gate = ExactGate { activation: Activation::Silu, kernels: kernels() };
        let (q, exponents) = gate.forward(&linear(0)?.forward(&x)?, &linear(1)?.forward(&x)?)?.to_vecs()?;

        let norm = Norm { f_g: 12, eps: constants.eps, gain: &gain, bias: None };
        for (t, h) in h.chunks_exact(d).enumerate() {
            let mut x = vec![0; d];
            let e_x = norm.a15(h, &mut x);
            let mut y = vec![0; 2 * f];
            linear_row(w[..].into(), &scales, None, &x, e_x, 16, &mut y);
            let mut expected = vec![0; f];
            let e = assay_exact::mlp::gated(Activation::Silu, &y[..f], &y[f..], &mut expected);
            assert_eq!((&q[t * f..(t + 1) * f], exponents[t]), (&expected[..], e));
        }
        Ok(())
    }

    #[test]
    fn a15_tensor_keeps_negative_exponents() -> Result<()> {
        let (q, exponents) = (vec![1i16, -2, 3, 16384], vec![-70_000, 5]);
        assert_eq!(A15Tensor::new(&q, &exponents)?.to_vecs()?, (q, exponents));
        Ok(())
    }

    #[test]
    fn forward_with_another_width_is_an_error() -> Result<()> {
        let weights = Tensor::zeros((2, 3), DType::U8, &Device::Cpu)?;
        let threads = Arc::new(Threads::new(1).map_err(candle_core::Error::wrap)?);
        let linear = ExactLinear::new(&weights, vec![0, 0].into(), None, 16, kernels(), threads)?;
        let error = linear.forward(&A15Tensor::new(&[1, 2, 3, 4], &[0])?).unwrap_err();
        assert!(error.to_string().contains("for [2, 3]"), "{error}");
        Ok(())
    }
}
