//! Providers of the genesis state.

use crate::{mock::*, *};
use assay_primitives::traits::ProviderDirectory;
use frame::testing_prelude::*;

fn genesis(n: u8) -> GenesisProvider {
    let ask = |first, end| GenesisAsk { model: model(), first, end, price: 0, slots: 1, check_slots: 2, rate: 100 };
    GenesisProvider { controller: id(n), worker: worker(n, 0), asks: vec![ask(0, 4), ask(4, 8)] }
}

#[test]
fn genesis_providers_can_be_matched_at_once() {
    ext(vec![genesis(1), genesis(2)]).execute_with(|| {
        Directory::do_try_state().unwrap();
        let holders = <Directory as ProviderDirectory>::holders(&key(0, 4));
        assert_eq!(holders.len(), 2);
        assert!(holders.iter().all(|h| h.usable && h.free_slots == 1 && h.free_check_slots == 2));
        assert_eq!(held(1, HoldReason::Registration), 0);
        // Everything else works as for others, and costs them no deposit.
        assert_ok!(Directory::rotate_worker(signed(1), worker(1, 1), proof(1, 1)));
        assert_ok!(Directory::withdraw_ask(signed(1), key(0, 4)));
        assert_ok!(Directory::withdraw_ask(signed(1), key(4, 8)));
        assert_ok!(Directory::deregister(signed(1)));
        Directory::do_try_state().unwrap();
        assert_eq!(Balances::free_balance(id(1)), RICH);
    });
}

#[test]
fn genesis_config_survives_json() {
    let config = GenesisConfig::<Test> { providers: vec![genesis(1)], ..Default::default() };
    let json = serde_json::to_string(&config).unwrap();
    assert!(json.contains("checkSlots"));
    let back: GenesisConfig<Test> = serde_json::from_str(&json).unwrap();
    assert_eq!(back.providers, config.providers);
}

#[test]
#[should_panic(expected = "UnknownSpan: first and end must be a stage in a template of a model in models.models")]
fn genesis_ask_for_an_unknown_span_stops() {
    let mut bad = genesis(1);
    bad.asks[0].end = 5;
    ext(vec![bad]);
}

#[test]
#[should_panic(expected = "providers.providers[1].controller of")]
fn genesis_controller_twice_stops() {
    let twice = GenesisProvider { worker: worker(2, 0), ..genesis(1) };
    ext(vec![genesis(1), twice]);
}

#[test]
#[should_panic(expected = "providers.providers[0].asks[1] of")]
fn genesis_ask_without_slots_stops() {
    let mut bad = genesis(1);
    (bad.asks[1].slots, bad.asks[1].check_slots) = (0, 0);
    ext(vec![bad]);
}
