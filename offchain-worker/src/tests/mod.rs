//! Tests of the worker as a whole: several workers over an in-memory network and a model of the chain.

mod demo;
mod network;
pub mod toy;
mod world;
