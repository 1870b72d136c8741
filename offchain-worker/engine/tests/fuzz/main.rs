//! Damaged inputs by the thousand for everything that reads files from elsewhere: whatever they hold, the answer is a result
//! or an error, at a cost in memory that the input's size bounds.
//!
//! Inputs are valid ones, changed with knowledge of their structure, from a fixed seed: the same on every machine. Tests run a
//! few thousand each; `make fuzz` runs a million. See `harness` for the variables.

mod allocator;
mod chat;
mod checkpoint;
mod encoder;
mod gguf;
mod harness;
mod header;
mod held;
mod listed;
mod mutate;
mod package;
mod tokenizer;
mod watch;

#[path = "../converter/fixture.rs"]
#[allow(dead_code)]
mod fixture;
#[path = "../support/mod.rs"]
mod support;
