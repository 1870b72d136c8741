//! How much a fault costs, and who gets what (protocol section 7). Pure.

use crate::{market, Balance, Offence, OffenceKind, Params};

/// Amount to slash for an offence. `bond` is the offender's whole provider bond.
///
/// Liveness: `min(10 % of the pay, cap)`. Objective evidence: the whole backing. A verdict by votes: the backing, at most
/// `vote_slash_cap` of the bond, so that buying the majority of a rare span cannot take a bond.
pub fn amount(params: &Params, offence: &Offence, bond: Balance) -> Balance {
    match offence.kind {
        OffenceKind::NoCommit | OffenceKind::NoShow | OffenceKind::Withheld => market::liveness(params, offence.pay),
        OffenceKind::Equivocation | OffenceKind::FalseAgree => offence.backing,
        OffenceKind::WrongResult | OffenceKind::FalseDissent => offence.backing.min(params.vote_slash_cap * bond),
    }
    .min(bond)
}

/// Where a slashed amount goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Split {
    /// To the client: the insured loss, first.
    pub client: Balance,
    /// To the reporter, on objective evidence only.
    pub reporter: Balance,
    /// Burned: the rest.
    pub burned: Balance,
}

/// Splits a slash: insured loss first but never out of the share that must burn, then the reporter, the rest burns.
/// Rounded so that burning is favoured.
pub fn split(params: &Params, offence: &Offence, slashed: Balance) -> Split {
    if offence.kind.is_liveness() {
        return Split { client: 0, reporter: 0, burned: slashed };
    }
    let must_burn = params.slash_burn.mul_ceil(slashed);
    let free = slashed.saturating_sub(must_burn);
    let client = offence.insured.min(free);
    let reporter = if offence.kind.is_objective() && offence.reporter.is_some() {
        params.reporter_share.mul_floor(slashed).min(free.saturating_sub(client))
    } else {
        0
    };
    Split { client, reporter, burned: slashed.saturating_sub(client).saturating_sub(reporter) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AccountId, Role, StageRef};
    use polkadot_sdk::sp_core::H256;
    use proptest::prelude::*;

    fn offence(kind: OffenceKind, backing: Balance, insured: Balance, reporter: bool) -> Offence {
        Offence {
            at: StageRef { job: H256::zero(), attempt: 0, stage: 0 },
            role: Role::Executor,
            offender: AccountId::new([1; 32]),
            kind,
            backing,
            pay: backing / 3,
            insured,
            client: AccountId::new([2; 32]),
            reporter: reporter.then(|| AccountId::new([3; 32])),
        }
    }

    #[test]
    fn amount_votes_take_at_most_a_tenth_of_the_bond() {
        let p = Params::public();
        assert_eq!(amount(&p, &offence(OffenceKind::WrongResult, 500, 0, false), 1_000), 100);
        assert_eq!(amount(&p, &offence(OffenceKind::WrongResult, 50, 0, false), 1_000), 50);
        assert_eq!(amount(&p, &offence(OffenceKind::Equivocation, 500, 0, false), 1_000), 500);
    }

    #[test]
    fn amount_liveness_is_small_and_never_free() {
        let p = Params::public();
        let mut o = offence(OffenceKind::NoCommit, 500, 0, false);
        o.pay = 1;
        assert_eq!(amount(&p, &o, 1_000), 1);
        o.pay = Balance::MAX;
        assert_eq!(amount(&p, &o, Balance::MAX), p.liveness_cap);
    }

    proptest! {
        #[test]
        fn split_conserves_and_burns_half(slashed in 0u128..1_000_000_000, insured in 0u128..1_000_000_000, k in 0u8..7, reporter: bool) {
            let kind = [OffenceKind::NoCommit, OffenceKind::NoShow, OffenceKind::Withheld, OffenceKind::Equivocation, OffenceKind::WrongResult, OffenceKind::FalseDissent, OffenceKind::FalseAgree][k as usize];
            let p = Params::public();
            let s = split(&p, &offence(kind, slashed, insured, reporter), slashed);
            prop_assert_eq!(s.client + s.reporter + s.burned, slashed);
            prop_assert!(s.burned * 2 >= slashed);
            prop_assert!(s.reporter * 4 <= slashed);
            prop_assert!(s.client <= insured);
            prop_assert!(s.reporter == 0 || (kind.is_objective() && reporter));
        }
    }
}
