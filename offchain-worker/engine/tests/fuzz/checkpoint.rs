//! Hugging Face folders of decoders: `config.json`, safetensors with and without an index, the tokenizer, the chat template.

use crate::{
    fixture::{Fixture, ARCHITECTURES},
    harness::{fuzz, Target, TEXT},
    mutate::{self, pick},
    support::Random,
};
use assay_engine::convert::Source;
use serde_json::{json, Value};
use std::{collections::BTreeMap, fs, path::Path};
use tempfile::TempDir;

/// Files by name, which may name a folder too.
pub type Folder = BTreeMap<String, Vec<u8>>;

/// A folder on disk, of which only what changes is written.
pub struct OnDisk {
    directory: TempDir,
    written: Folder,
}

struct Folders {
    seeds: Vec<Folder>,
    disk: OnDisk,
}

impl OnDisk {
    pub fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap(), written: Folder::new() }
    }

    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Makes the folder hold these files; returns their size.
    pub fn hold(&mut self, folder: Folder) -> usize {
        for name in self.written.keys().filter(|name| !folder.contains_key(*name)) {
            fs::remove_file(self.path().join(name)).unwrap();
        }
        for (name, bytes) in folder.iter().filter(|(name, bytes)| self.written.get(*name) != Some(*bytes)) {
            let path = self.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
        self.written = folder;
        self.written.values().map(Vec::len).sum()
    }
}

/// Changes one to three files of a folder; what is taken from elsewhere comes from `seeds`.
pub fn change(folder: &mut Folder, seeds: &[Folder], random: &mut Random) {
    for _ in 0..=random.below(2) {
        let names: Vec<String> = folder.keys().cloned().collect();
        if names.is_empty() {
            return;
        }
        let name = pick(&names, random);
        let donor = pick(seeds, random);
        let Some(bytes) = folder.get_mut(name) else { return };
        match random.below(24) {
            0 => drop(folder.remove(name)),
            // The same file of another model, or a piece of it.
            1 => *bytes = donor.get(name).cloned().unwrap_or_default(),
            2 => mutate::splice(bytes, donor.get(name).map_or(&[], Vec::as_slice), random),
            3..=6 => mutate::bytes(bytes, random),
            _ if name.ends_with(".json") => *bytes = changed_json(bytes, random),
            _ => {
                if let Some(changed) = changed_header(bytes, random) {
                    *bytes = changed;
                }
            }
        }
    }
}

impl Folders {
    fn new() -> Self {
        let mut seeds: Vec<Folder> = ARCHITECTURES.map(|name| written(&Fixture::of(name))).into();
        let mut rich = Fixture::new();
        rich.untie();
        rich.round_to_bf16();
        rich.store_as(safetensors::Dtype::BF16);
        rich.config["rope_scaling"] = json!({"rope_type": "llama3", "factor": 8., "low_freq_factor": 1.,
            "high_freq_factor": 4., "original_max_position_embeddings": 32});
        rich.write_sharded();
        rich.write_file("generation_config.json", r#"{"eos_token_id": [5, 2]}"#);
        let template = json!([{"name": "default", "template": "{{ bos_token }}{{ messages[0].content }}"}]);
        let config = json!({"chat_template": template, "bos_token": {"content": "<s>"}, "eos_token": "</s>"});
        rich.write_file("tokenizer_config.json", config.to_string());
        seeds.push(read(rich.folder()));
        rich.write_file("chat_template.jinja", "{% for m in messages %}{{ m.role }}{{ eos_token }}{% endfor %}");
        seeds.push(read(rich.folder()));
        Self { seeds, disk: OnDisk::new() }
    }
}

pub fn written(fixture: &Fixture) -> Folder {
    fixture.write();
    read(fixture.folder())
}

fn read(folder: &Path) -> Folder {
    let files = fs::read_dir(folder).unwrap().map(|item| item.unwrap().path());
    files.map(|path| (path.file_name().unwrap().to_str().unwrap().into(), fs::read(&path).unwrap())).collect()
}

impl Target for Folders {
    const NAME: &'static str = "checkpoint folder";
    const SHARE: u64 = 80;
    // Names of the tensors of 1,024 layers.
    const BASE: usize = 12 << 20;
    const PER_BYTE: usize = 64;

    fn prepare(&mut self, random: &mut Random) -> usize {
        let mut folder = pick(&self.seeds, random).clone();
        change(&mut folder, &self.seeds, random);
        self.disk.hold(folder)
    }

    fn run(&mut self) -> Result<(), String> {
        let source = Source::open(self.disk.path()).map_err(|error| error.to_string())?;
        source.check_weights().map_err(|error| error.to_string())?;
        source.tokenizer().windows(TEXT, 2, 16).map(drop).map_err(|error| error.to_string())
    }
}

fn changed_json(bytes: &[u8], random: &mut Random) -> Vec<u8> {
    let mut value = serde_json::from_slice(bytes).unwrap_or(Value::Null);
    mutate::json(&mut value, random);
    value.to_string().into_bytes()
}

/// Safetensors with another tensor table, of the right length; `None` if there is none any more.
fn changed_header(bytes: &[u8], random: &mut Random) -> Option<Vec<u8>> {
    let length = u64::from_le_bytes(bytes.get(..8)?.try_into().ok()?) as usize;
    let header = bytes.get(8..8usize.checked_add(length)?)?;
    let changed = changed_json(header, random);
    let mut file = (changed.len() as u64).to_le_bytes().to_vec();
    file.extend(&changed);
    file.extend(&bytes[8 + length..]);
    Some(file)
}

#[test]
fn fuzz_checkpoint_folder_any_input_is_a_result_within_its_memory() {
    fuzz(Folders::new(), 30);
}
