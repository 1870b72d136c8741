mod cancel;
mod claim;
mod dedup;
mod deferred;
mod liveness;
mod operations;
