//! Work units against a count of the multiplications, position by position.

use assay_exact::header::*;
use assay_exact::layout::{Entry, Layout, PartName};
use assay_exact::mlp::Activation;
use assay_exact::sampling::FinalCap;
use assay_exact::work::*;
use proptest::prelude::*;

fn header(kind: Kind, experts: u32, flags: Flags) -> Header {
    let decoder = kind == Kind::Decoder;
    Header {
        kind,
        vocab: 1000,
        context: 64,
        d: 48,
        layers: 6,
        query_heads: 4,
        kv_heads: 2,
        head_dim: 10,
        rot: 10,
        hidden: 100,
        experts,
        experts_per_token: experts.min(2),
        f_h: 12,
        flags: if decoder { flags.with(Flags::FINAL_NORM) } else { flags },
        activation: Activation::Gelu,
        placement: Placement::Pre,
        rope_tables: 1,
        final_cap: FinalCap { c: 0, sigma: 0, cap: 0 },
        pool: if decoder { Pool::None } else { Pool::First },
        eos: vec![],
        tokenizer: [0; 32],
        chat_template: [0; 32],
    }
}

/// Counts by walking the package's own layout.
fn counted(h: &Header, first: u32, end: u32, from: u32, to: u32, heads: u32) -> u64 {
    let mut sum = 0u64;
    for p in from..to {
        let planes = if h.flags.has(Flags::SECOND_PLANE) { 2 } else { 1 };
        if first == 0 {
            let rows = h.entries().filter(|e| matches!(e, Entry::Embedding | Entry::Positions)).count();
            sum += planes * rows as u64 * u64::from(h.d);
        }
        for layer in first..end {
            for part in h.parts(Entry::Layer(layer)) {
                let Layout::Linear { out, input, .. } = part.layout else { continue };
                let weights = u64::from(out) * u64::from(input);
                sum += planes
                    * match part.name {
                        PartName::Gate(Some(e)) | PartName::Up(Some(e)) if e >= h.experts_per_token => 0,
                        PartName::Down(Some(e)) if e >= h.experts_per_token => 0,
                        PartName::Down(Some(_)) => weights + u64::from(h.d),
                        _ => weights,
                    };
            }
            let keys = if h.kind == Kind::Decoder { p + 1 } else { to };
            sum += u64::from(keys) * 2 * u64::from(h.query_heads * h.head_dim);
        }
    }
    if h.has_entry(Entry::Head) && end == h.layers {
        let planes = if h.flags.has(Flags::SECOND_PLANE) { 2 } else { 1 };
        sum += planes * u64::from(heads) * u64::from(h.vocab) * u64::from(h.d);
    }
    sum
}

proptest! {
    #[test]
    fn work_of_any_span_equals_the_count(
        decoder in any::<bool>(),
        experts in 0u32..5,
        ungated in any::<bool>(),
        positions in any::<bool>(),
        second_plane in any::<bool>(),
        (first, end) in (0u32..6).prop_flat_map(|f| (Just(f), f + 1..7)),
        (from, to) in (0u32..40).prop_flat_map(|f| (Just(f), f + 1..64)),
    ) {
        let kind = if decoder { Kind::Decoder } else { Kind::Encoder };
        let mut flags = Flags(0);
        if ungated { flags = flags.with(Flags::UNGATED); }
        if positions { flags = flags.with(Flags::POSITIONS); }
        if second_plane { flags = flags.with(Flags::SECOND_PLANE); }
        let h = header(kind, experts, flags);
        prop_assert_eq!(h.validate(), Ok(()));
        let n = to - from;
        prop_assert_eq!(span_work(&h, first, end, from, to), counted(&h, first, end, from, to, n));
        prop_assert_eq!(prefill_work(&h, first, end, to), counted(&h, first, end, 0, to, 1));
        prop_assert_eq!(decode_work(&h, first, end, from, n), counted(&h, first, end, from, to, n));
        if decoder {
            prop_assert_eq!(job_work(&h, first, end, from + 1, n), counted(&h, first, end, 0, to, n));
            // A job is its prefill and the decoding of every id but the last.
            let parts = prefill_work(&h, first, end, from + 1) + decode_work(&h, first, end, from + 1, n - 1);
            prop_assert_eq!(job_work(&h, first, end, from + 1, n), parts);
        }
    }

    #[test]
    fn work_of_spans_adds_up(cut in 1u32..6, to in 1u32..64) {
        let h = header(Kind::Decoder, 3, Flags(0));
        prop_assert_eq!(
            span_work(&h, 0, cut, 0, to) + span_work(&h, cut, 6, 0, to),
            span_work(&h, 0, 6, 0, to)
        );
    }
}

#[test]
fn work_of_nothing_is_zero() {
    let h = header(Kind::Decoder, 0, Flags(0));
    assert_eq!(span_work(&h, 3, 3, 0, 9), 0);
    assert_eq!(span_work(&h, 4, 2, 0, 9), 0);
    assert_eq!(span_work(&h, 6, 9, 0, 9), 0);
    assert_eq!(span_work(&h, 0, 6, 9, 9), 0);
    assert_eq!(span_work(&h, 0, 6, 9, 3), 0);
    assert_eq!(prefill_work(&h, 0, 6, 0), 0);
    assert_eq!(span_work(&h, 0, 99, 0, 9), span_work(&h, 0, 6, 0, 9));
}

#[test]
fn work_beyond_u64_saturates() {
    let mut h = header(Kind::Decoder, 1024, Flags(0));
    h.vocab = 1 << 20;
    h.context = 1 << 17;
    h.d = 1 << 14;
    h.layers = 1 << 10;
    h.query_heads = 256;
    h.kv_heads = 256;
    h.head_dim = 256;
    h.hidden = 1 << 16;
    h.experts_per_token = 32;
    assert_eq!(h.validate(), Ok(()));
    // 1,024 layers of 4 * 2^30 for attention, 32 * (3 * 2^30 + 2^14) for the experts and 2^24 for the
    // router, 2^17 keys and queries each; then the embedding and 2^16 rows of logits.
    let linear = (4u64 << 30) + 32 * ((3 << 30) + (1 << 14)) + (1 << 24);
    let keys = (1u64 << 16) * ((1 << 17) + 1);
    let trunk = 1024 * ((linear << 17) + (keys << 17)) + (1 << 31);
    // One generated id more than the prompt makes up for the last one, which is never computed.
    assert_eq!(job_work(&h, 0, 1 << 10, 1 << 16, (1 << 16) + 1), trunk + ((1 << 34) * ((1 << 16) + 1)));

    // Twice the experts are still a valid header, but no longer fit.
    h.experts_per_token = 64;
    assert_eq!(h.validate(), Ok(()));
    assert_eq!(job_work(&h, 0, 1 << 10, 1 << 16, 1 << 16), u64::MAX);

    // Nor does a header that was never checked overflow.
    let (d, hidden) = (u32::MAX, u32::MAX);
    let broken = Header { d, hidden, experts_per_token: u32::MAX, ..h };
    assert_eq!(job_work(&broken, 0, u32::MAX, u32::MAX, u32::MAX), u64::MAX);
}
