//! `assay infer`: from a prompt to a verified answer.

use super::show;
use crate::{
    chain::Chain,
    cli::Infer,
    error::{Error, Result},
    output::{hex, Out},
    tx::{self, Deadline},
};
use assay_primitives::{
    api::{Quote, StageQuote},
    traits::ModelInfo,
    JobHash, JobInput, JobSpec, NoMatch, SamplingParams, VerificationMode, MAX_NEW_TOKENS,
};
use codec::Decode;
use serde_json::{json, Value};
use std::time::{Duration, Instant};
use subxt::rpcs::client::RpcParams;

/// Runs the command.
pub async fn run(chain: &Chain, out: Out, args: Infer) -> Result<()> {
    let prompt = read_prompt(&args.prompt)?;
    let model = chain.model(&args.model).await?;
    let ids = tokenize(chain, &model, &prompt).await?;
    let spec = specification(chain, &model, ids, &args).await?;
    let quote = chain.quote(&spec).await?;
    if args.quote {
        return show_quote(chain, out, &spec, quote);
    }
    let signer = tx::keypair(&args.key)?;
    let deadline = Deadline::after(Duration::from_secs(args.timeout));
    let included = tx::submit_until(deadline, chain, &signer, "Jobs", "submit", &spec)
        .await
        .map_err(|e| with_reasons(e, quote.as_ref()))?;
    let fields = included
        .event("Jobs", "Submitted")
        .ok_or_else(|| Error::Protocol { what: "Jobs.submit".into(), reason: "no Submitted event".into() })?;
    let job = JobHash::decode(&mut &fields[..])
        .map_err(|e| Error::Protocol { what: "Jobs.Submitted".into(), reason: e.to_string() })?;
    out.event(json!({ "event": "submitted", "job": hex(job), "block": included.block }));
    out.progress(format!("job {} submitted in block {}", hex(job), included.block));
    if args.no_wait {
        out.say(hex(job));
        return Ok(());
    }
    let asked = Asked { job, k: spec.mode.k(), started: deadline.started() };
    deadline.keep(follow(chain, out, asked), |seconds| Error::Timeout { job: hex(job), seconds }).await
}

/// A job that was submitted.
#[derive(Clone, Copy)]
struct Asked {
    job: JobHash,
    /// Controllers per stage.
    k: u8,
    started: Instant,
}

/// Streams a job to its end.
async fn follow(chain: &Chain, out: Out, asked: Asked) -> Result<()> {
    let Asked { job, started, .. } = asked;
    let mut params = RpcParams::new();
    params.push(hex(job)).map_err(|e| Error::Usage(e.to_string()))?;
    let mut frames = chain.subscribe::<Value>("inference_subscribeJob", params, "inference_unsubscribeJob").await?;
    let mut text = String::new();
    while let Some(frame) = frames.next().await {
        let frame =
            frame.map_err(|e| Error::Protocol { what: "inference_subscribeJob".into(), reason: e.to_string() })?;
        out.event(frame.clone());
        match frame["event"].as_str() {
            Some("token") => {
                let piece = frame["text"].as_str().unwrap_or_default();
                text.push_str(piece);
                out.piece(piece);
            }
            Some("restarted") => {
                // Another attempt: what was streamed was provisional.
                text.clear();
                out.say("");
                out.progress(format!("attempt {} starts over", frame["attempt"]));
            }
            Some("phase") => {
                if !text.is_empty() && frame["phase"] == "Drawing" {
                    out.say("");
                }
                out.progress(format!(
                    "{:>5.1} s  {}",
                    started.elapsed().as_secs_f32(),
                    describe(frame["phase"].as_str().unwrap_or("?"))
                ));
            }
            Some("settled") => return finish(chain, out, asked, &text).await,
            Some("refunded") => {
                return Err(Error::Refunded {
                    job: hex(job),
                    reason: frame["reason"].as_str().unwrap_or("unknown").into(),
                })
            }
            Some("error") => {
                return Err(Error::Refused(frame["message"].as_str().unwrap_or("the node ended the stream").into()))
            }
            _ => (),
        }
    }
    Err(Error::Connection { url: chain.url.clone(), reason: "the stream ended before the job did".into() })
}

async fn finish(chain: &Chain, out: Out, asked: Asked, streamed: &str) -> Result<()> {
    let Asked { job, k, started } = asked;
    let receipt = chain
        .receipt(job, false)
        .await?
        .ok_or_else(|| Error::NotFound(format!("the receipt of {} is gone already", hex(job))))?;
    show::check(&receipt, job, Some(k))?;
    let mut params = RpcParams::new();
    params
        .push(hex(receipt.model))
        .and_then(|_| params.push(receipt.output.to_vec()))
        .map_err(|e| Error::Usage(e.to_string()))?;
    let answer: String = chain.request("inference_detokenize", params).await?;
    if answer != streamed {
        // What the network verified counts, not what one executor streamed.
        out.say(format!("\nthe verified answer differs from what was streamed; it is:\n{answer}"));
    }
    out.progress(format!("{:>5.1} s  settled", started.elapsed().as_secs_f32()));
    show::print_receipt(chain, out, &receipt, Some(&answer)).await
}

fn describe(phase: &str) -> String {
    match phase {
        "Running" => "running: the stages execute".into(),
        "Drawing" => "all stages committed; waiting for the beacon to draw checkers".into(),
        "Checking" => "checkers re-execute the answer".into(),
        "Revealing" => "all checkers agree; opening the commitments".into(),
        "Escalated" => "a checker dissents; the span's holders vote".into(),
        "Requeue" => "the attempt failed; dispatching again".into(),
        other => other.to_lowercase(),
    }
}

fn read_prompt(argument: &str) -> Result<String> {
    let prompt = if argument == "-" {
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut std::io::stdin().lock(), &mut bytes)
            .map_err(|e| Error::Usage(format!("cannot read the prompt from standard input: {e}")))?;
        String::from_utf8(bytes)
            .map_err(|e| Error::Usage(format!("the prompt is not UTF-8: {e}; convert it first, e.g. with iconv")))?
    } else {
        argument.to_string()
    };
    if prompt.is_empty() {
        return Err(Error::Usage("the prompt is empty; write at least one character".into()));
    }
    Ok(prompt)
}

async fn tokenize(chain: &Chain, model: &ModelInfo, prompt: &str) -> Result<Vec<u32>> {
    let mut params = RpcParams::new();
    params.push(hex(model.id)).and_then(|_| params.push(prompt)).map_err(|e| Error::Usage(e.to_string()))?;
    chain.request("inference_tokenize", params).await
}

/// Builds the specification, refusing early and clearly what the chain would refuse.
async fn specification(chain: &Chain, model: &ModelInfo, ids: Vec<u32>, args: &Infer) -> Result<JobSpec> {
    let length = ids.len() as u64;
    if args.max_new_tokens == 0 || args.max_new_tokens > MAX_NEW_TOKENS {
        return Err(Error::Usage(format!("--max-new-tokens must be 1 to {MAX_NEW_TOKENS}")));
    }
    if length + u64::from(args.max_new_tokens) > u64::from(model.context) {
        return Err(Error::Usage(format!(
            "the prompt has {length} tokens and --max-new-tokens asks for {}, but the model's context is {}; shorten one of them",
            args.max_new_tokens, model.context
        )));
    }
    let input =
        ids.try_into().map_err(|_| Error::Usage(format!("the prompt has {length} tokens; the chain takes fewer")))?;
    let mode = verification(&args.verify)?;
    let template = chain.template(model.id, args.template).await?;
    if template.is_none() {
        return Err(Error::Usage(format!(
            "model {} has no template {}; `assay models` lists them",
            args.model, args.template
        )));
    }
    let max_price = match &args.max_price {
        Some(price) => chain.token.parse(price)?,
        None => chain.params().await?.base_price,
    };
    Ok(JobSpec {
        model: model.id,
        template: args.template,
        input: JobInput::Inline(input),
        max_new_tokens: args.max_new_tokens,
        sampling: SamplingParams {
            temperature: thousandths("--temperature", args.temperature, 1_000.0, f64::from(u16::MAX))? as u16,
            top_k: args.top_k,
            top_p: thousandths("--top-p", args.top_p, 65_536.0, 65_536.0)?.max(1),
            seed: seed(args.seed.as_deref())?,
        },
        mode,
        max_price,
        insured: chain.token.parse(&args.insure)?,
        extra_ticks: args.extra_ticks,
    })
}

fn thousandths(name: &str, value: f64, scale: f64, max: f64) -> Result<u32> {
    let scaled = (value * scale).round();
    if !scaled.is_finite() || scaled < 0.0 || scaled > max {
        return Err(Error::Usage(format!("{name} must be 0 to {}", max / scale)));
    }
    Ok(scaled as u32)
}

fn verification(text: &str) -> Result<VerificationMode> {
    match text.split_once(':') {
        None if text == "none" => Ok(VerificationMode::None),
        Some(("quorum", k)) => match k.parse() {
            Ok(k) if k >= 2 => Ok(VerificationMode::Quorum { k }),
            _ => {
                Err(Error::Usage(format!("`{k}` controllers cannot check each other: write quorum:2 or more, or none")))
            }
        },
        _ => Err(Error::Usage(format!("`{text}` is not a way of checking: write quorum:K or none"))),
    }
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

fn show_quote(chain: &Chain, out: Out, spec: &JobSpec, quote: Option<Quote>) -> Result<()> {
    let quote = quote.ok_or_else(|| {
        Error::Refused("the chain refuses this specification; run without --quote for the reason".into())
    })?;
    out.event(json!({
        "event": "quote",
        "escrow": quote.escrow.to_string(),
        "stages": quote.stages.iter().map(|StageQuote { span, work, award }| json!({
            "first": span.first, "end": span.end, "work": work,
            "executor": award.as_ref().ok().map(|(a, _)| a.to_string()),
            "price": award.as_ref().ok().map(|(_, p)| p.to_string()),
            "reason": award.as_ref().err().map(|r| format!("{r:?}")),
        })).collect::<Vec<_>>(),
    }));
    out.say(format!("held at submission: {}", chain.token.show(quote.escrow)));
    for StageQuote { span, work, award } in &quote.stages {
        out.say(match award {
            Ok((executor, price)) => format!(
                "  layers {}..{}  {work} work units  {executor} at {}",
                span.first,
                span.end,
                chain.token.show(*price)
            ),
            Err(reason) => {
                format!("  layers {}..{}  {work} work units  nobody: {}", span.first, span.end, no_match(*reason, spec))
            }
        });
    }
    Ok(())
}

/// Adds the reason of each unmatched stage to a refusal.
fn with_reasons(error: Error, quote: Option<&Quote>) -> Error {
    let (Error::Dispatch { call, reason }, Some(quote)) = (&error, quote) else { return error };
    let missing: Vec<_> = quote
        .stages
        .iter()
        .filter_map(|StageQuote { span, award, .. }| {
            award.as_ref().err().map(|r| format!("layers {}..{}: {r:?}", span.first, span.end))
        })
        .collect();
    if missing.is_empty() {
        return error;
    }
    Error::Dispatch { call: call.clone(), reason: format!("{reason} [{}]", missing.join("; ")) }
}

fn no_match(reason: NoMatch, spec: &JobSpec) -> String {
    match reason {
        NoMatch::NoHolder => "no provider holds these layers".into(),
        NoMatch::NotUsable => {
            "the providers of these layers are draining or their asks are too new; try again in a few blocks".into()
        }
        NoMatch::Price => format!(
            "every ask is above the reserve price or your maximum of {} units; raise --max-price",
            spec.max_price
        ),
        NoMatch::Exposure => {
            "no provider has enough free bond to back this job; ask for fewer tokens or less insurance".into()
        }
        NoMatch::Capacity => "all providers are busy; try again later".into(),
        NoMatch::NotVerifiable => {
            format!(
                "too few providers hold these layers, or are free to check them, for quorum:{}; try again later, or choose a \
                 smaller K or none",
                spec.mode.k()
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verification_reads_modes_and_explains_others() {
        assert_eq!(verification("none").unwrap(), VerificationMode::None);
        assert_eq!(verification("quorum:3").unwrap(), VerificationMode::Quorum { k: 3 });
        for bad in ["", "quorum", "quorum:", "quorum:1", "quorum:0", "quorum:999", "proof"] {
            assert!(verification(bad).unwrap_err().to_string().contains("quorum:"), "{bad}");
        }
    }

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

    #[test]
    fn read_prompt_refuses_an_empty_one() {
        assert!(read_prompt("").unwrap_err().to_string().contains("empty"));
        assert_eq!(read_prompt("x").unwrap(), "x");
    }
}
