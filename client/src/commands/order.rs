//! From a job's specification to its receipt: what every kind of job has in common.

use super::show;
use crate::{
    chain::Chain,
    cli::Terms,
    error::{Error, Result},
    output::{hex, Out},
    tx::{self, Deadline},
};
use assay_primitives::{
    api::{Quote, StageQuote},
    traits::ModelInfo,
    JobHash, JobInput, JobSpec, JobTask, NoMatch, Receipt, VerificationMode,
};
use codec::Decode;
use serde_json::{json, Value};
use std::time::{Duration, Instant};
use subxt::rpcs::client::RpcParams;

/// A settled job.
pub struct Settled {
    /// Its receipt, which was checked.
    pub receipt: Receipt,
    /// What was streamed of a generation.
    pub streamed: String,
}

/// Submits a job and follows it to its end. None if only a quote or the submission was asked for.
pub async fn place(chain: &Chain, out: Out, spec: JobSpec, terms: &Terms) -> Result<Option<Settled>> {
    let quote = chain.quote(&spec).await?;
    if terms.quote {
        show_quote(chain, out, &spec, quote)?;
        return Ok(None);
    }
    let signer = tx::keypair(&terms.key)?;
    let deadline = Deadline::after(Duration::from_secs(terms.timeout));
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
    if terms.no_wait {
        out.say(hex(job));
        return Ok(None);
    }
    let asked = Asked { job, k: spec.mode.k(), started: deadline.started() };
    let settled = follow(chain, out, asked);
    deadline.keep(settled, |seconds| Error::Timeout { job: hex(job), seconds }).await.map(Some)
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
async fn follow(chain: &Chain, out: Out, asked: Asked) -> Result<Settled> {
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
            Some("settled") => {
                let receipt = receipt_of(chain, asked).await?;
                out.progress(format!("{:>5.1} s  settled", started.elapsed().as_secs_f32()));
                return Ok(Settled { receipt, streamed: text });
            }
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

async fn receipt_of(chain: &Chain, asked: Asked) -> Result<Receipt> {
    let Asked { job, k, .. } = asked;
    let receipt = chain
        .receipt(job, false)
        .await?
        .ok_or_else(|| Error::NotFound(format!("the receipt of {} is gone already", hex(job))))?;
    show::check(&receipt, job, Some(k))?;
    Ok(receipt)
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

/// The text of an argument; `-` is standard input.
pub fn read_text(argument: &str) -> Result<String> {
    let text = if argument == "-" {
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut std::io::stdin().lock(), &mut bytes)
            .map_err(|e| Error::Usage(format!("cannot read the text from standard input: {e}")))?;
        String::from_utf8(bytes)
            .map_err(|e| Error::Usage(format!("the text is not UTF-8: {e}; convert it first, e.g. with iconv")))?
    } else {
        argument.to_string()
    };
    if text.is_empty() {
        return Err(Error::Usage("the text is empty; write at least one character".into()));
    }
    Ok(text)
}

/// Its ids, by the node.
pub async fn tokenize(chain: &Chain, model: &ModelInfo, text: &str) -> Result<Vec<u32>> {
    let mut params = RpcParams::new();
    params.push(hex(model.id)).and_then(|_| params.push(text)).map_err(|e| Error::Usage(e.to_string()))?;
    chain.request("inference_tokenize", params).await
}

/// Builds the specification, refusing early and clearly what the chain would refuse.
pub async fn specification(
    chain: &Chain,
    model: &ModelInfo,
    ids: Vec<u32>,
    task: JobTask,
    terms: &Terms,
) -> Result<JobSpec> {
    let length = ids.len();
    let name = String::from_utf8_lossy(&model.name);
    if !model.kind.does(&task) {
        return Err(Error::Usage(match task {
            JobTask::Generate { .. } => format!("{name} is an encoder: it makes vectors; use `assay embed`"),
            JobTask::Embed => format!("{name} is a decoder: it continues texts; use `assay infer`, or name an encoder"),
        }));
    }
    let input =
        ids.try_into().map_err(|_| Error::Usage(format!("the text has {length} tokens; the chain takes fewer")))?;
    let template = chain.template(model.id, terms.template).await?;
    if template.is_none() {
        return Err(Error::Usage(format!(
            "model {name} has no template {}; `assay models` lists them",
            terms.template
        )));
    }
    let max_price = match &terms.max_price {
        Some(price) => chain.token.parse(price)?,
        None => chain.params().await?.base_price,
    };
    Ok(JobSpec {
        model: model.id,
        template: terms.template,
        input: JobInput::Inline(input),
        task,
        mode: verification(&terms.verify)?,
        max_price,
        insured: chain.token.parse(&terms.insure)?,
        extra_ticks: terms.extra_ticks,
    })
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
    fn read_text_refuses_an_empty_one() {
        assert!(read_text("").unwrap_err().to_string().contains("empty"));
        assert_eq!(read_text("x").unwrap(), "x");
    }
}
