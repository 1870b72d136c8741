//! Package archives: index, manifest, header, parts; and what the engine makes of a package that it accepts.

use crate::{
    harness::{fuzz, Target, TEXT},
    mutate::{self, number, once_in, pick},
    support::{all_flags, bert, llama, write_package, Random},
    tokenizer,
};
use assay_engine::{
    chat::ChatTemplate,
    embed::Embedder,
    generate::{generate, Request},
    hex::Hex,
    package::{archive, entry_file, Package, CHAT_TEMPLATE_FILE, TOKENIZER_FILE},
    stage::{Control, Setup},
    tokenizer::Tokenizer,
    EngineError, Sampling,
};
use assay_exact::{
    commit::root_of_roots,
    hash::{Blake2b, Hasher},
    header::{Header, Kind, Placement},
};
use serde_json::{json, Value};
use std::{
    collections::BTreeMap,
    error::Error,
    fs,
    ops::ControlFlow,
    path::{Path, PathBuf},
    sync::Arc,
};
use tempfile::TempDir;

/// Files by name.
pub type Files = BTreeMap<String, Vec<u8>>;

struct Packages {
    directory: TempDir,
    seeds: Vec<Files>,
}

/// The same model in the least size.
pub fn small(header: Header) -> Header {
    let heads = if header.kind == Kind::Encoder { (2, 2) } else { (2, 1) };
    Header {
        vocab: 11,
        context: 12,
        d: 8,
        layers: 2,
        query_heads: heads.0,
        kv_heads: heads.1,
        head_dim: 4,
        rot: if header.rope_tables > 0 { 4 } else { 0 },
        hidden: 9,
        ..header
    }
}

impl Packages {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self { seeds: seeds(directory.path(), small), directory }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("archive")
    }
}

/// A package for each way in which models differ, written into `directory` by number.
pub fn seeds(directory: &Path, size: fn(Header) -> Header) -> Vec<Files> {
    let headers = [
        llama(),
        all_flags(Placement::Sandwich),
        all_flags(Placement::Post),
        Header { experts: 3, experts_per_token: 2, ..llama() },
        bert(),
    ];
    let seeds = headers.into_iter().enumerate().map(|(index, header)| {
        let path = directory.join(index.to_string());
        write_package(&path, size(header), 1);
        let mut files = read(&path);
        files.insert(TOKENIZER_FILE.into(), tokenizer::words(11).to_string().into_bytes());
        describe(&mut files);
        files
    });
    seeds.collect()
}

fn read(path: &Path) -> Files {
    let files = fs::read_dir(path).unwrap().map(|item| item.unwrap().path());
    files.map(|path| (path.file_name().unwrap().to_str().unwrap().into(), fs::read(&path).unwrap())).collect()
}

impl Target for Packages {
    const NAME: &'static str = "package archive";
    const SHARE: u64 = 80;
    // Entries of 1,024 layers, and the tables of the kernels.
    const BASE: usize = 8 << 20;
    const PER_BYTE: usize = 32;

    fn prepare(&mut self, random: &mut Random) -> usize {
        let mut files = pick(&self.seeds, random).clone();
        for _ in 0..=random.below(3) {
            change(&mut files, pick(&self.seeds, random), random);
        }
        if once_in(2, random) {
            describe(&mut files);
        }
        let mut bytes = pack(&files);
        if once_in(3, random) {
            mutate::bytes(&mut bytes, random);
        }
        fs::write(self.path(), &bytes).unwrap();
        bytes.len()
    }

    fn run(&mut self) -> Result<(), String> {
        let held = Package::open_held(&self.path());
        let package = Package::open(&self.path()).map_err(|error| error.to_string())?;
        assert!(held.is_ok(), "a whole package is a held one");
        // Any package that was opened has semantics, whether or not its bytes are those of its roots.
        drop(package.verify(None));
        drop(ChatTemplate::load(&package));
        used(Arc::new(package)).map_err(|error| error.to_string())
    }
}

/// Some tokens of a decoder, the vector of an encoder's text; then the same of what the tokenizer makes of a text.
fn used(package: Arc<Package>) -> Result<(), Box<dyn Error>> {
    let context = package.header().context;
    let ids = vec![0; context.clamp(2, 4) as usize - 1];
    run(&package, ids)?;
    let tokenizer = Tokenizer::load(&package)?;
    let mut ids = tokenizer.encode(TEXT)?;
    drop(tokenizer.decode(&ids)?);
    ids.truncate(context as usize - 1);
    Ok(run(&package, ids)?)
}

fn run(package: &Arc<Package>, ids: Vec<u32>) -> Result<(), EngineError> {
    let control = &mut Control::default();
    if package.header().kind == Kind::Encoder {
        return Embedder::open(package, 1, &Setup::default())?.embed(&ids, control).map(drop);
    }
    let request = Request {
        max_new: 1 + u32::from(package.header().context > ids.len() as u32 + 1),
        prompt: ids.into(),
        sampling: Sampling { temperature: 700, top_k: 0, top_p: 60_000, seed: [7; 32] },
        stages: 1,
    };
    generate(package, &request, &Setup::default(), control, |_| ControlFlow::Continue(())).map(drop)
}

/// Changes one file.
pub fn change(files: &mut Files, donor: &Files, random: &mut Random) {
    let names: Vec<String> = files.keys().cloned().collect();
    if names.is_empty() {
        return;
    }
    let name = match random.below(4) {
        0 => "header.bin",
        1 => "manifest.json",
        _ => pick(&names, random),
    };
    let Some(bytes) = files.get_mut(name) else { return };
    match random.below(18) {
        0 => drop(files.remove(name)),
        1 => {
            let bytes = bytes.clone();
            files.insert(format!("layer-{:03}.bin", random.below(4)), bytes);
        }
        2 => *bytes = donor.get(name).cloned().unwrap_or_default(),
        3 => mutate::splice(bytes, donor.get(name).map_or(&[], Vec::as_slice), random),
        4..=7 => mutate::bytes(bytes, random),
        _ if name.ends_with(".json") => {
            let mut value = serde_json::from_slice(bytes).unwrap_or(Value::Null);
            mutate::json(&mut value, random);
            *bytes = value.to_string().into_bytes();
        }
        // One word of a header, of statics or of a table; or a few bytes of weights.
        _ if bytes.len() >= 4 => {
            let reach = (bytes.len() / 4).min(if once_in(3, random) { usize::MAX } else { 32 });
            let at = 4 * random.below(reach as u64) as usize;
            let word = match random.below(3) {
                0 => (number(random) as u32).to_le_bytes(),
                1 => (random.signed(70) as i32).to_le_bytes(),
                _ => (random.below(40) as u32).to_le_bytes(),
            };
            bytes[at..at + 4].copy_from_slice(&word);
        }
        _ => bytes.push(1),
    }
}

/// Gives the header the digests of the files and writes the manifest that it asks for, so that what lies behind is reached.
pub fn describe(files: &mut Files) {
    let Some(mut header) = files.get("header.bin").and_then(|bytes| Header::parse(bytes).ok()) else { return };
    let digest = |name: &str| Blake2b::digest(&[files.get(name).map_or(&[], Vec::as_slice)]);
    header.tokenizer = digest(TOKENIZER_FILE);
    header.chat_template = digest(CHAT_TEMPLATE_FILE);
    files.insert("header.bin".into(), header.encode());
    files.insert("manifest.json".into(), manifest_of(&header).to_string().into_bytes());
}

/// The manifest that a header asks for, but for the roots.
pub fn manifest_of(header: &Header) -> Value {
    let root = [3; 32];
    let entries: Vec<Value> = header
        .entries()
        .map(|entry| json!({"file": entry_file(entry), "bytes": header.file_size(entry), "root": Hex(&root).to_string()}))
        .collect();
    let model_root = root_of_roots::<Blake2b>(entries.iter().map(|_| root));
    json!({"format": 1, "spec": 1, "model_root": Hex(&model_root).to_string(), "entries": entries})
}

/// The archive, in memory; the format is that of [`archive`].
pub fn pack(files: &Files) -> Vec<u8> {
    let mut out = b"assaypk1".to_vec();
    out.extend((files.len() as u32).to_le_bytes());
    let index: usize = files.keys().map(|name| 4 + name.len() + 16).sum();
    let mut end = out.len() + index;
    for (name, bytes) in files {
        let offset = end.next_multiple_of(64);
        end = offset + bytes.len();
        out.extend((name.len() as u32).to_le_bytes());
        out.extend(name.as_bytes());
        out.extend((offset as u64).to_le_bytes());
        out.extend((bytes.len() as u64).to_le_bytes());
    }
    for bytes in files.values() {
        out.resize(out.len().next_multiple_of(64), 0);
        out.extend(bytes);
    }
    out
}

#[test]
fn pack_is_what_the_engine_packs() {
    let packages = Packages::new();
    let mut bytes = Vec::new();
    let path = packages.directory.path().join("0");
    archive::pack(&path, &mut bytes).unwrap();
    assert_eq!(pack(&read(&path)), bytes);
}

#[test]
fn seeds_are_packages_that_run() {
    let packages = Packages::new();
    for seed in &packages.seeds {
        fs::write(packages.path(), pack(seed)).unwrap();
        used(Arc::new(Package::open(&packages.path()).unwrap())).unwrap();
    }
}

#[test]
fn fuzz_package_archive_any_input_is_a_result_within_its_memory() {
    fuzz(Packages::new(), 40);
}
