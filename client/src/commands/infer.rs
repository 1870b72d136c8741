//! `assay infer`: from a prompt to a verified answer.

use super::{
    order::{self, Settled},
    show,
};
use crate::{
    chain::Chain,
    cli::Infer,
    error::{Error, Result},
    output::{hex, Out},
};
use assay_primitives::{traits::ModelInfo, JobTask, SamplingParams, MAX_NEW_TOKENS};
use subxt::rpcs::client::RpcParams;

/// Runs the command.
pub async fn run(chain: &Chain, out: Out, args: Infer) -> Result<()> {
    let prompt = order::read_text(&args.prompt)?;
    let model = chain.model(&args.model).await?;
    let ids = order::tokenize(chain, &model, &prompt).await?;
    let task = task(&model, ids.len() as u64, &args)?;
    let spec = order::specification(chain, &model, ids, task, &args.terms).await?;
    let Some(Settled { receipt, streamed }) = order::place(chain, out, spec, &args.terms).await? else { return Ok(()) };
    let mut params = RpcParams::new();
    params
        .push(hex(receipt.model))
        .and_then(|_| params.push(receipt.output.ids()))
        .map_err(|e| Error::Usage(e.to_string()))?;
    let answer: String = chain.request("inference_detokenize", params).await?;
    if answer != streamed {
        // What the network verified counts, not what one executor streamed.
        out.say(format!("\nthe verified answer differs from what was streamed; it is:\n{answer}"));
    }
    show::print_receipt(chain, out, &receipt, Some(&answer)).await
}

fn task(model: &ModelInfo, length: u64, args: &Infer) -> Result<JobTask> {
    if args.max_new_tokens == 0 || args.max_new_tokens > MAX_NEW_TOKENS {
        return Err(Error::Usage(format!("--max-new-tokens must be 1 to {MAX_NEW_TOKENS}")));
    }
    if length + u64::from(args.max_new_tokens) > u64::from(model.context) {
        return Err(Error::Usage(format!(
            "the prompt has {length} tokens and --max-new-tokens asks for {}, but the model's context is {}; shorten one of them",
            args.max_new_tokens, model.context
        )));
    }
    Ok(JobTask::Generate {
        max_new_tokens: args.max_new_tokens,
        sampling: SamplingParams {
            temperature: thousandths("--temperature", args.temperature, 1_000.0, f64::from(u16::MAX))? as u16,
            top_k: args.top_k,
            top_p: thousandths("--top-p", args.top_p, 65_536.0, 65_536.0)?.max(1),
            seed: seed(args.seed.as_deref())?,
        },
    })
}

fn thousandths(name: &str, value: f64, scale: f64, max: f64) -> Result<u32> {
    let scaled = (value * scale).round();
    if !scaled.is_finite() || scaled < 0.0 || scaled > max {
        return Err(Error::Usage(format!("{name} must be 0 to {}", max / scale)));
    }
    Ok(scaled as u32)
}

fn seed(text: Option<&str>) -> Result<[u8; 32]> {
    let mut seed = [0u8; 32];
    match text {
        None => getrandom::fill(&mut seed)
            .map_err(|e| Error::Usage(format!("no randomness for a seed: {e}; give --seed")))?,
        Some(text) => match text.parse::<u64>() {
            Ok(number) => seed[..8].copy_from_slice(&number.to_le_bytes()),
            Err(_) => hex::decode_to_slice(text.trim_start_matches("0x"), &mut seed)
                .map_err(|_| Error::Usage(format!("`{text}` is not a seed: write a number or 64 hex digits")))?,
        },
    }
    Ok(seed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sampling_numbers_are_scaled_and_bounded() {
        assert_eq!(thousandths("--temperature", 0.7, 1_000.0, 65_535.0).unwrap(), 700);
        assert_eq!(thousandths("--top-p", 1.0, 65_536.0, 65_536.0).unwrap(), 65_536);
        for bad in [-0.1, f64::NAN, f64::INFINITY, 66.0] {
            assert!(thousandths("--temperature", bad, 1_000.0, 65_535.0).is_err(), "{bad}");
        }
    }

    #[test]
    fn seed_reads_numbers_and_hex() {
        assert_eq!(seed(Some("7")).unwrap()[0], 7);
        assert_eq!(seed(Some(&"0a".repeat(32))).unwrap(), [10; 32]);
        assert!(seed(Some("x")).is_err());
        assert_ne!(seed(None).unwrap(), seed(None).unwrap());
    }
}
