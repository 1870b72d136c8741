//! What the market, the checkers and the views read.

use crate::mock::*;
use assay_primitives::{traits::ProviderDirectory, SlotKind};
use frame::testing_prelude::*;

#[test]
fn provider_view_shows_everything() {
    test(|| {
        register(1);
        assert_ok!(Directory::ask(signed(1), key(4, 8), ask()));
        assert_ok!(Directory::ask(signed(1), key(0, 4), ask()));
        assert_ok!(<Directory as ProviderDirectory>::take(&id(1), &key(0, 4), SlotKind::Execute));
        FreeExposure::set(77);
        let view = Directory::provider(id(1)).unwrap();
        assert_eq!((view.worker, view.active, view.bond, view.free), (worker(1, 0), true, 1_000_000, 77));
        assert_eq!(view.asks.iter().map(|a| a.key).collect::<Vec<_>>(), vec![key(0, 4), key(4, 8)]);
        assert_eq!((view.asks[0].executing, view.asks[1].executing), (1, 0));
        assert!(!view.asks[0].usable);
        assert_eq!(Directory::all().len(), 1);
        assert_eq!(Directory::controller(worker(1, 0)), Some(id(1)));
        assert_eq!(Directory::book(key(4, 8)).len(), 1);
    });
}

#[test]
fn unknown_accounts_are_nothing() {
    test(|| {
        assert_eq!(<Directory as ProviderDirectory>::controller_of(&id(1)), None);
        assert_eq!(<Directory as ProviderDirectory>::worker_of(&id(1)), None);
        assert!(<Directory as ProviderDirectory>::holders(&key(0, 8)).is_empty());
        assert_eq!(Directory::next_key_epoch(id(1)), 0);
    });
}
