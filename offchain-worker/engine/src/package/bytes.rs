//! Bytes of a package wherever they lie.

use std::{
    fmt,
    fs::File,
    ops::{Deref, Range},
    path::Path,
    sync::Arc,
};

use memmap2::Mmap;

#[cfg(not(target_endian = "little"))]
compile_error!("packages, boundary rows and caches are used in place as little endian");

#[derive(Clone)]
enum Owner {
    Static(&'static [u8]),
    Mapped(Arc<Mmap>),
}

/// A shared, immutable run of bytes: of a mapped file, or of the binary itself. Cloning copies no bytes.
#[derive(Clone)]
pub struct Bytes {
    owner: Owner,
    range: Range<usize>,
}

impl Bytes {
    /// Bytes of the binary.
    pub fn from_static(bytes: &'static [u8]) -> Self {
        Self { owner: Owner::Static(bytes), range: 0..bytes.len() }
    }

    /// A file, mapped read-only.
    pub fn map(path: &Path) -> std::io::Result<Self> {
        let file = File::open(path)?;
        if file.metadata()?.len() == 0 {
            return Ok(Self::from_static(&[]));
        }
        // SAFETY: the map is private to this process and never written. A package's files are written once,
        // under another name, and renamed; whoever shortens one under a running node stops that node, as
        // with any mapped model or library.
        let map = unsafe { Mmap::map(&file)? };
        let range = 0..map.len();
        Ok(Self { owner: Owner::Mapped(Arc::new(map)), range })
    }

    /// A part of these bytes.
    ///
    /// # Panics
    /// If `range` lies outside of them.
    pub fn slice(&self, range: Range<usize>) -> Self {
        assert!(range.start <= range.end && range.end <= self.len(), "bytes {range:?} of {}", self.len());
        let start = self.range.start;
        Self { owner: self.owner.clone(), range: start + range.start..start + range.end }
    }
}

impl Deref for Bytes {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        let all = match &self.owner {
            Owner::Static(bytes) => bytes,
            Owner::Mapped(map) => &map[..],
        };
        &all[self.range.clone()]
    }
}

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bytes({})", self.range.len())
    }
}

/// Decodes little endian words that may lie at any address.
pub(crate) fn read_i32(bytes: &[u8], words: &mut [i32]) {
    debug_assert_eq!(bytes.len(), 4 * words.len());
    for (word, bytes) in words.iter_mut().zip(bytes.chunks_exact(4)) {
        *word = i32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
    }
}

/// [`read_i32`] into a new vector.
pub(crate) fn to_i32(bytes: &[u8]) -> Vec<i32> {
    let mut words = vec![0; bytes.len() / 4];
    read_i32(bytes, &mut words);
    words
}

/// Little endian words that may lie at any address, in a new vector.
pub(crate) fn to_u32(bytes: &[u8]) -> Vec<u32> {
    bytes.chunks_exact(4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
}
