//! What this chain asks of each pallet, one file per concern.

pub mod consensus;
pub mod inference;
pub mod money;
pub mod session;
pub mod system;
