//! The running lists of a stage, and its commitment (section 11).

use assay_exact::{
    commit::{root_of_roots, row_leaf, tail_leaf, Generation, StageRootInput, KV_BLOCK},
    hash::{Blake2b, Digest},
    header::Header,
    merkle::{leaf_hash, ListBuilder},
};

use std::ops::Range;

use super::StageSpec;
use crate::{
    kernels::Threads,
    model::{Buffers, KvCache},
};

/// What a stage commits to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StageCommit {
    /// Positions computed, `N`.
    pub positions: u32,
    /// `ids_root` in the first stage, else the row root of the input.
    pub in_root: Digest,
    /// `ids_root` in the last stage of a decoder, `list(v)` of an encoder, else the row root of the output.
    pub out_root: Digest,
    /// Keys and values of the span.
    pub kv_root: Digest,
    /// What the last layer of the span computed after its keys and values.
    pub tail_root: Digest,
    /// Binds all of these to the model, the span and the job.
    pub stage_root: Digest,
}

/// What a commitment binds beside the lists.
#[derive(Clone, Copy, Debug)]
pub(super) struct CommittedJob {
    pub model_root: Digest,
    pub first: u32,
    pub end: u32,
    pub t_in: u32,
    /// A decoder's parameters; an encoder has none.
    pub generation: Option<Generation>,
}

type List = ListBuilder<Blake2b>;

/// The lists of a stage.
#[derive(Debug)]
pub(super) struct Commitments {
    width: usize,
    /// Down projections of a position.
    downs: usize,
    input: List,
    output: List,
    tail: List,
    /// Complete blocks of each (layer, kv head).
    kv: Vec<List>,
    kv_blocks: usize,
}

impl Commitments {
    pub fn new(header: &Header, spec: &StageSpec) -> Self {
        let mut commitments = Self::of_layers(header, spec.end - spec.first);
        if spec.end == header.layers {
            commitments.push_out_ids(&spec.prompt);
        }
        commitments
    }

    /// Empty lists for a span of `layers` layers.
    pub fn of_layers(header: &Header, layers: u32) -> Self {
        let heads = layers as usize * header.kv_heads as usize;
        Self {
            width: header.d as usize,
            downs: header.experts_per_token.max(1) as usize,
            input: List::new(),
            output: List::new(),
            tail: List::new(),
            kv: vec![List::new(); heads],
            kv_blocks: 0,
        }
    }

    pub fn in_root(&self) -> (u64, Digest) {
        (self.input.len(), self.input.root())
    }

    pub fn out_root(&self) -> (u64, Digest) {
        (self.output.len(), self.output.root())
    }

    pub fn push_in_ids(&mut self, ids: &[u32]) {
        ids.iter().for_each(|id| self.input.push(&id.to_le_bytes()));
    }

    pub fn push_out_ids(&mut self, ids: &[u32]) {
        ids.iter().for_each(|id| self.output.push(&id.to_le_bytes()));
    }

    /// Forgets the output: a replay found that it is no honest one.
    pub fn clear_output(&mut self) {
        self.output = List::new();
    }

    pub fn push_in_rows(&mut self, rows: &[i32]) {
        push_rows(&mut self.input, rows, self.width);
    }

    pub fn push_out_rows(&mut self, rows: &[i32]) {
        push_rows(&mut self.output, rows, self.width);
    }

    /// An encoder's vector: the one leaf of its output.
    pub fn push_out_vector(&mut self, v: &[i16]) {
        self.output.push(bytemuck::cast_slice(v));
    }

    /// The tail of the positions computed last, which are these rows of the call.
    pub fn push_tail(&mut self, buffers: &Buffers, rows: Range<usize>) {
        let tail = buffers.tail.chunks_exact(self.width).enumerate();
        for (t, h) in tail.take(rows.end).skip(rows.start) {
            let downs = (t * self.downs..(t + 1) * self.downs).map(|i| buffers.down.row(i));
            self.tail.push_hash(tail_leaf::<Blake2b>(h, downs));
        }
    }

    /// The blocks that are complete once the positions before `end` have been computed.
    pub fn push_kv(&mut self, cache: &KvCache, end: usize, threads: &Threads) {
        let blocks = self.kv_blocks..end / KV_BLOCK;
        if blocks.is_empty() {
            return;
        }
        self.kv_blocks = blocks.end;
        let heads: Vec<_> = self.kv.iter_mut().zip(cache.heads()).collect();
        // Hashing a byte costs about as much as ten multiply-accumulates.
        let work = heads.first().map_or(0, |(_, head)| head.block(0, KV_BLOCK).len() * 20);
        let work = work * heads.len() * blocks.len();
        threads.share(heads, work, &mut vec![(); 1], |(list, head), ()| {
            for block in blocks.clone() {
                let bytes: &[u8] = bytemuck::cast_slice(head.block(block, end));
                list.push_hash(leaf_hash::<Blake2b>(&[bytes]));
            }
        });
    }

    /// The commitment of a stage that has computed `positions` positions.
    pub fn commit(&self, job: &CommittedJob, cache: &KvCache, positions: usize) -> StageCommit {
        let kv_root = root_of_roots::<Blake2b>(self.kv.iter().zip(cache.heads()).map(|(list, head)| {
            let mut list = list.clone();
            if !positions.is_multiple_of(KV_BLOCK) {
                list.push(bytemuck::cast_slice(head.block(positions / KV_BLOCK, positions)));
            }
            list.root()
        }));
        let (in_root, out_root, tail_root) = (self.input.root(), self.output.root(), self.tail.root());
        let input = StageRootInput {
            model_root: job.model_root,
            first_layer: job.first,
            end_layer: job.end,
            t_in: job.t_in,
            generation: job.generation,
            in_root,
            out_root,
            kv_root,
            tail_root,
        };
        StageCommit {
            positions: positions as u32,
            in_root,
            out_root,
            kv_root,
            tail_root,
            stage_root: input.root::<Blake2b>(),
        }
    }
}

fn push_rows(list: &mut List, rows: &[i32], width: usize) {
    rows.chunks_exact(width).for_each(|row| list.push_hash(row_leaf::<Blake2b>(row)));
}
