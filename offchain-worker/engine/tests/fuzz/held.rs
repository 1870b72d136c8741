//! Packages as folders, whole or with the files of some layers only, as their holders keep them; and what a stage over those
//! layers makes of boundary rows from elsewhere.

use crate::{
    checkpoint::OnDisk,
    harness::{fuzz, Target},
    mutate::{number, once_in, pick},
    package::{change, describe, seeds, small, Files},
    support::Random,
};
use assay_engine::{
    package::{entry_file, Package, CHAT_TEMPLATE_FILE, TOKENIZER_FILE},
    stage::{Control, EncoderStage, Setup, Stage, StageInput, StageSpec},
    EngineError, Sampling,
};
use assay_exact::{
    header::{Header, Kind},
    layout::Entry,
};
use std::{ops::Range, sync::Arc};

/// Positions of a stage's input.
const POSITIONS: usize = 3;

struct Holders {
    seeds: Vec<Files>,
    disk: OnDisk,
    /// What a stage is fed: as many words as any of the inputs needs.
    rows: Vec<i32>,
}

fn three_layers(header: Header) -> Header {
    Header { layers: 3, ..small(header) }
}

impl Holders {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self { seeds: seeds(directory.path(), three_layers), disk: OnDisk::new(), rows: Vec::new() }
    }
}

/// Leaves what the holder of `span` keeps.
fn keep(files: &mut Files, span: Range<u32>) {
    let Some(header) = files.get("header.bin").and_then(|bytes| Header::parse(bytes).ok()) else { return };
    for entry in header.entries().filter(|entry| *entry != Entry::Header) {
        if !header.span_needs(entry, span.start, span.end) {
            files.remove(&entry_file(entry));
        }
    }
}

impl Target for Holders {
    const NAME: &'static str = "package folder";
    const SHARE: u64 = 40;
    // Entries of 1,024 layers, and the tables of the kernels.
    const BASE: usize = 8 << 20;
    const PER_BYTE: usize = 32;

    fn prepare(&mut self, random: &mut Random) -> usize {
        let mut files = pick(&self.seeds, random).clone();
        for _ in 0..random.below(3) {
            change(&mut files, pick(&self.seeds, random), random);
        }
        if once_in(2, random) {
            describe(&mut files);
        }
        let first = random.below(3) as u32;
        keep(&mut files, first..first + 1 + random.below(u64::from(3 - first)) as u32);
        if once_in(4, random) {
            files.remove(*pick(&[TOKENIZER_FILE, CHAT_TEMPLATE_FILE, "tables.bin", "embed.bin"], random));
        }
        self.rows = (0..POSITIONS * 4096)
            .map(|_| match random.below(4) {
                0 => number(random) as i32,
                1 => pick(&[i32::MIN, i32::MAX, 0], random).to_owned(),
                _ => random.signed(1 << 20) as i32,
            })
            .collect();
        self.disk.hold(files)
    }

    fn run(&mut self) -> Result<(), String> {
        let package = Package::open_held(self.disk.path()).map_err(|error| error.to_string())?;
        // Any package that was opened has semantics, whether or not its bytes are those of its roots.
        drop(package.verify(None));
        let span = package.span();
        let whole = span == (0..package.header().layers);
        assert!(!whole || Package::open(self.disk.path()).is_ok(), "what is held is the whole package");
        step(&Arc::new(package), span, &self.rows).map_err(|error| error.to_string())
    }
}

/// One call of the stage over `span`, and what it commits to.
fn step(package: &Arc<Package>, span: Range<u32>, rows: &[i32]) -> Result<(), EngineError> {
    let header = package.header();
    let positions = POSITIONS.min(header.context.saturating_sub(1) as usize);
    let ids = vec![header.vocab - 1; positions];
    let rows = &rows[..(positions * header.d as usize).min(rows.len())];
    let input = if span.start == 0 { StageInput::Ids(&ids) } else { StageInput::Rows(rows) };
    let (setup, control) = (Setup::default(), &mut Control::default());
    if header.kind == Kind::Encoder {
        return EncoderStage::open(package, span, &setup)?.forward(input, control).map(drop);
    }
    let sampling = Sampling { temperature: 700, top_k: 0, top_p: 60_000, seed: [7; 32] };
    let spec = StageSpec { first: span.start, end: span.end, prompt: ids.clone().into(), max_new: 1, sampling };
    let mut stage = Stage::open(package, spec, &setup)?;
    stage.forward(input, control)?;
    // Fewer positions than a job has, which a stage says.
    drop(stage.finish());
    Ok(())
}

#[test]
fn parts_of_packages_run() {
    let holders = Holders::new();
    let mut disk = OnDisk::new();
    for (files, span) in
        holders.seeds.iter().flat_map(|files| [(files, 0..1), (files, 1..2), (files, 1..3), (files, 0..3)])
    {
        let mut files = files.clone();
        keep(&mut files, span.clone());
        disk.hold(files);
        let package = Package::open_held(disk.path()).unwrap();
        assert_eq!(package.span(), span);
        step(&Arc::new(package), span, &[1 << 14; POSITIONS * 8]).unwrap();
    }
}

#[test]
fn fuzz_package_folder_any_input_is_a_result_within_its_memory() {
    fuzz(Holders::new(), 40);
}
