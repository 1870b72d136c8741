//! Who validates next. Pure: nothing here touches storage.

use alloc::vec::Vec;
use assay_primitives::{AccountId, Balance};

/// How many validators may leave the set in one session: a tenth, but at least one.
pub fn max_removals(previous: usize) -> usize {
    previous.checked_div(10).unwrap_or_default().max(1)
}

/// Elects by bond, changing the set slowly.
///
/// `previous` are the present validators that can go on (those that still have session keys) and `lost` counts those that
/// cannot; `candidates` stand for election, each with its bond. The candidates with the highest bonds, up to `target`, are
/// wanted; ties go to the lower account id. Present validators that are not wanted leave in this order: those that no
/// longer stand, the `accused` among them first (one that stays is no longer disabled in the new set), then the lowest
/// bond; of these only [`max_removals`] (less the lost ones) leave now. Whoever has to stay takes the seat of a
/// newcomer with a low bond if there are too few. None if fewer than `minimum` would result: the previous set then goes
/// on.
pub fn elect(
    previous: &[AccountId],
    lost: usize,
    accused: &[AccountId],
    mut candidates: Vec<(AccountId, Balance)>,
    target: usize,
    minimum: usize,
) -> Option<Vec<AccountId>> {
    candidates.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    let wanted: Vec<&AccountId> = candidates.iter().take(target).map(|(who, _)| who).collect();

    let mut leaving: Vec<(Option<Balance>, bool, &AccountId)> = previous
        .iter()
        .filter(|p| !wanted.contains(p))
        .map(|p| (candidates.iter().find(|(who, _)| who == p).map(|(_, bond)| *bond), !accused.contains(p), p))
        .collect();
    // None, no longer standing, sorts before any bond, and false, accused, before true.
    leaving.sort();
    let removals = max_removals(previous.len().saturating_add(lost)).saturating_sub(lost);
    let staying = leaving.into_iter().skip(removals).map(|(_, _, p)| p);

    let mut elected: Vec<AccountId> = wanted.iter().filter(|w| previous.contains(w)).map(|w| (*w).clone()).collect();
    elected.extend(staying.cloned());
    let seats = target.saturating_sub(elected.len());
    elected.extend(wanted.into_iter().filter(|w| !previous.contains(w)).take(seats).cloned());
    (!elected.is_empty() && elected.len() >= minimum).then_some(elected)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn id(n: u8) -> AccountId {
        AccountId::new([n; 32])
    }

    fn ids(n: &[u8]) -> Vec<AccountId> {
        n.iter().map(|n| id(*n)).collect()
    }

    fn bonds(c: &[(u8, Balance)]) -> Vec<(AccountId, Balance)> {
        c.iter().map(|(n, b)| (id(*n), *b)).collect()
    }

    #[test]
    fn elect_takes_the_highest_bonds() {
        assert_eq!(elect(&[], 0, &[], bonds(&[(1, 5), (2, 9), (3, 7)]), 2, 1), Some(ids(&[2, 3])));
    }

    #[test]
    fn elect_ties_go_to_the_lower_account() {
        assert_eq!(elect(&[], 0, &[], bonds(&[(3, 5), (1, 5), (2, 5)]), 2, 1), Some(ids(&[1, 2])));
    }

    #[test]
    fn elect_one_removal_at_a_time_keeps_the_rest() {
        // All three are outbid; only the lowest leaves now.
        let next =
            elect(&ids(&[1, 2, 3]), 0, &[], bonds(&[(1, 3), (2, 2), (3, 1), (7, 90), (8, 91), (9, 92)]), 3, 1).unwrap();
        assert_eq!(next, ids(&[2, 1, 9]));
    }

    #[test]
    fn elect_chilled_leave_before_the_outbid() {
        let next = elect(&ids(&[1, 2, 3]), 0, &[], bonds(&[(1, 1), (3, 5), (9, 9)]), 2, 1).unwrap();
        assert_eq!(next, ids(&[3, 1]), "2 no longer stands and leaves; 1 has to stay, and 9 waits for a seat");
    }

    #[test]
    fn elect_accused_leave_before_the_chilled_only_if_they_no_longer_stand() {
        let next = |standing: &[(u8, Balance)]| elect(&ids(&[1, 2, 3]), 0, &ids(&[2]), bonds(standing), 3, 1).unwrap();
        assert_eq!(next(&[(3, 5)]), ids(&[3, 1]));
        assert_eq!(next(&[(2, 4), (3, 5)]), ids(&[3, 2]), "2 stands again");
    }

    #[test]
    fn elect_too_few_gives_none() {
        assert_eq!(elect(&ids(&[1, 2]), 0, &[], bonds(&[(1, 1)]), 4, 2), None);
        assert_eq!(elect(&[], 0, &[], Vec::new(), 4, 0), None, "never an empty set");
    }

    #[test]
    fn elect_lost_keys_use_up_removals() {
        assert_eq!(elect(&ids(&[1, 2]), 1, &[], bonds(&[(1, 1)]), 4, 1), Some(ids(&[1, 2])));
    }

    proptest! {
        #[test]
        fn elect_changes_slowly_and_never_below_the_minimum(
            previous in proptest::collection::btree_set(0u8..40, 0..30),
            standing in proptest::collection::btree_map(0u8..40, 1u128..100, 0..40),
            lost in 0usize..3,
            accused in proptest::collection::btree_set(0u8..40, 0..10),
            target in 1usize..40,
            minimum in 1usize..10,
        ) {
            let previous: Vec<_> = previous.into_iter().map(id).collect();
            let candidates: Vec<_> = standing.into_iter().map(|(n, b)| (id(n), b)).collect();
            let accused: Vec<_> = accused.into_iter().map(id).collect();
            if let Some(next) = elect(&previous, lost, &accused, candidates.clone(), target, minimum) {
                let removed = previous.iter().filter(|p| !next.contains(p)).count();
                prop_assert!(removed + lost <= max_removals(previous.len() + lost).max(lost));
                prop_assert!(next.len() >= minimum && !next.is_empty());
                prop_assert!(next.len() <= target.max(previous.len()));
                let mut unique = next.clone();
                unique.sort();
                unique.dedup();
                prop_assert_eq!(unique.len(), next.len());
                for who in &next {
                    prop_assert!(previous.contains(who) || candidates.iter().any(|(c, _)| c == who));
                }
                // Offenders leave before anybody else.
                let offender = |p: &AccountId| accused.contains(p) && !candidates.iter().any(|(c, _)| c == p);
                if next.iter().any(&offender) {
                    prop_assert!(previous.iter().filter(|p| !next.contains(p)).all(&offender));
                }
                // Nobody outside has more bond than a newcomer inside.
                let newcomer = next.iter().filter(|n| !previous.contains(n)).filter_map(|n| candidates.iter().find(|(c, _)| c == n)).map(|(_, b)| *b).min();
                let outside = candidates.iter().filter(|(c, _)| !next.contains(c)).map(|(_, b)| *b).max();
                if let (Some(inside), Some(outside)) = (newcomer, outside) { prop_assert!(outside <= inside); }
            }
        }
    }
}
