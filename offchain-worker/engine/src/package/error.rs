//! What can be wrong with a package.

use std::{io, ops::Range, path::PathBuf};

use assay_exact::{hash::Digest, header::HeaderError, layout::PartName, statics::StaticsError};

use crate::hex::Hex;

/// Why a package cannot be opened, verified or written. Each names the file and what to change.
#[derive(Debug, thiserror::Error)]
pub enum PackageError {
    /// The file system refused.
    #[error("{}: {source}", path.display())]
    Io {
        /// File or directory.
        path: PathBuf,
        /// Its reason.
        source: io::Error,
    },
    /// Neither a directory nor an archive.
    #[error("{}: not a package; give a package directory or archive", path.display())]
    NotAPackage {
        /// What was given.
        path: PathBuf,
    },
    /// An archive whose index does not describe its bytes.
    #[error("package archive: {reason}; it is truncated or corrupt, fetch it again")]
    Archive {
        /// What does not fit.
        reason: String,
    },
    /// A file that the package must have.
    #[error("{file} is missing from the package")]
    Missing {
        /// Its name.
        file: String,
    },
    /// A file that is no part of the package.
    #[error("{file} is no part of this package; remove it")]
    Extra {
        /// Its name.
        file: String,
    },
    /// The manifest cannot be read.
    #[error("manifest.json: {reason}")]
    Manifest {
        /// What is wrong with it.
        reason: String,
    },
    /// The manifest's model root is not the root over its entries.
    #[error("manifest.json: model_root is {}, but its entries give {}", Hex(stated), Hex(entries))]
    ManifestRoot {
        /// What it states.
        stated: Digest,
        /// The root over its entries.
        entries: Digest,
    },
    /// The header has no semantics.
    #[error("{file}: {source}")]
    Header {
        /// Its file.
        file: String,
        /// Field and range.
        source: HeaderError,
    },
    /// A file is not as long as the header says.
    #[error("{file}: {found} bytes, but the header asks for {expected}; it is truncated or of another model")]
    Size {
        /// Its name.
        file: String,
        /// Bytes that the header asks for.
        expected: u64,
        /// Bytes found.
        found: u64,
    },
    /// A constant outside of its range.
    #[error("{file}, part {part:?}: {source}")]
    Constants {
        /// Its file.
        file: String,
        /// Its part.
        part: PartName,
        /// Field and range.
        source: StaticsError,
    },
    /// A rope table entry beyond 2^30.
    #[error("tables.bin: an entry near byte {near_byte} exceeds 2^30 in absolute value")]
    RopeEntry {
        /// At most 4 KiB before it.
        near_byte: u64,
    },
    /// An entry's bytes are not those of its root.
    #[error(
        "{file}: its bytes hash to {}, the manifest says {}; it is corrupt, fetch it again",
        Hex(found),
        Hex(expected)
    )]
    EntryRoot {
        /// Its file.
        file: String,
        /// The manifest's root.
        expected: Digest,
        /// The root of the bytes.
        found: Digest,
    },
    /// The tokenizer or chat template is not the one of the header.
    #[error("{file}: its bytes hash to {}, the header says {}", Hex(found), Hex(expected))]
    Digest {
        /// Its file.
        file: String,
        /// The header's digest.
        expected: Digest,
        /// That of the bytes.
        found: Digest,
    },
    /// The package is another model.
    #[error("the package's model root is {}, not {}", Hex(found), Hex(expected))]
    ModelRoot {
        /// What was asked for.
        expected: Digest,
        /// What the package is.
        found: Digest,
    },
    /// A span that the model does not have.
    #[error("layers {first}..{end} were asked for; the model has 0..{layers}")]
    Span {
        /// First layer.
        first: u32,
        /// End, exclusive.
        end: u32,
        /// Layers of the model.
        layers: u32,
    },
    /// An entry that this holder's span lacks.
    #[error("{file} is not held: the package was opened for layers {span:?}")]
    NotHeld {
        /// Its file.
        file: String,
        /// The span it was opened for.
        span: Range<u32>,
    },
    /// The writer was given a part of another size.
    #[error("{file}, part {part:?}: {found} bytes given, the header asks for {expected}")]
    PartSize {
        /// Its file.
        file: String,
        /// Its part.
        part: PartName,
        /// Bytes that the header asks for.
        expected: u64,
        /// Bytes given.
        found: u64,
    },
    /// The writer was given another number of parts.
    #[error("{file}: {found} parts given, the header asks for {expected}")]
    PartCount {
        /// Its file.
        file: String,
        /// Parts that the header asks for.
        expected: usize,
        /// Parts given.
        found: usize,
    },
    /// The writer was given entries in another order.
    #[error("{found} was written where {expected} comes next")]
    EntryOrder {
        /// The file that comes next, or the end.
        expected: String,
        /// What was given, or the end.
        found: String,
    },
    /// The place where a package is to be written is taken.
    #[error("{} already exists; remove it or choose another directory", path.display())]
    Exists {
        /// The directory.
        path: PathBuf,
    },
}

impl PackageError {
    pub(crate) fn io(path: &std::path::Path) -> impl FnOnce(io::Error) -> Self + '_ {
        move |source| Self::Io { path: path.into(), source }
    }
}
