//! Packages: what is written is what is read, and every damage has a specific error.

mod support;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use assay_engine::{
    package::{archive, entry_file, Package, PackageError, PackageWriter},
    stage::{Setup, Stage, StageSpec},
    EngineError, Sampling,
};
use assay_exact::{
    header::{Flags, Header, HeaderError, Placement},
    layout::{Entry, PartName},
    merkle,
};
use proptest::prelude::*;
use support::{all_flags, llama, write_package, TOKENIZER};
use tempfile::TempDir;

fn written(header: Header) -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("model");
    write_package(&path, header, 1);
    (directory, path)
}

fn error_of(path: &Path) -> PackageError {
    Package::open(path).map(drop).unwrap_err()
}

fn edit(path: &Path, file: &str, change: impl FnOnce(&mut Vec<u8>)) {
    let file = path.join(file);
    let mut bytes = fs::read(&file).unwrap();
    change(&mut bytes);
    fs::write(file, bytes).unwrap();
}

fn packed(path: &Path) -> &'static [u8] {
    let mut bytes = Vec::new();
    archive::pack(path, &mut bytes).unwrap();
    bytes.leak()
}

#[test]
fn open_what_was_written_has_its_root_in_every_form() {
    for header in [llama(), all_flags(Placement::Sandwich), Header { experts: 3, experts_per_token: 1, ..llama() }] {
        let (_directory, path) = written(header.clone());
        let package = Package::open(&path).unwrap();
        assert_eq!(package.header().tokenizer, assay_digest(TOKENIZER));
        assert_eq!((package.header().d, package.span()), (header.d, 0..4));
        package.verify(None).unwrap();
        package.verify(Some(package.model_root())).unwrap();
        let embedded = Package::embedded(packed(&path)).unwrap();
        embedded.verify(Some(package.model_root())).unwrap();
        assert_eq!(embedded.chat_template(), Some(&b"{{ messages }}"[..]));
        let file = path.with_extension("archive");
        fs::write(&file, packed(&path)).unwrap();
        Package::open(&file).unwrap().verify(Some(package.model_root())).unwrap();
    }
}

fn assay_digest(bytes: &[u8]) -> assay_exact::hash::Digest {
    use assay_exact::hash::Hasher;
    assay_exact::hash::Blake2b::digest(&[bytes])
}

#[test]
fn model_root_equals_the_definition() {
    // Section 11, from the files alone.
    let (_directory, path) = written(llama());
    let package = Package::open(&path).unwrap();
    let roots: Vec<_> = package
        .entries()
        .map(|(entry, bytes)| {
            let blobs: Vec<_> = package
                .header()
                .file_parts(entry)
                .map(|(start, part)| {
                    assert_eq!(start % 64, 0);
                    merkle::blob::<assay_exact::hash::Blake2b>(&bytes[start as usize..][..part.layout.size() as usize])
                })
                .collect();
            match entry {
                Entry::Layer(_) => merkle::list::<assay_exact::hash::Blake2b, _>(blobs),
                _ => blobs[0],
            }
        })
        .collect();
    assert_eq!(roots.len(), 3 + 4 + 2);
    assert_eq!(merkle::list::<assay_exact::hash::Blake2b, _>(roots), package.model_root());
}

#[test]
fn open_held_needs_only_the_files_of_the_layers_that_are_there() {
    let (_directory, path) = written(Header { flags: Flags::FINAL_NORM, ..llama() });
    let root = Package::open(&path).unwrap().model_root();
    for file in ["embed.bin", "layer-000.bin", "layer-003.bin", "final_norm.bin", "head.bin", "tokenizer.json"] {
        fs::remove_file(path.join(file)).unwrap();
    }
    let package = Arc::new(Package::open_held(&path).unwrap());
    package.verify(Some(root)).unwrap();
    assert!(package.tokenizer_json().is_none());
    let spec = StageSpec { first: 1, end: 3, prompt: [1].into(), max_new: 1, sampling: Sampling::GREEDY };
    Stage::open(&package, spec.clone(), &Setup::default()).unwrap();
    let error = Stage::open(&package, StageSpec { end: 4, ..spec }, &Setup::default()).unwrap_err();
    assert!(
        matches!(error, EngineError::Package(PackageError::NotHeld { ref file, .. }) if file == "layer-003.bin"),
        "{error}"
    );

    assert_eq!(package.span(), 1..3);

    let missing = |file: &str| {
        let error = Package::open_held(&path).map(drop).unwrap_err();
        assert!(matches!(error, PackageError::Missing { file: ref named } if named == file), "{error}");
    };
    fs::rename(path.join("layer-002.bin"), path.join("layer-003.bin")).unwrap();
    missing("layer-002.bin");
    fs::remove_file(path.join("layer-001.bin")).unwrap();
    // The last layer calls for what follows it.
    missing("final_norm.bin");
    fs::remove_file(path.join("layer-003.bin")).unwrap();
    missing("embed.bin");
}

#[test]
fn open_with_a_missing_or_foreign_file_names_it() {
    let (_directory, path) = written(all_flags(Placement::Pre));
    let mut files: Vec<_> = fs::read_dir(&path).unwrap().map(|f| f.unwrap().file_name()).collect();
    files.sort();
    assert_eq!(files.len(), 3 + 3 + 2 + 4 + 2);
    for file in files {
        let bytes = fs::read(path.join(&file)).unwrap();
        fs::remove_file(path.join(&file)).unwrap();
        let error = error_of(&path);
        assert!(matches!(error, PackageError::Missing { file: ref f } if **f == *file), "{error}");
        fs::write(path.join(&file), bytes).unwrap();
    }
    for file in ["layer-004.bin", "notes.txt"] {
        fs::write(path.join(file), b"x").unwrap();
        let error = error_of(&path);
        assert!(matches!(error, PackageError::Extra { file: ref f } if f == file), "{error}");
        fs::remove_file(path.join(file)).unwrap();
    }
    Package::open(&path).unwrap();
    assert!(matches!(error_of(&path.join("nowhere")), PackageError::Io { .. }));
    assert!(matches!(error_of(&path.join("embed.bin")), PackageError::NotAPackage { .. }));
}

#[test]
fn open_truncated_or_longer_is_a_size_error_and_corrupt_fails_verification() {
    let (_directory, path) = written(llama());
    let package = Package::open(&path).unwrap();
    let root = package.model_root();
    let entries: Vec<_> = package.header().entries().skip(1).collect();
    let spans: Vec<_> =
        entries.iter().map(|e| (*e, package.header().file_parts(*e).last().unwrap().0 as usize)).collect();
    drop(package);
    for (entry, last_part) in spans {
        let file = entry_file(entry);
        let good = fs::read(path.join(&file)).unwrap();
        for length in [0, good.len() - 1, good.len() + 1] {
            edit(&path, &file, |bytes| bytes.resize(length, 0));
            let error = error_of(&path);
            let expected = good.len() as u64;
            assert!(
                matches!(error, PackageError::Size { file: ref f, expected: e, found }
                    if *f == file && e == expected && found == length as u64),
                "{error}"
            );
            fs::write(path.join(&file), &good).unwrap();
        }
        for at in [last_part + 20, good.len() - 1] {
            edit(&path, &file, |bytes| bytes[at] ^= 1);
            let error = Package::open(&path).and_then(|package| package.verify(Some(root))).unwrap_err();
            assert!(matches!(error, PackageError::EntryRoot { file: ref f, .. } if *f == file), "{error}");
            fs::write(path.join(&file), &good).unwrap();
        }
    }
    edit(&path, "tokenizer.json", |bytes| bytes[0] ^= 1);
    let error = Package::open(&path).unwrap().verify(None).unwrap_err();
    assert!(matches!(error, PackageError::Digest { ref file, .. } if file == "tokenizer.json"), "{error}");
}

#[test]
fn verify_another_root_is_an_error() {
    let (_directory, path) = written(llama());
    let package = Package::open(&path).unwrap();
    let error = package.verify(Some([1; 32])).unwrap_err();
    assert!(
        matches!(error, PackageError::ModelRoot { expected, found } if expected == [1; 32] && found == package.model_root())
    );
}

#[test]
fn open_with_constants_out_of_range_names_part_and_field() {
    let (_directory, path) = written(llama());
    let package = Package::open(&path).unwrap();
    let start = |name| {
        let layer = Entry::Layer(2);
        package.header().file_parts(layer).find(|(_, part)| part.name == name).unwrap().0 as usize
    };
    let (statics, norm) = (start(PartName::Statics), start(PartName::MlpNorm));
    let good = fs::read(path.join("layer-002.bin")).unwrap();
    for (at, value, part, field) in [
        (statics + 4, 1i32, PartName::Statics, "rope table"),
        (statics + 8, 65, PartName::Statics, "e_v"),
        (statics + 20, 63, PartName::Statics, "sigma"),
        (norm, 31, PartName::MlpNorm, "F_g"),
        (norm + 8, -257, PartName::MlpNorm, "eps k"),
    ] {
        edit(&path, "layer-002.bin", |bytes| bytes[at..at + 4].copy_from_slice(&value.to_le_bytes()));
        let error = error_of(&path);
        assert!(
            matches!(error, PackageError::Constants { ref file, part: p, .. } if file == "layer-002.bin" && p == part),
            "{error}"
        );
        assert!(error.to_string().contains(field), "{error}");
        fs::write(path.join("layer-002.bin"), &good).unwrap();
    }
    edit(&path, "tables.bin", |bytes| bytes[4..8].copy_from_slice(&i32::MIN.to_le_bytes()));
    assert!(matches!(error_of(&path), PackageError::RopeEntry { near_byte: 0 }));
}

#[test]
fn open_with_a_bad_header_or_manifest_names_the_field() {
    let (_directory, path) = written(llama());
    let header = fs::read(path.join("header.bin")).unwrap();
    edit(&path, "header.bin", |bytes| bytes[16..20].copy_from_slice(&0u32.to_le_bytes()));
    let error = error_of(&path);
    assert!(matches!(error, PackageError::Header { source: HeaderError::OutOfRange { value: 0, .. }, .. }), "{error}");
    // A valid header of a larger model: its sizes no longer are those of the files.
    edit(&path, "header.bin", |bytes| bytes[16..20].copy_from_slice(&16384u32.to_le_bytes()));
    assert!(matches!(error_of(&path), PackageError::Manifest { .. }));
    edit(&path, "header.bin", |bytes| bytes.truncate(30));
    assert!(matches!(error_of(&path), PackageError::Header { source: HeaderError::Length { .. }, .. }));
    fs::write(path.join("header.bin"), header).unwrap();

    let manifest = fs::read_to_string(path.join("manifest.json")).unwrap();
    let mut json: serde_json::Value = serde_json::from_str(&manifest).unwrap();
    let replace = |text: &str| fs::write(path.join("manifest.json"), text).unwrap();
    replace("{");
    assert!(matches!(error_of(&path), PackageError::Manifest { .. }));
    replace(&manifest.replace("\"format\": 1", "\"format\": 2"));
    assert!(error_of(&path).to_string().contains("format 2"));
    replace(&manifest.replace("layer-001.bin", "layer-002.bin"));
    assert!(error_of(&path).to_string().contains("layer-001.bin"));
    json["model_root"] = "00".repeat(32).into();
    replace(&json.to_string());
    assert!(matches!(error_of(&path), PackageError::ManifestRoot { .. }));
    json["entries"].as_array_mut().unwrap().pop();
    replace(&json.to_string());
    assert!(matches!(error_of(&path), PackageError::Manifest { .. }));
}

#[test]
fn create_over_an_existing_directory_is_refused() {
    let (_directory, path) = written(llama());
    let error = PackageWriter::create(&path, llama(), TOKENIZER, None).map(drop).unwrap_err();
    assert!(matches!(error, PackageError::Exists { .. }), "{error}");
}

#[test]
fn write_out_of_order_or_of_another_size_is_refused_and_leaves_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("model");
    let mut writer = PackageWriter::create(&path, llama(), TOKENIZER, None).unwrap();
    let error = writer.write(Entry::Embedding, &[vec![0u8; 4]]).unwrap_err();
    assert!(matches!(error, PackageError::EntryOrder { ref expected, .. } if expected == "tables.bin"), "{error}");
    let error = writer.write(Entry::Tables, &[vec![0u8; 4]]).unwrap_err();
    assert!(matches!(error, PackageError::PartSize { expected: 16800, found: 4, .. }), "{error}");
    let error = writer.write::<Vec<u8>>(Entry::Tables, &[]).unwrap_err();
    assert!(matches!(error, PackageError::PartCount { expected: 1, found: 0, .. }), "{error}");
    let error = writer.finish().unwrap_err();
    assert!(matches!(error, PackageError::EntryOrder { ref expected, .. } if expected == "tables.bin"), "{error}");
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);

    let error = PackageWriter::create(&path, Header { vocab: 0, ..llama() }, TOKENIZER, None).map(drop).unwrap_err();
    assert!(matches!(error, PackageError::Header { .. }), "{error}");
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    /// Any single damage to an archive is an error when it is opened or verified, never a panic. Padding is not
    /// hashed, and the manifest is text: neither can change what is computed.
    #[test]
    fn embedded_damaged_is_an_error(at in any::<prop::sample::Index>(), flip in 1u8.., cut in any::<bool>()) {
        static ARCHIVE: std::sync::OnceLock<(Vec<u8>, assay_exact::hash::Digest)> = std::sync::OnceLock::new();
        let (good, root) = ARCHIVE.get_or_init(|| {
            let (_directory, path) = written(Header { layers: 1, context: 60, ..llama() });
            let bytes = packed(&path).to_vec();
            let root = Package::open(&path).unwrap().model_root();
            (bytes, root)
        });
        let mut bytes = good.clone();
        let at = at.index(bytes.len());
        if cut {
            bytes.truncate(at);
        } else {
            bytes[at] ^= flip;
        }
        let result = Package::embedded(bytes.leak()).and_then(|package| {
            package.verify(Some(*root))?;
            Ok(package.entries().map(|(entry, bytes)| (entry, bytes.to_vec())).collect::<Vec<_>>())
        });
        match result {
            Err(_) => {}
            Ok(_) if cut => prop_assert!(false, "cut at {at}"),
            Ok(entries) => {
                let original = Package::embedded(good.clone().leak()).unwrap();
                for ((entry, bytes), (_, expected)) in entries.iter().zip(original.entries()) {
                    for (start, part) in original.header().file_parts(*entry) {
                        let part = start as usize..(start + part.layout.size()) as usize;
                        prop_assert_eq!(&bytes[part.clone()], &expected[part]);
                    }
                }
            }
        }
    }
}
