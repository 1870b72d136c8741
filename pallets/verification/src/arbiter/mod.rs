//! Who decides a dissent. The first form is re-execution by the span's holders; a referee that re-executes a single
//! operation on chain will stand beside it, behind the same trait.

mod holders;

pub use holders::HolderArbiter;
