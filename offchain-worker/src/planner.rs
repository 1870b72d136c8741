//! From duties to tasks. Pure: what the chain says is owed, what is already under way, what to start and what to give up.

use assay_primitives::{api::Duty, StageRef};
use std::collections::{BTreeMap, BTreeSet};

/// Tasks at once, over all jobs. More wait, oldest job first: the chain bounds them by the provider's slots anyway.
pub const MAX_TASKS: usize = 64;
/// A task whose duty is gone from this many best blocks in a row is given up. A re-org may take a duty away for one block: the
/// job's identity, and with it all work, is the same on the other fork.
pub const GONE_BLOCKS: u32 = 2;

/// Blocks on top of the one that showed a seat before its answer is signed, unless it is final (protocol section 6).
pub const DRAW_DEPTH: u32 = 2;

/// What has become of the duties.
#[derive(Debug, Default)]
pub struct Planner {
    tasks: BTreeMap<Duty, Task>,
}

#[derive(Debug)]
struct Task {
    /// First best block that showed the duty.
    since: u32,
    /// Best blocks in a row without it.
    gone: u32,
    started: bool,
}

/// What to do.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Begin these.
    pub start: Vec<Duty>,
    /// Give these up.
    pub cancel: Vec<Duty>,
}

impl Planner {
    /// Takes the duties of a new best block.
    pub fn update(&mut self, number: u32, duties: &[Duty]) -> Plan {
        let owed: BTreeSet<Duty> = duties.iter().copied().collect();
        let mut plan = Plan::default();
        self.tasks.retain(|duty, task| {
            match (owed.contains(duty), task.gone) {
                (true, 0) => {}
                // Back after a re-org: as young as this fork shows it.
                (true, _) => (task.since, task.gone) = (number, 0),
                (false, gone) => task.gone = gone + 1,
            }
            let keep = task.gone < GONE_BLOCKS;
            if !keep && task.started {
                plan.cancel.push(*duty);
            }
            keep
        });
        for duty in duties {
            self.tasks.entry(*duty).or_insert(Task { since: number, gone: 0, started: false });
        }
        let mut running = self.tasks.values().filter(|task| task.started).count();
        for duty in duties {
            if running >= MAX_TASKS {
                break;
            }
            if let Some(task) = self.tasks.get_mut(duty).filter(|task| !task.started) {
                task.started = true;
                running += 1;
                plan.start.push(*duty);
            }
        }
        plan
    }

    /// Whether a duty is owed at the newest block seen.
    pub fn owes(&self, duty: &Duty) -> bool {
        self.tasks.get(duty).is_some_and(|task| task.gone == 0)
    }

    /// Whether a drawn seat is owed, and deep enough under the best block, or final, to be answered.
    pub fn is_settled(&self, duty: &Duty, best: u32, finalized: u32) -> bool {
        let deep = |task: &Task| finalized >= task.since || best >= task.since + DRAW_DEPTH;
        self.tasks.get(duty).is_some_and(|task| task.gone == 0 && deep(task))
    }

    /// Blocks since the duty was first seen.
    pub fn age(&self, duty: &Duty, best: u32) -> u32 {
        self.tasks.get(duty).map_or(0, |task| best.saturating_sub(task.since))
    }

    /// What was done for a duty does not hold on the fork of this best block: it is started again by the next update, and is as
    /// young as this fork shows it.
    pub fn restart(&mut self, duty: &Duty, number: u32) {
        if let Some(task) = self.tasks.get_mut(duty) {
            (task.since, task.started) = (number, false);
        }
    }

    /// Whether any duty concerns this stage.
    pub fn concerns(&self, at: &StageRef) -> bool {
        self.tasks.keys().any(|duty| crate::chain::stage_of(duty) == *at)
    }

    /// Number of duties.
    pub fn len(&self) -> usize {
        self.tasks.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use polkadot_sdk::sp_core::H256;

    fn at(job: u8, stage: u8) -> StageRef {
        StageRef { job: H256::repeat_byte(job), attempt: 0, stage }
    }

    #[test]
    fn update_starts_each_duty_once() {
        let mut planner = Planner::default();
        let duties = [Duty::Execute(at(1, 0)), Duty::Check(at(1, 1))];
        assert_eq!(planner.update(5, &duties), Plan { start: duties.to_vec(), cancel: vec![] });
        assert_eq!(planner.update(6, &duties), Plan::default());
    }

    #[test]
    fn update_without_a_duty_for_one_block_keeps_its_task() {
        let mut planner = Planner::default();
        let duty = Duty::Execute(at(1, 0));
        planner.update(5, &[duty]);
        assert_eq!(planner.update(6, &[]), Plan::default());
        assert!(!planner.owes(&duty));
        assert_eq!(planner.update(6, &[duty]), Plan::default());
        assert!(planner.owes(&duty));
        planner.update(7, &[]);
        assert_eq!(planner.update(8, &[]), Plan { start: vec![], cancel: vec![duty] });
        assert_eq!(planner.update(9, &[duty]).start, [duty]);
    }

    #[test]
    fn update_beyond_the_bound_starts_the_oldest_first() {
        let mut planner = Planner::default();
        let duties: Vec<_> = (0..MAX_TASKS as u8 + 3).map(|i| Duty::Check(at(i, 0))).collect();
        assert_eq!(planner.update(1, &duties).start, duties[..MAX_TASKS]);
        assert!(planner.update(2, &duties).start.is_empty());
        planner.update(3, &duties[2..]);
        assert_eq!(planner.update(4, &duties[2..]).start, duties[MAX_TASKS..MAX_TASKS + 2]);
    }

    #[test]
    fn is_settled_two_deep_or_final() {
        let mut planner = Planner::default();
        let duty = Duty::Check(at(1, 0));
        planner.update(10, &[duty]);
        assert!(!planner.is_settled(&duty, 11, 8));
        assert!(planner.is_settled(&duty, 12, 8));
        assert!(planner.is_settled(&duty, 11, 10));
        assert!(!planner.is_settled(&Duty::Check(at(2, 0)), 99, 99));
        planner.update(13, &[]);
        assert!(!planner.is_settled(&duty, 13, 10), "not owed on this fork");
    }

    #[test]
    fn restart_begins_again_as_young_as_the_fork() {
        let mut planner = Planner::default();
        let duty = Duty::Check(at(1, 0));
        planner.update(10, &[duty]);
        planner.restart(&duty, 13);
        assert_eq!(planner.update(13, &[duty]).start, [duty]);
        assert!(!planner.is_settled(&duty, 14, 12));
        assert!(planner.is_settled(&duty, 15, 12));
    }
}
