//! The package header, its layout and the layers' constants: what is accepted, what is refused and why.

use assay_exact::header::*;
use assay_exact::layout::*;
use assay_exact::mlp::Activation;
use assay_exact::prim::Eps;
use assay_exact::sampling::FinalCap;
use assay_exact::statics::*;
use proptest::prelude::*;

fn decoder() -> Header {
    Header {
        kind: Kind::Decoder,
        vocab: 512,
        context: 128,
        d: 64,
        layers: 4,
        query_heads: 4,
        kv_heads: 2,
        head_dim: 16,
        rot: 16,
        hidden: 176,
        experts: 0,
        experts_per_token: 0,
        f_h: 12,
        flags: Flags::FINAL_NORM,
        activation: Activation::Silu,
        placement: Placement::Pre,
        rope_tables: 1,
        final_cap: FinalCap { c: 0, sigma: 0, cap: 0 },
        pool: Pool::None,
        eos: vec![2, 9],
        tokenizer: [7; 32],
        chat_template: [8; 32],
    }
}

fn encoder() -> Header {
    Header { kind: Kind::Encoder, flags: Flags::LAYER_NORM, pool: Pool::Mean, eos: vec![], ..decoder() }
}

/// The words of a header by index, to write what no `Header` value can hold.
fn with_word(header: &Header, index: usize, value: u32) -> Vec<u8> {
    let mut bytes = header.encode();
    bytes[4 * index..4 * index + 4].copy_from_slice(&value.to_le_bytes());
    bytes
}

fn range_error(field: Field, value: u32, min: u32, max: u32) -> HeaderError {
    HeaderError::OutOfRange { field, value, min, max }
}

#[test]
fn parse_encoded_header_returns_it() {
    for header in [decoder(), encoder()] {
        let bytes = header.encode();
        assert_eq!(bytes.len(), 4 * (23 + header.eos.len()) + 64);
        assert_eq!(Header::parse(&bytes), Ok(header));
    }
}

#[test]
fn encode_fields_lie_where_the_specification_says() {
    let header = Header {
        experts: 8,
        experts_per_token: 2,
        flags: Flags::FINAL_NORM.with(Flags::FINAL_CAP),
        activation: Activation::GeluTanh,
        placement: Placement::Sandwich,
        final_cap: FinalCap { c: 11, sigma: 12, cap: 13 },
        ..decoder()
    };
    let words = [1, 0, 512, 128, 64, 4, 4, 2, 16, 16, 176, 8, 2, 12, 0x1400, 2, 2, 1, 11, 12, 13, 0, 2, 2, 9];
    let mut bytes: Vec<u8> = words.iter().flat_map(|w: &u32| w.to_le_bytes()).collect();
    bytes.extend([7; 32]);
    bytes.extend([8; 32]);
    assert_eq!(header.encode(), bytes);
    assert_eq!(Header::parse(&bytes), Ok(header));
}

#[test]
fn parse_each_field_out_of_range_names_it() {
    use Field::*;
    let plain = decoder();
    let big = u32::MAX;
    let cases = [
        (0, 0, range_error(SpecId, 0, 1, 1)),
        (0, 2, range_error(SpecId, 2, 1, 1)),
        (1, 2, range_error(Kind, 2, 0, 1)),
        (2, 0, range_error(Vocab, 0, 1, 1 << 20)),
        (2, (1 << 20) + 1, range_error(Vocab, (1 << 20) + 1, 1, 1 << 20)),
        (3, 0, range_error(Context, 0, 1, 1 << 17)),
        (3, big, range_error(Context, big, 1, 1 << 17)),
        (4, (1 << 14) + 1, range_error(Width, (1 << 14) + 1, 1, 1 << 14)),
        (5, 1025, range_error(Layers, 1025, 1, 1024)),
        (6, 0, range_error(QueryHeads, 0, 1, 1024)),
        (7, 0, range_error(KvHeads, 0, 1, 4)),
        (7, 8, range_error(KvHeads, 8, 1, 4)),
        (7, 3, HeaderError::KvHeads { query_heads: 4, kv_heads: 3 }),
        (8, 0, range_error(HeadDim, 0, 2, 256)),
        (8, 258, range_error(HeadDim, 258, 2, 256)),
        (8, 17, HeaderError::Odd { field: HeadDim, value: 17 }),
        (9, 18, range_error(Rot, 18, 2, 16)),
        (9, 0, range_error(Rot, 0, 2, 16)),
        (9, 3, HeaderError::Odd { field: Rot, value: 3 }),
        (10, 0, range_error(Hidden, 0, 1, 1 << 16)),
        (10, (1 << 16) + 1, range_error(Hidden, (1 << 16) + 1, 1, 1 << 16)),
        (11, 1025, range_error(Experts, 1025, 0, 1024)),
        (11, 8, range_error(ExpertsPerToken, 0, 1, 8)),
        (12, 1, range_error(ExpertsPerToken, 1, 0, 0)),
        (13, 3, range_error(StreamFraction, 3, 4, 20)),
        (13, 21, range_error(StreamFraction, 21, 4, 20)),
        (14, 0x4400, HeaderError::UnknownFlags(0x4000)),
        (14, 0, HeaderError::NoFinalNorm),
        (14, 0x0c00, HeaderError::UnusedFlags(0x0800)),
        (15, 3, range_error(Activation, 3, 0, 2)),
        (15, big, range_error(Activation, big, 0, 2)),
        (16, 3, range_error(Placement, 3, 0, 2)),
        (17, 0, range_error(Rot, 16, 0, 0)),
        (17, 5, range_error(RopeTables, 5, 0, 4)),
        (18, 1, range_error(FinalCapScale, 1, 0, 0)),
        (19, 1, range_error(FinalCapShift, 1, 0, 0)),
        (20, 1, range_error(FinalCap, 1, 0, 0)),
        (21, 1, range_error(Pool, 1, 0, 0)),
        (21, 3, range_error(Pool, 3, 0, 2)),
        (22, 3, HeaderError::Length { expected: 168, found: 164 }),
        (22, big, HeaderError::Length { expected: 156 + 4 * u64::from(big), found: 164 }),
        (23, 9, HeaderError::EosOrder(1)),
        (24, 512, HeaderError::EosRange(1)),
    ];
    for (index, value, error) in cases {
        assert_eq!(Header::parse(&with_word(&plain, index, value)), Err(error), "word {index} = {value}");
        assert!(!error.to_string().is_empty());
    }
}

#[test]
fn parse_limits_that_depend_on_other_fields_hold() {
    let capped = Header {
        flags: Flags::FINAL_NORM.with(Flags::FINAL_CAP),
        final_cap: FinalCap { c: (1 << 23) - 1, sigma: 62, cap: (1 << 23) - 1 },
        ..decoder()
    };
    assert_eq!(Header::parse(&capped.encode()), Ok(capped.clone()));
    for (index, value, field, max) in [
        (18, 1 << 23, Field::FinalCapScale, (1 << 23) - 1),
        (19, 63, Field::FinalCapShift, 62),
        (20, 1 << 23, Field::FinalCap, (1 << 23) - 1),
    ] {
        assert_eq!(Header::parse(&with_word(&capped, index, value)), Err(range_error(field, value, 0, max)));
    }

    let wide = Header { query_heads: 512, head_dim: 130, ..decoder() };
    assert_eq!(wide.validate(), Err(HeaderError::QueryWidth(512 * 130)));
    let many = Header { experts: 128, experts_per_token: 65, ..decoder() };
    assert_eq!(many.validate(), Err(range_error(Field::ExpertsPerToken, 65, 1, 64)));
    let still = Header { rope_tables: 0, rot: 0, ..decoder() };
    assert_eq!(still.validate(), Ok(()));

    for (flag, bits) in [(Flags::SHARED_HEAD, 1), (Flags::FINAL_CAP, 1 << 12)] {
        let header = Header { flags: Flags::LAYER_NORM.with(flag), ..encoder() };
        assert_eq!(header.validate(), Err(HeaderError::UnusedFlags(bits)));
    }
    let unpooled = Header { pool: Pool::None, ..encoder() };
    assert_eq!(unpooled.validate(), Err(range_error(Field::Pool, 0, 1, 2)));
    let ending = Header { eos: vec![1], ..encoder() };
    assert_eq!(ending.validate(), Err(range_error(Field::EosCount, 1, 0, 0)));
}

#[test]
fn parse_every_truncation_fails_on_length() {
    let bytes = decoder().encode();
    for n in 0..bytes.len() {
        assert!(matches!(Header::parse(&bytes[..n]), Err(HeaderError::Length { .. })), "{n} bytes");
    }
    let longer = [&bytes[..], &[0]].concat();
    assert_eq!(Header::parse(&longer), Err(HeaderError::Length { expected: 164, found: 165 }));
}

/// Headers of any shape within the limits, or a little beyond.
fn any_header() -> impl Strategy<Value = Header> {
    let sizes = (1u32..2000, 1u32..300, 1u32..200, 1u32..6, 1u32..5, 1u32..4, 1u32..20, 0u32..12, 1u32..300);
    let rest = (0u32..10, 0u32..4, 3u32..22, 0u32..(1 << 14), 0i32..3, 0usize..3, 0u32..4, 0usize..3);
    let eos = proptest::collection::btree_set(0u32..2000, 0..6);
    (sizes, rest, eos, any::<bool>(), any::<[u8; 32]>()).prop_map(|(s, r, eos, decoder, digest)| Header {
        kind: if decoder { Kind::Decoder } else { Kind::Encoder },
        vocab: s.0,
        context: s.1,
        d: s.2,
        layers: s.3,
        query_heads: s.4 * s.5,
        kv_heads: s.5,
        head_dim: 2 * s.6,
        rot: 2 * s.7,
        hidden: s.8,
        experts: r.0,
        experts_per_token: r.1,
        f_h: r.2,
        flags: Flags(if decoder { r.3 | Flags::FINAL_NORM.0 } else { r.3 & !0x1001 }),
        activation: Activation::from_id(r.4).unwrap(),
        placement: [Placement::Pre, Placement::Post, Placement::Sandwich][r.5],
        rope_tables: r.6,
        final_cap: FinalCap { c: 0, sigma: 0, cap: 0 },
        pool: if decoder { Pool::None } else { [Pool::Mean, Pool::First][r.7 % 2] },
        eos: if decoder { eos.into_iter().collect() } else { vec![] },
        tokenizer: digest,
        chat_template: [0; 32],
    })
}

/// [`any_header`], brought within the limits.
fn valid_header() -> impl Strategy<Value = Header> {
    any_header().prop_map(|mut h| {
        h.f_h = h.f_h.clamp(4, 20);
        h.rope_tables = h.rope_tables.min(h.layers);
        h.rot = if h.rope_tables == 0 { 0 } else { h.rot.clamp(2, h.head_dim) };
        h.experts_per_token = h.experts_per_token.clamp(h.experts.min(1), h.experts);
        let unused = if h.experts == 0 { Flags::ROUTER_OVER_ALL.0 } else { 0 };
        h.flags = Flags(h.flags.0 & !unused);
        h.eos.retain(|id| *id < h.vocab);
        h
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn parse_random_bytes_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = Header::parse(&bytes);
    }

    #[test]
    fn parse_mutated_header_is_total_and_injective(
        header in any_header(),
        at in any::<prop::sample::Index>(),
        with in any::<u8>(),
    ) {
        let mut bytes = header.encode();
        let at = at.index(bytes.len());
        bytes[at] = with;
        if let Ok(parsed) = Header::parse(&bytes) {
            prop_assert_eq!(parsed.encode(), bytes);
        }
    }

    #[test]
    fn parse_of_any_header_agrees_with_validate(header in any_header()) {
        prop_assert_eq!(Header::parse(&header.encode()), header.validate().map(|()| header.clone()));
    }

    #[test]
    fn layout_of_any_header_has_no_gaps(header in valid_header()) {
        prop_assert_eq!(header.validate(), Ok(()));
        for entry in header.entries() {
            let mut end = 0;
            for (start, part) in header.file_parts(entry) {
                prop_assert!(start % PART_ALIGNMENT == 0 && start >= end && start - end < PART_ALIGNMENT);
                let mut within = 0;
                for tensor in part.layout.tensors() {
                    prop_assert_eq!(tensor.offset, within);
                    within += tensor.size();
                }
                prop_assert_eq!(within, part.layout.size());
                end = start + within;
            }
            prop_assert_eq!(end, header.file_size(entry));
        }
        prop_assert_eq!(header.file_size(Entry::Header), header.encode().len() as u64);
    }

    #[test]
    fn statics_random_words_are_total_and_injective(
        header in valid_header(),
        seed in proptest::collection::vec(-2i32..64, 200),
    ) {
        let mut words: Vec<i32> = seed.into_iter().cycle().take(header.statics_words() as usize).collect();
        let bytes: Vec<u8> = words.iter().flat_map(|w| w.to_le_bytes()).collect();
        let _ = LayerStatics::parse(&bytes, &header);
        // Within range, it must parse, and come back.
        let stream = header.f_h as i32;
        words.iter_mut().for_each(|w| *w = (*w).clamp(0, 62));
        words[..5].copy_from_slice(&[0, -1, -64, stream, stream]);
        let bytes: Vec<u8> = words.iter().flat_map(|w| w.to_le_bytes()).collect();
        prop_assert_eq!(LayerStatics::parse(&bytes, &header).unwrap().encode(), bytes);
    }
}

#[test]
fn parse_eos_count_beyond_memory_fails_before_allocating() {
    let bytes = with_word(&decoder(), 22, 0x3fff_ffff);
    assert!(matches!(Header::parse(&bytes), Err(HeaderError::Length { .. })));
}

#[test]
fn entries_follow_the_flags() {
    use Entry::*;
    let all = |h: &assay_exact::header::Header| h.entries().collect::<Vec<_>>();
    assert_eq!(all(&decoder()), [Header, Tables, Embedding, Layer(0), Layer(1), Layer(2), Layer(3), FinalNorm, Head]);
    let rich =
        assay_exact::header::Header { flags: Flags::POSITIONS.with(Flags::EMBEDDING_NORM), layers: 1, ..encoder() };
    assert_eq!(all(&rich), [Header, Tables, Embedding, Positions, EmbeddingNorm, Layer(0)]);
    assert_eq!(rich.parts(Head).count() + rich.parts(Layer(1)).count() + rich.parts(FinalNorm).count(), 0);
}

#[test]
fn span_needs_only_its_own_entries() {
    use Entry::*;
    let shared = assay_exact::header::Header { flags: Flags::FINAL_NORM.with(Flags::SHARED_HEAD), ..decoder() };
    let needs = |h: &assay_exact::header::Header, first, end| -> Vec<Entry> {
        h.entries().filter(|e| h.span_needs(*e, first, end)).collect()
    };
    assert_eq!(needs(&decoder(), 0, 2), [Header, Tables, Embedding, Layer(0), Layer(1)]);
    assert_eq!(needs(&decoder(), 1, 2), [Header, Tables, Layer(1)]);
    assert_eq!(needs(&decoder(), 2, 4), [Header, Tables, Layer(2), Layer(3), FinalNorm, Head]);
    assert_eq!(needs(&shared, 3, 4), [Header, Tables, Embedding, Layer(3), FinalNorm, Head]);
}

#[test]
fn layer_parts_follow_the_flags() {
    use PartName::*;
    let names = |h: &Header| h.layer_parts().map(|p| p.name).collect::<Vec<_>>();
    assert_eq!(
        names(&decoder()),
        [Statics, AttentionNorm, Query, Key, Value, Output, MlpNorm, Gate(None), Up(None), Down(None)]
    );
    let rich = Header {
        flags: Flags::FINAL_NORM.with(Flags::QK_NORM).with(Flags::UNGATED),
        placement: Placement::Sandwich,
        experts: 2,
        experts_per_token: 1,
        ..decoder()
    };
    assert_eq!(
        names(&rich),
        [
            Statics,
            AttentionNorm,
            AttentionOutNorm,
            Query,
            Key,
            Value,
            Output,
            QueryNorm,
            KeyNorm,
            MlpNorm,
            MlpOutNorm,
            Router,
            Up(Some(0)),
            Down(Some(0)),
            Up(Some(1)),
            Down(Some(1)),
        ]
    );
}

#[test]
fn layouts_have_the_shapes_of_the_specification() {
    let header = Header {
        flags: Flags(Flags::ALL.0 & !(Flags::SHARED_HEAD.0 | Flags::UNGATED.0 | Flags::SECOND_PLANE.0)),
        experts: 3,
        experts_per_token: 2,
        ..decoder()
    };
    let linear = |out, input| Layout::Linear { out, input, second_plane: false, bias: true };
    let layouts: Vec<Layout> = header.layer_parts().map(|p| p.layout).collect();
    let norm = Layout::Norm { n: 64, bias: true };
    let head_norm = Layout::Norm { n: 16, bias: false };
    let expert = [linear(176, 64), linear(176, 64), linear(64, 176)];
    let expected = [
        vec![Layout::Statics { words: 5 + 4 * 5 + 2 }, norm],
        vec![linear(64, 64), linear(32, 64), linear(32, 64), linear(64, 64), head_norm, head_norm, norm],
        vec![linear(3, 64)],
        expert.repeat(3),
    ]
    .concat();
    assert_eq!(layouts, expected);

    assert_eq!(linear(3, 5).size(), 15 + 12 + 12);
    assert_eq!(Layout::Norm { n: 7, bias: false }.size(), 12 + 28);
    let only = |entry| header.parts(entry).map(|p| p.layout).collect::<Vec<_>>();
    assert_eq!(only(Entry::Tables), [Layout::RopeTables { tables: 1, positions: 128, rot: 16 }]);
    assert_eq!(only(Entry::Tables)[0].size(), 128 * 8 * 2 * 4);
    assert_eq!(only(Entry::Positions), [Layout::Linear { out: 128, input: 64, second_plane: false, bias: false }]);
    assert_eq!(only(Entry::Head), [Layout::Linear { out: 512, input: 64, second_plane: false, bias: false }]);
    let shared = Header { flags: header.flags.with(Flags::SHARED_HEAD), ..header.clone() };
    assert_eq!(shared.parts(Entry::Head).next().unwrap().layout, Layout::Scales { out: 512 });
}

#[test]
fn second_plane_is_in_every_linear_and_nowhere_else() {
    let flags = Flags(Flags::ALL.0 & !(Flags::SHARED_HEAD.0 | Flags::UNGATED.0));
    let fine = Header { flags, experts: 3, experts_per_token: 2, ..decoder() };
    let plain = Header { flags: Flags(flags.0 & !Flags::SECOND_PLANE.0), ..fine.clone() };
    for (entry, found) in fine.entries().zip(plain.entries()) {
        assert_eq!(entry, found);
        for (fine, plain) in fine.parts(entry).zip(plain.parts(entry)) {
            assert_eq!(fine.name, plain.name);
            match plain.layout {
                Layout::Linear { out, input, .. } => {
                    let weights = u64::from(out) * u64::from(input);
                    assert_eq!(fine.layout.size(), plain.layout.size() + weights);
                    let tensors: Vec<(Role, u64)> = fine.layout.tensors().map(|t| (t.role, t.offset)).collect();
                    let first = [(Role::Weights, 0), (Role::SecondPlane, weights), (Role::Scales, 2 * weights)];
                    assert_eq!(tensors[..3], first);
                }
                layout => assert_eq!(fine.layout, layout),
            }
        }
    }
}

fn statics() -> LayerStatics {
    use assay_exact::attention::HeadScale;
    LayerStatics {
        window: 16,
        rope_table: Some(0),
        e_v: -9,
        f_o: 12,
        f_d: 12,
        query_heads: (0..4)
            .map(|i| QueryHead { sigma: 30 + i, scale: HeadScale { c: 5_000_000, sigma_l: 28, soft_cap: None } })
            .collect(),
        kv_sigma: vec![31, 32],
    }
}

#[test]
fn statics_out_of_range_names_the_constant() {
    let header = decoder();
    let bytes = statics().encode();
    assert_eq!(LayerStatics::parse(&bytes, &header), Ok(statics()));
    let cases = [
        (0, -1, "W", 0, (0, i32::MAX)),
        (1, -2, "rope table", 0, (-1, 0)),
        (1, 1, "rope table", 0, (-1, 0)),
        (2, 65, "e_v", 0, (-64, 64)),
        (3, 11, "F_o", 0, (12, 12)),
        (4, 13, "F_d", 0, (12, 12)),
        (5, 63, "sigma", 0, (0, 62)),
        (9, 1 << 23, "c", 1, (0, (1 << 23) - 1)),
        (13, -1, "sigma_l", 2, (0, 62)),
        (18, 63, "kv sigma", 1, (0, 62)),
    ];
    for (index, value, field, head, (min, max)) in cases {
        let mut bytes = bytes.clone();
        bytes[4 * index..4 * index + 4].copy_from_slice(&i32::to_le_bytes(value));
        let error = StaticsError::OutOfRange { field, head, value, min, max };
        assert_eq!(LayerStatics::parse(&bytes, &header), Err(error), "{error}");
    }
    let length = StaticsError::Length { expected: 76, found: 75 };
    assert_eq!(LayerStatics::parse(&bytes[1..], &header), Err(length));

    let windowed = LayerStatics { rope_table: None, ..statics() };
    assert!(matches!(
        LayerStatics::parse(&windowed.encode(), &encoder()),
        Err(StaticsError::OutOfRange { field: "W", max: 0, .. })
    ));
}

#[test]
fn statics_sandwich_outputs_have_their_own_fraction() {
    let header = Header { placement: Placement::Sandwich, ..decoder() };
    let free = LayerStatics { f_o: -64, f_d: 64, ..statics() };
    assert_eq!(LayerStatics::parse(&free.encode(), &header), Ok(free));
}

#[test]
fn norm_constants_out_of_range_are_refused() {
    let constants = NormConstants { f_g: 30, eps: Eps { m: (1 << 24) - 1, k: -256 } };
    assert_eq!(NormConstants::parse(&constants.encode()), Ok(constants));
    for bad in [
        NormConstants { f_g: 31, ..constants },
        NormConstants { eps: Eps { m: 1 << 24, k: 0 }, ..constants },
        NormConstants { eps: Eps { m: 0, k: 257 }, ..constants },
        NormConstants { eps: Eps { m: 0, k: -257 }, ..constants },
    ] {
        assert!(NormConstants::parse(&bad.encode()).is_err());
    }
    assert!(NormConstants::parse(&[0; 11]).is_err());
}

#[test]
fn rope_entries_beyond_one_are_refused() {
    assert!(rope_entries_in_range(&[1 << 30, -(1 << 30), 0]));
    assert!(!rope_entries_in_range(&[(1 << 30) + 1]));
    assert!(!rope_entries_in_range(&[i32::MIN]));
}

#[test]
fn kv_head_of_divides_the_query_heads_evenly() {
    let heads: Vec<u32> = (0..4).map(|h| decoder().kv_head_of(h)).collect();
    assert_eq!(heads, [0, 0, 1, 1]);
    assert!(decoder().is_eos(9) && !decoder().is_eos(3));
}
