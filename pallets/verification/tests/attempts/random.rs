//! Random operations by everybody, honest or not. After every block all invariants of protocol section 9 hold; in the end no
//! job is open, nothing is held, and issuance has fallen by exactly what was declared burned.

use assay_primitives::*;
use frame::testing_prelude::*;
use pallet_assay_testing::*;

/// Choices drawn from a seed: it is enough to repeat a run.
struct Source {
    seed: u64,
    drawn: u64,
}

impl Source {
    fn below(&mut self, n: u32) -> u32 {
        self.drawn += 1;
        let hash = frame::hashing::blake2_64(&(self.seed, self.drawn).encode());
        (u64::from_le_bytes(hash) % u64::from(n.max(1))) as u32
    }
    fn one_in(&mut self, n: u32) -> bool {
        self.below(n) == 0
    }
    fn pick<'a, T>(&mut self, of: &'a [T]) -> Option<&'a T> {
        of.get(self.below(of.len() as u32) as usize)
    }
}

const OPERATIONS: u32 = 100;
const PROVIDERS: u8 = 7;

struct Run {
    source: Source,
    /// Whether a stage of a job was committed with a wrong root.
    wrong: std::collections::BTreeMap<(JobHash, u32, u8), bool>,
}

impl Run {
    fn open_job(&mut self) -> Option<JobHash> {
        let mut jobs: Vec<_> = pallet_assay_jobs::Jobs::<Test>::iter_keys().collect();
        jobs.sort();
        self.source.pick(&jobs).copied()
    }

    fn operate(&mut self) {
        match self.source.below(20) {
            0..=3 => self.submit(),
            4..=13 => {
                for _ in 0..4 {
                    self.answer();
                }
            }
            14..=16 => next_block(),
            17 => run_blocks(1 + self.source.below(12)),
            18 => self.transfer(),
            _ => match self.source.below(5) {
                0 => self.set_params(),
                1 => {
                    if let Some(job) = self.open_job() {
                        let _ = Jobs::cancel(RuntimeOrigin::signed(client(self.source.below(4) as u8)), job);
                    }
                }
                2 => {
                    let i = self.source.below(PROVIDERS.into()) as u8;
                    let usable = self.source.one_in(2);
                    change_asks(i, |e| e.usable = usable);
                }
                3 => world::IsPaused::<Test>::put(self.source.one_in(3)),
                _ => {
                    let (who, payer) = (controller(self.source.below(7) as u8), client(self.source.below(4) as u8));
                    let _ = Jobs::claim(RuntimeOrigin::signed(client(0)), who, payer);
                }
            },
        }
    }

    fn submit(&mut self) {
        let mut s = spec(self.source.below(3) as u8, 1 + self.source.below(4) as u8);
        s.max_price = Balance::from(900 + self.source.below(2_000));
        s.extra_ticks = self.source.below(4);
        if s.mode.k() > 1 {
            s.insured = self.source.below(100_000).into();
        }
        let who = client(self.source.below(4) as u8);
        let _ = Jobs::submit(RuntimeOrigin::signed(who), s);
    }

    fn transfer(&mut self) {
        let from = client(self.source.below(4) as u8);
        let to = controller(self.source.below(PROVIDERS.into()) as u8);
        // Sometimes everything that is free.
        let amount = if self.source.one_in(4) {
            Balances::free_balance(&from)
        } else {
            Balance::from(self.source.below(1_000_000))
        };
        let _ = Balances::transfer_allow_death(RuntimeOrigin::signed(from), to, amount);
    }

    fn set_params(&mut self) {
        let change = self.source.below(3);
        let params = Params {
            beacon_authors: 1 + self.source.below(3) as u8,
            max_attempts: 1 + self.source.below(3) as u8,
            max_tranches: self.source.below(3) as u8,
            check_window: 2 + self.source.below(6),
            reveal_window: 2 + self.source.below(6),
            vote_window: 2 + self.source.below(6),
            draw_window: 2 + self.source.below(6),
            run_base: 4 + self.source.below(6),
            fixed_fee: if change == 0 { 0 } else { Params::local().fixed_fee },
            ..Params::local()
        };
        assert_ok!(Jobs::set_params(RuntimeOrigin::root(), params));
    }

    /// Somebody answers for an open job: mostly what is asked and mostly the truth.
    fn answer(&mut self) {
        let Some(job) = self.open_job() else { return };
        let now = open(job);
        if now.stages.is_empty() {
            return;
        }
        let stage = self.source.below(now.stages.len() as u32) as u8;
        let key = (job, now.attempt, stage);
        let wrong = u8::from(*self.wrong.get(&key).unwrap_or(&false));
        let anyone = controller(self.source.below(PROVIDERS.into()) as u8);
        let lie = u8::from(self.source.one_in(8));
        let _ = match now.phase {
            JobPhase::Running => match self.source.below(20) {
                0 => answer(&now.stages[usize::from(stage)].worker, Answer::Blocked { at: at(job, stage) }),
                1 => {
                    let mut c = commitment(&now, stage, 0);
                    let (_, rows) = in_root(&now, stage);
                    if now.stages.len() > 1 {
                        // Its upstream signed garbage.
                        let n = now.stages.len() as u8;
                        c.in_root = H256::repeat_byte(9);
                        c.upstream = Some(handoff(&now, (stage + n - 1) % n, rows, c.in_root));
                    }
                    answer(&now.stages[usize::from(stage)].worker, Answer::Commit { at: at(job, stage), commitment: c })
                }
                _ => {
                    self.wrong.entry(key).or_insert(lie == 1);
                    let flavour = u8::from(self.wrong[&key]);
                    commit_as(job, stage, flavour)
                }
            },
            JobPhase::Checking => {
                let seated = seats(job, stage);
                let Some(seat) = self.source.pick(&seated) else { return };
                if self.source.one_in(12) {
                    let verdict = CheckVerdict::Unavailable(Boundary::Output);
                    let who = worker(index_of(&seat.controller));
                    answer(&who, Answer::Check { at: at(job, stage), verdict })
                } else {
                    check_as(job, stage, &seat.controller, lie, wrong)
                }
            }
            JobPhase::Escalated if self.source.one_in(3) => reveal_as(job, stage, &worker(0), lie),
            JobPhase::Escalated => vote_as(job, stage, &anyone, lie),
            JobPhase::Revealing => reveal_as(job, stage, &worker(index_of(&anyone)), if lie == 1 { 1 } else { wrong }),
            JobPhase::Drawing | JobPhase::Requeue => commit_as(job, stage, 0),
        };
    }
}

fn declared_burns() -> Balance {
    System::events()
        .into_iter()
        .map(|r| match r.event {
            RuntimeEvent::Balances(
                polkadot_sdk::pallet_balances::Event::BurnedHeld { amount, .. }
                | polkadot_sdk::pallet_balances::Event::DustLost { amount, .. },
            ) => amount,
            _ => 0,
        })
        .sum()
}

fn run(seed: u64) -> u32 {
    let mut settled = 0;
    Setup::with(PROVIDERS).build().execute_with(|| {
        let issuance = Balances::total_issuance();
        let mut run = Run { source: Source { seed, drawn: 0 }, wrong: Default::default() };
        let mut burned = 0;
        for _ in 0..OPERATIONS {
            run.operate();
            check_invariants();
        }
        // Time alone ends every job: nobody answers any more.
        world::IsPaused::<Test>::put(false);
        for _ in 0..1_000 {
            if pallet_assay_jobs::OpenJobs::<Test>::get() == 0 {
                break;
            }
            next_block();
        }
        assert_eq!(pallet_assay_jobs::OpenJobs::<Test>::get(), 0, "every job ends");
        assert_eq!(pallet_assay_jobs::Agenda::<Test>::iter().count(), 0);
        assert_eq!(pallet_assay_verification::Stages::<Test>::iter().count(), 0);
        let unclaimed: Balance = pallet_assay_jobs::Unclaimed::<Test>::iter_values().sum();
        let held: Balance = (0..4).map(|i| held(&client(i))).sum();
        assert_eq!(held, unclaimed, "nothing stays on hold");
        for r in System::events() {
            match r.event {
                RuntimeEvent::Jobs(pallet_assay_jobs::Event::Settled { receipt }) => {
                    settled += 1;
                    burned += receipt.burned;
                }
                RuntimeEvent::Jobs(pallet_assay_jobs::Event::Refunded { burned: b, .. }) => burned += b,
                _ => (),
            }
        }
        assert_eq!(issuance - Balances::total_issuance(), declared_burns(), "issuance changes only by burns");
        // Checks of failed attempts burn their share too, beside what receipts and refunds declare.
        assert!(burned <= declared_burns());
    });
    settled
}

#[test]
fn random_operations_keep_every_invariant() {
    let settled: u32 = (0..240).map(run).sum();
    assert!(settled > 240, "the runs settle jobs: {settled}");
}
