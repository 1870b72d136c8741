//! Section 11's trees and roots: the builders against a direct, level-by-level construction.

mod support;

use assay_exact::commit::*;
use assay_exact::hash::{Blake2b, Digest, Hasher};
use assay_exact::merkle::*;
use assay_exact::sampling::Sampling;
use proptest::prelude::*;
use support::Gen;

/// BLAKE2b-256 of one slice, not through the crate's trait.
fn h(bytes: &[u8]) -> Digest {
    let hash = blake2b_simd::Params::new().hash_length(32).hash(bytes);
    hash.as_bytes().try_into().unwrap()
}

fn direct_list(leaves: &[Vec<u8>]) -> Digest {
    let mut level: Vec<Digest> = leaves.iter().map(|b| h(&[&[0][..], b].concat())).collect();
    while level.len() > 1 {
        level = level
            .chunks(2)
            .map(|pair| match pair {
                [a, b] => h(&[&[1][..], a, b].concat()),
                _ => pair[0],
            })
            .collect();
    }
    let top = level.first().copied().unwrap_or([0; 32]);
    h(&[&[2][..], &(leaves.len() as u64).to_le_bytes(), &top].concat())
}

fn le32(values: &[i32]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

fn le16(values: &[i16]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

#[test]
fn list_of_every_length_equals_the_direct_tree() {
    let leaves: Vec<Vec<u8>> = (0..130u32).map(|i| vec![i as u8; i as usize % 7]).collect();
    let mut builder = ListBuilder::<Blake2b>::new();
    assert!(builder.is_empty());
    for n in 0..=leaves.len() {
        assert_eq!(builder.root(), direct_list(&leaves[..n]), "{n} leaves");
        assert_eq!(builder.root(), list::<Blake2b, _>(&leaves[..n]));
        assert_eq!(builder.len(), n as u64);
        if let Some(leaf) = leaves.get(n) {
            builder.push(leaf);
        }
    }
}

proptest! {
    #[test]
    fn blob_in_pieces_of_any_size_equals_the_direct_tree(
        bytes in proptest::collection::vec(any::<u8>(), 0..20_000),
        cuts in proptest::collection::vec(1usize..9_000, 0..40),
    ) {
        let direct = direct_list(&bytes.chunks(4096).map(<[u8]>::to_vec).collect::<Vec<_>>());
        prop_assert_eq!(blob::<Blake2b>(&bytes), direct);
        let mut builder = BlobBuilder::<Blake2b>::new();
        let mut rest = &bytes[..];
        for cut in cuts {
            let (now, later) = rest.split_at(cut.min(rest.len()));
            builder.update(now);
            let so_far = &bytes[..bytes.len() - later.len()];
            prop_assert_eq!(builder.root(), blob::<Blake2b>(so_far));
            rest = later;
        }
        builder.update(rest);
        prop_assert_eq!(builder.root(), direct);
    }
}

#[test]
fn blob_at_piece_ends_has_no_empty_leaf() {
    for n in [0, 1, 4095, 4096, 4097, 8192, 8193] {
        let bytes = vec![7; n];
        let mut builder = BlobBuilder::<Blake2b>::new();
        builder.update(&bytes);
        let direct = direct_list(&bytes.chunks(4096).map(<[u8]>::to_vec).collect::<Vec<_>>());
        assert_eq!(builder.root(), direct, "{n} bytes");
        assert_eq!(blob::<Blake2b>(&bytes), direct);
    }
}

#[test]
fn hasher_integers_are_little_endian_at_any_length() {
    let mut g = Gen(40);
    for n in [0, 1, 127, 128, 129, 255, 256, 257, 1000] {
        let (words, halves) = (g.vec(n, |g| g.u64() as i32), g.vec(n, |g| g.u64() as i16));
        let mut hasher = Blake2b::default();
        hasher.update_i32(&words);
        hasher.update_i16(&halves);
        assert_eq!(hasher.finish(), h(&[le32(&words), le16(&halves)].concat()));
    }
}

#[test]
fn row_and_ids_roots_equal_the_direct_tree() {
    let mut g = Gen(41);
    for n in 0..40 {
        let rows = g.vec(n * 5, |g| g.u64() as i32);
        let leaves: Vec<_> = rows.chunks(5).map(le32).collect();
        assert_eq!(row_root::<Blake2b>(&rows, 5), direct_list(&leaves));

        let ids = g.vec(n, |g| g.u64() as u32);
        let leaves: Vec<_> = ids.iter().map(|id| id.to_le_bytes().to_vec()).collect();
        assert_eq!(ids_root::<Blake2b>(ids), direct_list(&leaves));
    }
}

#[test]
fn tail_leaf_joins_rows_inputs_and_exponents() {
    let (row, a, b) = ([1, -2, i32::MIN], [3i16, -4], [16384i16, -16384]);
    let bytes = [le32(&row), le16(&a), le32(&[-7]), le16(&b), le32(&[9])].concat();
    assert_eq!(tail_leaf::<Blake2b>(&row, [(&a[..], -7), (&b[..], 9)]), h(&[&[0][..], &bytes].concat()));
    assert_eq!(tail_leaf::<Blake2b>(&row, []), row_leaf::<Blake2b>(&row));
}

#[test]
fn embedding_root_is_a_list_of_one() {
    let v = [5i16, -6, 32767];
    assert_eq!(embedding_root::<Blake2b>(&v), direct_list(&[le16(&v)]));
}

#[test]
fn kv_root_at_every_length_equals_the_direct_tree() {
    let (layers, n_kv, d) = (3, 2, 4);
    let mut g = Gen(42);
    let mut builder = KvBuilder::<Blake2b>::new(layers, n_kv);
    // [layer * head][position] -> K ‖ V
    let mut packed: Vec<Vec<Vec<u8>>> = vec![Vec::new(); layers * n_kv];
    for position in 0..50u64 {
        let roots: Vec<Vec<u8>> = packed
            .iter()
            .map(|head| direct_list(&head.chunks(16).map(<[_]>::concat).collect::<Vec<_>>()).to_vec())
            .collect();
        assert_eq!(builder.root(), direct_list(&roots), "{position} positions");
        for layer in 0..layers {
            for head in 0..n_kv {
                let (k, v) = (g.vec(d, Gen::i16), g.vec(d, Gen::i16));
                packed[layer * n_kv + head].push([le16(&k), le16(&v)].concat());
                let builder = builder.head_mut(layer, head).unwrap();
                assert_eq!(builder.positions(), position);
                builder.push(&k, &v);
            }
        }
    }
    assert!(builder.head_mut(layers, 0).is_none());
    assert!(builder.head_mut(0, n_kv).is_none());
    assert_eq!(builder.heads_mut().len(), layers * n_kv);
}

fn stage() -> StageRootInput {
    StageRootInput {
        model_root: [1; 32],
        first_layer: 4,
        end_layer: 9,
        t_in: 100,
        generation: Some(Generation {
            max_new: 32,
            sampling: Sampling { temperature: 700, top_k: 40, top_p: 60_000, seed: [2; 32] },
        }),
        in_root: [3; 32],
        out_root: [4; 32],
        kv_root: [5; 32],
        tail_root: [6; 32],
    }
}

#[test]
fn stage_root_hashes_the_fields_in_order() {
    let words = |w: &[u32]| -> Vec<u8> { w.iter().flat_map(|w| w.to_le_bytes()).collect() };
    let roots = [[3; 32], [4; 32], [5; 32], [6; 32]].concat();
    let bytes =
        [vec![3], words(&[1]), vec![1; 32], words(&[4, 9, 100, 32, 700, 40, 60_000]), vec![2; 32], roots.clone()]
            .concat();
    assert_eq!(stage().root::<Blake2b>(), h(&bytes));

    let encoder = StageRootInput { generation: None, ..stage() };
    let bytes = [vec![3], words(&[1]), vec![1; 32], words(&[4, 9, 100, 0, 0, 0, 0]), vec![0; 32], roots].concat();
    assert_eq!(encoder.root::<Blake2b>(), h(&bytes));
}

#[test]
fn stage_root_changes_with_every_field() {
    let base = stage();
    let generation = base.generation.unwrap();
    let sampling = generation.sampling;
    let with = |sampling| Some(Generation { sampling, ..generation });
    let variants = [
        StageRootInput { model_root: [9; 32], ..base },
        StageRootInput { first_layer: 5, ..base },
        StageRootInput { end_layer: 10, ..base },
        StageRootInput { t_in: 101, ..base },
        StageRootInput { generation: None, ..base },
        StageRootInput { generation: Some(Generation { max_new: 33, ..generation }), ..base },
        StageRootInput { generation: with(Sampling { temperature: 701, ..sampling }), ..base },
        StageRootInput { generation: with(Sampling { top_k: 41, ..sampling }), ..base },
        StageRootInput { generation: with(Sampling { top_p: 60_001, ..sampling }), ..base },
        StageRootInput { generation: with(Sampling { seed: [9; 32], ..sampling }), ..base },
        StageRootInput { in_root: [9; 32], ..base },
        StageRootInput { out_root: [9; 32], ..base },
        StageRootInput { kv_root: [9; 32], ..base },
        StageRootInput { tail_root: [9; 32], ..base },
    ];
    let roots: std::collections::HashSet<Digest> =
        variants.iter().chain([&base]).map(|v| v.root::<Blake2b>()).collect();
    assert_eq!(roots.len(), variants.len() + 1);
}
