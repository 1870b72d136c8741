//! Writing a package, entry by entry.

use std::{
    fs::{self, File},
    io::{BufWriter, Write},
    path::{Path, PathBuf},
};

use assay_exact::{
    commit::root_of_roots,
    hash::{Blake2b, Digest, Hasher},
    header::Header,
    layout::{Entry, Part},
    merkle,
};

use super::{
    check_part, entry_file, Manifest, ManifestEntry, PackageError, CHAT_TEMPLATE_FILE, MANIFEST_FILE, TOKENIZER_FILE,
};

/// Writes a package directory. It appears under its name only when [`Self::finish`] has written all of it;
/// until then, and after an error, there is nothing but a hidden directory beside it, removed on drop.
#[derive(Debug)]
pub struct PackageWriter {
    header: Header,
    target: PathBuf,
    partial: PathBuf,
    entries: Vec<ManifestEntry>,
    roots: Vec<Digest>,
}

impl PackageWriter {
    /// Begins a package at `directory`, which must not exist. Puts the digests of the tokenizer and the chat
    /// template into the header, checks it and writes it.
    pub fn create(
        directory: &Path,
        mut header: Header,
        tokenizer_json: &[u8],
        chat_template: Option<&[u8]>,
    ) -> Result<Self, PackageError> {
        header.tokenizer = Blake2b::digest(&[tokenizer_json]);
        header.chat_template = Blake2b::digest(&[chat_template.unwrap_or_default()]);
        header.validate().map_err(|source| PackageError::Header { file: entry_file(Entry::Header), source })?;
        if directory.exists() {
            return Err(PackageError::Exists { path: directory.into() });
        }
        let name = directory.file_name().ok_or_else(|| PackageError::NotAPackage { path: directory.into() })?;
        let partial = directory.with_file_name(format!(".{}.partial-{}", name.to_string_lossy(), std::process::id()));
        if partial.exists() {
            // Left by a process that was killed and had our id.
            fs::remove_dir_all(&partial).map_err(PackageError::io(&partial))?;
        }
        fs::create_dir_all(&partial).map_err(PackageError::io(&partial))?;
        let encoded = header.encode();
        let mut writer = Self { header, target: directory.into(), partial, entries: Vec::new(), roots: Vec::new() };
        writer.write_file(TOKENIZER_FILE, &[(0, tokenizer_json)])?;
        if let Some(template) = chat_template {
            writer.write_file(CHAT_TEMPLATE_FILE, &[(0, template)])?;
        }
        writer.write(Entry::Header, &[encoded])?;
        Ok(writer)
    }

    /// The header as written.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Writes the next entry of [`Header::entries`] (the header itself is written) from the bytes of its
    /// parts, in order; see [`encode`](super::encode). Checks order, sizes and limits.
    pub fn write<B: AsRef<[u8]>>(&mut self, entry: Entry, parts: &[B]) -> Result<(), PackageError> {
        let file = entry_file(entry);
        let next = self.header.entries().nth(self.roots.len());
        if next != Some(entry) {
            let expected = next.map_or("the end of the package".into(), entry_file);
            return Err(PackageError::EntryOrder { expected, found: file });
        }
        let layout: Vec<(u64, Part)> = self.header.file_parts(entry).collect();
        if layout.len() != parts.len() {
            return Err(PackageError::PartCount { file, expected: layout.len(), found: parts.len() });
        }
        let mut placed = Vec::with_capacity(parts.len());
        for ((start, part), bytes) in layout.iter().zip(parts) {
            let bytes = bytes.as_ref();
            let (expected, found) = (part.layout.size(), bytes.len() as u64);
            if expected != found {
                return Err(PackageError::PartSize { file, part: part.name, expected, found });
            }
            check_part(&self.header, entry, part, bytes)?;
            placed.push((*start, bytes));
        }
        self.write_file(&file, &placed)?;

        let mut blobs = placed.iter().map(|(_, bytes)| merkle::blob::<Blake2b>(bytes));
        let root = match entry {
            Entry::Layer(_) => root_of_roots::<Blake2b>(blobs),
            _ => blobs.next().unwrap_or_else(|| merkle::blob::<Blake2b>(&[])),
        };
        self.entries.push(ManifestEntry { file, bytes: self.header.file_size(entry), root });
        self.roots.push(root);
        Ok(())
    }

    /// Writes the manifest, moves the package to its place and returns its `model_root`.
    pub fn finish(self) -> Result<Digest, PackageError> {
        if let Some(missing) = self.header.entries().nth(self.roots.len()) {
            return Err(PackageError::EntryOrder {
                expected: entry_file(missing),
                found: "the end of the package".into(),
            });
        }
        let model_root = root_of_roots::<Blake2b>(self.roots.iter().copied());
        let manifest = Manifest::new(model_root, self.entries.clone()).to_json()?;
        self.write_file(MANIFEST_FILE, &[(0, &manifest)])?;
        // The directory's own entries, then its name: after a power cut either all is there or nothing.
        sync(&self.partial)?;
        fs::rename(&self.partial, &self.target).map_err(PackageError::io(&self.target))?;
        if let Some(parent) = self.target.parent().filter(|p| !p.as_os_str().is_empty()) {
            sync(parent)?;
        }
        Ok(model_root)
    }

    fn write_file(&self, name: &str, parts: &[(u64, &[u8])]) -> Result<(), PackageError> {
        let path = self.partial.join(name);
        let write = || {
            let mut file = BufWriter::new(File::create(&path)?);
            let mut position = 0u64;
            for (start, bytes) in parts {
                let padding = [0u8; 64];
                file.write_all(&padding[..(start - position) as usize])?;
                file.write_all(bytes)?;
                position = start + bytes.len() as u64;
            }
            file.into_inner()?.sync_all()
        };
        write().map_err(PackageError::io(&path))
    }
}

fn sync(directory: &Path) -> Result<(), PackageError> {
    File::open(directory).and_then(|d| d.sync_all()).map_err(PackageError::io(directory))
}

impl Drop for PackageWriter {
    fn drop(&mut self) {
        // After `finish` it is gone; otherwise nothing half-written stays. There is no one to tell of a failure.
        let _ = fs::remove_dir_all(&self.partial);
    }
}
