//! What this node has signed, on disk, before it signs (protocol section 8).
//!
//! A worker that signs two different digests for one piece of work loses its bond, and nothing but its own memory stands between
//! it and that mistake: a restart, a re-org or a second process may ask for the same signature again. The journal is that memory,
//! and nothing else: a small append-only file with its own tests.
//!
//! # Format
//!
//! ```text
//! file    "ASSAYJ01", then records
//! record  length of body (u32) ‖ checksum of body (first 8 bytes of BLAKE2b-256) ‖ body;    integers little endian
//! body    SCALE(Entry)
//! ```
//! A record is complete before the signature that it allows is made. A torn tail (a crash in the middle of an append) is cut
//! off on opening: its signature was never made. A bad record *before* the tail means that the disk lost data; then the journal
//! refuses to open, because what it no longer knows could be slashed.
//!
//! The file is locked for as long as it is open, so that two nodes on one data directory cannot sign apart.

use assay_primitives::{JobHash, Role};
use codec::{Decode, DecodeAll, Encode};
use parking_lot::{Mutex, RwLock};
use polkadot_sdk::{sp_core::H256, sp_io::hashing::blake2_256};
use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

const MAGIC: &[u8; 8] = b"ASSAYJ01";
const HEAD: usize = 12;
/// A body carries at most an answer with its output ids.
const MAX_BODY: u32 = 64 * 1024;

/// Which signature of a piece of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
pub enum Phase {
    /// The handoff over this many rows.
    #[codec(index = 0)]
    Handoff(u32),
    /// The executor's answer: `Commit` or `Blocked`.
    #[codec(index = 1)]
    Commit,
    /// The checker's answer.
    #[codec(index = 2)]
    Check,
    /// The voter's digest.
    #[codec(index = 3)]
    Vote,
}

/// What may be signed once only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
pub struct Key {
    /// Genesis hash of the chain.
    pub genesis: H256,
    /// The job.
    pub job: JobHash,
    /// The attempt.
    pub attempt: u32,
    /// The stage.
    pub stage: u8,
    /// The assigned positions.
    pub range: (u32, u32),
    /// As what.
    pub role: Role,
    /// Which signature.
    pub phase: Phase,
}

/// What was signed, and why.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Value {
    /// The digest. The only thing that must never differ.
    pub digest: H256,
    /// What is needed to say it again after a restart; opaque here.
    pub evidence: Vec<u8>,
}

#[derive(Debug, Encode, Decode)]
struct Entry {
    key: Key,
    value: Value,
    /// Best block when written, so that old entries can be dropped.
    block: u32,
}

/// Why the journal refuses.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The file cannot be read or written.
    #[error("journal {path}: {source}; make the node's data directory writable and have room on its disk")]
    Io {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// Another process has it.
    #[error("journal {0} is in use by another process; one worker key must not be run by two nodes")]
    Locked(PathBuf),
    /// Not a journal.
    #[error("journal {0} has another format; move it away only if this worker key has never signed with it")]
    Format(PathBuf),
    /// A record in the middle is bad.
    #[error(
        "journal {path} is damaged at byte {offset}: restore it from a backup, or register a new worker key before moving it \
         away; what it no longer knows could be signed twice"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where.
        offset: u64,
    },
    /// Another digest was signed for this key.
    #[error("refused to sign {wanted:?} for {key:?}: {signed:?} is already signed")]
    DoubleSign {
        /// The work.
        key: Box<Key>,
        /// What the journal has.
        signed: H256,
        /// What was asked for.
        wanted: H256,
    },
    /// A record would be over the limit.
    #[error("evidence of {0} bytes is over the journal's limit of {MAX_BODY}")]
    TooLarge(usize),
}

/// See the module. Clones are the same journal: whoever reads does not wait for one that writes to the disk.
#[derive(Clone, Debug)]
pub struct Journal {
    /// Taken before the entries, by whoever changes them, and held until the file has what they say.
    log: Arc<Mutex<Log>>,
    /// What the file is known to have. Never held over a disk access.
    entries: Arc<RwLock<BTreeMap<Key, (Value, u32)>>>,
}

#[derive(Debug)]
struct Log {
    path: PathBuf,
    file: File,
    /// Records in the file, entries that were dropped from memory included.
    records: usize,
    /// End of the last complete record.
    end: u64,
}

impl Journal {
    /// Opens or creates the journal, reads it back and cuts a torn tail.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, JournalError> {
        let path = path.into();
        let io = |source| JournalError::Io { path: path.clone(), source };
        if let Some(dir) = path.parent() {
            fs::create_dir_all(dir).map_err(io)?;
        }
        let mut file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path).map_err(io)?;
        lock(&file, &path)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(io)?;

        let mut entries = BTreeMap::new();
        let mut log = Log { path: path.clone(), file, records: 0, end: MAGIC.len() as u64 };
        if bytes.len() < MAGIC.len() && MAGIC.starts_with(&bytes) {
            // New, or torn while the magic was written: nothing was ever signed with it.
            log.file.set_len(0).map_err(io)?;
            log.file.seek(SeekFrom::Start(0)).map_err(io)?;
            log.file.write_all(MAGIC).map_err(io)?;
            log.file.sync_all().map_err(io)?;
            sync_dir(&path).map_err(io)?;
            return Ok(Self::of(log, entries));
        }
        if !bytes.starts_with(MAGIC) {
            return Err(JournalError::Format(path));
        }
        let mut at = MAGIC.len();
        while at < bytes.len() {
            match record(&bytes[at..]) {
                Parsed::Entry(entry, len) => {
                    at += len;
                    log.records += 1;
                    log.end = at as u64;
                    entries.insert(entry.key, (entry.value, entry.block));
                }
                Parsed::Torn => break,
                Parsed::Bad => return Err(JournalError::Damaged { path, offset: at as u64 }),
            }
        }
        if log.end < bytes.len() as u64 {
            log::warn!(
                target: crate::LOG_TARGET,
                "journal {}: dropped {} bytes of an unfinished record",
                path.display(),
                bytes.len() as u64 - log.end,
            );
            log.file.set_len(log.end).map_err(io)?;
            log.file.sync_all().map_err(io)?;
        }
        Ok(Self::of(log, entries))
    }

    fn of(log: Log, entries: BTreeMap<Key, (Value, u32)>) -> Self {
        Self { log: Arc::new(Mutex::new(log)), entries: Arc::new(RwLock::new(entries)) }
    }

    /// What was signed for a key.
    pub fn get(&self, key: &Key) -> Option<Value> {
        self.entries.read().get(key).map(|(value, _)| value.clone())
    }

    /// Number of entries.
    pub fn len(&self) -> usize {
        self.entries.read().len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.read().is_empty()
    }

    /// Allows a signature: on success the intent is on the disk. The same digest may be signed again, and keeps its first
    /// evidence, which is returned; another digest never.
    pub fn record(&self, key: Key, value: Value, block: u32) -> Result<Value, JournalError> {
        // Before the look: of two that ask for one key at once, the second sees what the first was granted.
        let mut log = self.log.lock();
        if let Some(known) = self.get(&key) {
            if known.digest != value.digest {
                return Err(JournalError::DoubleSign {
                    key: Box::new(key),
                    signed: known.digest,
                    wanted: value.digest,
                });
            }
            return Ok(known);
        }
        let entry = Entry { key, value, block };
        log.append(&entry)?;
        self.entries.write().insert(key, (entry.value.clone(), block));
        Ok(entry.value)
    }

    /// Drops what was written at or before block `before` and is about none of the jobs that are `open`, and rewrites the file
    /// if most of it is dead. The rewrite is atomic: a crash leaves the old file or the new one.
    pub fn compact(&self, before: u32, open: impl Fn(&JobHash) -> bool) -> Result<(), JournalError> {
        let mut log = self.log.lock();
        self.entries.write().retain(|key, (_, block)| *block > before || open(&key.job));
        let left = self.len();
        if log.records < 256 || left * 2 > log.records {
            return Ok(());
        }
        let path = log.path.clone();
        let io = |source| JournalError::Io { path: path.clone(), source };
        let fresh_path = path.with_extension("new");
        let mut fresh =
            OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&fresh_path).map_err(io)?;
        lock(&fresh, &fresh_path)?;
        let mut bytes = MAGIC.to_vec();
        for (key, (value, block)) in &*self.entries.read() {
            bytes.extend(encode(&Entry { key: *key, value: value.clone(), block: *block })?);
        }
        fresh.write_all(&bytes).map_err(io)?;
        fresh.sync_all().map_err(io)?;
        fs::rename(&fresh_path, &path).map_err(io)?;
        // Also if the folder cannot be synced: the name is the new file's, and what is appended must go there.
        log.file = fresh;
        log.end = bytes.len() as u64;
        log.records = left;
        sync_dir(&path).map_err(io)
    }
}

impl Log {
    fn append(&mut self, entry: &Entry) -> Result<(), JournalError> {
        let bytes = encode(entry)?;
        let written = self
            .file
            .seek(SeekFrom::Start(self.end))
            .and_then(|_| self.file.write_all(&bytes))
            .and_then(|_| self.file.sync_data());
        if let Err(source) = written {
            // Whatever part arrived is cut off, so that a later record does not follow garbage.
            let _ = self.file.set_len(self.end);
            return Err(JournalError::Io { path: self.path.clone(), source });
        }
        self.end += bytes.len() as u64;
        self.records += 1;
        Ok(())
    }
}

enum Parsed {
    Entry(Entry, usize),
    /// The bytes end before the record does, or the last record's checksum is wrong.
    Torn,
    /// Wrong, with more behind it.
    Bad,
}

fn checksum(body: &[u8]) -> [u8; 8] {
    let mut sum = [0; 8];
    sum.copy_from_slice(&blake2_256(body)[..8]);
    sum
}

fn encode(entry: &Entry) -> Result<Vec<u8>, JournalError> {
    let body = entry.encode();
    if body.len() > MAX_BODY as usize {
        return Err(JournalError::TooLarge(body.len()));
    }
    let mut bytes = Vec::with_capacity(HEAD + body.len());
    bytes.extend((body.len() as u32).to_le_bytes());
    bytes.extend(checksum(&body));
    bytes.extend(body);
    Ok(bytes)
}

fn record(bytes: &[u8]) -> Parsed {
    let Some((len, rest)) = bytes.split_first_chunk::<4>() else { return Parsed::Torn };
    let len = u32::from_le_bytes(*len);
    // An append that never reached the disk may leave zeros at the end of the file.
    if bytes.iter().all(|b| *b == 0) {
        return Parsed::Torn;
    }
    if len == 0 || len > MAX_BODY {
        return Parsed::Bad;
    }
    let Some((sum, rest)) = rest.split_first_chunk::<8>() else { return Parsed::Torn };
    let Some(body) = rest.get(..len as usize) else { return Parsed::Torn };
    let last = rest.len() == len as usize;
    if checksum(body) != *sum {
        return if last { Parsed::Torn } else { Parsed::Bad };
    }
    match Entry::decode_all(&mut &body[..]) {
        Ok(entry) => Parsed::Entry(entry, HEAD + len as usize),
        Err(_) => Parsed::Bad,
    }
}

/// Makes a creation or a rename in the file's folder survive a crash.
fn sync_dir(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => File::open(dir)?.sync_all(),
        _ => Ok(()),
    }
}

fn lock(file: &File, path: &Path) -> Result<(), JournalError> {
    match file.try_lock() {
        Ok(()) => Ok(()),
        Err(fs::TryLockError::WouldBlock) => Err(JournalError::Locked(path.into())),
        Err(fs::TryLockError::Error(source)) => Err(JournalError::Io { path: path.into(), source }),
    }
}

#[cfg(test)]
#[path = "journal_tests.rs"]
mod tests;
