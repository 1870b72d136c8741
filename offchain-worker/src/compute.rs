//! Inference threads: few, of low priority, and unable to hurt the node.
//!
//! Work comes in pieces (one step of decoding, one chunk of a prefill), so that a few threads serve many tasks. Re-execution
//! comes in one piece and has a thread of its own, of the lowest priority, so that it never stands between two tokens. A panic
//! in a piece is caught and reported as the failure of its task, or of those that were stepped together.
//!
//! Between two steps of a fast ring a thread stays awake: going to sleep and being woken takes longer than the rest of its hop
//! inside of this process, and costs it its caches.

use crate::{engine::EngineError, panics};
use parking_lot::{Condvar, Mutex};
use std::{
    collections::VecDeque,
    sync::{
        atomic::{AtomicBool, Ordering},
        Arc,
    },
    thread,
    time::{Duration, Instant},
};

/// How soon a piece of work runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// A step that a ring of nodes waits for.
    Decode = 0,
    /// A prompt being read.
    Prefill = 1,
    /// A re-execution.
    Check = 2,
}

type Piece = Box<dyn FnOnce() + Send>;

#[derive(Default)]
struct Queue {
    /// Decoding, then the rest.
    lanes: [VecDeque<Piece>; 2],
    stopped: bool,
}

#[derive(Default)]
struct Shared {
    queue: Mutex<Queue>,
    ready: Condvar,
    /// There may be something in the queue. Written under its lock, read by threads that stay awake.
    news: AtomicBool,
}

/// How long a thread stays awake for the next step of a ring: the way of a token through a few stages of one data centre.
const AWAKE: Duration = Duration::from_millis(1);

/// Niceness of the threads that a ring waits for: block production, networking and RPC run first.
const NICE: i32 = 10;
/// Niceness of re-execution, which has minutes where a ring has milliseconds.
const NICE_CHECK: i32 = 19;
/// Most pieces that wait. Each task has one piece at a time, and tasks are bounded, so this is never reached in practice.
const MAX_QUEUED: usize = 1024;

/// A handle to the threads; they end with the last handle.
#[derive(Clone)]
pub struct Compute {
    inner: Arc<Handle>,
}

struct Handle {
    ring: Arc<Shared>,
    check: Arc<Shared>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        for shared in [&self.ring, &self.check] {
            let mut queue = shared.queue.lock();
            queue.stopped = true;
            shared.news.store(true, Ordering::Release);
            queue.lanes.iter_mut().for_each(VecDeque::clear);
            shared.ready.notify_all();
        }
    }
}

/// The queue is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("more than {MAX_QUEUED} pieces of inference work are waiting")]
pub struct Busy;

impl Compute {
    /// Starts `threads` threads for rings, at least one, and one for checks.
    pub fn new(threads: usize) -> std::io::Result<Self> {
        let handle = Handle { ring: Arc::default(), check: Arc::default() };
        let start = |name: String, class: Class, shared: &Arc<Shared>| {
            let shared = shared.clone();
            thread::Builder::new().name(name).spawn(move || {
                enter(class);
                work(&shared);
            })
        };
        for i in 0..threads.max(1) {
            start(format!("assay-infer-{i}"), Class::Decode, &handle.ring)?;
        }
        start("assay-check".into(), Class::Check, &handle.check)?;
        Ok(Self { inner: Arc::new(handle) })
    }

    /// Queues a piece of work.
    pub fn spawn(&self, class: Class, piece: impl FnOnce() + Send + 'static) -> Result<(), Busy> {
        let shared = if class == Class::Check { &self.inner.check } else { &self.inner.ring };
        let mut queue = shared.queue.lock();
        if queue.lanes.iter().map(VecDeque::len).sum::<usize>() >= MAX_QUEUED {
            return Err(Busy);
        }
        queue.lanes[usize::from(class != Class::Decode)].push_back(Box::new(piece));
        shared.news.store(true, Ordering::Release);
        shared.ready.notify_one();
        Ok(())
    }
}

fn work(shared: &Shared) {
    // The next step is expected as soon as the last one came. Where that was later than a thread stays awake, it sleeps at once.
    let mut expects = false;
    loop {
        let idle = Instant::now();
        if expects {
            stay_awake(shared, idle);
        }
        let (piece, decode) = {
            let mut queue = shared.queue.lock();
            loop {
                if queue.stopped {
                    return;
                }
                let next =
                    queue.lanes.iter_mut().enumerate().find_map(|(lane, pieces)| Some((lane, pieces.pop_front()?)));
                shared.news.store(queue.lanes.iter().any(|lane| !lane.is_empty()), Ordering::Release);
                if let Some((lane, piece)) = next {
                    break (piece, lane == Class::Decode as usize);
                }
                shared.ready.wait(&mut queue);
            }
        };
        expects = decode && idle.elapsed() < AWAKE;
        // A piece reports its own panic (see `guarded`); this is the last line that keeps the thread alive.
        let _ = panics::catch(piece);
    }
}

/// Returns when there is something in the queue, or after [`AWAKE`].
fn stay_awake(shared: &Shared, since: Instant) {
    while !shared.news.load(Ordering::Acquire) && since.elapsed() < AWAKE {
        std::hint::spin_loop();
    }
}

/// Runs the engine and turns a panic into an error with its message.
pub fn guarded<T>(f: impl FnOnce() -> Result<T, EngineError>) -> Result<T, EngineError> {
    panics::catch(f).unwrap_or_else(|text| Err(EngineError::Panicked(text)))
}

/// Makes the calling thread one of the worker's own: of low priority, and unable to end the process by a panic.
pub fn enter(class: Class) {
    panics::own_thread();
    lower_priority(class);
}

/// Lowers the calling thread's priority for a class of work, where the system has per-thread priorities.
fn lower_priority(class: Class) {
    let nice = if class == Class::Check { NICE_CHECK } else { NICE };
    #[cfg(target_os = "linux")]
    // SAFETY: two calls without pointers; on Linux, `setpriority` of a thread id concerns that thread alone.
    unsafe {
        let thread = libc::syscall(libc::SYS_gettid) as libc::id_t;
        if libc::setpriority(libc::PRIO_PROCESS, thread, nice) != 0 {
            log::debug!(target: crate::LOG_TARGET, "could not lower the priority of an inference thread");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{sync::mpsc, time::Duration};

    const WAIT: Duration = Duration::from_secs(10);

    #[test]
    fn spawn_runs_decode_before_a_waiting_prefill() {
        let compute = Compute::new(1).unwrap();
        let (hold, held) = mpsc::channel::<()>();
        let (tx, rx) = mpsc::channel();
        compute
            .spawn(Class::Decode, move || {
                let _ = held.recv();
            })
            .unwrap();
        for (class, name) in [(Class::Prefill, "prefill"), (Class::Decode, "decode")] {
            let tx = tx.clone();
            compute.spawn(class, move || tx.send(name).unwrap()).unwrap();
        }
        hold.send(()).unwrap();
        let order: Vec<_> = (0..2).map(|_| rx.recv_timeout(WAIT).unwrap()).collect();
        assert_eq!(order, ["decode", "prefill"]);
    }

    #[test]
    fn spawn_during_a_long_check_still_decodes() {
        let compute = Compute::new(1).unwrap();
        let (hold, held) = mpsc::channel::<()>();
        let (tx, rx) = mpsc::channel();
        compute
            .spawn(Class::Check, move || {
                let _ = held.recv();
            })
            .unwrap();
        compute.spawn(Class::Decode, move || tx.send(()).unwrap()).unwrap();
        assert_eq!(rx.recv_timeout(WAIT), Ok(()));
        drop(hold);
    }

    #[test]
    fn spawn_after_a_panic_still_runs() {
        let compute = Compute::new(1).unwrap();
        compute.spawn(Class::Decode, || panic!("piece")).unwrap();
        let (tx, rx) = mpsc::channel();
        compute.spawn(Class::Decode, move || tx.send(1).unwrap()).unwrap();
        assert_eq!(rx.recv_timeout(WAIT), Ok(1));
    }

    #[test]
    fn guarded_panic_becomes_an_error_with_its_message() {
        let error = guarded::<()>(|| panic!("kernel {}", 7)).unwrap_err();
        assert!(matches!(error, EngineError::Panicked(text) if text == "kernel 7"));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn threads_run_at_low_priority() {
        let compute = Compute::new(1).unwrap();
        let (tx, rx) = mpsc::channel();
        compute
            .spawn(Class::Decode, move || {
                // SAFETY: a call without pointers about the calling thread.
                let nice =
                    unsafe { libc::getpriority(libc::PRIO_PROCESS, libc::syscall(libc::SYS_gettid) as libc::id_t) };
                tx.send(nice).unwrap();
            })
            .unwrap();
        assert!(rx.recv_timeout(WAIT).unwrap() >= NICE);
    }
}
