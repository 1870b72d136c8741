//! The penalty score: pure arithmetic.
//!
//! A controller has 0 to [`MAX_POINTS`] points; each adds [`PERMILLE_PER_POINT`] per thousand to what its ask counts in the
//! auction, so that 40 points double it. Faults add points by their kind, at most up to the maximum:
//!
//! | fault | points |
//! |---|---|
//! | a checker did not show up | 1 |
//! | an executor did not commit | 2 |
//! | an executor's rows could not be had | 4 |
//! | a false dissent | 16 |
//! | a wrong result, a false agreement | 32 |
//! | equivocation | 64 |
//!
//! For every [`crate::Config::PointPrice`] burned in settlements of its work a controller loses a point; what is burned beyond
//! counts towards the next, and nothing is saved up at 0 points. A newcomer starts with the 75th percentile of the registered
//! providers' points by nearest rank: of `n` numbers in ascending order, number `ceil(3n / 4)`; 0 if there are none.

use crate::types::*;
use assay_primitives::{Balance, OffenceKind};
use frame::prelude::*;

/// Points that a fault adds.
pub fn points_of(kind: OffenceKind) -> u8 {
    match kind {
        OffenceKind::NoShow => 1,
        OffenceKind::NoCommit => 2,
        OffenceKind::Withheld => 4,
        OffenceKind::FalseDissent => 16,
        OffenceKind::FalseAgree | OffenceKind::WrongResult => 32,
        OffenceKind::Equivocation => 64,
    }
}

impl Penalty {
    /// Per thousand of an ask.
    pub fn permille(&self) -> u32 {
        u32::from(self.points).saturating_mul(PERMILLE_PER_POINT)
    }

    /// A fault.
    pub fn add(&mut self, kind: OffenceKind) {
        self.points = self.points.saturating_add(points_of(kind)).min(MAX_POINTS);
    }

    /// Settled work burned this much; a point costs `price`.
    pub fn decay(&mut self, burned: Balance, price: Balance) {
        let credit = self.credit.saturating_add(burned);
        // A price of zero makes any settlement clear everything.
        let bought = credit.checked_div(price).unwrap_or(Balance::MAX);
        let off = u8::try_from(bought).unwrap_or(u8::MAX).min(self.points);
        self.points = self.points.saturating_sub(off);
        self.credit = if self.points == 0 { 0 } else { credit.saturating_sub(price.saturating_mul(off.into())) };
    }
}

/// What a newcomer starts with.
pub fn newcomer(histogram: &Histogram) -> u8 {
    let n = histogram.iter().fold(0u64, |sum, count| sum.saturating_add((*count).into()));
    let rank = n.saturating_mul(3).div_ceil(4);
    if rank == 0 {
        return 0;
    }
    let mut seen = 0u64;
    for (points, count) in (0u8..).zip(histogram) {
        seen = seen.saturating_add((*count).into());
        if seen >= rank {
            return points;
        }
    }
    MAX_POINTS
}

/// Counts a registered provider in (`present`) or out.
pub fn count(histogram: &mut Histogram, points: u8, present: bool) {
    let at = usize::from(points.min(MAX_POINTS));
    if histogram.len() <= at {
        // 65 places are the bound.
        histogram.bounded_resize(at.saturating_add(1), 0);
    }
    if let Some(n) = histogram.get_mut(at) {
        *n = if present { n.defensive_saturating_add(1) } else { n.defensive_saturating_sub(1) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn newcomer_is_the_nearest_rank() {
        let mut h = Histogram::default();
        assert_eq!(newcomer(&h), 0);
        for points in [0, 0, 8, 64] {
            count(&mut h, points, true);
        }
        assert_eq!(newcomer(&h), 8, "number 3 of 0 0 8 64");
        count(&mut h, 2, true);
        assert_eq!(newcomer(&h), 8, "number 4 of 0 0 2 8 64");
        count(&mut h, 8, false);
        count(&mut h, 64, false);
        assert_eq!(newcomer(&h), 2, "number 3 of 0 0 2");
    }

    #[test]
    fn decay_keeps_the_remainder_until_the_last_point() {
        let mut p = Penalty { points: 3, credit: 0 };
        p.decay(15, 10);
        assert_eq!(p, Penalty { points: 2, credit: 5 });
        p.decay(5, 10);
        assert_eq!(p, Penalty { points: 1, credit: 0 });
        p.decay(99, 10);
        assert_eq!(p, Penalty { points: 0, credit: 0 });
    }

    #[test]
    fn add_stops_at_the_maximum() {
        let mut p = Penalty::default();
        p.add(OffenceKind::WrongResult);
        assert_eq!(p.permille(), 800);
        p.add(OffenceKind::Equivocation);
        assert_eq!((p.points, p.permille()), (64, 1_600));
    }

    proptest! {
        #[test]
        fn newcomer_equals_sorting(points in proptest::collection::vec(0u8..=64, 1..60)) {
            let mut h = Histogram::default();
            for p in &points { count(&mut h, *p, true); }
            let mut sorted = points.clone();
            sorted.sort();
            prop_assert_eq!(newcomer(&h), sorted[(points.len() * 3).div_ceil(4) - 1]);
        }

        #[test]
        fn decay_never_raises(points in 0u8..=64, credit in 0u128..100, burned in 0u128..10_000, price in 0u128..100) {
            let mut p = Penalty { points, credit };
            p.decay(burned, price);
            prop_assert!(p.points <= points);
            prop_assert!(p.points == 0 || p.credit < price);
        }
    }
}
