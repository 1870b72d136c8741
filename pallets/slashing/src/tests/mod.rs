mod cancel;
mod claim;
mod deferred;
mod dedup;
mod liveness;
mod operations;
