//! Prometheus metrics of the worker.

use crate::compute::Class;
use polkadot_sdk::substrate_prometheus_endpoint::{
    register, Counter, CounterVec, Gauge, HistogramOpts, HistogramVec, Opts, PrometheusError, Registry, U64,
};
use std::time::Duration;

/// Label of the class of work.
const CLASSES: [&str; 3] = ["decode", "prefill", "check"];

#[derive(Clone)]
struct Inner {
    step_seconds: HistogramVec,
    positions: CounterVec<U64>,
    failures: Counter<U64>,
    submissions: CounterVec<U64>,
    tasks: Gauge<U64>,
    pending: Gauge<U64>,
    row_bytes: Gauge<U64>,
    alarm: Gauge<U64>,
}

/// Counters, or none where the node has no registry.
#[derive(Clone, Default)]
pub struct Metrics(Option<Inner>);

impl Metrics {
    /// Registers all metrics. Without a registry, or if one is taken, nothing is counted.
    pub fn new(registry: Option<&Registry>) -> Self {
        let inner = registry.and_then(|registry| match Inner::register(registry) {
            Ok(inner) => Some(inner),
            Err(error) => {
                log::warn!(target: crate::LOG_TARGET, "no metrics: {error}");
                None
            }
        });
        Self(inner)
    }

    /// A piece of inference ended.
    pub fn step(&self, class: Class, positions: usize, time: Duration) {
        if let Some(m) = &self.0 {
            let label = CLASSES[class as usize];
            m.step_seconds.with_label_values(&[label]).observe(time.as_secs_f64());
            m.positions.with_label_values(&[label]).inc_by(positions as u64);
        }
    }

    /// A task failed inside the engine.
    pub fn failed(&self) {
        if let Some(m) = &self.0 {
            m.failures.inc();
        }
    }

    /// An extrinsic reached the pool, or not.
    pub fn submitted(&self, ok: bool) {
        if let Some(m) = &self.0 {
            m.submissions.with_label_values(&[if ok { "pooled" } else { "refused" }]).inc();
        }
    }

    /// The present state.
    pub fn state(&self, tasks: usize, pending: usize, row_bytes: usize, alarm: bool) {
        if let Some(m) = &self.0 {
            m.tasks.set(tasks as u64);
            m.pending.set(pending as u64);
            m.row_bytes.set(row_bytes as u64);
            m.alarm.set(alarm.into());
        }
    }
}

impl Inner {
    fn register(registry: &Registry) -> Result<Self, PrometheusError> {
        let counters = |name: &str, help: &str, label: &str| CounterVec::new(Opts::new(name, help), &[label]);
        Ok(Self {
            step_seconds: register(
                HistogramVec::new(
                    HistogramOpts::new("assay_inference_step_seconds", "Time of one piece of inference")
                        .buckets(vec![0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0]),
                    &["class"],
                )?,
                registry,
            )?,
            positions: register(counters("assay_inference_positions_total", "Positions computed", "class")?, registry)?,
            failures: register(
                Counter::new("assay_inference_failures_total", "Tasks that failed inside the engine")?,
                registry,
            )?,
            submissions: register(
                counters("assay_inference_submissions_total", "Extrinsics of the worker", "result")?,
                registry,
            )?,
            tasks: register(Gauge::new("assay_inference_tasks", "Stages executed or checked now")?, registry)?,
            pending: register(
                Gauge::new("assay_inference_answers_pending", "Answers that are not yet on chain")?,
                registry,
            )?,
            row_bytes: register(Gauge::new("assay_inference_row_bytes", "Boundary rows kept, bytes")?, registry)?,
            alarm: register(
                Gauge::new(
                    "assay_inference_alarm",
                    "1 when the worker stopped because this machine contradicts itself",
                )?,
                registry,
            )?,
        })
    }
}
