//! The worker's key: an sr25519 key in the node's keystore under [`WORKER_KEY_TYPE`]. The secret stays in the keystore.

use assay_primitives::{AccountId, WorkerSignature, WORKER_KEY_TYPE};
use polkadot_sdk::{
    sp_core::{crypto::Pair as _, sr25519, H256},
    sp_io::crypto::sr25519_verify,
    sp_keystore::{Keystore, KeystorePtr},
};

/// Why nothing could be signed.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The keystore has no such key any more.
    #[error(
        "the keystore holds no worker key for {0}; insert one with author_insertKey(\"asay\", <secret phrase>, <public key>)"
    )]
    Missing(AccountId),
    /// The keystore failed.
    #[error("the keystore failed: {0}")]
    Keystore(#[from] polkadot_sdk::sp_keystore::Error),
    /// A development seed does not parse.
    #[error("the development seed `{0}` is no secret URI")]
    Seed(String),
}

/// Signs as the node's worker.
#[derive(Clone)]
pub struct Keys {
    keystore: KeystorePtr,
}

impl Keys {
    /// Over the node's keystore.
    pub fn new(keystore: KeystorePtr) -> Self {
        Self { keystore }
    }

    /// All worker accounts in the keystore, in a fixed order. A node acts for one of them: the first that is registered.
    pub fn workers(&self) -> Vec<AccountId> {
        let mut keys = self.keystore.sr25519_public_keys(WORKER_KEY_TYPE);
        keys.sort();
        keys.into_iter().map(|key| AccountId::new(key.0)).collect()
    }

    /// Signs a 32-byte digest.
    pub fn sign_digest(&self, worker: &AccountId, digest: H256) -> Result<WorkerSignature, KeyError> {
        self.sign(worker, digest.as_bytes())
    }

    /// Signs an extrinsic's payload.
    pub fn sign(&self, worker: &AccountId, payload: &[u8]) -> Result<WorkerSignature, KeyError> {
        let public = sr25519::Public::from_raw(*AsRef::<[u8; 32]>::as_ref(worker));
        self.keystore.sr25519_sign(WORKER_KEY_TYPE, &public, payload)?.ok_or_else(|| KeyError::Missing(worker.clone()))
    }
}

/// Whether a worker signed a digest.
pub fn verify(worker: &AccountId, digest: H256, signature: &WorkerSignature) -> bool {
    let public = sr25519::Public::from_raw(*AsRef::<[u8; 32]>::as_ref(worker));
    sr25519_verify(signature, digest.as_bytes(), &public)
}

/// Inserts `<seed>//worker` for a node that was started with `--alice` and the like.
///
/// What is inserted is the derived secret, not the phrase: a keystore parses what it holds at every signature, and a phrase
/// costs 2,048 rounds of hashing each time.
pub fn insert_dev_key(keystore: &dyn Keystore, dev_seed: &str) -> Result<AccountId, KeyError> {
    let uri = format!("{dev_seed}//worker");
    let (pair, seed) = sr25519::Pair::from_string_with_seed(&uri, None).map_err(|_| KeyError::Seed(dev_seed.into()))?;
    let secret = match seed {
        Some(seed) => format!("0x{}", polkadot_sdk::sp_core::hexdisplay::HexDisplay::from(&seed)),
        // A soft derivation has no seed of its own.
        None => uri,
    };
    keystore
        .insert(WORKER_KEY_TYPE, &secret, pair.public().as_ref())
        .map_err(|()| KeyError::Keystore(polkadot_sdk::sp_keystore::Error::Unavailable))?;
    Ok(AccountId::new(pair.public().0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use polkadot_sdk::sp_keystore::testing::MemoryKeystore;
    use std::sync::Arc;

    #[test]
    fn insert_dev_key_gives_the_derived_account_and_signs() {
        let store = Arc::new(MemoryKeystore::new());
        let worker = insert_dev_key(&*store, "//Alice").unwrap();
        let expected = sr25519::Pair::from_string("//Alice//worker", None).unwrap();
        assert_eq!(worker, AccountId::new(expected.public().0));
        let keys = Keys::new(store);
        assert_eq!(keys.workers(), vec![worker.clone()]);
        let digest = H256::repeat_byte(5);
        let signature = keys.sign_digest(&worker, digest).unwrap();
        assert!(verify(&worker, digest, &signature));
        assert!(!verify(&worker, H256::repeat_byte(6), &signature));
    }

    #[test]
    fn sign_without_the_key_says_how_to_insert_it() {
        let keys = Keys::new(Arc::new(MemoryKeystore::new()));
        let error = keys.sign_digest(&AccountId::new([9; 32]), H256::zero()).unwrap_err();
        assert!(error.to_string().contains("author_insertKey"));
    }
}
