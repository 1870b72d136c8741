//! Tests of the journal.

use super::*;
use proptest::prelude::*;
use tempfile::TempDir;

fn place() -> (TempDir, PathBuf) {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("inference/journal.log");
    (dir, path)
}

fn key(job: u8, phase: Phase) -> Key {
    Key {
        genesis: H256::repeat_byte(9),
        job: H256::repeat_byte(job),
        attempt: 0,
        stage: 1,
        range: (0, 48),
        role: Role::Executor,
        phase,
    }
}

fn value(digest: u8) -> Value {
    Value { digest: H256::repeat_byte(digest), evidence: vec![digest; 5] }
}

#[test]
fn record_another_digest_for_a_key_is_refused_also_after_a_restart() {
    let (_dir, path) = place();
    let journal = Journal::open(&path).unwrap();
    journal.record(key(1, Phase::Commit), value(1), 10).unwrap();
    let refused = journal.record(key(1, Phase::Commit), value(2), 11).unwrap_err();
    assert!(matches!(refused, JournalError::DoubleSign { signed, wanted, .. }
        if signed == H256::repeat_byte(1) && wanted == H256::repeat_byte(2)));
    drop(journal);

    let journal = Journal::open(&path).unwrap();
    assert_eq!(journal.get(&key(1, Phase::Commit)), Some(value(1)));
    assert!(matches!(journal.record(key(1, Phase::Commit), value(2), 12), Err(JournalError::DoubleSign { .. })));
    // Every part of the key separates.
    journal.record(key(1, Phase::Check), value(2), 12).unwrap();
    journal.record(key(1, Phase::Handoff(32)), value(2), 12).unwrap();
    journal.record(key(1, Phase::Handoff(64)), value(3), 12).unwrap();
    journal.record(Key { attempt: 1, ..key(1, Phase::Commit) }, value(2), 12).unwrap();
    journal.record(Key { genesis: H256::zero(), ..key(1, Phase::Commit) }, value(2), 12).unwrap();
    assert_eq!(journal.len(), 6);
}

#[test]
fn record_the_same_digest_again_keeps_the_first_evidence() {
    let (_dir, path) = place();
    let journal = Journal::open(&path).unwrap();
    journal.record(key(1, Phase::Commit), value(1), 10).unwrap();
    let size = fs::metadata(&path).unwrap().len();
    let again = Value { digest: H256::repeat_byte(1), evidence: vec![7] };
    assert_eq!(journal.record(key(1, Phase::Commit), again, 11).unwrap(), value(1));
    assert_eq!(fs::metadata(&path).unwrap().len(), size);
}

#[test]
fn record_is_in_the_file_before_it_returns() {
    let (_dir, path) = place();
    let journal = Journal::open(&path).unwrap();
    journal.record(key(1, Phase::Commit), value(1), 10).unwrap();
    // What a crash right now would leave behind.
    let copy = path.with_extension("copy");
    fs::copy(&path, &copy).unwrap();
    assert_eq!(Journal::open(&copy).unwrap().get(&key(1, Phase::Commit)), Some(value(1)));
}

#[test]
fn open_twice_is_refused() {
    let (_dir, path) = place();
    let journal = Journal::open(&path).unwrap();
    assert!(matches!(Journal::open(&path), Err(JournalError::Locked(_))));
    drop(journal);
    Journal::open(&path).unwrap();
}

#[test]
fn open_of_another_format_is_refused() {
    let (_dir, path) = place();
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, b"something else").unwrap();
    assert!(matches!(Journal::open(&path), Err(JournalError::Format(_))));
}

#[test]
fn open_torn_at_any_byte_keeps_all_complete_records() {
    let (_dir, path) = place();
    let journal = Journal::open(&path).unwrap();
    let mut ends = vec![fs::metadata(&path).unwrap().len()];
    for job in 1..=3 {
        journal.record(key(job, Phase::Commit), value(job), 1).unwrap();
        ends.push(fs::metadata(&path).unwrap().len());
    }
    drop(journal);
    let bytes = fs::read(&path).unwrap();
    for cut in 0..=bytes.len() {
        fs::write(&path, &bytes[..cut]).unwrap();
        let journal = Journal::open(&path).unwrap();
        let complete = ends[1..].iter().filter(|end| **end <= cut as u64).count();
        assert_eq!(journal.len(), complete, "cut at {cut}");
        // It goes on after the cut, and what it writes can be read back.
        journal.record(key(9, Phase::Commit), value(9), 2).unwrap();
        drop(journal);
        assert_eq!(Journal::open(&path).unwrap().len(), complete + 1, "cut at {cut}");
    }
}

#[test]
fn open_with_a_tail_of_zeros_cuts_it() {
    let (_dir, path) = place();
    Journal::open(&path).unwrap().record(key(1, Phase::Commit), value(1), 1).unwrap();
    let size = fs::metadata(&path).unwrap().len();
    OpenOptions::new().append(true).open(&path).unwrap().write_all(&[0; 4096]).unwrap();
    assert_eq!(Journal::open(&path).unwrap().len(), 1);
    assert_eq!(fs::metadata(&path).unwrap().len(), size);
}

#[test]
fn open_damaged_in_the_middle_is_refused_with_the_place() {
    let (_dir, path) = place();
    let journal = Journal::open(&path).unwrap();
    journal.record(key(1, Phase::Commit), value(1), 1).unwrap();
    let second = fs::metadata(&path).unwrap().len();
    journal.record(key(2, Phase::Commit), value(2), 1).unwrap();
    journal.record(key(3, Phase::Commit), value(3), 1).unwrap();
    drop(journal);
    let mut bytes = fs::read(&path).unwrap();
    bytes[second as usize + HEAD + 3] ^= 1;
    fs::write(&path, &bytes).unwrap();
    assert!(matches!(Journal::open(&path), Err(JournalError::Damaged { offset, .. }) if offset == second));
}

#[test]
fn record_too_large_is_refused_and_changes_nothing() {
    let (_dir, path) = place();
    let journal = Journal::open(&path).unwrap();
    let large = Value { digest: H256::zero(), evidence: vec![0; MAX_BODY as usize] };
    assert!(matches!(journal.record(key(1, Phase::Commit), large, 1), Err(JournalError::TooLarge(_))));
    assert!(journal.is_empty());
    assert_eq!(fs::metadata(&path).unwrap().len(), MAGIC.len() as u64);
}

#[test]
fn compact_drops_the_old_keeps_the_open_and_survives_a_restart() {
    let (_dir, path) = place();
    let journal = Journal::open(&path).unwrap();
    for rows in 0..300 {
        journal.record(key(1, Phase::Handoff(rows)), value(1), 5).unwrap();
    }
    journal.record(key(2, Phase::Commit), value(2), 5).unwrap();
    journal.record(key(3, Phase::Commit), value(3), 500).unwrap();
    let before = fs::metadata(&path).unwrap().len();
    journal.compact(400, |job| *job == H256::repeat_byte(2)).unwrap();
    assert!(fs::metadata(&path).unwrap().len() < before / 50);
    assert_eq!(journal.len(), 2);
    // Still locked, still appending to the file that a restart reads.
    assert!(matches!(Journal::open(&path), Err(JournalError::Locked(_))));
    journal.record(key(4, Phase::Commit), value(4), 501).unwrap();
    drop(journal);
    let journal = Journal::open(&path).unwrap();
    assert_eq!(journal.len(), 3);
    assert_eq!(journal.get(&key(2, Phase::Commit)), Some(value(2)));
}

#[test]
fn get_does_not_wait_for_one_that_writes() {
    let (_dir, path) = place();
    let journal = Journal::open(&path).unwrap();
    journal.record(key(1, Phase::Commit), value(1), 1).unwrap();
    let reader = journal.clone();
    // As while a record is on its way to the disk.
    let writing = journal.log.lock();
    assert_eq!(reader.get(&key(1, Phase::Commit)), Some(value(1)));
    assert_eq!((reader.len(), reader.get(&key(2, Phase::Commit))), (1, None));
    drop(writing);
    journal.record(key(2, Phase::Commit), value(2), 1).unwrap();
    assert_eq!(reader.get(&key(2, Phase::Commit)), Some(value(2)));
}

#[test]
fn record_of_many_at_once_grants_one_digest_and_what_was_granted_is_in_the_file() {
    let (_dir, path) = place();
    let journal = Journal::open(&path).unwrap();
    let granted: Vec<u8> = std::thread::scope(|scope| {
        let threads: Vec<_> = (1..=8)
            .map(|digest| {
                let journal = journal.clone();
                scope.spawn(move || journal.record(key(1, Phase::Commit), value(digest), 1).is_ok().then_some(digest))
            })
            .collect();
        threads.into_iter().filter_map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(granted.len(), 1);
    drop(journal);
    assert_eq!(Journal::open(&path).unwrap().get(&key(1, Phase::Commit)), Some(value(granted[0])));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever is asked, in whatever order, with restarts and torn tails in between: no key is ever granted two digests.
    #[test]
    fn no_key_is_ever_granted_two_digests(
        ops in proptest::collection::vec((0u8..4, 0u32..3, 0u8..3, any::<bool>(), 0usize..40), 1..60)
    ) {
        let (_dir, path) = place();
        let mut journal = Journal::open(&path).unwrap();
        let mut granted: std::collections::BTreeMap<Key, H256> = Default::default();
        for (job, phase, digest, restart, garbage) in ops {
            let key = key(job, Phase::Handoff(phase));
            if journal.record(key, value(digest), 1).is_ok() {
                let first = *granted.entry(key).or_insert(H256::repeat_byte(digest));
                prop_assert_eq!(first, H256::repeat_byte(digest));
            }
            if restart {
                drop(journal);
                // A crash in the middle of the next append: a prefix of a real record.
                let torn = encode(&Entry { key, value: value(9), block: 1 }).unwrap();
                OpenOptions::new().append(true).open(&path).unwrap()
                    .write_all(&torn[..garbage.min(torn.len() - 1)]).unwrap();
                journal = Journal::open(&path).unwrap();
            }
        }
    }
}
