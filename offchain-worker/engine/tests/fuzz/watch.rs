//! Ends a run that hangs, with the input that it hangs in.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, Once, PoisonError},
    thread::{self, ThreadId},
    time::{Duration, Instant},
};

/// Inputs take milliseconds; on no machine, however busy, does one that ends take this long.
const HANGS: Duration = Duration::from_secs(300);

/// What each thread is doing since when.
static RUNNING: Mutex<BTreeMap<String, (Instant, &'static str, u64)>> = Mutex::new(BTreeMap::new());

/// An input that is being run, until this is dropped.
pub struct Watched;

fn running() -> MutexGuard<'static, BTreeMap<String, (Instant, &'static str, u64)>> {
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}

fn key(thread: ThreadId) -> String {
    format!("{thread:?}")
}

/// Watches this thread over input `index` of `target`.
pub fn over(target: &'static str, index: u64) -> Watched {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        thread::spawn(|| loop {
            thread::sleep(Duration::from_secs(5));
            if let Some((_, target, index)) = running().values().find(|(since, ..)| since.elapsed() > HANGS) {
                eprintln!("{target}: input {index} does not end");
                std::process::abort();
            }
        });
    });
    running().insert(key(thread::current().id()), (Instant::now(), target, index));
    Watched
}

impl Drop for Watched {
    fn drop(&mut self) {
        running().remove(&key(thread::current().id()));
    }
}
