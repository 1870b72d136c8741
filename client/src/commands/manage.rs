//! Commands of providers and validators: bonds, registration, asks.

use crate::{
    chain::Chain,
    cli::{Ask as AskArgs, Bond, Key, Register},
    error::{Error, Result},
    output::{hex, Out},
    tx,
};
use assay_primitives::{digest, AccountId, Ask, Balance, HardwareProfile, Span, SpanKey, SPEC_ID};
use codec::{Compact, Encode};
use serde_json::json;
use subxt_signer::sr25519::Keypair;

/// `pallet_assay_staking::Part`, by its codec indices.
#[derive(Clone, Copy, Encode)]
enum Part {
    #[codec(index = 0)]
    Validator,
    #[codec(index = 1)]
    Provider,
}

impl Part {
    fn parse(text: &str) -> Self {
        // clap lets only these two through.
        if text == "validator" {
            Self::Validator
        } else {
            Self::Provider
        }
    }
}

fn account(key: &Keypair) -> AccountId {
    AccountId::new(key.public_key().0)
}

fn positive(chain: &Chain, text: &str) -> Result<Balance> {
    match chain.token.parse(text)? {
        0 => Err(Error::Usage("the amount must be more than nothing".into())),
        amount => Ok(amount),
    }
}

pub fn report(out: Out, what: &str, text: String, block: &str) {
    out.event(json!({ "event": what, "block": block }));
    out.say(format!("{text} (block {block})"));
}

/// `assay bond`.
pub async fn bond(chain: &Chain, out: Out, args: Bond) -> Result<()> {
    let amount = positive(chain, &args.amount)?;
    let signer = tx::keypair(&args.key)?;
    let done = tx::submit(chain, &signer, "Staking", "bond", (Part::parse(&args.part), Compact(amount))).await?;
    report(out, "bonded", format!("bonded {} as {}", chain.token.show(amount), args.part), &done.block);
    Ok(())
}

/// `assay unbond`.
pub async fn unbond(chain: &Chain, out: Out, args: Bond) -> Result<()> {
    let amount = positive(chain, &args.amount)?;
    let signer = tx::keypair(&args.key)?;
    let done = tx::submit(chain, &signer, "Staking", "unbond", (Part::parse(&args.part), Compact(amount))).await?;
    let text = format!(
        "{} is unbonding; it can still be slashed, and `assay withdraw` returns it after the unbonding period",
        chain.token.show(amount)
    );
    report(out, "unbonding", text, &done.block);
    Ok(())
}

/// `assay withdraw`.
pub async fn withdraw(chain: &Chain, out: Out, key: Key, part: &str) -> Result<()> {
    let signer = tx::keypair(&key)?;
    let done = tx::submit(chain, &signer, "Staking", "withdraw_unbonded", Part::parse(part)).await?;
    report(out, "withdrawn", format!("withdrew what had finished unbonding of the {part} part"), &done.block);
    Ok(())
}

/// `assay ask`.
pub async fn ask(chain: &Chain, out: Out, args: AskArgs) -> Result<()> {
    let model = chain.model(&args.model).await?;
    let key = SpanKey { model: model.id, span: parse_span(&args.span)? };
    let signer = tx::keypair(&args.key)?;
    if args.withdraw {
        let done = tx::submit(chain, &signer, "Providers", "withdraw_ask", key).await?;
        report(out, "withdrawn", format!("withdrew the ask for layers {}", args.span), &done.block);
        return Ok(());
    }
    let price = args.price.as_deref().ok_or_else(|| Error::Usage("give --price, or --withdraw".into()))?;
    let ask =
        Ask { price: chain.token.parse(price)?, slots: args.slots, check_slots: args.check_slots, rate: args.rate };
    let done = tx::submit(chain, &signer, "Providers", "ask", (key, &ask)).await?;
    let text = format!("asks {} per work unit for layers {} of {}", chain.token.show(ask.price), args.span, args.model);
    report(out, "asked", text, &done.block);
    Ok(())
}

/// `assay register`.
pub async fn register(chain: &Chain, out: Out, args: Register) -> Result<()> {
    let signer = tx::keypair(&args.key)?;
    let worker = tx::parse_secret(&args.worker_suri)?;
    let controller = account(&signer);
    let proof = digest::worker_proof(chain.genesis(), &controller, 0);
    let signature = worker.sign(proof.as_bytes());
    let too_long = |what: &str| Error::Usage(format!("{what} is too long"));
    let hardware = HardwareProfile {
        threads: args.threads,
        memory_mib: args.memory_mib,
        accelerators: args.accelerators.into_bytes().try_into().map_err(|_| too_long("--accelerators"))?,
        kernel: Default::default(),
    };
    // Bit i of the bitmap: spec i is supported.
    let specs = 1u32 << SPEC_ID;
    let done =
        tx::submit(chain, &signer, "Providers", "register", (account(&worker), signature.0, hardware, specs)).await?;
    report(out, "registered", format!("{controller} is a provider; its worker is {}", account(&worker)), &done.block);
    out.progress(format!(
        "next: put the worker key into the node's keystore (author_insertKey, type asay, public key {}), fund the worker account for fees, bond, and ask",
        hex(worker.public_key().0)
    ));
    Ok(())
}

/// `first..end`.
pub fn parse_span(text: &str) -> Result<Span> {
    let parsed = text.split_once("..").and_then(|(a, b)| Some(Span { first: a.parse().ok()?, end: b.parse().ok()? }));
    match parsed {
        Some(span) if span.first < span.end => Ok(span),
        _ => Err(Error::Usage(format!("`{text}` is not a span of layers: write e.g. 0..4; `assay models` lists them"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parse_span_reads_ranges_and_explains_others() {
        assert_eq!(parse_span("0..4").unwrap(), Span { first: 0, end: 4 });
        for bad in ["", "4", "4..4", "5..4", "0...4", "a..b", "0..99999999"] {
            assert!(parse_span(bad).unwrap_err().to_string().contains("span of layers"), "{bad}");
        }
    }
}
