//! This engine, on a package of random weights.

use std::{path::Path, sync::Arc};

use assay_engine::{
    package::{encode, Package, PackageWriter},
    stage::{Batch, BatchItem, Control, Setup, Stage, StageInput, StageOutput, StageSpec},
    Sampling,
};
use assay_exact::{
    attention::HeadScale,
    layout::{Entry, Layout, PartName},
    linear::RowScale,
    prim::Eps,
    statics::{LayerStatics, NormConstants, QueryHead},
};

use super::{
    contender::Contender,
    shape::{Error, Shape},
    weights::{self, SCALE_BITS},
};

/// Writes a package of `shape` with the weights of [`weights`]. Its words mean nothing; its numbers stay in the ranges
/// of a trained model.
pub fn write_package(shape: &Shape, directory: &Path) -> Result<(), Error> {
    let mut writer = PackageWriter::create(directory, shape.header(), b"{}", None)?;
    let header = writer.header().clone();
    let entries: Vec<Entry> = header.entries().filter(|e| *e != Entry::Header).collect();
    for entry in entries {
        let parts = header.file_parts(entry).map(|(_, part)| bytes(shape, entry, part.name, part.layout));
        writer.write(entry, &parts.collect::<Result<Vec<_>, Error>>()?)?;
    }
    writer.finish()?;
    Ok(())
}

fn bytes(shape: &Shape, entry: Entry, name: PartName, layout: Layout) -> Result<Vec<u8>, Error> {
    // Exponent of queries and keys.
    const HEAD_EXPONENT: i32 = -10;
    const SCALE: u32 = RowScale { m: 0x0080_0000, k: 23 + SCALE_BITS as i32 }.pack();
    Ok(match layout {
        Layout::Header { .. } => Vec::new(),
        Layout::Scales { out } => encode::scales(&vec![SCALE; out as usize]),
        Layout::Linear { out, .. } => {
            let matrix = match entry {
                Entry::Embedding => weights::embedding(shape),
                Entry::Head => weights::head(shape),
                Entry::Layer(layer) => {
                    let linear = weights::linears(shape).into_iter().find(|linear| linear.part == name);
                    linear.ok_or_else(|| format!("a Llama has no {name:?}"))?.matrix(layer as usize)
                }
                other => return Err(format!("a Llama has no {other:?}").into()),
            };
            encode::linear(&matrix, &vec![SCALE; out as usize], None)
        }
        Layout::Norm { n, .. } => {
            // gamma = 1 in Q20; epsilon 1e-5 over a stream in Q16: m = 1e-5 * n * 2^32.
            let gain = (f64::from(n).sqrt() * f64::from(1 << 20)) as i32;
            let constants = NormConstants { f_g: 20, eps: Eps { m: 42_950, k: -(n.ilog2() as i32) } };
            encode::norm(constants, &vec![gain; n as usize], None)
        }
        Layout::RopeTables { positions, rot, .. } => {
            let entries: Vec<i32> = (0..positions)
                .flat_map(|position| (0..rot / 2).map(move |i| (position, i)))
                .flat_map(|(position, i)| {
                    let angle = f64::from(position) * 10_000f64.powf(-2.0 * f64::from(i) / f64::from(rot));
                    [angle.cos(), angle.sin()].map(|x| (x * f64::from(1 << 30)) as i32)
                })
                .collect();
            encode::rope_tables(&entries)
        }
        Layout::Statics { .. } => {
            debug_assert_eq!(name, PartName::Statics);
            // Section 10: c * 2^-sigma_l = 2^(16 + e_q + e_k) * log2(e) / sqrt(D), c of 23 bits.
            let scale = 2f64.powi(16 + 2 * HEAD_EXPONENT) * std::f64::consts::LOG2_E / (shape.head_dim() as f64).sqrt();
            let sigma_l = 22 - scale.log2().floor() as i32;
            let scale = HeadScale { c: (scale * 2f64.powi(sigma_l)) as u32, sigma_l: sigma_l as u32, soft_cap: None };
            let sigma = (46 + HEAD_EXPONENT) as u32;
            LayerStatics {
                window: 0,
                rope_table: Some(0),
                e_v: -12,
                f_o: 16,
                f_d: 16,
                query_heads: vec![QueryHead { sigma, scale }; shape.heads],
                kv_sigma: vec![sigma; shape.kv_heads],
            }
            .encode()
        }
    })
}

/// The stage executor over all layers, commitments included.
pub struct Exact {
    shape: Shape,
    package: Arc<Package>,
    setup: Setup,
    /// The sequences, each with the id drawn last.
    slots: Vec<Option<(Stage, u32)>>,
    batch: Batch,
}

impl Exact {
    pub fn open(shape: Shape, package: &Path, setup: &Setup, slots: usize) -> Result<Self, Error> {
        let package = Arc::new(Package::open(package)?);
        let slots = (0..slots).map(|_| None).collect();
        Ok(Self { shape, package, setup: setup.shared()?, slots, batch: Batch::default() })
    }
}

fn token(output: StageOutput) -> Result<u32, Error> {
    match output {
        StageOutput::Token(token) => Ok(token.id),
        other => Err(format!("a whole model gives tokens, not {other:?}").into()),
    }
}

impl Contender for Exact {
    fn prefill(&mut self, slot: usize, prompt: &[u32]) -> Result<u32, Error> {
        let spec = StageSpec {
            first: 0,
            end: self.shape.layers as u32,
            prompt: prompt.into(),
            max_new: (self.shape.context - prompt.len()) as u32,
            sampling: Sampling::GREEDY,
        };
        let mut stage = Stage::open(&self.package, spec, &self.setup)?;
        let id = token(stage.forward(StageInput::Ids(prompt), &mut Control::default())?)?;
        self.slots[slot] = Some((stage, id));
        Ok(id)
    }

    fn decode(&mut self, slots: &[usize]) -> Result<(), Error> {
        let open = self.slots.iter_mut().enumerate().filter(|(slot, _)| slots.contains(slot));
        let mut open: Vec<_> = open.filter_map(|(_, sequence)| sequence.as_mut()).collect();
        if open.len() != slots.len() {
            return Err("prefill comes first".into());
        }
        let fed: Vec<[u32; 1]> = open.iter().map(|(_, id)| [*id]).collect();
        let items = open.iter_mut().zip(&fed);
        let mut items: Vec<_> = items.map(|((stage, _), id)| BatchItem { stage, input: StageInput::Ids(id) }).collect();
        let outputs = self.batch.forward(&mut items, &mut Control::default());
        for (sequence, output) in open.into_iter().zip(outputs) {
            sequence.1 = token(output?)?;
        }
        Ok(())
    }

    fn together(&self) -> usize {
        self.slots.len()
    }
}
