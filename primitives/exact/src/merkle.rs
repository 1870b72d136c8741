//! Section 11: Merkle lists and blobs.
//!
//! `list(b_0..b_{n-1})`: leaves `H(0x00 ‖ b_i)`; neighbours join as `H(0x01 ‖ a ‖ b)`, an odd last one
//! moves up unchanged; root `H(0x02 ‖ n as u64 ‖ top)`, `top` 32 zero bytes if `n = 0`.
//! `blob(b)` is the list of its 4,096-byte pieces, the last one shorter.

use alloc::vec::Vec;

use crate::hash::{Digest, Hasher};

/// Bytes per leaf of a blob.
pub const BLOB_PIECE: usize = 4096;

const LEAF: u8 = 0x00;
const NODE: u8 = 0x01;
const ROOT: u8 = 0x02;

/// A hasher that has absorbed the leaf prefix: append the leaf's bytes, then finish.
#[inline]
pub fn leaf_hasher<H: Hasher>() -> H {
    let mut hasher = H::default();
    hasher.update(&[LEAF]);
    hasher
}

/// The hash of the leaf that is the concatenation of `parts`.
pub fn leaf_hash<H: Hasher>(parts: &[&[u8]]) -> Digest {
    let mut hasher = leaf_hasher::<H>();
    for part in parts {
        hasher.update(part);
    }
    hasher.finish()
}

/// Joins two neighbours.
#[inline]
pub fn node_hash<H: Hasher>(left: &Digest, right: &Digest) -> Digest {
    H::digest(&[&[NODE], left, right])
}

/// The root over the top node of a list of `len` leaves.
#[inline]
pub fn root_hash<H: Hasher>(len: u64, top: &Digest) -> Digest {
    H::digest(&[&[ROOT], &len.to_le_bytes(), top])
}

/// The root of a list in memory.
pub fn list<H: Hasher, B: AsRef<[u8]>>(leaves: impl IntoIterator<Item = B>) -> Digest {
    let mut builder = ListBuilder::<H>::new();
    for leaf in leaves {
        builder.push(leaf.as_ref());
    }
    builder.root()
}

/// The root of a blob in memory.
pub fn blob<H: Hasher>(bytes: &[u8]) -> Digest {
    list::<H, _>(bytes.chunks(BLOB_PIECE))
}

/// A list built leaf by leaf in O(log n) memory; its root may be read at any time.
///
/// It keeps one hash per complete subtree, in order of falling size: one per set bit of the length. An
/// incomplete tree's top joins them from the right, which is what "an odd last one moves up" amounts to.
#[derive(Clone, Debug)]
pub struct ListBuilder<H> {
    len: u64,
    peaks: Vec<Digest>,
    hasher: core::marker::PhantomData<H>,
}

impl<H: Hasher> Default for ListBuilder<H> {
    fn default() -> Self {
        Self::new()
    }
}

impl<H: Hasher> ListBuilder<H> {
    /// The empty list.
    pub const fn new() -> Self {
        Self { len: 0, peaks: Vec::new(), hasher: core::marker::PhantomData }
    }

    /// Leaves so far.
    pub const fn len(&self) -> u64 {
        self.len
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Appends a leaf of these bytes.
    pub fn push(&mut self, leaf: &[u8]) {
        self.push_hash(leaf_hash::<H>(&[leaf]));
    }

    /// Appends a leaf by its hash (see [`leaf_hasher`]): leaves may be hashed on several threads.
    pub fn push_hash(&mut self, leaf: Digest) {
        let mut hash = leaf;
        // As in binary addition: each trailing one of the length is a subtree that the new one completes.
        for _ in 0..self.len.trailing_ones() {
            let Some(left) = self.peaks.pop() else { break };
            hash = node_hash::<H>(&left, &hash);
        }
        self.peaks.push(hash);
        self.len = self.len.saturating_add(1);
    }

    /// The root of the list so far.
    pub fn root(&self) -> Digest {
        let mut peaks = self.peaks.iter().rev();
        let top = match peaks.next() {
            None => [0; 32],
            Some(last) => peaks.fold(*last, |top, left| node_hash::<H>(left, &top)),
        };
        root_hash::<H>(self.len, &top)
    }
}

/// A blob hashed as its bytes arrive, in pieces of any size, without keeping them.
#[derive(Clone, Debug)]
pub struct BlobBuilder<H> {
    list: ListBuilder<H>,
    piece: H,
    filled: usize,
}

impl<H: Hasher> Default for BlobBuilder<H> {
    fn default() -> Self {
        Self::new()
    }
}

impl<H: Hasher> BlobBuilder<H> {
    /// The empty blob.
    pub fn new() -> Self {
        Self { list: ListBuilder::new(), piece: leaf_hasher(), filled: 0 }
    }

    /// Appends bytes.
    pub fn update(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let (now, rest) = bytes.split_at(bytes.len().min(BLOB_PIECE - self.filled));
            self.piece.update(now);
            self.filled += now.len();
            bytes = rest;
            if self.filled == BLOB_PIECE {
                let piece = core::mem::replace(&mut self.piece, leaf_hasher());
                self.list.push_hash(piece.finish());
                self.filled = 0;
            }
        }
    }

    /// The root of the bytes so far.
    pub fn root(&self) -> Digest {
        if self.filled == 0 {
            return self.list.root();
        }
        let mut list = self.list.clone();
        list.push_hash(self.piece.clone().finish());
        list.root()
    }
}
