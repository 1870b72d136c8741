//! BLAKE2b-256 by the host's function: what the runtime hashes Merkle trees with.

use alloc::vec::Vec;
use assay_exact::hash::{Digest, Hasher};
use polkadot_sdk::sp_io::hashing::blake2_256;

/// [`Hasher`] over `sp_io`: the host hashes in native code, so bytes are gathered and handed over once.
#[derive(Clone, Debug, Default)]
pub struct HostBlake2b(Vec<u8>);

impl Hasher for HostBlake2b {
    fn update(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    fn finish(self) -> Digest {
        blake2_256(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use assay_exact::{hash::Blake2b, merkle};

    #[test]
    fn list_by_the_host_equals_list_in_software() {
        let leaves: Vec<[u8; 7]> = (0..9u8).map(|i| [i; 7]).collect();
        assert_eq!(merkle::list::<HostBlake2b, _>(&leaves), merkle::list::<Blake2b, _>(&leaves));
    }
}
