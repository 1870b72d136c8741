//! `assay embed`: from a text to a verified vector.

use super::{
    order::{self, Settled},
    show,
};
use crate::{
    chain::Chain,
    cli::Embed,
    error::{Error, Result},
    output::Out,
};
use assay_primitives::{JobTask, Output};
use serde_json::json;

/// Runs the command. The vector is printed as a JSON array of real numbers, of unit length up to rounding.
pub async fn run(chain: &Chain, out: Out, args: Embed) -> Result<()> {
    let text = order::read_text(&args.text)?;
    let model = chain.model(&args.model).await?;
    let ids = order::tokenize(chain, &model, &text).await?;
    let length = ids.len() as u64;
    if length > u64::from(model.context) {
        return Err(Error::Usage(format!(
            "the text has {length} tokens, but the model's context is {}; shorten it, or embed it in parts",
            model.context
        )));
    }
    let spec = order::specification(chain, &model, ids, JobTask::Embed, &args.terms).await?;
    let Some(Settled { receipt, .. }) = order::place(chain, out, spec, &args.terms).await? else { return Ok(()) };
    let Output::Vector(vector) = &receipt.output else {
        return Err(Error::BadReceipt("it has no vector".into()));
    };
    out.say(json!(show::real(vector)).to_string());
    show::print_receipt(chain, out, &receipt, None).await
}
