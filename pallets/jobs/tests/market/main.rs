//! The market, over the real verification.

mod agenda;
mod parameters;
mod settlement;
mod submit;
