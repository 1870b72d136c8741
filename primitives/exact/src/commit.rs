//! Section 11: what a stage commits to.
//!
//! Every root is a [`ListBuilder`] fed position by position, so that it can be read (and signed) while
//! the stage runs. Where a list holds other roots, its leaves are their 32 bytes.

use alloc::vec::Vec;

use crate::hash::{Digest, Hasher};
use crate::merkle::{leaf_hasher, ListBuilder};
use crate::sampling::Sampling;

/// This semantics' number, the first word of a header and of a stage commitment.
pub const SPEC_ID: u32 = 1;

/// Positions per leaf of a [`KvHeadBuilder`].
pub const KV_BLOCK: usize = 16;

const STAGE: u8 = 0x03;

/// `list(x_0..x_{T-1})`, a leaf per token id.
pub fn ids_root<H: Hasher>(ids: impl IntoIterator<Item = u32>) -> Digest {
    let mut list = ListBuilder::<H>::new();
    for id in ids {
        list.push(&id.to_le_bytes());
    }
    list.root()
}

/// The leaf hash of one position's residual row (i32).
pub fn row_leaf<H: Hasher>(h: &[i32]) -> Digest {
    let mut hasher = leaf_hasher::<H>();
    hasher.update_i32(h);
    hasher.finish()
}

/// The leaf hash of one position's tail: the residual row after the attention line of the span's last
/// layer, then the input and exponent of each down projection executed, in order (of experts: the order
/// of [`route`](crate::mlp::route)).
pub fn tail_leaf<'a, H: Hasher>(h: &[i32], downs: impl IntoIterator<Item = (&'a [i16], i32)>) -> Digest {
    let mut hasher = leaf_hasher::<H>();
    hasher.update_i32(h);
    for (q, e_x) in downs {
        hasher.update_i16(q);
        hasher.update(&e_x.to_le_bytes());
    }
    hasher.finish()
}

/// The row root of a whole matrix `[N, d]`; `d >= 1`.
pub fn row_root<H: Hasher>(rows: &[i32], d: usize) -> Digest {
    let mut list = ListBuilder::<H>::new();
    for row in rows.chunks(d.max(1)) {
        list.push_hash(row_leaf::<H>(row));
    }
    list.root()
}

/// The `out_root` of an encoder: the list whose one leaf is its vector.
pub fn embedding_root<H: Hasher>(v: &[i16]) -> Digest {
    let mut list = ListBuilder::<H>::new();
    list.push_hash(vector_leaf::<H>(v));
    list.root()
}

/// The only leaf of [`embedding_root`].
pub fn vector_leaf<H: Hasher>(v: &[i16]) -> Digest {
    let mut hasher = leaf_hasher::<H>();
    hasher.update_i16(v);
    hasher.finish()
}

/// The root of one kv head of one layer: a list over blocks of [`KV_BLOCK`] positions, each leaf that
/// head's `K ‖ V` (i16), position by position.
#[derive(Clone, Debug)]
pub struct KvHeadBuilder<H> {
    list: ListBuilder<H>,
    block: H,
    filled: usize,
}

impl<H: Hasher> Default for KvHeadBuilder<H> {
    fn default() -> Self {
        Self::new()
    }
}

impl<H: Hasher> KvHeadBuilder<H> {
    /// No position yet.
    pub fn new() -> Self {
        Self { list: ListBuilder::new(), block: leaf_hasher(), filled: 0 }
    }

    /// Appends a position's key and value, each `[D]`.
    pub fn push(&mut self, key: &[i16], value: &[i16]) {
        self.block.update_i16(key);
        self.block.update_i16(value);
        self.filled += 1;
        if self.filled == KV_BLOCK {
            let block = core::mem::replace(&mut self.block, leaf_hasher());
            self.list.push_hash(block.finish());
            self.filled = 0;
        }
    }

    /// Positions so far.
    pub const fn positions(&self) -> u64 {
        self.list.len() * KV_BLOCK as u64 + self.filled as u64
    }

    /// The root of the positions so far.
    pub fn root(&self) -> Digest {
        if self.filled == 0 {
            return self.list.root();
        }
        let mut list = self.list.clone();
        list.push_hash(self.block.clone().finish());
        list.root()
    }
}

/// The `kv_root` of a span: one [`KvHeadBuilder`] per (layer of the span, kv head), layers outermost.
#[derive(Clone, Debug)]
pub struct KvBuilder<H> {
    heads: Vec<KvHeadBuilder<H>>,
    n_kv: usize,
}

impl<H: Hasher> KvBuilder<H> {
    /// For a span of `layers` layers with `n_kv` kv heads each.
    pub fn new(layers: usize, n_kv: usize) -> Self {
        Self { heads: alloc::vec![KvHeadBuilder::new(); layers.saturating_mul(n_kv)], n_kv }
    }

    /// The builder of one kv head; `layer` counts from the span's first. `None` outside of the span.
    pub fn head_mut(&mut self, layer: usize, kv_head: usize) -> Option<&mut KvHeadBuilder<H>> {
        if kv_head >= self.n_kv {
            return None;
        }
        self.heads.get_mut(layer.checked_mul(self.n_kv)?.checked_add(kv_head)?)
    }

    /// All builders, (layer, kv head) in order: for hashing on several threads.
    pub fn heads_mut(&mut self) -> &mut [KvHeadBuilder<H>] {
        &mut self.heads
    }

    /// The root of the positions so far.
    pub fn root(&self) -> Digest {
        let mut list = ListBuilder::<H>::new();
        for head in &self.heads {
            list.push(&head.root());
        }
        list.root()
    }
}

/// A list of roots: `model_root` over the package's entries, `layer_root` over the blobs of its parts.
pub fn root_of_roots<H: Hasher>(roots: impl IntoIterator<Item = Digest>) -> Digest {
    let mut list = ListBuilder::<H>::new();
    for root in roots {
        list.push(&root);
    }
    list.root()
}

/// Everything that a stage's commitment binds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StageRootInput {
    /// The package.
    pub model_root: Digest,
    /// First layer of the span, from 0.
    pub first_layer: u32,
    /// End of the span, exclusive.
    pub end_layer: u32,
    /// Prompt length.
    pub t_in: u32,
    /// `None` for an encoder: its generation fields are zero.
    pub generation: Option<Generation>,
    /// [`ids_root`] in the first stage, else the row root.
    pub in_root: Digest,
    /// [`ids_root`] in a decoder's last stage, [`embedding_root`] in an encoder's, else the row root.
    pub out_root: Digest,
    /// [`KvBuilder::root`].
    pub kv_root: Digest,
    /// The list over [`tail_leaf`].
    pub tail_root: Digest,
}

/// The parameters of a decoder's job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Generation {
    /// Most ids to generate.
    pub max_new: u32,
    /// How they are drawn.
    pub sampling: Sampling,
}

impl StageRootInput {
    /// The stage root.
    pub fn root<H: Hasher>(&self) -> Digest {
        let (max_new, t, top_k, top_p, seed) = match &self.generation {
            Some(Generation { max_new, sampling: s }) => (*max_new, u32::from(s.temperature), s.top_k, s.top_p, s.seed),
            None => (0, 0, 0, 0, [0; 32]),
        };
        let mut hasher = H::default();
        hasher.update(&[STAGE]);
        hasher.update_u32(&[SPEC_ID]);
        hasher.update(&self.model_root);
        hasher.update_u32(&[self.first_layer, self.end_layer, self.t_in, max_new, t, top_k, top_p]);
        hasher.update(&seed);
        for root in [&self.in_root, &self.out_root, &self.kv_root, &self.tail_root] {
            hasher.update(root);
        }
        hasher.finish()
    }
}
