//! A package as one run of bytes: to embed it in a binary, or to move it as one file.
//!
//! ```text
//! "assaypk1" ‖ n (u32) ‖ n times: name length (u32) ‖ name ‖ offset (u64) ‖ length (u64), names ascending
//! then the files' bytes, each at its offset, a multiple of 64, zeros between; the archive ends with the last
//! ```
//! Only the package's roots identify a model; the archive is a container.

use std::{
    collections::BTreeMap,
    io::{self, Write},
    ops::Range,
    path::Path,
};

use super::{Bytes, PackageError};

const MAGIC: &[u8; 8] = b"assaypk1";
const ALIGNMENT: u64 = 64;
/// No package has more files than its layers (1,024) and a dozen others.
const MAX_FILES: u32 = 2048;
const MAX_NAME: u32 = 64;

/// Embeds an archive in the binary at a 64-byte boundary, so that its weights lie as in a mapped file.
/// The result is a `&'static [u8]` for [`Package::embedded`](crate::package::Package::embedded).
#[macro_export]
macro_rules! embed_archive {
    ($path:expr) => {{
        #[repr(C, align(64))]
        struct Aligned<T: ?Sized>(T);
        static ARCHIVE: &Aligned<[u8]> = &Aligned(*include_bytes!($path));
        &ARCHIVE.0
    }};
}

/// Writes the files of a package directory as one archive.
pub fn pack(directory: &Path, mut out: impl Write) -> Result<(), PackageError> {
    let mut files = BTreeMap::new();
    for item in std::fs::read_dir(directory).map_err(PackageError::io(directory))? {
        let path = item.map_err(PackageError::io(directory))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        files.insert(name, Bytes::map(&path).map_err(PackageError::io(&path))?);
    }
    write(&files, &mut out).map_err(|source| PackageError::Io { path: "package archive".into(), source })
}

fn write(files: &BTreeMap<String, Bytes>, out: &mut impl Write) -> io::Result<()> {
    let index_length: usize = 12 + files.keys().map(|name| 4 + name.len() + 16).sum::<usize>();
    let mut index = Vec::with_capacity(index_length);
    index.extend_from_slice(MAGIC);
    index.extend_from_slice(&(files.len() as u32).to_le_bytes());
    let mut end = index_length as u64;
    for (name, bytes) in files {
        let offset = end.next_multiple_of(ALIGNMENT);
        end = offset + bytes.len() as u64;
        index.extend_from_slice(&(name.len() as u32).to_le_bytes());
        index.extend_from_slice(name.as_bytes());
        index.extend_from_slice(&offset.to_le_bytes());
        index.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
    }
    out.write_all(&index)?;
    let mut position = index_length as u64;
    for bytes in files.values() {
        let offset = position.next_multiple_of(ALIGNMENT);
        out.write_all(&[0; ALIGNMENT as usize][..(offset - position) as usize])?;
        out.write_all(bytes)?;
        position = offset + bytes.len() as u64;
    }
    out.flush()
}

/// Whether the bytes claim to be an archive.
pub(super) fn is_archive(bytes: &[u8]) -> bool {
    bytes.starts_with(MAGIC)
}

/// Name and range of each file.
pub(super) fn index(bytes: &[u8]) -> Result<Vec<(String, Range<usize>)>, PackageError> {
    let mut reader = Reader { rest: bytes };
    if reader.take(MAGIC.len())? != MAGIC {
        return Err(error("it does not begin with the magic number"));
    }
    let count = reader.u32()?;
    if count > MAX_FILES {
        return Err(error(format!("{count} files; at most {MAX_FILES} are allowed")));
    }
    let mut files: Vec<(String, Range<usize>)> = Vec::new();
    for _ in 0..count {
        let length = reader.u32()?;
        if length == 0 || length > MAX_NAME {
            return Err(error(format!("a file name of {length} bytes; 1..={MAX_NAME} are allowed")));
        }
        let name = std::str::from_utf8(reader.take(length as usize)?)
            .map_err(|_| error("a file name is not UTF-8"))?
            .to_owned();
        let (offset, length) = (reader.u64()?, reader.u64()?);
        let end = offset
            .checked_add(length)
            .filter(|end| *end <= bytes.len() as u64)
            .ok_or_else(|| error(format!("{name} ends beyond the archive's {} bytes", bytes.len())))?;
        if files.last().is_some_and(|(last, _)| *last >= name) {
            return Err(error(format!("{name} is out of order or repeated")));
        }
        files.push((name, offset as usize..end as usize));
    }
    Ok(files)
}

fn error(reason: impl Into<String>) -> PackageError {
    PackageError::Archive { reason: reason.into() }
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take(&mut self, n: usize) -> Result<&'a [u8], PackageError> {
        let (taken, rest) = self.rest.split_at_checked(n).ok_or_else(|| error("it ends within its index"))?;
        self.rest = rest;
        Ok(taken)
    }

    fn u32(&mut self) -> Result<u32, PackageError> {
        Ok(self.take(4)?.iter().rev().fold(0, |v, b| (v << 8) | u32::from(*b)))
    }

    fn u64(&mut self) -> Result<u64, PackageError> {
        Ok(self.take(8)?.iter().rev().fold(0, |v, b| (v << 8) | u64::from(*b)))
    }
}
