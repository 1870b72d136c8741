//! Attempts at jobs, over the real market.

mod beacon;
mod boundaries;
mod checking;
mod disputes;
mod embedding;
mod honest;
mod random;
mod revealing;
mod running;
mod views;
