//! The converter from outside: what it makes of good checkpoints, and what it says about bad ones.

mod bad_input;
mod conversion;
mod demo;
mod fixture;
mod gguf;
