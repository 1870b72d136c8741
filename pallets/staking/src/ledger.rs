//! Arithmetic of one account's ledger. Pure: nothing here touches storage or tokens.
//!
//! Two inequalities hold at all times, because each function that could break one refuses or takes less:
//! `reserved + claimed <= provider.total()` and `accused <= validator.total()`.

use crate::types::*;
use assay_primitives::Balance;
use frame::prelude::*;
use polkadot_sdk::sp_staking::SessionIndex;

/// Why a ledger refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LedgerError {
    /// Less is there.
    Insufficient,
    /// No room for another chunk.
    TooManyChunks,
    /// A sum does not fit.
    Overflow,
}

impl PartLedger {
    /// On its way out.
    pub fn unlocking_total(&self) -> Balance {
        // Sums of parts of the issuance fit.
        self.unlocking.iter().fold(0, |sum, c| sum.saturating_add(c.amount))
    }

    /// Everything that a slash can reach.
    pub fn total(&self) -> Balance {
        self.active.saturating_add(self.unlocking_total())
    }

    /// What may leave at session `now` as far as time is concerned.
    pub fn matured(&self, now: SessionIndex) -> Balance {
        self.unlocking.iter().filter(|c| c.release <= now).fold(0, |sum, c| sum.saturating_add(c.amount))
    }

    /// Adds to the active bond.
    pub fn bond(&mut self, amount: Balance) -> Result<(), LedgerError> {
        self.active = self.active.checked_add(amount).ok_or(LedgerError::Overflow)?;
        Ok(())
    }

    /// Sends part of the active bond on its way out.
    pub fn unbond(&mut self, amount: Balance, release: SessionIndex) -> Result<(), LedgerError> {
        let left = self.active.checked_sub(amount).ok_or(LedgerError::Insufficient)?;
        match self.unlocking.iter_mut().find(|c| c.release == release) {
            Some(chunk) => chunk.amount = chunk.amount.checked_add(amount).ok_or(LedgerError::Overflow)?,
            // Sessions only grow, so that the newest chunk is always the last.
            None => self.unlocking.try_push(Chunk { amount, release }).map_err(|_| LedgerError::TooManyChunks)?,
        }
        self.active = left;
        Ok(())
    }

    /// Takes matured chunks out, earliest first, at most `limit`. Returns how much.
    pub fn withdraw(&mut self, now: SessionIndex, limit: Balance) -> Balance {
        let mut left = limit;
        for chunk in self.unlocking.iter_mut().filter(|c| c.release <= now) {
            let take = chunk.amount.min(left);
            chunk.amount = chunk.amount.saturating_sub(take);
            left = left.saturating_sub(take);
        }
        self.unlocking.retain(|c| c.amount > 0);
        limit.saturating_sub(left)
    }

    /// Takes up to `amount`: the active bond first, then the chunks, the one that would leave last first. Returns how much.
    pub fn slash(&mut self, amount: Balance) -> Balance {
        let mut left = amount;
        let active = self.active.min(left);
        self.active = self.active.saturating_sub(active);
        left = left.saturating_sub(active);
        for chunk in self.unlocking.iter_mut().rev() {
            let take = chunk.amount.min(left);
            chunk.amount = chunk.amount.saturating_sub(take);
            left = left.saturating_sub(take);
        }
        self.unlocking.retain(|c| c.amount > 0);
        amount.saturating_sub(left)
    }

    /// Whether nothing is left.
    pub fn is_empty(&self) -> bool {
        self.active == 0 && self.unlocking.is_empty()
    }
}

impl Ledger {
    /// One part.
    pub fn part(&self, part: Part) -> &PartLedger {
        match part {
            Part::Validator => &self.validator,
            Part::Provider => &self.provider,
        }
    }

    /// One part, to change.
    pub fn part_mut(&mut self, part: Part) -> &mut PartLedger {
        match part {
            Part::Validator => &mut self.validator,
            Part::Provider => &mut self.provider,
        }
    }

    /// What backings and pending slashes have claim to, in one part.
    pub fn spoken_for(&self, part: Part) -> Balance {
        match part {
            Part::Validator => self.accused,
            Part::Provider => self.reserved.saturating_add(self.claimed),
        }
    }

    /// Of one part, what nothing has claim to: no more than this may leave.
    pub fn unclaimed(&self, part: Part) -> Balance {
        self.part(part).total().saturating_sub(self.spoken_for(part))
    }

    /// Provider bond that may back new work. Chunks on their way out back what they backed before, but nothing new.
    pub fn free_exposure(&self) -> Balance {
        self.provider.active.saturating_sub(self.spoken_for(Part::Provider))
    }

    /// Backs work.
    pub fn reserve(&mut self, amount: Balance) -> Result<(), LedgerError> {
        ensure!(amount <= self.free_exposure(), LedgerError::Insufficient);
        self.reserved = self.reserved.checked_add(amount).ok_or(LedgerError::Overflow)?;
        Ok(())
    }

    /// Turns `from_backing` of the reserved bond and up to `more` of the unclaimed bond into a pending slash. Returns how much
    /// that is.
    pub fn claim(&mut self, from_backing: Balance, more: Balance) -> Balance {
        let backed = from_backing.min(self.reserved);
        let more = more.min(self.unclaimed(Part::Provider));
        self.reserved = self.reserved.saturating_sub(backed);
        let amount = backed.saturating_add(more);
        self.claimed = self.claimed.saturating_add(amount);
        amount
    }

    /// Accuses the validator part of up to `amount` more. Returns how much.
    pub fn accuse(&mut self, amount: Balance) -> Balance {
        let amount = amount.min(self.unclaimed(Part::Validator));
        self.accused = self.accused.saturating_add(amount);
        amount
    }

    /// Takes a pending slash out of a part. Returns how much: less only if less was pending.
    pub fn execute(&mut self, part: Part, amount: Balance) -> Balance {
        let pending = match part {
            Part::Validator => &mut self.accused,
            Part::Provider => &mut self.claimed,
        };
        let amount = amount.min(*pending);
        *pending = pending.saturating_sub(amount);
        self.part_mut(part).slash(amount)
    }

    /// Whether the entry can be dropped.
    pub fn is_empty(&self) -> bool {
        self.validator.is_empty() && self.provider.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn unbond_same_session_merges_chunks() {
        let mut p = PartLedger { active: 10, ..Default::default() };
        p.unbond(3, 5).unwrap();
        p.unbond(2, 5).unwrap();
        assert_eq!(p.unlocking.to_vec(), vec![Chunk { amount: 5, release: 5 }]);
        assert_eq!((p.active, p.total()), (5, 10));
    }

    #[test]
    fn unbond_too_many_chunks_changes_nothing() {
        let mut p = PartLedger { active: 100, ..Default::default() };
        for release in 0..MAX_CHUNKS {
            p.unbond(1, release).unwrap();
        }
        let before = p.clone();
        assert_eq!(p.unbond(1, MAX_CHUNKS), Err(LedgerError::TooManyChunks));
        assert_eq!(p, before);
    }

    #[test]
    fn slash_takes_active_first_then_the_latest_chunk() {
        let mut p = PartLedger { active: 10, ..Default::default() };
        p.unbond(3, 1).unwrap();
        p.unbond(3, 2).unwrap();
        assert_eq!(p.slash(5), 5);
        assert_eq!(
            (p.active, p.unlocking.to_vec()),
            (0, vec![Chunk { amount: 3, release: 1 }, Chunk { amount: 2, release: 2 }])
        );
        assert_eq!(p.slash(100), 5);
        assert!(p.is_empty());
    }

    #[test]
    fn withdraw_is_bounded_by_time_and_limit() {
        let mut p = PartLedger { active: 10, ..Default::default() };
        p.unbond(3, 1).unwrap();
        p.unbond(3, 2).unwrap();
        assert_eq!(p.withdraw(0, 100), 0);
        assert_eq!(p.withdraw(1, 2), 2);
        assert_eq!(p.withdraw(1, 100), 1);
        assert_eq!(p.withdraw(2, 100), 3);
        assert_eq!(p.total(), 4);
    }

    #[derive(Clone, Debug)]
    enum Op {
        Bond(Part, Balance),
        Unbond(Part, Balance),
        Withdraw(Part),
        Reserve(Balance),
        Release(Balance),
        Claim(Balance, Balance),
        Unclaim(Balance),
        Accuse(Balance),
        Execute(Part, Balance),
        Session,
    }

    fn op() -> impl Strategy<Value = Op> {
        let part = prop_oneof![Just(Part::Validator), Just(Part::Provider)];
        let amount = 0u128..50;
        prop_oneof![
            (part.clone(), amount.clone()).prop_map(|(p, a)| Op::Bond(p, a)),
            (part.clone(), amount.clone()).prop_map(|(p, a)| Op::Unbond(p, a)),
            part.clone().prop_map(Op::Withdraw),
            amount.clone().prop_map(Op::Reserve),
            amount.clone().prop_map(Op::Release),
            (amount.clone(), amount.clone()).prop_map(|(a, b)| Op::Claim(a, b)),
            amount.clone().prop_map(Op::Unclaim),
            amount.clone().prop_map(Op::Accuse),
            (part, amount).prop_map(|(p, a)| Op::Execute(p, a)),
            Just(Op::Session),
        ]
    }

    proptest! {
        #[test]
        fn any_sequence_keeps_claims_covered_and_conserves(ops in proptest::collection::vec(op(), 0..200)) {
            let mut l = Ledger::default();
            let (mut put, mut out, mut now) = (0u128, 0u128, 0u32);
            for op in ops {
                match op {
                    Op::Bond(p, a) => { l.part_mut(p).bond(a).unwrap(); put += a },
                    Op::Unbond(p, a) => { let _ = l.part_mut(p).unbond(a, now + 3); },
                    Op::Withdraw(p) => { let limit = l.unclaimed(p); out += l.part_mut(p).withdraw(now, limit) },
                    Op::Reserve(a) => { let free = l.free_exposure(); prop_assert_eq!(l.reserve(a).is_ok(), a <= free) },
                    Op::Release(a) => l.reserved -= a.min(l.reserved),
                    Op::Claim(a, b) => { let got = l.claim(a, b); prop_assert!(got <= a + b) },
                    Op::Unclaim(a) => l.claimed -= a.min(l.claimed),
                    Op::Accuse(a) => { prop_assert!(l.accuse(a) <= a) },
                    Op::Execute(p, a) => out += l.execute(p, a),
                    Op::Session => now += 1,
                }
                prop_assert!(l.reserved + l.claimed <= l.provider.total());
                prop_assert!(l.accused <= l.validator.total());
                prop_assert_eq!(l.validator.total() + l.provider.total() + out, put);
                prop_assert!(l.provider.unlocking.windows(2).all(|w| w[0].release < w[1].release));
            }
        }
    }
}
