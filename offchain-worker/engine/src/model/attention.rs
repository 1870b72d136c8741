//! Grouped-query attention over the cache (sections 6 and 7).

use std::ops::Range;

use assay_exact::{
    attention::{causal_keys, finish_attention, OUTPUT_EXPONENT},
    header::{Flags, Header},
    layout::{Entry, PartName},
    linear::saturate_row,
    prim::inv,
    statics::{LayerStatics, QueryHead},
};

use super::{
    buffers::{A15Rows, AttentionScratch},
    cache::KvHead,
    fit, Buffers, Executor, Lane,
};
use crate::{
    kernels::RowsMut,
    package::{LinearPart, NormPart, Package, PackageError},
};

const PROJECTION_FRACTION: i32 = 16;

/// Entries of the score matrix of one tile of queries, so that a tile of a long text stays in the cache.
const TILE_SCORES: usize = 1 << 16;
/// Queries of a tile: they share the loads of keys and values.
const TILE_QUERIES: usize = 16;

/// Projections, static shifts and window of one layer.
#[derive(Debug)]
pub(crate) struct Attention {
    query: LinearPart,
    key: LinearPart,
    value: LinearPart,
    output: LinearPart,
    query_norm: Option<NormPart>,
    key_norm: Option<NormPart>,
    statics: LayerStatics,
    head_dim: usize,
    rot: usize,
}

/// The keys that a position sees (section 7).
#[derive(Clone, Copy, Debug)]
pub(crate) enum Reach {
    /// A decoder's: itself and those before it, with a window only the nearest; 0 for all.
    Causal {
        /// `W`.
        window: u32,
    },
    /// An encoder's: the whole text.
    Whole {
        /// Its positions.
        length: usize,
    },
}

impl Reach {
    /// The keys of position `p`.
    fn keys(self, p: usize) -> Range<usize> {
        match self {
            Self::Causal { window } => causal_keys(p, window),
            Self::Whole { length } => 0..length,
        }
    }

    /// The keys of any of the positions `first..=last`.
    fn joined(self, first: usize, last: usize) -> Range<usize> {
        self.keys(first).start..self.keys(last).end
    }
}

/// The queries of one kv head, of consecutive tokens.
struct Tile<'a> {
    kv: &'a KvHead,
    heads: &'a [QueryHead],
    /// `[tokens, group, D]`.
    queries: &'a [i16],
    /// Position of the first token.
    start: usize,
    reach: Reach,
    /// `[tokens, group * D]`.
    out: RowsMut<'a>,
}

impl Attention {
    pub fn load(package: &Package, header: &Header, entry: Entry, statics: LayerStatics) -> Result<Self, PackageError> {
        let linear = |name| LinearPart::load(package, entry, name);
        let norm = |name| header.flags.has(Flags::QK_NORM).then(|| NormPart::load(package, entry, name)).transpose();
        Ok(Self {
            query: linear(PartName::Query)?,
            key: linear(PartName::Key)?,
            value: linear(PartName::Value)?,
            output: linear(PartName::Output)?,
            query_norm: norm(PartName::QueryNorm)?,
            key_norm: norm(PartName::KeyNorm)?,
            statics,
            head_dim: header.head_dim as usize,
            rot: header.rot as usize,
        })
    }

    /// From `buffers.x` `[n, d]`, the lanes' positions in a decoder, to `buffers.line` `[n, d]`, Q`F_o`. Appends the keys and values
    /// to layer `index` of their caches.
    pub fn forward(&self, run: Executor<'_>, index: usize, lanes: &mut [Lane<'_>], buffers: &mut Buffers) {
        self.write(run, index, lanes, buffers);
        self.read(run, index, Reach::Causal { window: self.statics.window }, lanes, buffers);
    }

    /// The keys and values of `buffers.x` `[n, d]` to the lanes' caches.
    pub fn write(&self, run: Executor<'_>, index: usize, lanes: &mut [Lane<'_>], buffers: &mut Buffers) {
        let (d, n_kv) = (self.head_dim, self.statics.kv_sigma.len());
        let Buffers { x, rope, key, value, .. } = buffers;
        let key = project(run, &self.key, x, PROJECTION_FRACTION, key);
        let value = project(run, &self.value, x, -self.statics.e_v, value);
        if let Some(norm) = &self.key_norm {
            norm.norm().to_heads(key);
        }
        let mut t = 0;
        for lane in lanes {
            let cache = lane.cache.layer_mut(index);
            for position in lane.start..lane.start + lane.n {
                let row = self.rope_row(rope, t);
                for (head, (kv, sigma)) in cache.heads.iter_mut().zip(&self.statics.kv_sigma).enumerate() {
                    let at = (t * n_kv + head) * d;
                    let (k, v) = kv.slot_mut(position);
                    run.kernels.rope_head(&key[at..at + d], row, *sigma, k);
                    saturate_row(&value[at..at + d], v);
                }
                t += 1;
            }
        }
    }

    /// What the lanes' positions see of their own caches, which hold the keys of all of their `reach`: from `buffers.x` `[n, d]` to
    /// `buffers.line` `[n, d]`, Q`F_o`.
    pub fn read(&self, run: Executor<'_>, index: usize, reach: Reach, lanes: &[Lane<'_>], buffers: &mut Buffers) {
        let n = buffers.x.view().tokens();
        self.rotate_queries(run, n, self.statics.kv_sigma.len(), buffers);
        self.attend(run, n, index, reach, lanes, buffers);

        let width = self.statics.query_heads.len() * self.head_dim;
        let Buffers { attended, joined, wide, line, .. } = buffers;
        let attended = &attended[..n * width];
        let (q, exponents) = joined.resize(n, width);
        run.threads.rows(q, exponents, wide, |t, q, wide| {
            for (wide, y) in wide.iter_mut().zip(&attended[t * width..(t + 1) * width]) {
                *wide = i64::from(*y);
            }
            run.kernels.requantize(wide, self.statics.e_v + OUTPUT_EXPONENT, q)
        });
        project(run, &self.output, joined, self.statics.f_o, line);
    }

    /// Queries with QK-norm and rotation, to `buffers.heads`.
    fn rotate_queries(&self, run: Executor<'_>, n: usize, n_kv: usize, buffers: &mut Buffers) {
        let (d, n_q) = (self.head_dim, self.statics.query_heads.len());
        let group = n_q / n_kv;
        let Buffers { x, rope, query, heads, .. } = buffers;
        let query = project(run, &self.query, x, PROJECTION_FRACTION, query);
        if let Some(norm) = &self.query_norm {
            norm.norm().to_heads(query);
        }
        let heads = fit(heads, n * n_q * d);
        for t in 0..n {
            let row = self.rope_row(rope, t);
            for (head, QueryHead { sigma, .. }) in self.statics.query_heads.iter().enumerate() {
                let x = &query[(t * n_q + head) * d..][..d];
                let at = ((head / group * n + t) * group + head % group) * d;
                run.kernels.rope_head(x, row, *sigma, &mut heads[at..at + d]);
            }
        }
    }

    /// The rope row of the call's token `t`; empty in a layer without rotation.
    fn rope_row<'a>(&self, rope: &'a [Vec<i32>], t: usize) -> &'a [i32] {
        match self.statics.rope_table {
            Some(table) => &rope[table as usize][t * self.rot..(t + 1) * self.rot],
            None => &[],
        }
    }

    fn attend(
        &self,
        run: Executor<'_>,
        n: usize,
        index: usize,
        reach: Reach,
        lanes: &[Lane<'_>],
        buffers: &mut Buffers,
    ) {
        let d = self.head_dim;
        let (n_q, n_kv) = (self.statics.query_heads.len(), self.statics.kv_sigma.len());
        let group = n_q / n_kv;
        let Buffers { heads, attended, attention, .. } = buffers;
        let heads = &heads[..n * n_q * d];
        // Keys that a lane's positions see together, and the tokens of its tiles.
        let sized = lanes.iter().map(|lane| {
            let keys = reach.joined(lane.start, lane.start + lane.n - 1).len();
            (lane, keys, (TILE_SCORES / (keys * group)).min(TILE_QUERIES / group).clamp(1, lane.n))
        });

        let count: usize = sized.clone().map(|(lane, _, tokens)| lane.n.div_ceil(tokens)).sum();
        let mut tiles = Vec::with_capacity(n_kv * count);
        let mut out = RowsMut::new(fit(attended, n * n_q * d), n_q * d);
        for i in 0..n_kv {
            let (mut rows, rest) = out.split_columns(group * d);
            out = rest;
            let mut queries = &heads[i * n * group * d..(i + 1) * n * group * d];
            for (lane, _, tokens) in sized.clone() {
                for t in (0..lane.n).step_by(tokens) {
                    let count = tokens.min(lane.n - t);
                    let (tile, rest) = rows.split_rows(count);
                    rows = rest;
                    let (own, others) = queries.split_at(count * group * d);
                    queries = others;
                    tiles.push(Tile {
                        kv: &lane.cache.layer(index).heads[i],
                        heads: &self.statics.query_heads[i * group..(i + 1) * group],
                        queries: own,
                        start: lane.start + t,
                        reach,
                        out: tile,
                    });
                }
            }
        }
        let work = sized.map(|(lane, keys, _)| 2 * lane.n * keys * n_q * d).sum();
        run.threads.share(tiles, work, attention, |tile, scratch| self.attend_tile(run, tile, scratch));
    }

    /// One tile: exact scores, exact maximum, weights, exact sums. The tile's keys are those of all of its
    /// tokens; a key outside of a token's own range gets weight 0 there and does not enter its softmax.
    fn attend_tile(&self, run: Executor<'_>, mut tile: Tile<'_>, scratch: &mut AttentionScratch) {
        let d = self.head_dim;
        let group = tile.heads.len();
        let tokens = tile.out.rows();
        let queries = tokens * group;
        let keys = tile.reach.joined(tile.start, tile.start + tokens - 1);
        let (first, stride) = (keys.start, keys.len());

        let scores = fit(&mut scratch.scores, queries * stride);
        let mut at = 0;
        for run_of_keys in tile.kv.runs(keys.clone()) {
            run.kernels.scores(tile.queries, run_of_keys, d, &mut scores[at..], stride);
            at += run_of_keys.len() / (2 * d);
        }

        let weights = fit(&mut scratch.weights, queries * stride);
        // Room for one reciprocal per query after the sums.
        let sums = fit(&mut scratch.sums, queries * d + queries);
        let (sums, totals) = sums.split_at_mut(queries * d);
        for (i, (scores, weights)) in scores.chunks_exact_mut(stride).zip(weights.chunks_exact_mut(stride)).enumerate()
        {
            let own = tile.reach.keys(tile.start + i / group);
            let own = own.start - first..own.end - first;
            let scale = &tile.heads[i % group].scale;
            let scores = &mut scores[own.clone()];
            if let Some(cap) = &scale.soft_cap {
                run.kernels.soft_cap(cap.c, cap.sigma, scores);
            }
            weights[..own.start].fill(0);
            weights[own.end..].fill(0);
            let z = run.kernels.softmax(scores, scale.c, scale.sigma_l, &mut weights[own]);
            // At most 2^17 keys of weight 2^24.
            totals[i] = z as i64;
        }

        sums.fill(0);
        let mut at = 0;
        for run_of_keys in tile.kv.runs(keys) {
            run.kernels.weighted_values(&weights[at..], stride, run_of_keys, d, sums);
            at += run_of_keys.len() / (2 * d);
        }
        for t in 0..tokens {
            let out = tile.out.row_mut(t).chunks_exact_mut(d);
            for ((out, sums), total) in out.zip(sums[t * group * d..].chunks_exact(d)).zip(&totals[t * group..]) {
                let z = inv(*total as u64);
                for (out, sum) in out.iter_mut().zip(sums) {
                    *out = finish_attention(*sum, z);
                }
            }
        }
    }
}

/// A projection of the rows `x`, in Q`f_out`, to the front of `y`.
fn project<'a>(run: Executor<'_>, part: &LinearPart, x: &A15Rows, f_out: i32, y: &'a mut Vec<i32>) -> &'a mut [i32] {
    let part = part.rows();
    let y = fit(y, x.view().tokens() * part.rows());
    run.threads.linear(run.kernels, part, x.view(), f_out, y);
    y
}
