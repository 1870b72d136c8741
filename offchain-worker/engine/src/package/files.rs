//! The files of a package by name, from a directory or an archive.

use std::{
    collections::BTreeMap,
    ops::Range,
    path::{Path, PathBuf},
};

use assay_exact::{header::Header, layout::Entry};

use super::{archive, Bytes, PackageError};

/// Entry roots and model root.
pub const MANIFEST_FILE: &str = "manifest.json";
/// The tokenizer, as the `tokenizers` library reads it.
pub const TOKENIZER_FILE: &str = "tokenizer.json";
/// The chat template, if any.
pub const CHAT_TEMPLATE_FILE: &str = "chat_template.jinja";

/// The name of an entry's file.
pub fn entry_file(entry: Entry) -> String {
    match entry {
        Entry::Header => "header.bin".into(),
        Entry::Tables => "tables.bin".into(),
        Entry::Embedding => "embed.bin".into(),
        Entry::Positions => "positions.bin".into(),
        Entry::EmbeddingNorm => "embedding_norm.bin".into(),
        Entry::Layer(i) => format!("layer-{i:03}.bin"),
        Entry::FinalNorm => "final_norm.bin".into(),
        Entry::Head => "head.bin".into(),
    }
}

/// The entry of a model that has this file name; none for any other name.
pub fn entry_of_file(header: &Header, name: &str) -> Option<Entry> {
    header.entries().find(|entry| entry_file(*entry) == name)
}

/// Where files come from. Those of a directory are mapped when they are taken.
pub(super) struct Files {
    files: BTreeMap<String, Source>,
}

enum Source {
    Path(PathBuf),
    Bytes(Bytes),
}

impl Files {
    pub fn open(path: &Path) -> Result<Self, PackageError> {
        let metadata = std::fs::metadata(path).map_err(PackageError::io(path))?;
        if metadata.is_dir() {
            return Self::from_directory(path);
        }
        let bytes = Bytes::map(path).map_err(PackageError::io(path))?;
        if !archive::is_archive(&bytes) {
            return Err(PackageError::NotAPackage { path: path.into() });
        }
        Self::from_archive(bytes)
    }

    pub fn from_archive(bytes: Bytes) -> Result<Self, PackageError> {
        let files = archive::index(&bytes)?
            .into_iter()
            .map(|(name, range)| (name, Source::Bytes(bytes.slice(range))))
            .collect();
        Ok(Self { files })
    }

    fn from_directory(path: &Path) -> Result<Self, PackageError> {
        let mut files = BTreeMap::new();
        for item in std::fs::read_dir(path).map_err(PackageError::io(path))? {
            let item = item.map_err(PackageError::io(path))?;
            let name = item.file_name().to_string_lossy().into_owned();
            files.insert(name, Source::Path(item.path()));
        }
        Ok(Self { files })
    }

    pub fn take(&mut self, name: &str) -> Result<Bytes, PackageError> {
        self.take_if_present(name)?.ok_or_else(|| PackageError::Missing { file: name.into() })
    }

    pub fn take_if_present(&mut self, name: &str) -> Result<Option<Bytes>, PackageError> {
        match self.files.remove(name) {
            None => Ok(None),
            Some(Source::Bytes(bytes)) => Ok(Some(bytes)),
            Some(Source::Path(path)) => Bytes::map(&path).map(Some).map_err(PackageError::io(&path)),
        }
    }

    /// From the first layer whose file is there to the last one; all layers if none is, so that the first is
    /// named as missing.
    pub fn layers_held(&self, layers: u32) -> Range<u32> {
        let mut held = (0..layers).filter(|layer| self.files.contains_key(&entry_file(Entry::Layer(*layer))));
        match (held.next(), held.next_back()) {
            (Some(first), last) => first..last.unwrap_or(first) + 1,
            (None, _) => 0..layers,
        }
    }

    /// What was not taken must be an entry that the span does not need.
    pub fn refuse_unknown(&self, header: &Header) -> Result<(), PackageError> {
        match self.files.keys().find(|name| entry_of_file(header, name).is_none()) {
            Some(name) => Err(PackageError::Extra { file: name.clone() }),
            None => Ok(()),
        }
    }
}
