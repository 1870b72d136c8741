//! Boundary rows by content, for checkers: kept until their job has left the state for a while, served to whoever knows the
//! root.

use crate::engine::Rows;
use assay_primitives::JobHash;
use parking_lot::Mutex;
use polkadot_sdk::sp_core::H256;
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

/// Most bytes of rows in memory. The oldest go first.
const MAX_BYTES: usize = 1 << 30;

struct Kept {
    /// Equal prompts give equal rows: they are kept until the last of these jobs is forgotten.
    jobs: BTreeSet<JobHash>,
    rows: Arc<Rows>,
    order: u64,
}

#[derive(Default)]
struct Inner {
    by_root: HashMap<H256, Kept>,
    by_order: BTreeMap<u64, H256>,
    next: u64,
    bytes: usize,
}

/// A bounded store, shared by the executor (writes) and the network (reads).
#[derive(Clone)]
pub struct RowStore {
    inner: Arc<Mutex<Inner>>,
    limit: usize,
}

impl Default for RowStore {
    fn default() -> Self {
        Self::with_limit(MAX_BYTES)
    }
}

impl RowStore {
    /// With a limit in bytes.
    pub fn with_limit(limit: usize) -> Self {
        Self { inner: Arc::default(), limit }
    }

    /// Keeps rows under their root. `root` must be theirs: the caller has just computed or verified it.
    pub fn insert(&self, job: JobHash, root: H256, rows: Arc<Rows>) {
        let bytes = rows.bytes();
        if bytes > self.limit {
            return;
        }
        let mut inner = self.inner.lock();
        if let Some(kept) = inner.by_root.get_mut(&root) {
            kept.jobs.insert(job);
            return;
        }
        while inner.bytes + bytes > self.limit {
            let Some((_, oldest)) = inner.by_order.pop_first() else { break };
            inner.remove(&oldest);
        }
        let order = inner.next;
        inner.next += 1;
        inner.bytes += bytes;
        inner.by_order.insert(order, root);
        inner.by_root.insert(root, Kept { jobs: [job].into(), rows, order });
    }

    /// The rows with this root.
    pub fn get(&self, root: &H256) -> Option<Arc<Rows>> {
        self.inner.lock().by_root.get(root).map(|kept| kept.rows.clone())
    }

    /// Drops what belongs to a job, and to no other.
    pub fn forget(&self, job: &JobHash) {
        let mut inner = self.inner.lock();
        let mut unclaimed = Vec::new();
        for (root, kept) in &mut inner.by_root {
            if kept.jobs.remove(job) && kept.jobs.is_empty() {
                unclaimed.push(*root);
            }
        }
        for root in unclaimed {
            inner.remove(&root);
        }
    }

    /// Jobs that rows are kept of.
    pub fn jobs(&self) -> Vec<JobHash> {
        let inner = self.inner.lock();
        let jobs: BTreeSet<_> = inner.by_root.values().flat_map(|kept| kept.jobs.iter().copied()).collect();
        jobs.into_iter().collect()
    }

    /// Bytes in memory.
    pub fn bytes(&self) -> usize {
        self.inner.lock().bytes
    }
}

impl Inner {
    fn remove(&mut self, root: &H256) {
        if let Some(kept) = self.by_root.remove(root) {
            self.by_order.remove(&kept.order);
            self.bytes -= kept.rows.bytes();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(tag: u32, n: usize) -> Arc<Rows> {
        Arc::new(Rows::Ids(vec![tag; n]))
    }

    #[test]
    fn insert_over_the_limit_drops_the_oldest() {
        let store = RowStore::with_limit(100);
        let root = H256::repeat_byte;
        store.insert(root(1), root(11), rows(1, 10));
        store.insert(root(2), root(12), rows(2, 10));
        store.insert(root(2), root(12), rows(2, 10));
        assert_eq!(store.bytes(), 80);
        store.insert(root(3), root(13), rows(3, 10));
        assert!(store.get(&root(11)).is_none());
        assert!(store.get(&root(12)).is_some() && store.get(&root(13)).is_some());
        store.insert(root(4), root(14), rows(4, 26));
        assert!(store.get(&root(14)).is_none(), "more than the limit alone is not kept");
        assert_eq!(store.bytes(), 80);
    }

    #[test]
    fn forget_drops_all_rows_of_the_job() {
        let store = RowStore::default();
        let root = H256::repeat_byte;
        store.insert(root(1), root(11), rows(1, 10));
        store.insert(root(1), root(12), rows(2, 10));
        store.insert(root(2), root(13), rows(3, 10));
        store.forget(&root(1));
        assert_eq!((store.jobs(), store.bytes()), (vec![root(2)], 40));
    }

    #[test]
    fn forget_keeps_rows_that_another_job_has_too() {
        let store = RowStore::default();
        let root = H256::repeat_byte;
        store.insert(root(1), root(11), rows(1, 10));
        store.insert(root(2), root(11), rows(1, 10));
        assert_eq!((store.jobs(), store.bytes()), (vec![root(1), root(2)], 40));
        store.forget(&root(1));
        assert!(store.get(&root(11)).is_some(), "its checkers still need them");
        store.forget(&root(2));
        assert_eq!((store.get(&root(11)), store.bytes()), (None, 0));
    }
}
