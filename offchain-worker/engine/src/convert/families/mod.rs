//! Model families: one small file each, mapping a Hugging Face `config.json` and its tensor names onto the graph of
//! `docs/exact.md`. To add one, write its file and name it in [`FAMILIES`].

mod base;
pub(super) mod bert;
mod gemma2;
mod gemma3;
mod llama;
mod mistral;
mod mixtral;
mod qwen2;
mod qwen3;
mod qwen3_moe;

use super::{
    checkpoint::Checkpoint,
    config::ConfigFile,
    error::{ConvertError, Result},
    plan::DecoderPlan,
};

/// One supported architecture.
pub(crate) struct Family {
    /// The name in `architectures`.
    architecture: &'static str,
    /// Reads the configuration.
    plan: fn(&ConfigFile) -> Result<DecoderPlan>,
    /// Tensors that may be present and are rightly ignored.
    ignored: fn(&str) -> bool,
}

const FAMILIES: &[Family] = &[
    llama::FAMILY,
    mistral::FAMILY,
    mixtral::FAMILY,
    qwen2::FAMILY,
    qwen3::FAMILY,
    qwen3_moe::FAMILY,
    gemma2::FAMILY,
    gemma3::FAMILY,
];

impl Family {
    /// The family that `config.json` names.
    pub(crate) fn of(config: &ConfigFile) -> Result<&'static Family> {
        let found: Vec<&str> = match config.get("architectures") {
            Some(serde_json::Value::Array(names)) => names.iter().filter_map(serde_json::Value::as_str).collect(),
            Some(_) => return Err(config.problem("architectures", "must be a list of strings")),
            None => return Err(config.problem("architectures", "missing")),
        };
        FAMILIES.iter().find(|family| found == [family.architecture]).ok_or_else(|| ConvertError::Architecture {
            path: config.path().into(),
            found: format!("[{}]", found.join(", ")),
            supported: FAMILIES.iter().map(|family| family.architecture).chain(bert::ARCHITECTURES).collect(),
        })
    }

    /// The plan, with all limits of section 2 on its sizes checked.
    pub(crate) fn plan(&self, config: &ConfigFile) -> Result<DecoderPlan> {
        (self.plan)(config)
    }

    /// Checks that the checkpoint has every tensor of the plan in its shape, and no tensor that the plan would ignore.
    pub(crate) fn check_tensors(&self, plan: &DecoderPlan, checkpoint: &Checkpoint) -> Result<()> {
        // Each name is checked as it is made: a checkpoint without the first of a million experts ends this here.
        let mut known = std::collections::BTreeSet::new();
        for (name, shape) in plan.tensors() {
            checkpoint.check(&name, &shape)?;
            known.insert(name);
        }
        let head = plan.names.head();
        match checkpoint
            .names()
            .find(|name| !(known.contains(*name) || (self.ignored)(name) || (plan.tied && *name == head)))
        {
            None => Ok(()),
            Some(name) => Err(ConvertError::UnexpectedTensor {
                path: checkpoint.path_of(name).into(),
                tensor: checkpoint.described(name),
                architecture: self.architecture,
            }),
        }
    }
}
