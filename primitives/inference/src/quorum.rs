//! Verdicts by votes, and the draw of checkers by bond (protocol section 5).

use crate::{AccountId, Balance};
use alloc::{collections::BTreeMap, vec::Vec};
use polkadot_sdk::{sp_core::H256, sp_io::hashing::blake2_256};

/// Least number of controllers that a verdict needs on one root.
pub const MIN_VERDICT_CONTROLLERS: u32 = 3;

/// One vote of an escalation, after opening.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WeighedVote {
    /// Provider bond in the snapshot.
    pub bond: Balance,
    /// The root that the vote's digest opened to; none if nobody opened it, or if it was not cast.
    pub root: Option<H256>,
}

/// The root that holds more than two thirds of the snapshot's bond and at least [`MIN_VERDICT_CONTROLLERS`] controllers, if any.
/// The snapshot is everyone who held the span, voters or not.
pub fn verdict(snapshot: &[WeighedVote]) -> Option<H256> {
    let total = snapshot.iter().fold(0u128, |s, v| s.saturating_add(v.bond));
    let mut tally: BTreeMap<H256, (Balance, u32)> = BTreeMap::new();
    for v in snapshot {
        if let Some(root) = v.root {
            let t = tally.entry(root).or_default();
            t.0 = t.0.saturating_add(v.bond);
            t.1 = t.1.saturating_add(1);
        }
    }
    tally
        .into_iter()
        .find(|(_, (bond, n))| {
            // bond > 2 * (total - bond), which is bond > 2/3 of the total, without an overflow
            *n >= MIN_VERDICT_CONTROLLERS && total.saturating_sub(*bond).checked_mul(2).is_some_and(|rest| *bond > rest)
        })
        .map(|(root, _)| root)
}

/// Draws up to `seats` distinct controllers from `pool`, each time with probability proportional to bond among those left,
/// by the stream `H(seed ‖ i)`. Candidates without bond are never drawn. The modulo bias is below 2^-64 for any supply
/// under 2^64 units and irrelevant above.
pub fn draw(seed: H256, pool: &[(AccountId, Balance)], seats: usize) -> Vec<AccountId> {
    let mut left: Vec<&(AccountId, Balance)> = pool.iter().filter(|(_, b)| *b > 0).collect();
    let mut drawn = Vec::with_capacity(seats);
    for i in 0..seats as u32 {
        let total = left.iter().fold(0u128, |s, (_, b)| s.saturating_add(*b));
        if total == 0 {
            break;
        }
        let mut bytes = [0u8; 36];
        bytes[..32].copy_from_slice(seed.as_bytes());
        bytes[32..].copy_from_slice(&i.to_le_bytes());
        let hash = blake2_256(&bytes);
        let mut low = [0u8; 16];
        low.copy_from_slice(&hash[..16]);
        let mut at = u128::from_le_bytes(low) % total;
        let mut chosen = left.len() - 1;
        for (j, (_, bond)) in left.iter().enumerate() {
            if at < *bond {
                chosen = j;
                break;
            }
            at -= *bond;
        }
        drawn.push(left.remove(chosen).0.clone());
    }
    drawn
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn vote(bond: Balance, root: Option<u8>) -> WeighedVote {
        WeighedVote { bond, root: root.map(H256::repeat_byte) }
    }

    #[test]
    fn verdict_exactly_two_thirds_is_not_enough() {
        assert_eq!(verdict(&[vote(10, Some(1)), vote(5, Some(1)), vote(5, Some(1)), vote(10, None)]), None);
        assert_eq!(
            verdict(&[vote(11, Some(1)), vote(5, Some(1)), vote(5, Some(1)), vote(10, None)]),
            Some(H256::repeat_byte(1))
        );
    }

    #[test]
    fn verdict_two_controllers_are_not_enough() {
        assert_eq!(verdict(&[vote(50, Some(1)), vote(50, Some(1)), vote(1, Some(2))]), None);
    }

    #[test]
    fn draw_is_distinct_and_by_bond() {
        let pool: Vec<_> =
            (0u8..4).map(|i| (AccountId::new([i; 32]), if i == 3 { 0 } else { 10 * u128::from(i + 1) })).collect();
        let mut first = [0u32; 4];
        for n in 0..3_000u32 {
            let mut seed = [0u8; 32];
            seed[..4].copy_from_slice(&n.to_le_bytes());
            let d = draw(H256(blake2_256(&seed)), &pool, 3);
            assert_eq!(d.len(), 3, "the one without bond is never drawn");
            let mut sorted = d.clone();
            sorted.sort();
            sorted.dedup();
            assert_eq!(sorted.len(), 3);
            let b: &[u8; 32] = d[0].as_ref();
            first[b[0] as usize] += 1;
        }
        // 10 : 20 : 30 of 60 over 3,000 draws; five standard deviations are about 125.
        assert!(
            first[0].abs_diff(500) < 125 && first[1].abs_diff(1_000) < 140 && first[2].abs_diff(1_500) < 140,
            "{first:?}"
        );
    }

    proptest! {
        #[test]
        fn verdict_is_unique_and_backed(votes in proptest::collection::vec((0u128..100, proptest::option::of(0u8..3)), 0..12)) {
            let snapshot: Vec<_> = votes.iter().map(|(b, r)| vote(*b, *r)).collect();
            if let Some(root) = verdict(&snapshot) {
                let total: u128 = snapshot.iter().map(|v| v.bond).sum();
                let on: u128 = snapshot.iter().filter(|v| v.root == Some(root)).map(|v| v.bond).sum();
                prop_assert!(on * 3 > total * 2);
            }
        }
    }
}
