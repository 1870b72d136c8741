//! What the numbers were measured on, and the bandwidth that bounds them.

use std::{hint::black_box, time::Instant};

/// One line per fact about the machine.
pub fn describe(threads: usize) -> String {
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
        "cpu: {}, {available} available, {threads} used\nmemory: {}\nload average before: {load}",
        cpu.as_deref().unwrap_or(std::env::consts::ARCH),
        memory.as_deref().unwrap_or("unknown"),
    )
}

/// Bytes per second of reading memory with `threads` threads, the best of several passes over 1 GiB: the limit
/// of decode, which reads each weight once.
pub fn read_bandwidth(threads: usize) -> f64 {
    let data = vec![1u64; 1 << 27];
    let share = data.len().div_ceil(threads);
    let pass = || {
        std::thread::scope(|scope| {
            for part in data.chunks(share) {
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
    };
    (0..6)
        .map(|_| {
            let start = Instant::now();
            pass();
            (data.len() * 8) as f64 / start.elapsed().as_secs_f64()
        })
        .fold(0.0, f64::max)
}

/// Bytes of memory that can be taken; 0 where the system does not say.
pub fn available_memory() -> usize {
    let info = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = info.lines().find(|line| line.starts_with("MemAvailable"));
    let kib: Option<usize> = line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok());
    kib.unwrap_or(0) << 10
}
