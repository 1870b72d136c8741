//! Keeping panics inside.
//!
//! A Substrate node installs a panic hook that ends the process when *any* thread panics, also where the panic would be caught:
//! for consensus code that is right. Here it would let a kernel, a tokenizer or a bug of this crate stop block production. So
//! everything that the worker runs, it runs under a guard that tells the hook to let the panic unwind, and catches it.

use futures::FutureExt;
use polkadot_sdk::sp_panic_handler::AbortGuard;
use std::{
    any::Any,
    future::Future,
    panic::{catch_unwind, AssertUnwindSafe},
    pin::Pin,
    task::{Context, Poll},
};
use tokio::task::JoinHandle;

/// Tells the hook never to end the process for this thread: for threads that are the worker's own.
pub fn own_thread() {
    // This kind of guard outlives its value: that is its documented difference from the others.
    drop(AbortGuard::never_abort());
}

/// Runs `f`; a panic is returned as its message.
pub fn catch<T>(f: impl FnOnce() -> T) -> Result<T, String> {
    let _guard = AbortGuard::force_unwind();
    catch_unwind(AssertUnwindSafe(f)).map_err(message)
}

/// A future whose panics become an error. The guard is set for each poll, because futures move between threads.
pub struct Caught<F>(Pin<Box<F>>);

impl<F: Future> Future for Caught<F> {
    type Output = Result<F::Output, String>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match catch(|| self.0.poll_unpin(cx)) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(value)) => Poll::Ready(Ok(value)),
            Err(text) => Poll::Ready(Err(text)),
        }
    }
}

/// See [`Caught`].
pub fn caught<F: Future>(future: F) -> Caught<F> {
    Caught(Box::pin(future))
}

/// Spawns a task; a panic ends it with a log line, and nothing else.
pub fn spawn(name: &'static str, future: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
    tokio::spawn(async move {
        if let Err(text) = caught(future).await {
            log::error!(target: crate::LOG_TARGET, "task {name} panicked: {text}");
        }
    })
}

/// Runs what blocks beside the loop; a panic is returned as its message.
pub async fn blocking<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> Result<T, String> {
    tokio::task::spawn_blocking(|| catch(f)).await.map_err(|error| error.to_string())?
}

fn message(panic: Box<dyn Any + Send>) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|text| text.to_string())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".into())
}
