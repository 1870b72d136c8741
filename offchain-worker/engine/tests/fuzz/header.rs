//! A package's header and manifest in memory: what they describe is asked for, but never there.

use crate::{
    harness::{fuzz, Target},
    mutate::{self, number, once_in, pick},
    package::{manifest_of, small},
    support::{all_flags, bert, llama, Random},
};
use assay_engine::package::{entry_of_file, Manifest};
use assay_exact::header::{Header, Placement};
use serde_json::Value;

struct Headers {
    seeds: Vec<Header>,
    header: Vec<u8>,
    manifest: Vec<u8>,
}

impl Headers {
    fn new() -> Self {
        let seeds =
            [llama(), all_flags(Placement::Sandwich), Header { experts: 3, experts_per_token: 2, ..llama() }, bert()];
        Self { seeds: seeds.map(small).into(), header: Vec::new(), manifest: Vec::new() }
    }
}

impl Target for Headers {
    const NAME: &'static str = "header and manifest";
    const SHARE: u64 = 340;
    // Names of the entries of 1,024 layers.
    const BASE: usize = 1 << 20;
    const PER_BYTE: usize = 32;

    fn prepare(&mut self, random: &mut Random) -> usize {
        let header = pick(&self.seeds, random);
        self.header = header.encode();
        for _ in 0..random.below(4) {
            let at = 4 * random.below(self.header.len() as u64 / 4) as usize;
            let word = if once_in(2, random) { number(random) as u32 } else { random.below(70) as u32 };
            self.header[at..at + 4].copy_from_slice(&word.to_le_bytes());
        }
        if once_in(4, random) {
            mutate::bytes(&mut self.header, random);
        }
        let mut manifest = manifest_of(header);
        if !once_in(4, random) {
            mutate::json(&mut manifest, random);
        }
        self.manifest = manifest.to_string().into_bytes();
        if once_in(4, random) {
            mutate::bytes(&mut self.manifest, random);
        }
        self.header.len() + self.manifest.len()
    }

    fn run(&mut self) -> Result<(), String> {
        let header = Header::parse(&self.header).map_err(|error| error.to_string());
        if let Ok(header) = &header {
            assert_eq!(header.encode(), self.header, "a header has one encoding");
            // What a loader computes from it before it has seen a file.
            let mut total = 0u64;
            for entry in header.entries() {
                let size = header.file_size(entry);
                let parts = header.file_parts(entry).last().map_or(0, |(start, part)| start + part.layout.size());
                assert_eq!(size, parts, "a file ends with its last part");
                total = total.checked_add(size).expect("limits keep a model below 2^64 bytes");
            }
            assert!(entry_of_file(header, "layer-1024.bin").is_none());
        }
        let manifest = Manifest::parse(&self.manifest).map_err(|error| error.to_string())?;
        serde_json::to_value(&manifest).map(|_: Value| ()).map_err(|error| error.to_string())?;
        header.map(drop)
    }
}

#[test]
fn fuzz_header_and_manifest_any_input_is_a_result_within_its_memory() {
    fuzz(Headers::new(), 20);
}
