//! Model packages on disk, in a file, or in the binary (section 11).
//!
//! A package is a directory with one file per entry of `model_root`'s list, each holding its parts in order at
//! multiples of 64 bytes, so that weights are used where they lie (`mmap`); a `manifest.json` with the
//! entries' roots, from which anyone recomputes `model_root` without the files of others' layers; the
//! tokenizer, and a chat template if the model has one. The same files in one [`archive`] make a package that
//! a binary embeds.
//!
//! [`Package::open`] checks every size and limit; [`Package::verify`] hashes every byte. Nothing is copied and
//! no memory is committed until a stage is opened over the package.

pub mod archive;
mod bytes;
pub mod encode;
mod error;
mod files;
mod manifest;
mod parts;
mod writer;

use std::{collections::BTreeMap, ops::Range, path::Path};

use assay_exact::{
    commit::root_of_roots,
    hash::{Blake2b, Digest, Hasher},
    header::Header,
    layout::{Entry, Layout, Part, PartName},
    merkle,
    statics::{rope_entries_in_range, LayerStatics, NormConstants},
};

pub(crate) use bytes::read_i32;
pub use bytes::Bytes;
pub use error::PackageError;
pub use files::{entry_file, entry_of_file, CHAT_TEMPLATE_FILE, MANIFEST_FILE, TOKENIZER_FILE};
pub use manifest::{Manifest, ManifestEntry};
pub(crate) use parts::{LinearPart, NormPart};
pub use writer::PackageWriter;

use files::Files;

/// An opened package: all of a model, or what a holder of some layers needs.
#[derive(Debug)]
pub struct Package {
    header: Header,
    model_root: Digest,
    entry_roots: Vec<(Entry, Digest)>,
    entries: BTreeMap<Entry, Bytes>,
    tokenizer: Option<Bytes>,
    chat_template: Option<Bytes>,
    span: Range<u32>,
}

impl Package {
    /// Opens a whole package: a directory, or an [`archive`] file.
    pub fn open(path: &Path) -> Result<Self, PackageError> {
        Self::assemble(Files::open(path)?, true)
    }

    /// Opens a package of which only one run of layers may be there, as the holder of a part keeps it. What
    /// those layers need must be there; the tokenizer may be absent if a layer is.
    pub fn open_held(path: &Path) -> Result<Self, PackageError> {
        Self::assemble(Files::open(path)?, false)
    }

    /// A whole package embedded in the binary as an [`archive`], used in place.
    pub fn embedded(archive: &'static [u8]) -> Result<Self, PackageError> {
        Self::assemble(Files::from_archive(Bytes::from_static(archive))?, true)
    }

    /// The model's shape.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The root over all entries, as the manifest's entry roots give it. The bytes of the files held are
    /// those of this root only after [`Self::verify`].
    pub fn model_root(&self) -> Digest {
        self.model_root
    }

    /// The layers whose files are held.
    pub fn span(&self) -> Range<u32> {
        self.span.clone()
    }

    /// The root of each entry of the model, held or not, in order.
    pub fn entry_roots(&self) -> &[(Entry, Digest)] {
        &self.entry_roots
    }

    /// The entries held, in order, with the bytes of their files.
    pub fn entries(&self) -> impl Iterator<Item = (Entry, &[u8])> {
        self.entries.iter().map(|(entry, bytes)| (*entry, &bytes[..]))
    }

    /// The bytes of `tokenizer.json`, if held.
    pub fn tokenizer_json(&self) -> Option<&[u8]> {
        self.tokenizer.as_deref()
    }

    /// The chat template, if the model has one and it is held.
    pub fn chat_template(&self) -> Option<&[u8]> {
        self.chat_template.as_deref()
    }

    /// Checks that the package is the model of `expected`, and that every byte held is what its entry's root
    /// says: what must be done once before a package from elsewhere is run. `None` only checks the bytes.
    pub fn verify(&self, expected: Option<Digest>) -> Result<(), PackageError> {
        if let Some(expected) = expected {
            if expected != self.model_root {
                return Err(PackageError::ModelRoot { expected, found: self.model_root });
            }
        }
        for (entry, root) in &self.entry_roots {
            let Some(bytes) = self.entries.get(entry) else { continue };
            let found = entry_root(&self.header, *entry, bytes);
            if found != *root {
                return Err(PackageError::EntryRoot { file: entry_file(*entry), expected: *root, found });
            }
        }
        for (file, bytes, expected) in [
            (TOKENIZER_FILE, &self.tokenizer, self.header.tokenizer),
            (CHAT_TEMPLATE_FILE, &self.chat_template, self.header.chat_template),
        ] {
            if let Some(bytes) = bytes {
                check_digest(file, bytes, expected)?;
            }
        }
        Ok(())
    }

    /// The bytes of one part.
    pub(crate) fn part(&self, entry: Entry, name: PartName) -> Result<(Part, Bytes), PackageError> {
        let missing = || PackageError::NotHeld { file: entry_file(entry), span: self.span() };
        let bytes = self.entries.get(&entry).ok_or_else(missing)?;
        let (start, part) = self.header.file_parts(entry).find(|(_, part)| part.name == name).ok_or_else(missing)?;
        // The file's size was checked against the header when the package was opened.
        let start = start as usize;
        Ok((part, bytes.slice(start..start + part.layout.size() as usize)))
    }

    fn assemble(mut files: Files, whole: bool) -> Result<Self, PackageError> {
        let manifest = Manifest::parse(&files.take(MANIFEST_FILE)?)?;
        let header_bytes = files.take(&entry_file(Entry::Header))?;
        let header = Header::parse(&header_bytes)
            .map_err(|source| PackageError::Header { file: entry_file(Entry::Header), source })?;
        let all = 0..header.layers;
        let span = if whole { all.clone() } else { files.layers_held(header.layers) };
        let whole = span == all;
        let entry_roots = manifest.entry_roots(&header)?;
        let model_root = root_of_roots::<Blake2b>(entry_roots.iter().map(|(_, root)| *root));
        if manifest.model_root != model_root {
            return Err(PackageError::ManifestRoot { stated: manifest.model_root, entries: model_root });
        }

        let mut entries = BTreeMap::from([(Entry::Header, header_bytes)]);
        for entry in header.entries().filter(|e| *e != Entry::Header) {
            if header.span_needs(entry, span.start, span.end) {
                entries.insert(entry, files.take(&entry_file(entry))?);
            }
        }
        let (tokenizer, chat_template) =
            (files.take_if_present(TOKENIZER_FILE)?, files.take_if_present(CHAT_TEMPLATE_FILE)?);
        if whole && tokenizer.is_none() {
            return Err(PackageError::Missing { file: TOKENIZER_FILE.into() });
        }
        if whole && chat_template.is_none() && header.chat_template != Blake2b::digest(&[]) {
            return Err(PackageError::Missing { file: CHAT_TEMPLATE_FILE.into() });
        }
        files.refuse_unknown(&header)?;

        let package = Self { header, model_root, entry_roots, entries, tokenizer, chat_template, span };
        package.check()?;
        Ok(package)
    }

    /// Sizes first, then every constant with a limit.
    fn check(&self) -> Result<(), PackageError> {
        for (entry, bytes) in &self.entries {
            let (expected, found) = (self.header.file_size(*entry), bytes.len() as u64);
            if expected != found {
                return Err(PackageError::Size { file: entry_file(*entry), expected, found });
            }
        }
        for (entry, bytes) in &self.entries {
            for (start, part) in self.header.file_parts(*entry) {
                let start = start as usize;
                check_part(&self.header, *entry, &part, &bytes[start..start + part.layout.size() as usize])?;
            }
        }
        Ok(())
    }
}

/// The root of an entry from its file, whose size was checked.
pub(crate) fn entry_root(header: &Header, entry: Entry, bytes: &[u8]) -> Digest {
    let blob = |(start, part): (u64, Part)| {
        let start = start as usize;
        merkle::blob::<Blake2b>(&bytes[start..start + part.layout.size() as usize])
    };
    let mut roots = header.file_parts(entry).map(blob);
    match entry {
        Entry::Layer(_) => root_of_roots::<Blake2b>(roots),
        _ => roots.next().unwrap_or_else(|| merkle::blob::<Blake2b>(&[])),
    }
}

/// The limits of a part that lie in its bytes. `bytes` has the length of its layout.
pub(crate) fn check_part(header: &Header, entry: Entry, part: &Part, bytes: &[u8]) -> Result<(), PackageError> {
    let blame = |source| PackageError::Constants { file: entry_file(entry), part: part.name, source };
    match part.layout {
        Layout::Statics { .. } => LayerStatics::parse(bytes, header).map(drop).map_err(blame),
        Layout::Norm { .. } => NormConstants::parse(&bytes[..NormConstants::BYTES]).map(drop).map_err(blame),
        Layout::RopeTables { .. } => {
            let mut row = [0i32; 1024];
            for (chunk, bytes) in bytes.chunks(4 * row.len()).enumerate() {
                let row = &mut row[..bytes.len() / 4];
                bytes::read_i32(bytes, row);
                if !rope_entries_in_range(row) {
                    return Err(PackageError::RopeEntry { near_byte: chunk as u64 * 4096 });
                }
            }
            Ok(())
        }
        Layout::Header { .. } | Layout::Scales { .. } | Layout::Linear { .. } => Ok(()),
    }
}

fn check_digest(file: &str, bytes: &[u8], expected: Digest) -> Result<(), PackageError> {
    let found = Blake2b::digest(&[bytes]);
    if found != expected {
        return Err(PackageError::Digest { file: file.into(), expected, found });
    }
    Ok(())
}
