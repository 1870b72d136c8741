//! `ask`, `withdraw_ask`.

use crate::{mock::*, *};
use assay_primitives::{market, traits::ProviderDirectory, Ask, SlotKind, Span, SpanKey, MAX_HOLDERS};
use frame::{prelude::*, testing_prelude::*};

fn call(n: u8, key: SpanKey, ask: Ask) -> DispatchResult {
    Directory::ask(signed(n), key, ask)
}

#[test]
fn ask_becomes_usable_after_the_delay() {
    test(|| {
        register(1);
        assert_ok!(call(1, key(0, 4), ask()));
        let event = Event::AskSet { controller: id(1), key: key(0, 4), ask: ask(), usable_from: 12 };
        assert_eq!(last_event(), event);
        assert_eq!(held(1, HoldReason::Ask), 20);
        assert_eq!(provider(1).spans.to_vec(), vec![key(0, 4)]);
        let usable = |tick| {
            Clock::set(tick);
            <Directory as ProviderDirectory>::holders(&key(0, 4))[0].usable
        };
        assert_eq!([usable(10), usable(11), usable(12)], [false, false, true]);
    });
}

#[test]
fn ask_again_replaces_the_offer_and_keeps_since() {
    test(|| {
        register(1);
        assert_ok!(call(1, key(0, 4), ask()));
        Clock::set(50);
        assert_ok!(call(1, key(0, 4), Ask { price: 0, ..ask() }));
        let holder = &<Directory as ProviderDirectory>::holders(&key(0, 4))[0];
        assert_eq!((holder.ask.price, holder.since, holder.usable), (0, 10, false));
        assert_eq!(held(1, HoldReason::Ask), 20, "one deposit");
    });
}

#[test]
fn ask_withdrawn_and_made_again_starts_anew() {
    test(|| {
        register(1);
        assert_ok!(call(1, key(0, 4), ask()));
        assert_ok!(call(1, key(4, 8), ask()));
        assert_ok!(Directory::withdraw_ask(signed(1), key(0, 4)));
        assert_eq!(last_event(), Event::AskWithdrawn { controller: id(1), key: key(0, 4) });
        assert_eq!(held(1, HoldReason::Ask), 20);
        assert!(!Books::<Test>::contains_key(key(0, 4)), "an empty book leaves nothing");
        Clock::set(50);
        assert_ok!(call(1, key(0, 4), ask()));
        assert_eq!(<Directory as ProviderDirectory>::holders(&key(0, 4))[0].since, 50);
    });
}

#[test]
fn ask_bad_terms_are_refused() {
    test(|| {
        assert_noop!(call(1, key(0, 4), ask()), Error::<Test>::NotRegistered);
        register(1);
        assert_noop!(call(1, key(0, 3), ask()), Error::<Test>::UnknownSpan);
        let unknown = SpanKey { model: H256::zero(), span: Span { first: 0, end: 8 } };
        assert_noop!(call(1, unknown, ask()), Error::<Test>::UnknownSpan);
        let other = SpanKey { model: other_spec(), span: Span { first: 0, end: 8 } };
        assert_noop!(call(1, other, ask()), Error::<Test>::UnsupportedSpec);
        assert_noop!(call(1, key(0, 4), Ask { slots: 0, check_slots: 0, ..ask() }), Error::<Test>::NoSlots);
        assert_noop!(call(1, key(0, 4), Ask { rate: 99, ..ask() }), Error::<Test>::RateTooLow);
        assert_noop!(call(1, key(0, 4), Ask { price: 1_001, ..ask() }), Error::<Test>::PriceAboveReserve);
        assert_ok!(call(1, key(0, 4), Ask { slots: 0, rate: 100, price: 1_000, ..ask() }));
    });
}

#[test]
fn ask_needs_exposure_for_a_minimum_job() {
    test(|| {
        register(1);
        // Four layers, one position, at the reserve price.
        let needed = market::backing(&TestParams::get(), 3, 4 * 1_000, 0).unwrap();
        assert_eq!(Directory::minimum_exposure(key(0, 4)), Some(needed));
        FreeExposure::set(needed - 1);
        assert_noop!(call(1, key(0, 4), ask()), Error::<Test>::InsufficientExposure);
        FreeExposure::set(needed);
        assert_ok!(call(1, key(0, 4), ask()));
    });
}

#[test]
fn ask_in_a_full_book_is_refused() {
    test(|| {
        for n in 1..=MAX_HOLDERS as u8 {
            register(n);
            assert_ok!(call(n, key(0, 8), ask()));
        }
        register(99);
        assert_noop!(call(99, key(0, 8), ask()), Error::<Test>::BookFull);
        assert_ok!(call(99, key(0, 4), ask()));
        // Replacing one's own is no new place.
        assert_ok!(call(5, key(0, 8), Ask { price: 1, ..ask() }));
        assert_ok!(Directory::withdraw_ask(signed(5), key(0, 8)));
        assert_ok!(call(99, key(0, 8), ask()));
        let holders = <Directory as ProviderDirectory>::holders(&key(0, 8));
        assert_eq!(holders.len(), MAX_HOLDERS as usize);
    });
}

#[test]
fn ask_in_a_full_book_evicts_an_idle_holder_without_bond() {
    test(|| {
        for n in 1..=MAX_HOLDERS as u8 {
            register(n);
            assert_ok!(call(n, key(0, 8), ask()));
        }
        register(99);
        Unbonded::set(vec![id(7), id(9)]);
        assert_ok!(<Directory as ProviderDirectory>::take(&id(7), &key(0, 8), SlotKind::Execute));
        assert_ok!(call(99, key(0, 8), ask()));
        assert!(events().contains(&Event::AskWithdrawn { controller: id(9), key: key(0, 8) }));
        assert_eq!((held(9, HoldReason::Ask), provider(9).spans.len()), (0, 0));
        register(98);
        assert_noop!(call(98, key(0, 8), ask()), Error::<Test>::BookFull);
    });
}

#[test]
fn ask_in_a_full_book_leaves_a_holder_whose_bond_backs_other_work() {
    test(|| {
        for n in 1..=MAX_HOLDERS as u8 {
            register(n);
            assert_ok!(call(n, key(0, 8), ask()));
        }
        register(99);
        FullyReserved::set(vec![id(7)]);
        assert_noop!(call(99, key(0, 8), ask()), Error::<Test>::BookFull);
        assert_eq!((held(7, HoldReason::Ask), provider(7).spans.to_vec()), (20, vec![key(0, 8)]));
    });
}

#[test]
fn ask_without_the_deposit_is_refused() {
    test(|| {
        register(1);
        let free = Balances::free_balance(id(1));
        assert_ok!(Balances::transfer_allow_death(signed(1), id(2), free - 25));
        assert_noop!(call(1, key(0, 8), ask()), TokenError::FundsUnavailable);
    });
}

#[test]
fn withdraw_unknown_ask_is_refused() {
    test(|| {
        assert_noop!(Directory::withdraw_ask(signed(1), key(0, 4)), Error::<Test>::NotRegistered);
        register(1);
        assert_noop!(Directory::withdraw_ask(signed(1), key(0, 4)), Error::<Test>::NoAsk);
    });
}
