//! Keys and values of a span, i16, laid out as `kv_root` hashes them.

use std::ops::Range;

use assay_exact::commit::KV_BLOCK;

/// Positions per allocation: memory follows the text, not the context, and no growth copies a key.
const SLAB: usize = 16 * KV_BLOCK;

/// The caches of all layers of a span.
#[derive(Debug)]
pub(crate) struct KvCache {
    layers: Vec<LayerCache>,
}

impl KvCache {
    pub fn new(layers: usize, kv_heads: usize, head_dim: usize) -> Self {
        let head = KvHead { slabs: Vec::new(), head_dim };
        let layer = LayerCache { heads: vec![head; kv_heads] };
        Self { layers: vec![layer; layers] }
    }

    pub fn layer(&self, layer: usize) -> &LayerCache {
        &self.layers[layer]
    }

    pub fn layer_mut(&mut self, layer: usize) -> &mut LayerCache {
        &mut self.layers[layer]
    }

    /// All heads, (layer, kv head) in order.
    pub fn heads(&self) -> impl Iterator<Item = &KvHead> {
        self.layers.iter().flat_map(|layer| &layer.heads)
    }
}

/// Consecutive positions of one sequence among the rows of a call: theirs follow those of the lanes before.
#[derive(Debug)]
pub(crate) struct Lane<'a> {
    /// The first position.
    pub start: usize,
    /// How many, at least one.
    pub n: usize,
    /// The sequence's.
    pub cache: &'a mut KvCache,
}

/// The cache of one layer.
#[derive(Clone, Debug)]
pub(crate) struct LayerCache {
    pub heads: Vec<KvHead>,
}

/// Keys and values of one kv head: `[position, 2, D]` in slabs of [`SLAB`] positions.
#[derive(Clone, Debug)]
pub(crate) struct KvHead {
    slabs: Vec<Box<[i16]>>,
    head_dim: usize,
}

impl KvHead {
    /// Key and value of a position, to be written. Positions are written in order, a cancelled call's again.
    pub fn slot_mut(&mut self, position: usize) -> (&mut [i16], &mut [i16]) {
        let entry = 2 * self.head_dim;
        while self.slabs.len() * SLAB <= position {
            self.slabs.push(vec![0; SLAB * entry].into());
        }
        let at = position % SLAB * entry;
        self.slabs[position / SLAB][at..at + entry].split_at_mut(self.head_dim)
    }

    /// The positions `range`, which have been written, in contiguous runs `[positions, 2, D]`.
    pub fn runs(&self, range: Range<usize>) -> impl Iterator<Item = &[i16]> {
        let entry = 2 * self.head_dim;
        let slabs = range.start / SLAB..range.end.div_ceil(SLAB);
        slabs.map(move |slab| {
            let first = range.start.max(slab * SLAB) - slab * SLAB;
            let end = range.end.min((slab + 1) * SLAB) - slab * SLAB;
            &self.slabs[slab][first * entry..end * entry]
        })
    }

    /// The leaf of `kv_root`'s block `block`: its positions before `end`.
    pub fn block(&self, block: usize, end: usize) -> &[i16] {
        let start = block * KV_BLOCK;
        // A block never crosses slabs, whose length is a multiple of it.
        self.runs(start..end.min(start + KV_BLOCK)).next().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_any_range_yields_the_written_positions_in_order() {
        let mut cache = KvCache::new(1, 1, 2);
        let head = &mut cache.layer_mut(0).heads[0];
        let n = 2 * SLAB + 5;
        for p in 0..n {
            let (k, v) = head.slot_mut(p);
            k.fill(p as i16);
            v.fill(-(p as i16));
        }
        for range in [0..1, 0..n, 3..SLAB, SLAB..SLAB + 1, SLAB - 1..2 * SLAB + 1, 7..n] {
            let seen: Vec<i16> = head.runs(range.clone()).flatten().copied().collect();
            let expected: Vec<i16> = range.flat_map(|p| [p as i16, p as i16, -(p as i16), -(p as i16)]).collect();
            assert_eq!(seen, expected);
        }
        assert_eq!(head.runs(4..4).flatten().count(), 0);
        assert_eq!(head.block(2, n).len(), 16 * 4);
        assert_eq!(head.block(n / 16, n).len(), (n % 16) * 4);
    }
}
