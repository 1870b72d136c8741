//! `manifest.json`: the list of entry roots.

use assay_exact::{commit::SPEC_ID, hash::Digest, header::Header, layout::Entry};
use serde::{Deserialize, Serialize};

use super::{entry_file, PackageError};
use crate::hex;

/// Version of the manifest's own format.
const FORMAT: u32 = 1;

/// The entries of a model by root, in order of `model_root`'s list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    format: u32,
    spec: u32,
    /// The root over the entries.
    #[serde(with = "hex::serde_digest")]
    pub model_root: Digest,
    /// All entries.
    pub entries: Vec<ManifestEntry>,
}

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ManifestEntry {
    /// Name of its file.
    pub file: String,
    /// Length of its file.
    pub bytes: u64,
    /// Its root (section 11).
    #[serde(with = "hex::serde_digest")]
    pub root: Digest,
}

impl Manifest {
    pub(super) fn new(model_root: Digest, entries: Vec<ManifestEntry>) -> Self {
        Self { format: FORMAT, spec: SPEC_ID, model_root, entries }
    }

    /// Reads a manifest.
    pub fn parse(bytes: &[u8]) -> Result<Self, PackageError> {
        let manifest: Self =
            serde_json::from_slice(bytes).map_err(|e| PackageError::Manifest { reason: e.to_string() })?;
        for (field, found, expected) in [("format", manifest.format, FORMAT), ("spec", manifest.spec, SPEC_ID)] {
            if found != expected {
                return Err(PackageError::Manifest {
                    reason: format!("{field} {found}; this engine reads {field} {expected}"),
                });
            }
        }
        Ok(manifest)
    }

    pub(super) fn to_json(&self) -> Result<Vec<u8>, PackageError> {
        let mut json = serde_json::to_vec_pretty(self).map_err(|e| PackageError::Manifest { reason: e.to_string() })?;
        json.push(b'\n');
        Ok(json)
    }

    /// The roots of the entries that this header asks for, in order.
    pub(super) fn entry_roots(&self, header: &Header) -> Result<Vec<(Entry, Digest)>, PackageError> {
        let expected = header.entries().count();
        if self.entries.len() != expected {
            let reason = format!("{} entries; the header asks for {expected}", self.entries.len());
            return Err(PackageError::Manifest { reason });
        }
        header
            .entries()
            .zip(&self.entries)
            .map(|(entry, found)| {
                let (file, bytes) = (entry_file(entry), header.file_size(entry));
                if found.file != file || found.bytes != bytes {
                    let reason = format!(
                        "entry {} of {} bytes; the header asks for {file} of {bytes} bytes here",
                        found.file, found.bytes
                    );
                    return Err(PackageError::Manifest { reason });
                }
                Ok((entry, found.root))
            })
            .collect()
    }
}
