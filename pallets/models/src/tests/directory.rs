//! What the other pallets and the views read.

use crate::{fixtures::*, mock::*, *};
use assay_exact::work;
use assay_primitives::{traits::ModelDirectory, Span, SpanKey, SPEC_ID, WORK_UNIT_MACS};
use frame::testing_prelude::*;

#[test]
fn info_shows_the_header() {
    test(|| {
        let id = register_demo();
        let info = <Registry as ModelDirectory>::info(id).unwrap();
        assert_eq!((info.id, info.spec_id, info.vocab, info.context, info.layers), (id, SPEC_ID, 4_096, 1_024, 8));
        assert_eq!((info.eos, info.name), (vec![2, 3], b"demo".to_vec()));
        assert_eq!(<Registry as ModelDirectory>::info(H256::zero()), None);
        assert_eq!(Registry::model(id).unwrap().layers, 8);
        assert_eq!(Registry::all().len(), 1);
    });
}

#[test]
fn spans_are_those_of_templates_only() {
    test(|| {
        let model = register_demo();
        let has = |first, end| <Registry as ModelDirectory>::has_span(&SpanKey { model, span: Span { first, end } });
        assert!(has(0, 8) && has(0, 4) && has(6, 8));
        assert!(!has(0, 3) && !has(1, 8) && !has(2, 6));
        assert_eq!(<Registry as ModelDirectory>::template(model, 1).unwrap().len(), 2);
        assert_eq!(<Registry as ModelDirectory>::template(model, 3), None);
        assert_eq!(Registry::templates(model).len(), 3);
        assert_eq!(Registry::entry_roots(model).len(), entries(&decoder(8)).len());
    });
}

#[test]
fn work_equals_the_specification_rounded_up() {
    test(|| {
        let model = register_demo();
        let header = decoder(8);
        for (first, end) in [(0u16, 8u16), (0, 4), (4, 8)] {
            let key = SpanKey { model, span: Span { first, end } };
            for (t_in, new) in [(1u32, 1u32), (17, 1), (17, 40), (900, 124)] {
                let whole = work::job_work(&header, first.into(), end.into(), t_in, new);
                let units = <Registry as ModelDirectory>::work(&key, 0, t_in + new - 1, t_in - 1).unwrap();
                assert_eq!(units, whole.div_ceil(WORK_UNIT_MACS), "{first}..{end}, {t_in} + {new}");
            }
            let decoded = work::decode_work(&header, first.into(), end.into(), 10, 5);
            assert_eq!(<Registry as ModelDirectory>::work(&key, 10, 15, 0), Some(decoded.div_ceil(WORK_UNIT_MACS)));
        }
    });
}

#[test]
fn work_outside_of_the_model_is_none() {
    test(|| {
        let model = register_demo();
        let work = |first, end, from, to| {
            <Registry as ModelDirectory>::work(&SpanKey { model, span: Span { first, end } }, from, to, 0)
        };
        assert!(work(0, 8, 0, 1_024).is_some());
        assert_eq!(work(0, 8, 0, 1_025), None);
        assert_eq!(work(0, 9, 0, 1), None);
        assert_eq!(work(4, 4, 0, 1), None);
        assert_eq!(work(0, 8, 5, 4), None);
        assert_eq!(work(0, 8, 5, 5), Some(0));
    });
}

#[test]
fn work_quote_is_the_jobs_work_by_stage() {
    test(|| {
        let id = register_demo();
        let quote = Registry::work_quote(id, 1, 100, 50).unwrap();
        let want = |first, end| work::job_work(&decoder(8), first, end, 100, 50).div_ceil(WORK_UNIT_MACS);
        assert_eq!(quote, vec![(Span { first: 0, end: 4 }, want(0, 4)), (Span { first: 4, end: 8 }, want(4, 8))]);
        assert_eq!(Registry::work_quote(id, 9, 100, 50), None);
        assert_eq!(Registry::work_quote(id, 1, 0, 50), None);
        assert_eq!(Registry::work_quote(id, 1, 100, 0), None);
        assert_eq!(Registry::work_quote(id, 1, 1_000, 25), None, "longer than the context");
    });
}

#[test]
fn add_user_unknown_model_is_refused() {
    test(|| {
        assert_noop!(<Registry as ModelDirectory>::add_user(H256::zero()), Error::<Test>::UnknownModel);
    });
}

#[test]
#[should_panic(expected = "a job left a model that it never joined")]
fn remove_user_without_one_is_a_defect() {
    test(|| <Registry as ModelDirectory>::remove_user(register_demo()));
}
