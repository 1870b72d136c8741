//! `register`.

use crate::{fixtures::*, mock::*, *};
use assay_exact::work;
use assay_exact::{
    hash::Blake2b,
    header::{Flags, Header, Kind, Pool},
    merkle,
};
use assay_primitives::{
    traits::{ModelDirectory, ModelKind},
    Span, SpanKey, WORK_UNIT_MACS,
};
use frame::{prelude::*, testing_prelude::*};

fn register(header: HeaderBytes, entries: EntryRoots, templates: Templates) -> DispatchResult {
    Registry::register(RuntimeOrigin::signed(alice()), name(), header, entries, templates)
}

fn refused(header: &Header, error: Error<Test>) {
    let layers = header.layers as u16;
    assert_noop!(register(bytes(header), entries(header), templates(&[&[]], layers)), error);
}

#[test]
fn register_package_stores_it_under_its_root() {
    test(|| {
        let id = register_demo();
        let header = decoder(8);
        // The root as the specification writes it, in software: list(blob(header), entries..).
        let leaves = core::iter::once(merkle::blob::<Blake2b>(&header.encode()))
            .chain(entries(&header).into_iter().map(|e| e.0));
        assert_eq!(id.0, merkle::list::<Blake2b, _>(leaves));

        let model = Models::<Test>::get(id).unwrap();
        assert_eq!(model.owner, Some(alice()));
        assert_eq!(model.header.to_vec(), header.encode());
        assert_eq!(model.spans()[1], vec![Span { first: 0, end: 4 }, Span { first: 4, end: 8 }]);
        assert!(model.active);
        assert_eq!(Entries::<Test>::get(id), entries(&header));
        assert_eq!(held(&alice()), model.deposit);
        let bytes =
            name().len() + header.encode().len() + entries(&header).encoded_size() + model.templates.encoded_size();
        assert_eq!(model.deposit, 1_000 + 2 * bytes as u128);
        assert_eq!(last_event(), Event::ModelRegistered { model: id, owner: alice(), deposit: model.deposit });
    });
}

#[test]
fn register_unsigned_is_refused() {
    test(|| {
        let header = decoder(8);
        let call =
            Registry::register(RuntimeOrigin::root(), name(), bytes(&header), entries(&header), templates(&[&[]], 8));
        assert_noop!(call, DispatchError::BadOrigin);
    });
}

#[test]
fn register_twice_is_refused() {
    test(|| {
        register_demo();
        refused(&decoder(8), Error::AlreadyRegistered);
    });
}

#[test]
fn register_bad_name_is_refused() {
    test(|| {
        let header = decoder(8);
        for name in [vec![], vec![0xff, 0xfe]] {
            let name = ModelName::try_from(name).unwrap();
            let origin = RuntimeOrigin::signed(alice());
            let call = Registry::register(origin, name, bytes(&header), entries(&header), templates(&[&[]], 8));
            assert_noop!(call, Error::<Test>::BadName);
        }
    });
}

#[test]
fn register_bad_header_is_refused() {
    test(|| {
        refused(&Header { kv_heads: 3, ..decoder(8) }, Error::BadHeader);
        refused(&Header { context: 0, ..decoder(8) }, Error::BadHeader);
        let truncated = BoundedVec::truncate_from(decoder(8).encode()[..40].to_vec());
        assert_noop!(register(truncated, entries(&decoder(8)), templates(&[&[]], 8)), Error::<Test>::BadHeader);
        assert_noop!(
            register(Default::default(), entries(&decoder(8)), templates(&[&[]], 8)),
            Error::<Test>::BadHeader
        );
    });
}

#[test]
fn register_other_spec_is_refused() {
    test(|| {
        let mut other = decoder(8).encode();
        other[0] = 2;
        let other = BoundedVec::truncate_from(other);
        assert_noop!(register(other, entries(&decoder(8)), templates(&[&[]], 8)), Error::<Test>::UnknownSpec);
    });
}

#[test]
fn register_encoder_is_taken_and_one_with_too_wide_a_vector_refused() {
    test(|| {
        let encoder =
            Header { kind: Kind::Encoder, flags: Flags::LAYER_NORM, pool: Pool::Mean, eos: vec![], ..decoder(8) };
        encoder.validate().unwrap();
        let wide = Header { d: 8_192, ..encoder.clone() };
        wide.validate().unwrap();
        refused(&wide, Error::VectorTooWide);
        assert_ok!(register(bytes(&encoder), entries(&encoder), templates(&[&[], &[4]], 8)));
        let id = model_root(&encoder.encode(), &entries(&encoder));
        let info = Registry::model(id).unwrap();
        assert_eq!((info.kind, info.width), (ModelKind::Encoder, encoder.d));
        let units = |first, end| work::job_work(&encoder, first, end, 100, 0).div_ceil(WORK_UNIT_MACS);
        let quote = Registry::work_quote(id, 1, 100, 0).unwrap();
        assert_eq!(quote.iter().map(|(_, work)| *work).collect::<Vec<_>>(), [units(0, 4), units(4, 8)]);
        let key = |first, end| SpanKey { model: id, span: Span { first, end } };
        assert_eq!(Registry::work(&key(0, 4), 0, 100, 100), Some(units(0, 4)));
        assert_eq!(Registry::work_quote(id, 1, 100, 1), None, "an encoder generates nothing");
    });
}

#[test]
fn register_wrong_number_of_entries_is_refused() {
    test(|| {
        let header = decoder(8);
        let mut more = entries(&header);
        more.try_push(H256::zero()).unwrap();
        assert_noop!(register(bytes(&header), more, templates(&[&[]], 8)), Error::<Test>::WrongEntryCount);
        let mut fewer = entries(&header);
        fewer.pop();
        assert_noop!(register(bytes(&header), fewer, templates(&[&[]], 8)), Error::<Test>::WrongEntryCount);
    });
}

#[test]
fn register_without_template_is_refused() {
    test(|| {
        let header = decoder(8);
        for none in [Templates::default(), BoundedVec::truncate_from(vec![Default::default()])] {
            assert_noop!(register(bytes(&header), entries(&header), none), Error::<Test>::NoTemplate);
        }
    });
}

#[test]
fn register_template_that_does_not_tile_is_refused() {
    test(|| {
        let header = decoder(8);
        let span = |first, end| Span { first, end };
        let bad = [
            vec![span(0, 7)],
            vec![span(1, 8)],
            vec![span(0, 9)],
            vec![span(0, 4), span(5, 8)],
            vec![span(0, 5), span(4, 8)],
            vec![span(0, 4), span(4, 4), span(4, 8)],
            vec![span(4, 8), span(0, 4)],
        ];
        for spans in bad {
            let cut = BoundedVec::truncate_from(vec![BoundedVec::truncate_from(spans)]);
            assert_noop!(register(bytes(&header), entries(&header), cut), Error::<Test>::BadTemplate);
        }
    });
}

#[test]
fn register_template_twice_is_refused() {
    test(|| {
        let header = decoder(8);
        let twice = templates(&[&[4], &[], &[4]], 8);
        assert_noop!(register(bytes(&header), entries(&header), twice), Error::<Test>::DuplicateTemplate);
    });
}

#[test]
fn register_without_the_deposit_is_refused() {
    test(|| {
        let header = decoder(8);
        let call = Registry::register(
            RuntimeOrigin::signed(poor()),
            name(),
            bytes(&header),
            entries(&header),
            templates(&[&[]], 8),
        );
        assert_noop!(call, TokenError::FundsUnavailable);
    });
}

#[test]
fn register_largest_package_fits() {
    test(|| {
        let header =
            Header { flags: decoder(1_024).flags.with(Flags::POSITIONS).with(Flags::EMBEDDING_NORM), ..decoder(1_024) };
        assert_eq!(entries(&header).len() as u32, MAX_ENTRIES);
        assert_ok!(register(bytes(&header), entries(&header), templates(&[&[]], 1_024)));
    });
}
