//! BLAKE2b-256 behind a trait, so that the runtime can call its host function instead.

/// A hash, a Merkle root or a commitment.
pub type Digest = [u8; 32];

/// BLAKE2b with a digest of 32 bytes and no key, fed in pieces.
///
/// Everything in this crate that hashes is generic over it; [`Blake2b`] is the software implementation.
pub trait Hasher: Clone + Default {
    /// Appends bytes.
    fn update(&mut self, bytes: &[u8]);

    /// The digest of all that was appended.
    fn finish(self) -> Digest;

    /// Appends integers, each little endian.
    fn update_u32(&mut self, values: &[u32]) {
        update_chunked(self, values, |v| v.to_le_bytes());
    }

    /// Appends integers, each little endian.
    fn update_i32(&mut self, values: &[i32]) {
        update_chunked(self, values, |v| v.to_le_bytes());
    }

    /// Appends integers, each little endian.
    fn update_i16(&mut self, values: &[i16]) {
        update_chunked(self, values, |v| v.to_le_bytes());
    }

    /// The digest of the concatenation of `parts`.
    fn digest(parts: &[&[u8]]) -> Digest {
        let mut hasher = Self::default();
        for part in parts {
            hasher.update(part);
        }
        hasher.finish()
    }
}

/// One BLAKE2b block at a time, so that no row is ever copied to the heap to be hashed.
fn update_chunked<H: Hasher, T: Copy, const N: usize>(hasher: &mut H, values: &[T], bytes: impl Fn(T) -> [u8; N]) {
    const BUFFER: usize = 512;
    let mut buffer = [0u8; BUFFER];
    for chunk in values.chunks(BUFFER / N) {
        for (to, from) in buffer.chunks_exact_mut(N).zip(chunk) {
            to.copy_from_slice(&bytes(*from));
        }
        hasher.update(&buffer[..chunk.len() * N]);
    }
}

/// The software implementation; with the feature `std` it picks the machine's SIMD at run time.
#[derive(Clone, Debug)]
pub struct Blake2b(blake2b_simd::State);

impl Default for Blake2b {
    fn default() -> Self {
        Self(blake2b_simd::Params::new().hash_length(32).to_state())
    }
}

impl Hasher for Blake2b {
    fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(self) -> Digest {
        let mut digest = [0; 32];
        digest.copy_from_slice(self.0.finalize().as_bytes());
        digest
    }
}
