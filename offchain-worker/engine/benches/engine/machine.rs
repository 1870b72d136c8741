//! What the numbers were measured on, and the bandwidth that bounds them.

use std::{hint::black_box, path::Path, time::Instant};

use super::shape::Error;

/// One line per fact about the machine.
pub fn describe() -> String {
    let cpu = std::fs::read_to_string("/proc/cpuinfo").ok().and_then(|info| {
        let line = info.lines().find(|line| line.starts_with("model name"))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    });
    let memory = std::fs::read_to_string("/proc/meminfo").ok().and_then(|info| {
        let line = info.lines().find(|line| line.starts_with("MemTotal"))?;
        let kib: f64 = line.split_whitespace().nth(1)?.parse().ok()?;
        Some(format!("{:.1} GiB", kib / f64::from(1 << 20)))
    });
    let load = std::fs::read_to_string("/proc/loadavg").ok();
    let load = load.as_deref().and_then(|load| load.split_whitespace().next()).unwrap_or("unknown");
    let available = std::thread::available_parallelism().map_or(0, usize::from);
    format!(
        "cpu: {}, {available} threads\nmemory: {}\nload average before: {load}",
        cpu.as_deref().unwrap_or(std::env::consts::ARCH),
        memory.as_deref().unwrap_or("unknown"),
    )
}

/// What this processor has but code compiled with the features that `about` names does not use.
pub fn lacking(about: &str) -> Vec<&'static str> {
    const FEATURES: [(&str, &str); 6] = [
        ("avx2", "AVX2"),
        ("fma", "FMA"),
        ("f16c", "F16C"),
        ("avx512f", "AVX512"),
        ("avx512_vnni", "AVX512_VNNI"),
        ("avx512_bf16", "AVX512_BF16"),
    ];
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let flags = info.lines().find(|line| line.starts_with("flags")).unwrap_or_default();
    let has = |words: &str, word: &str| words.split([' ', ',', '\t']).any(|w| w == word);
    FEATURES.into_iter().filter(|(flag, name)| has(flags, flag) && !has(about, name)).map(|(_, name)| name).collect()
}

/// Reads memory as fast as it goes: the limit of decode, which reads each weight once.
pub struct Reader {
    /// 1 GiB, far more than any cache holds.
    data: Vec<u64>,
    threads: usize,
}

impl Reader {
    pub fn new(threads: usize) -> Self {
        Self { data: vec![1; 1 << 27], threads }
    }

    /// Bytes per second, the best of three passes.
    pub fn bandwidth(&self) -> f64 {
        let pass = || {
            let begin = Instant::now();
            std::thread::scope(|scope| {
                for part in self.data.chunks(self.data.len().div_ceil(self.threads)) {
                    scope.spawn(move || {
                        // Eight sums: no chain of additions is longer than the memory is slow.
                        let mut sums = [0u64; 8];
                        for eight in part.chunks_exact(8) {
                            for (sum, x) in sums.iter_mut().zip(eight) {
                                *sum = sum.wrapping_add(*x);
                            }
                        }
                        black_box(sums);
                    });
                }
            });
            (self.data.len() * 8) as f64 / begin.elapsed().as_secs_f64()
        };
        (0..3).map(|_| pass()).fold(0.0, f64::max)
    }
}

/// Resident memory of a process, bytes.
#[derive(Clone, Copy, Debug)]
pub struct Resident {
    pub all: usize,
    /// Pages of mapped files: the package's, and the program's own.
    pub mapped: usize,
}

/// What the system says of the process `id`.
pub fn resident(id: u32) -> Result<Resident, Error> {
    let path = format!("/proc/{id}/status");
    let status = std::fs::read_to_string(&path).map_err(|e| format!("{path}: {e}"))?;
    let field = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name));
        let kib: Option<usize> = line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok());
        kib.map(|kib| kib << 10).ok_or_else(|| Error::from(format!("{path}: no {name}")))
    };
    Ok(Resident { all: field("VmRSS:")?, mapped: field("RssFile:")? })
}

/// The bytes of the files of a folder, which are on the disk when this returns: what the system writes later would
/// disturb the measurement.
pub fn settle(folder: &Path) -> Result<usize, Error> {
    let mut bytes = 0;
    for file in std::fs::read_dir(folder)? {
        let file = std::fs::File::open(file?.path())?;
        file.sync_all()?;
        bytes += file.metadata()?.len() as usize;
    }
    Ok(bytes)
}

/// Bytes of memory that can be taken; 0 where the system does not say.
pub fn available_memory() -> usize {
    let info = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = info.lines().find(|line| line.starts_with("MemAvailable"));
    let kib: Option<usize> = line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok());
    kib.unwrap_or(0) << 10
}
