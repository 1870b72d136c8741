//! A model written position by position from sections 5 to 11 with nothing but `assay-exact`: no batches, no
//! tiles, no threads, no running lists. Slow and plain on purpose.

use std::{collections::BTreeMap, ops::Range};

use assay_engine::{package::Package, stage::StageCommit, Sampling};
use assay_exact::{
    attention::{attend_head, causal_keys, StridedKv, OUTPUT_EXPONENT},
    commit::{embedding_root, ids_root, root_of_roots, row_root, tail_leaf, Generation, KvHeadBuilder, StageRootInput},
    embed::{embed_row, embedding_output, pool_add, EmbeddingRow},
    hash::{Blake2b, Digest},
    header::{Flags, Header, Kind, Placement, Pool},
    layout::{Element, Entry, Part, PartName, Role},
    linear::{linear_row, saturate_row, Planes},
    merkle::ListBuilder,
    mlp,
    norm::Norm,
    requantize::requantize_i32,
    residual, rope,
    sampling::draw,
    statics::{LayerStatics, NormConstants},
};

#[derive(Default)]
struct PartData {
    bytes: Vec<u8>,
    weights: Vec<i8>,
    second_plane: Option<Vec<i8>>,
    scales: Vec<u32>,
    bias: Option<Vec<i32>>,
    gain: Vec<i32>,
    constants: Option<NormConstants>,
    rope: Vec<i32>,
}

pub struct Reference {
    header: Header,
    model_root: Digest,
    parts: BTreeMap<(Entry, String), PartData>,
}

/// What a stage must commit to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Roots {
    pub in_root: Digest,
    pub out_root: Digest,
    pub kv_root: Digest,
    pub tail_root: Digest,
    pub stage_root: Digest,
}

impl From<&StageCommit> for Roots {
    fn from(c: &StageCommit) -> Self {
        Self {
            in_root: c.in_root,
            out_root: c.out_root,
            kv_root: c.kv_root,
            tail_root: c.tail_root,
            stage_root: c.stage_root,
        }
    }
}

fn words(bytes: &[u8]) -> Vec<i32> {
    bytes.chunks_exact(4).map(|b| i32::from_le_bytes(b.try_into().unwrap())).collect()
}

impl PartData {
    fn parse(part: &Part, bytes: &[u8]) -> Self {
        let mut data = Self { bytes: bytes.to_vec(), ..Self::default() };
        for tensor in part.layout.tensors() {
            let bytes = &bytes[tensor.offset as usize..][..tensor.size() as usize];
            match (tensor.role, tensor.element) {
                (Role::Weights, Element::I8) => data.weights = bytes.iter().map(|b| *b as i8).collect(),
                (Role::SecondPlane, _) => data.second_plane = Some(bytes.iter().map(|b| *b as i8).collect()),
                (Role::Scales, _) => data.scales = words(bytes).into_iter().map(|w| w as u32).collect(),
                (Role::Bias, _) => data.bias = Some(words(bytes)),
                (Role::Gain, _) => data.gain = words(bytes),
                (Role::NormConstants, _) => data.constants = Some(NormConstants::parse(bytes).unwrap()),
                (Role::Rope, _) => data.rope = words(bytes),
                _ => {}
            }
        }
        data
    }

    fn norm(&self) -> Norm<'_> {
        let NormConstants { f_g, eps } = self.constants.unwrap();
        Norm { f_g, eps, gain: &self.gain, bias: self.bias.as_deref() }
    }

    fn linear(&self, (q, e): (&[i16], i32), f_out: i32) -> Vec<i32> {
        let mut y = vec![0; self.scales.len()];
        linear_row(self.planes(), &self.scales, self.bias.as_deref(), q, e, f_out, &mut y);
        y
    }

    fn planes(&self) -> Planes<'_> {
        Planes { first: &self.weights, second: self.second_plane.as_deref() }
    }

    fn a15(&self, h: &[i32]) -> (Vec<i16>, i32) {
        let mut q = vec![0; h.len()];
        let e = self.norm().a15(h, &mut q);
        (q, e)
    }

    fn to(&self, f: u32, h: &[i32]) -> Vec<i32> {
        let mut out = vec![0; h.len()];
        self.norm().to(f, h, &mut out);
        out
    }

    fn row(&self, i: usize) -> EmbeddingRow<'_> {
        let k = self.weights.len() / self.scales.len();
        let (row, _) = self.planes().split_at(i * k).1.split_at(k);
        EmbeddingRow { weights: row, scale: self.scales[i] }
    }
}

/// Inputs of the down projections of one position.
type Downs = Vec<(Vec<i16>, i32)>;

/// Keys and values of every position, `[position, kv head, D]`, of one layer.
#[derive(Default, Clone)]
struct Cache {
    keys: Vec<i16>,
    values: Vec<i16>,
}

/// What all layers computed of a text: row `l` of `boundaries` enters layer `l`.
#[derive(Default)]
struct Computed {
    caches: Vec<Cache>,
    boundaries: Vec<Vec<i32>>,
    tails: Vec<ListBuilder<Blake2b>>,
}

impl Reference {
    pub fn new(package: &Package) -> Self {
        let header = package.header().clone();
        let mut parts = BTreeMap::new();
        for (entry, bytes) in package.entries() {
            for (start, part) in header.file_parts(entry) {
                let bytes = &bytes[start as usize..][..part.layout.size() as usize];
                parts.insert((entry, format!("{:?}", part.name)), PartData::parse(&part, bytes));
            }
        }
        Self { header, model_root: package.model_root(), parts }
    }

    fn part(&self, entry: Entry, name: PartName) -> &PartData {
        &self.parts[&(entry, format!("{name:?}"))]
    }

    fn whole(&self, entry: Entry) -> &PartData {
        self.part(entry, PartName::Whole)
    }

    fn embed(&self, id: u32, position: usize) -> Vec<i32> {
        let mut h = vec![0; self.header.d as usize];
        let learned = self.header.flags.has(Flags::POSITIONS);
        let p = learned.then(|| self.whole(Entry::Positions).row(position));
        embed_row(self.whole(Entry::Embedding).row(id as usize), p, self.header.f_h, &mut h);
        if self.header.flags.has(Flags::EMBEDDING_NORM) {
            h = self.whole(Entry::EmbeddingNorm).to(self.header.f_h, &h);
        }
        h
    }

    /// One position through one layer; returns h, h after the attention line, and the down inputs.
    fn layer(&self, layer: u32, h: &[i32], position: usize, cache: &mut Cache) -> (Vec<i32>, Vec<i32>, Downs) {
        let entry = Entry::Layer(layer);
        let part = |name| self.part(entry, name);
        let statics = LayerStatics::parse(&part(PartName::Statics).bytes, &self.header).unwrap();

        let x = self.block_input(part(PartName::AttentionNorm), h);
        let keys = match self.header.kind {
            Kind::Decoder => {
                self.write(entry, &statics, (&x.0, x.1), position, cache);
                causal_keys(position, statics.window)
            }
            // All of the text was written before.
            Kind::Encoder => 0..cache.keys.len() / self.header.kv_width() as usize,
        };
        let y = self.attention(entry, &statics, (&x.0, x.1), position, keys, cache);
        let h = self.line(entry, PartName::AttentionNorm, PartName::AttentionOutNorm, h, y);
        let after_attention = h.clone();

        let x = self.block_input(part(PartName::MlpNorm), &h);
        let (y, downs) = self.mlp(entry, (&x.0, x.1), statics.f_d);
        let h = self.line(entry, PartName::MlpNorm, PartName::MlpOutNorm, &h, y);
        (h, after_attention, downs)
    }

    fn mlp(&self, entry: Entry, x: (&[i16], i32), f_d: i32) -> (Vec<i32>, Downs) {
        let dense = |expert| {
            let part = |name| self.part(entry, name);
            let up = part(PartName::Up(expert)).linear(x, 16);
            let mut q = vec![0; up.len()];
            let e = if self.header.flags.has(Flags::UNGATED) {
                mlp::ungated(self.header.activation, &up, &mut q)
            } else {
                let gate = part(PartName::Gate(expert)).linear(x, 16);
                mlp::gated(self.header.activation, &gate, &up, &mut q)
            };
            (part(PartName::Down(expert)).linear((&q, e), f_d), (q, e))
        };
        if self.header.experts == 0 {
            let (y, down) = dense(None);
            return (y, vec![down]);
        }
        let logits = self.part(entry, PartName::Router).linear(x, 16);
        let mut chosen = vec![Default::default(); self.header.experts_per_token as usize];
        mlp::route(&logits, self.header.flags.has(Flags::ROUTER_OVER_ALL), &mut chosen);
        let mut sum = vec![0; self.header.d as usize];
        let mut downs = Vec::new();
        for expert in &chosen {
            let (y, down) = dense(Some(expert.id));
            mlp::add_expert(expert.weight, &y, &mut sum);
            downs.push(down);
        }
        let mut y = vec![0; sum.len()];
        mlp::finish_experts(&sum, &mut y);
        (y, downs)
    }

    fn block_input(&self, norm: &PartData, h: &[i32]) -> (Vec<i16>, i32) {
        match self.header.placement {
            Placement::Post => {
                let mut q = vec![0; h.len()];
                let e = requantize_i32(h, -(self.header.f_h as i32), &mut q);
                (q, e)
            }
            _ => norm.a15(h),
        }
    }

    fn line(&self, entry: Entry, norm: PartName, out: PartName, h: &[i32], y: Vec<i32>) -> Vec<i32> {
        let f_h = self.header.f_h;
        let mut h = h.to_vec();
        match self.header.placement {
            Placement::Pre => residual::add(&mut h, &y),
            Placement::Sandwich => residual::add(&mut h, &self.part(entry, out).to(f_h, &y)),
            Placement::Post => {
                residual::add(&mut h, &y);
                h = self.part(entry, norm).to(f_h, &h);
            }
        }
        h
    }

    /// QK-norm of each head, and the rotation of its position.
    fn rotated(
        &self,
        (entry, norm): (Entry, PartName),
        statics: &LayerStatics,
        position: usize,
        x: &[i32],
        sigmas: impl Iterator<Item = u32>,
    ) -> Vec<Vec<i16>> {
        let rot = self.header.rot as usize;
        let row: &[i32] = statics.rope_table.map_or(&[], |table| {
            let at = (table as usize * self.header.context as usize + position) * rot;
            &self.whole(Entry::Tables).rope[at..at + rot]
        });
        let heads = x.chunks(self.header.head_dim as usize).zip(sigmas);
        heads
            .map(|(head, sigma)| {
                let normed = self.header.flags.has(Flags::QK_NORM).then(|| self.part(entry, norm).to(16, head));
                let mut out = vec![0; head.len()];
                rope::rope_head(normed.as_deref().unwrap_or(head), row, sigma, &mut out);
                out
            })
            .collect()
    }

    /// Appends key and value of one position.
    fn write(&self, entry: Entry, statics: &LayerStatics, x: (&[i16], i32), position: usize, cache: &mut Cache) {
        let part = |name| self.part(entry, name);
        let k = part(PartName::Key).linear(x, 16);
        let v = part(PartName::Value).linear(x, -statics.e_v);
        let sigmas = statics.kv_sigma.iter().copied();
        cache.keys.extend(self.rotated((entry, PartName::KeyNorm), statics, position, &k, sigmas).concat());
        let mut values = vec![0; v.len()];
        saturate_row(&v, &mut values);
        cache.values.extend(values);
    }

    fn attention(
        &self,
        entry: Entry,
        statics: &LayerStatics,
        x: (&[i16], i32),
        position: usize,
        keys: Range<usize>,
        cache: &Cache,
    ) -> Vec<i32> {
        let d = self.header.head_dim as usize;
        let part = |name| self.part(entry, name);
        let q = part(PartName::Query).linear(x, 16);
        let sigmas = statics.query_heads.iter().map(|head| head.sigma);
        let queries = self.rotated((entry, PartName::QueryNorm), statics, position, &q, sigmas);
        let mut joined = Vec::new();
        for (head, (q, constants)) in queries.iter().zip(&statics.query_heads).enumerate() {
            let at = self.header.kv_head_of(head as u32) as usize * d;
            let kv = StridedKv {
                keys: &cache.keys[at..],
                values: &cache.values[at..],
                stride: self.header.kv_width() as usize,
                head_dim: d,
            };
            let (mut scores, mut sum, mut out) = (vec![0; keys.len()], vec![0; d], vec![0; d]);
            attend_head(q, &kv, keys.clone(), &constants.scale, &mut scores, &mut sum, &mut out);
            joined.extend(out);
        }
        let mut q = vec![0; joined.len()];
        let e = requantize_i32(&joined, statics.e_v + OUTPUT_EXPONENT, &mut q);
        part(PartName::Output).linear((&q, e), statics.f_o)
    }

    fn draw(&self, h: &[i32], sampling: &Sampling, next: u32) -> u32 {
        let x = self.whole(Entry::FinalNorm).a15(h);
        let head = self.whole(Entry::Head);
        let logits = if self.header.flags.has(Flags::SHARED_HEAD) {
            let mut y = vec![0; head.scales.len()];
            linear_row(self.whole(Entry::Embedding).planes(), &head.scales, None, &x.0, x.1, 16, &mut y);
            y
        } else {
            head.linear((&x.0, x.1), 16)
        };
        let mut order = vec![0; logits.len()];
        draw::<Blake2b>(&logits, self.header.final_cap(), sampling, next, &mut order)
    }

    /// Generates, and computes the roots that the stage of each span must commit to.
    pub fn run(
        &self,
        prompt: &[u32],
        max_new: u32,
        sampling: Sampling,
        spans: &[Range<u32>],
    ) -> (Vec<u32>, Vec<Roots>) {
        let layers = self.header.layers as usize;
        let mut ids = prompt.to_vec();
        let mut caches = vec![Cache::default(); layers];
        // Row of each boundary: boundaries[l] enters layer l.
        let mut boundaries = vec![Vec::<i32>::new(); layers + 1];
        let mut tails = vec![ListBuilder::<Blake2b>::new(); layers];
        let mut position = 0;
        loop {
            let mut h = self.embed(ids[position], position);
            for layer in 0..layers {
                boundaries[layer].extend(&h);
                let (next, after_attention, downs) = self.layer(layer as u32, &h, position, &mut caches[layer]);
                tails[layer].push_hash(tail_leaf::<Blake2b>(&after_attention, downs.iter().map(|(q, e)| (&q[..], *e))));
                h = next;
            }
            boundaries[layers].extend(&h);
            if position + 1 >= prompt.len() {
                let id = self.draw(&h, &sampling, position as u32 + 1);
                ids.push(id);
                if self.header.is_eos(id) || ids.len() == prompt.len() + max_new as usize {
                    break;
                }
            }
            position += 1;
        }

        let transcript = ids_root::<Blake2b>(ids.iter().copied());
        let computed = Computed { caches, boundaries, tails };
        let generation = Some(Generation { max_new, sampling });
        let job = (prompt.len() as u32, generation, transcript, transcript);
        let roots = spans.iter().map(|span| self.roots(span, job, &computed)).collect();
        (ids, roots)
    }

    /// The vector of a text, and the roots that the stage of each span must commit to. Layer by layer: first the
    /// keys and values of all positions, then each position alone.
    pub fn encode(&self, ids: &[u32], spans: &[Range<u32>]) -> (Vec<i16>, Vec<Roots>) {
        let d = self.header.d as usize;
        let mut rows: Vec<Vec<i32>> = ids.iter().enumerate().map(|(p, id)| self.embed(*id, p)).collect();
        let mut computed = Computed { boundaries: vec![rows.concat()], ..Computed::default() };
        for layer in 0..self.header.layers {
            let entry = Entry::Layer(layer);
            let part = |name| self.part(entry, name);
            let statics = LayerStatics::parse(&part(PartName::Statics).bytes, &self.header).unwrap();
            let mut cache = Cache::default();
            for (position, h) in rows.iter().enumerate() {
                let x = self.block_input(part(PartName::AttentionNorm), h);
                self.write(entry, &statics, (&x.0, x.1), position, &mut cache);
            }
            let mut tail = ListBuilder::<Blake2b>::new();
            for (position, h) in rows.iter_mut().enumerate() {
                let (next, after_attention, downs) = self.layer(layer, h, position, &mut cache);
                tail.push_hash(tail_leaf::<Blake2b>(&after_attention, downs.iter().map(|(q, e)| (&q[..], *e))));
                *h = next;
            }
            computed.boundaries.push(rows.concat());
            computed.tails.push(tail);
            computed.caches.push(cache);
        }
        if self.header.flags.has(Flags::FINAL_NORM) {
            rows = rows.iter().map(|h| self.whole(Entry::FinalNorm).to(self.header.f_h, h)).collect();
        }
        let mut pooled = vec![0; d];
        let count = if self.header.pool == Pool::First { 1 } else { rows.len() };
        rows[..count].iter().for_each(|h| pool_add(&mut pooled, h));
        let mut v = vec![0; d];
        embedding_output(&pooled, &mut v);
        let job = (ids.len() as u32, None, ids_root::<Blake2b>(ids.iter().copied()), embedding_root::<Blake2b>(&v));
        let roots = spans.iter().map(|span| self.roots(span, job, &computed)).collect();
        (v, roots)
    }

    /// What a span commits to; the job is its `T_in`, its generation, and what enters and leaves the whole model.
    fn roots(
        &self,
        span: &Range<u32>,
        (t_in, generation, model_in, model_out): (u32, Option<Generation>, Digest, Digest),
        computed: &Computed,
    ) -> Roots {
        let Computed { caches, boundaries, tails } = computed;
        let head_dim = self.header.head_dim as usize;
        let kv_roots = span.clone().flat_map(|layer| {
            let cache = &caches[layer as usize];
            let n_kv = self.header.kv_heads as usize;
            (0..n_kv).map(move |head| {
                let mut list = KvHeadBuilder::<Blake2b>::new();
                let width = n_kv * head_dim;
                for (k, v) in cache.keys.chunks(width).zip(cache.values.chunks(width)) {
                    let at = head * head_dim..(head + 1) * head_dim;
                    list.push(&k[at.clone()], &v[at]);
                }
                list.root()
            })
        });
        let row = |layer: u32| row_root::<Blake2b>(&boundaries[layer as usize], self.header.d as usize);
        let (first, end) = (span.start, span.end);
        let in_root = if first == 0 { model_in } else { row(first) };
        let out_root = if end == self.header.layers { model_out } else { row(end) };
        let input = StageRootInput {
            model_root: self.model_root,
            first_layer: first,
            end_layer: end,
            t_in,
            generation,
            in_root,
            out_root,
            kv_root: root_of_roots::<Blake2b>(kv_roots),
            tail_root: tails[end as usize - 1].root(),
        };
        Roots {
            in_root,
            out_root,
            kv_root: input.kv_root,
            tail_root: input.tail_root,
            stage_root: input.root::<Blake2b>(),
        }
    }
}
