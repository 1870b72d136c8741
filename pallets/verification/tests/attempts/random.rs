//! Random operations by everybody, honest or not. After every block all invariants of protocol section 9 hold; in the end no
//! job is open, nothing is held, and issuance has fallen by exactly what was declared burned.

use assay_primitives::*;
use frame::testing_prelude::*;
use pallet_assay_testing::*;
use polkadot_sdk::pallet_balances;
use std::collections::BTreeMap;

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

const SEEDS: u64 = 240;
const OPERATIONS: u32 = 100;
const PROVIDERS: u8 = 7;

struct Run {
    source: Source,
    /// Whether a stage of a job was committed with a wrong root.
    wrong: BTreeMap<(JobHash, u32, u8), bool>,
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
                for _ in 0..6 {
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
        let of = if self.source.one_in(3) { embedding } else { spec };
        let mut s = of(self.source.below(3) as u8, 1 + self.source.below(4) as u8);
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
                    if let Some(upstream) = now.spec.upstream_of(stage, now.stages.len() as u8) {
                        // Its upstream signed garbage.
                        c.in_root = H256::repeat_byte(9);
                        c.upstream = Some(handoff(&now, upstream, rows, c.in_root));
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
                    let verdict = CheckVerdict::Unavailable;
                    let who = worker(index_of(&seat.controller));
                    answer(&who, Answer::Check { at: at(job, stage), verdict })
                } else if self.source.one_in(24) {
                    // It agrees with what it never computed.
                    let digest = digest_of(&now, stage, Role::Checker, &seat.controller, 7);
                    let verdict = CheckVerdict::Agree(digest);
                    answer(&worker(index_of(&seat.controller)), Answer::Check { at: at(job, stage), verdict })
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

/// What a run did, by its events.
#[derive(Default)]
struct Tally {
    settled: u32,
    escalated: u32,
    /// Executors paid for what nobody could check.
    unchecked: u32,
    /// What receipts, refunds, paid checks and paid executions say was burned.
    declared: Balance,
    /// Accounts that a transfer left below the existential deposit.
    dust: Balance,
    faults: BTreeMap<u8, u32>,
    refunds: BTreeMap<u8, u32>,
}

impl Tally {
    /// Takes the events away: they would slow down what follows.
    fn take_events(&mut self) {
        use pallet_assay_jobs::Event as Job;
        use pallet_assay_verification::Event as Verified;
        for record in System::events() {
            match record.event {
                RuntimeEvent::Jobs(Job::Settled { receipt }) => {
                    self.settled += 1;
                    self.escalated += u32::from(receipt.assurance.escalated);
                    self.declared += receipt.burned;
                }
                RuntimeEvent::Jobs(Job::Refunded { burned, reason, .. }) => {
                    self.declared += burned;
                    *self.refunds.entry(reason as u8).or_default() += 1;
                }
                RuntimeEvent::Jobs(Job::CheckPaid { burned, .. }) => self.declared += burned,
                RuntimeEvent::Jobs(Job::UncheckedPaid { burned, .. }) => {
                    self.unchecked += 1;
                    self.declared += burned;
                }
                RuntimeEvent::Balances(pallet_balances::Event::DustLost { amount, .. }) => self.dust += amount,
                RuntimeEvent::Verification(Verified::Fault { kind, .. }) => {
                    *self.faults.entry(kind as u8).or_default() += 1;
                }
                _ => (),
            }
        }
        System::reset_events();
    }

    fn add(mut self, other: Self) -> Self {
        self.settled += other.settled;
        self.escalated += other.escalated;
        self.unchecked += other.unchecked;
        other.faults.into_iter().for_each(|(k, n)| *self.faults.entry(k).or_default() += n);
        other.refunds.into_iter().for_each(|(k, n)| *self.refunds.entry(k).or_default() += n);
        self
    }
}

fn run(seed: u64) -> Tally {
    Setup::with(PROVIDERS).build().execute_with(|| {
        let issuance = Balances::total_issuance();
        let mut run = Run { source: Source { seed, drawn: 0 }, wrong: Default::default() };
        let mut tally = Tally::default();
        for _ in 0..OPERATIONS {
            // Blocks check every invariant, before and after their hooks.
            run.operate();
            tally.take_events();
        }
        // Time alone ends every job: nobody answers any more.
        world::IsPaused::<Test>::put(false);
        for _ in 0..1_000 {
            if pallet_assay_jobs::OpenJobs::<Test>::get() == 0 {
                break;
            }
            next_block();
            tally.take_events();
        }
        assert_eq!(pallet_assay_jobs::OpenJobs::<Test>::get(), 0, "every job ends");
        assert_eq!(pallet_assay_jobs::Agenda::<Test>::iter().count(), 0);
        assert_eq!(pallet_assay_verification::Stages::<Test>::iter().count(), 0);
        let unclaimed: Balance = pallet_assay_jobs::Unclaimed::<Test>::iter_values().sum();
        let on_hold: Balance = (0..4).map(|i| held(&client(i))).sum();
        assert_eq!(on_hold, unclaimed, "nothing stays on hold");
        let gone = issuance - Balances::total_issuance();
        assert_eq!(gone, tally.declared + tally.dust, "issuance changes only by declared burns");
        tally
    })
}

#[test]
fn random_operations_keep_every_invariant() {
    let half = |odd: u64| (0..SEEDS / 2).map(move |n| run(2 * n + odd)).fold(Tally::default(), Tally::add);
    let tally = std::thread::scope(|scope| {
        let other = scope.spawn(move || half(1));
        half(0).add(other.join().expect("the other half holds too"))
    });
    // The runs reach what they are for.
    assert!(tally.settled > 200 && tally.escalated > 5, "{} settled, {} escalated", tally.settled, tally.escalated);
    assert!(tally.unchecked > 0, "some draws fail");
    assert_eq!(tally.faults.len(), 7, "every kind of fault occurs: {:?}", tally.faults);
    let reasons = [
        RefundReason::AttemptsExhausted,
        RefundReason::NoProvider,
        RefundReason::Inconclusive,
        RefundReason::Cancelled,
    ];
    assert!(reasons.iter().all(|r| tally.refunds.contains_key(&(*r as u8))), "{:?}", tally.refunds);
}
