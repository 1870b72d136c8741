//! Re-execution by everyone who held the span when the attempt was assigned (protocol section 5.5).
//!
//! Digests first; roots are opened only after voting has ended, so that nobody can copy one. The parties' own digests are
//! their votes. A verdict needs more than two thirds of the snapshot's bond and three controllers on one root.

use crate::{pallet::*, types::*};
use alloc::vec::Vec;
use assay_primitives::{
    quorum::{self, WeighedVote},
    traits::{Arbiter, Market, OpenJob, Ruling},
    *,
};
use core::marker::PhantomData;
use frame::prelude::*;

/// See the module.
pub struct HolderArbiter<T>(PhantomData<T>);

/// A digest that counts as somebody's vote, and the role under which it was made.
pub(crate) type CastVote = (Elector, Option<(Role, H256)>);

impl<T: Config> HolderArbiter<T> {
    /// Everyone who may vote over a stage, with the digest that counts as their vote.
    pub(crate) fn cast(job: &OpenJob, stage: u8, dispute: &Dispute) -> Vec<CastVote> {
        let executor = job.stages.get(usize::from(stage)).map(|a| &a.executor);
        let record = Stages::<T>::get(job.job, stage);
        let digest_of = |who: &AccountId| -> Option<(Role, H256)> {
            let record = record.as_ref()?;
            if executor == Some(who) {
                return record.commit.as_ref().map(|c| (Role::Executor, c.digest));
            }
            let seat = record.seats.iter().find(|seat| seat.controller == *who);
            if let Some(CheckVerdict::Agree(d) | CheckVerdict::Dissent(d)) = seat.and_then(|seat| seat.answer) {
                return Some((Role::Checker, d));
            }
            dispute.votes.iter().find(|(voter, _)| voter == who).map(|(_, d)| (Role::Voter, *d))
        };
        Electorates::<T>::get(job.job, stage)
            .into_iter()
            .map(|elector| {
                let digest = digest_of(&elector.controller);
                (elector, digest)
            })
            .collect()
    }

    fn opened(job: &OpenJob, stage: u8, vote: &CastVote, roots: &[Opened]) -> Option<H256> {
        let (elector, digest) = vote;
        let (role, digest) = (*digest)?;
        roots
            .iter()
            .map(|opened| opened.root)
            .find(|root| Pallet::<T>::opens(job, stage, role, &elector.controller, *root, digest))
    }

    /// Whether votes are taken now.
    pub(crate) fn voting(dispute: &Dispute) -> bool {
        !dispute.closed && T::Market::now() <= dispute.votes_due
    }

    /// Ends the vote once everyone's digest is in.
    fn close_if_complete(job: &OpenJob, stage: u8, dispute: &mut Dispute) {
        if !dispute.closed && Self::cast(job, stage, dispute).iter().all(|(_, digest)| digest.is_some()) {
            dispute.closed = true;
            dispute.roots_due = T::Market::now().saturating_add(Self::window(job));
        }
    }

    fn window(job: &OpenJob) -> Tick {
        job.params.vote_window.saturating_add(job.spec.extra_ticks)
    }
}

impl<T: Config> Arbiter for HolderArbiter<T> {
    fn open(job: &OpenJob, at: StageRef) -> Tick {
        let votes_due = T::Market::now().saturating_add(Self::window(job));
        let mut dispute = Dispute {
            votes_due,
            closed: false,
            roots_due: votes_due.saturating_add(Self::window(job)),
            votes: Default::default(),
            roots: Default::default(),
        };
        Self::close_if_complete(job, at.stage, &mut dispute);
        let due = if dispute.closed { dispute.roots_due } else { dispute.votes_due };
        Disputes::<T>::insert(at.job, at.stage, dispute);
        due
    }

    fn vote(job: &OpenJob, at: StageRef, voter: &AccountId, digest: H256) -> Result<(), DispatchError> {
        let mut dispute = Disputes::<T>::get(at.job, at.stage).ok_or(Error::<T>::NoDispute)?;
        ensure!(Self::voting(&dispute), Error::<T>::TooLate);
        let cast = Self::cast(job, at.stage, &dispute);
        let (_, own) = cast.iter().find(|(e, _)| e.controller == *voter).ok_or(Error::<T>::NotElector)?;
        ensure!(own.is_none(), Error::<T>::AlreadyAnswered);
        dispute.votes.try_push((voter.clone(), digest)).map_err(|_| Error::<T>::Full)?;
        Self::close_if_complete(job, at.stage, &mut dispute);
        Disputes::<T>::insert(at.job, at.stage, dispute);
        Ok(())
    }

    fn reveal(job: &OpenJob, at: StageRef, root: H256, out_root: H256) -> Result<(), DispatchError> {
        let mut dispute = Disputes::<T>::get(at.job, at.stage).ok_or(Error::<T>::NoDispute)?;
        ensure!(!Self::voting(&dispute), Error::<T>::VotingOpen);
        ensure!(T::Market::now() <= dispute.roots_due, Error::<T>::TooLate);
        let opened = Opened { root, out_root };
        ensure!(!dispute.roots.contains(&opened), Error::<T>::AlreadyAnswered);
        let opens = Self::cast(job, at.stage, &dispute)
            .iter()
            .any(|vote| Self::opened(job, at.stage, vote, &[opened]).is_some());
        ensure!(opens, Error::<T>::DoesNotOpen);
        dispute.roots.try_push(opened).map_err(|_| Error::<T>::Full)?;
        Disputes::<T>::insert(at.job, at.stage, dispute);
        Ok(())
    }

    fn ruling(job: &OpenJob, at: StageRef) -> Ruling {
        let Some(dispute) = Disputes::<T>::get(at.job, at.stage) else { return Ruling::Inconclusive };
        if Self::voting(&dispute) {
            return Ruling::Pending(dispute.votes_due);
        }
        let snapshot: Vec<WeighedVote> = Self::cast(job, at.stage, &dispute)
            .iter()
            .map(|vote| WeighedVote { bond: vote.0.bond, root: Self::opened(job, at.stage, vote, &dispute.roots) })
            .collect();
        let verdict = quorum::verdict(&snapshot);
        match verdict.and_then(|root| dispute.roots.iter().find(|opened| opened.root == root)) {
            Some(Opened { root, out_root }) => Ruling::Canonical { root: *root, out_root: *out_root },
            None if T::Market::now() <= dispute.roots_due => Ruling::Pending(dispute.roots_due),
            None => Ruling::Inconclusive,
        }
    }

    fn is_objective() -> bool {
        false
    }

    fn close(at: StageRef) {
        Disputes::<T>::remove(at.job, at.stage);
    }
}
