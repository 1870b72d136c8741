//! Random sequences of everything that can happen in the directory.

use crate::mock::*;
use assay_primitives::{traits::ProviderDirectory, Ask, OffenceKind, SlotKind, SpanKey, SPEC_ID};
use frame::testing_prelude::*;
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Op {
    Register(u8),
    Rotate(u8),
    Profile(u8, bool),
    Ask(u8, SpanKey, u16, u16),
    WithdrawAsk(u8, SpanKey),
    Take(u8, SpanKey, SlotKind),
    GiveBack(u8, SpanKey, SlotKind),
    Activity(u8, bool),
    Deregister(u8),
    Fault(u8, OffenceKind),
    Settled(u8, u128),
    Tick,
}

fn op() -> impl Strategy<Value = Op> {
    let who = || 1u8..6;
    let span = || prop_oneof![Just(key(0, 8)), Just(key(0, 4)), Just(key(4, 8))];
    let kind = || prop_oneof![Just(SlotKind::Execute), Just(SlotKind::Check)];
    let fault =
        prop_oneof![Just(OffenceKind::NoShow), Just(OffenceKind::FalseDissent), Just(OffenceKind::Equivocation)];
    prop_oneof![
        2 => who().prop_map(Op::Register),
        1 => who().prop_map(Op::Rotate),
        1 => (who(), any::<bool>()).prop_map(|(w, s)| Op::Profile(w, s)),
        4 => (who(), span(), 0u16..3, 0u16..3).prop_map(|(w, k, s, c)| Op::Ask(w, k, s, c)),
        1 => (who(), span()).prop_map(|(w, k)| Op::WithdrawAsk(w, k)),
        4 => (who(), span(), kind()).prop_map(|(w, k, s)| Op::Take(w, k, s)),
        4 => (who(), span(), kind()).prop_map(|(w, k, s)| Op::GiveBack(w, k, s)),
        1 => (who(), any::<bool>()).prop_map(|(w, a)| Op::Activity(w, a)),
        1 => who().prop_map(Op::Deregister),
        1 => (who(), fault).prop_map(|(w, f)| Op::Fault(w, f)),
        1 => (who(), 0u128..5_000).prop_map(|(w, b)| Op::Settled(w, b)),
        1 => Just(Op::Tick),
    ]
}

fn apply(op: Op) -> DispatchResult {
    let taken = |w: u8, k: &SpanKey, s| Directory::in_use(id(w), *k, s);
    match op {
        Op::Register(w) => Directory::register(signed(w), worker(w, 0), proof(w, 0), Default::default(), 1 << SPEC_ID),
        Op::Rotate(w) => {
            let epoch = Directory::next_key_epoch(id(w));
            Directory::rotate_worker(signed(w), worker(w, epoch), proof(w, epoch))
        }
        Op::Profile(w, supports) => Directory::set_profile(signed(w), Default::default(), 1 << u32::from(supports)),
        Op::Ask(w, k, slots, check_slots) => Directory::ask(signed(w), k, Ask { slots, check_slots, ..ask() }),
        Op::WithdrawAsk(w, k) => Directory::withdraw_ask(signed(w), k),
        Op::Take(w, k, s) => {
            let before = taken(w, &k, s);
            let holder = <Directory as ProviderDirectory>::holders(&k).into_iter().find(|h| h.controller == id(w));
            let free = holder.map_or(0, |h| if s == SlotKind::Execute { h.free_slots } else { h.free_check_slots });
            let result = <Directory as ProviderDirectory>::take(&id(w), &k, s);
            assert_eq!(result.is_ok(), free > 0);
            assert_eq!(taken(w, &k, s), before + u16::from(free > 0));
            Ok(())
        }
        Op::GiveBack(w, k, s) => {
            if taken(w, &k, s) > 0 {
                <Directory as ProviderDirectory>::give_back(&id(w), &k, s);
            }
            Ok(())
        }
        Op::Activity(w, true) => Directory::resume(signed(w)),
        Op::Activity(w, false) => Directory::drain(signed(w)),
        Op::Deregister(w) => Directory::deregister(signed(w)),
        Op::Fault(w, f) => {
            <Directory as ProviderDirectory>::note_fault(&id(w), f);
            Ok(())
        }
        Op::Settled(w, b) => {
            <Directory as ProviderDirectory>::note_settled(&id(w), b);
            Ok(())
        }
        Op::Tick => {
            Clock::mutate(|t| *t += 1);
            Ok(())
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..Default::default() })]
    #[test]
    fn any_sequence_keeps_the_invariants(ops in proptest::collection::vec(op(), 100)) {
        ext(vec![]).execute_with(|| {
            let issuance = Balances::total_issuance();
            for op in ops {
                // As a dispatch does: what fails leaves nothing. Whether it fails is not the question here.
                let _ = frame::deps::frame_support::storage::with_storage_layer(|| apply(op));
                System::reset_events();
                Directory::do_try_state().unwrap();
            }
            assert_eq!(Balances::total_issuance(), issuance);
        });
    }
}
