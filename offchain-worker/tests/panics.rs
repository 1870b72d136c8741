//! Under the node's own panic hook, which ends the process. In a process of their own: with the hook set, a failing test elsewhere
//! would end the whole run.

use assay_worker::panics::{blocking, catch, caught, own_thread, spawn};
use std::panic::catch_unwind;

/// The node's hook. A test process that survives these tests was not ended by it.
fn set_hook() {
    polkadot_sdk::sp_panic_handler::set("nowhere", "test");
}

#[test]
fn catch_under_the_nodes_hook_returns_the_message() {
    set_hook();
    let caught: Result<(), _> = catch(|| panic!("kernel {}", 7));
    assert_eq!(caught, Err("kernel 7".into()));
    assert_eq!(catch(|| 5), Ok(5));
}

#[test]
fn own_thread_survives_a_panic_that_it_catches_itself() {
    set_hook();
    let thread = std::thread::spawn(|| {
        own_thread();
        catch_unwind(|| panic!("piece")).is_err()
    });
    assert!(thread.join().unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn spawn_and_blocking_under_the_nodes_hook_survive() {
    set_hook();
    spawn("test", async {
        tokio::task::yield_now().await;
        panic!("task")
    })
    .await
    .unwrap();
    let disk: Result<(), _> = blocking(|| panic!("disk")).await;
    assert_eq!(disk, Err("disk".into()));
    let text: Result<(), _> = caught(async {
        tokio::task::yield_now().await;
        panic!("loop")
    })
    .await;
    assert_eq!(text, Err("loop".into()));
}
