//! How a stage runs, and how its caller watches and stops it.

use std::sync::{atomic::AtomicBool, Arc};

use crate::{
    kernels::{Backend, Threads},
    EngineError,
};

/// What runs a stage. Stages may share a setup's threads; each call uses all of them.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The kernels.
    pub backend: Backend,
    threads: ThreadsOf,
}

#[derive(Clone, Debug)]
enum ThreadsOf {
    Count(usize),
    Shared(Arc<Threads>),
}

impl Default for Setup {
    /// The fastest backend, on the caller's thread.
    fn default() -> Self {
        Self { backend: Backend::detect(), threads: ThreadsOf::Count(1) }
    }
}

impl Setup {
    /// `backend` on `threads` new threads (1 means the caller's own).
    pub fn new(backend: Backend, threads: usize) -> Self {
        Self { backend, threads: ThreadsOf::Count(threads) }
    }

    /// `backend` on existing threads, for example of low priority ([`Threads::with_start`]).
    pub fn on(backend: Backend, threads: Arc<Threads>) -> Self {
        Self { backend, threads: ThreadsOf::Shared(threads) }
    }

    /// The same threads for every stage opened with the result.
    pub fn shared(&self) -> Result<Self, EngineError> {
        Ok(Self::on(self.backend, self.threads()?))
    }

    pub(super) fn threads(&self) -> Result<Arc<Threads>, EngineError> {
        Ok(match &self.threads {
            ThreadsOf::Count(count) => Arc::new(Threads::new(*count)?),
            ThreadsOf::Shared(threads) => Arc::clone(threads),
        })
    }
}

/// How far a call has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Positions of the call computed.
    pub positions: u32,
    /// Positions of the call.
    pub of: u32,
}

/// A caller's hold on a running call.
#[derive(Default)]
pub struct Control<'a> {
    cancel: Option<&'a AtomicBool>,
    progress: Option<&'a mut (dyn FnMut(Progress) + Send)>,
}

impl<'a> Control<'a> {
    /// Sees a flag, checked between layers, that stops the call with [`EngineError::Cancelled`].
    pub fn cancelled_by(mut self, cancel: &'a AtomicBool) -> Self {
        self.cancel = Some(cancel);
        self
    }

    /// Calls `progress` after each chunk of positions.
    pub fn reporting_to(mut self, progress: &'a mut (dyn FnMut(Progress) + Send)) -> Self {
        self.progress = Some(progress);
        self
    }

    pub(super) fn cancel(&self) -> &AtomicBool {
        static NEVER: AtomicBool = AtomicBool::new(false);
        self.cancel.unwrap_or(&NEVER)
    }

    pub(super) fn report(&mut self, progress: Progress) {
        if let Some(report) = &mut self.progress {
            report(progress);
        }
    }
}

impl std::fmt::Debug for Control<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Control").field("cancel", &self.cancel).finish_non_exhaustive()
    }
}
