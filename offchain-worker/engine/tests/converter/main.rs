//! The converter from outside: what it makes of good checkpoints, and what it says about bad ones.

mod bad_config;
mod bad_input;
mod bert;
mod conversion;
mod demo;
mod families;
mod fixture;
mod folding;
mod gguf;
#[path = "../support/mod.rs"]
mod support;
