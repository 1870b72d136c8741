//! Signed calls: built from the types of `assay-primitives`, checked against the node's metadata, submitted, watched.

use crate::{
    chain::Chain,
    cli::Key,
    error::{Error, Result},
};
use codec::Encode;
use std::{
    future::Future,
    str::FromStr,
    time::{Duration, Instant},
};
use subxt::{
    client::OnlineClientAtBlockImpl,
    config::PolkadotExtrinsicParamsBuilder,
    error::{DispatchError, TransactionEventsError},
    extrinsics::ExtrinsicEvents,
    rpcs::client::RpcParams,
    tx::{TransactionProgress, TransactionStatus},
    PolkadotConfig,
};
use subxt_signer::{sr25519::Keypair, SecretUri};

type Progress = TransactionProgress<PolkadotConfig, OnlineClientAtBlockImpl<PolkadotConfig>>;

/// Blocks in which a call may be included.
const MORTALITY: u64 = 64;
/// As many blocks of 2 s, and half as much again for slots without a block.
const PATIENCE: Duration = Duration::from_secs(MORTALITY * 3);
/// Times that a call is signed anew because its nonce was taken, and the pause before each. While the best block changes from one
/// fork to another, a node may name a nonce that a call in its pool has.
const RESIGNED: u32 = 8;
const RESIGN_AFTER: Duration = Duration::from_millis(500);

/// When to give up.
#[derive(Clone, Copy)]
pub struct Deadline {
    started: Instant,
    limit: Duration,
}

impl Deadline {
    /// So long from now on.
    pub fn after(limit: Duration) -> Self {
        Self { started: Instant::now(), limit }
    }

    /// Since when it counts.
    pub fn started(&self) -> Instant {
        self.started
    }

    /// Ends `future` when the time is over, with the error that `late` makes of the limit in seconds.
    pub async fn keep<T>(&self, future: impl Future<Output = Result<T>>, late: impl FnOnce(u64) -> Error) -> Result<T> {
        let left = self.limit.saturating_sub(self.started.elapsed());
        tokio::time::timeout(left, future).await.unwrap_or_else(|_| Err(late(self.limit.as_secs())))
    }
}

/// Events of a call that succeeded in a best block.
pub struct Included {
    /// `(pallet, event, SCALE of its fields)`.
    pub events: Vec<(String, String, Vec<u8>)>,
    /// Hash of the block, hex.
    pub block: String,
}

impl Included {
    /// Fields of an event of the call.
    pub fn event(&self, pallet: &str, name: &str) -> Option<&[u8]> {
        self.events.iter().find(|(p, n, _)| p == pallet && n == name).map(|(_, _, f)| f.as_slice())
    }
}

/// Reads a signer.
pub fn keypair(key: &Key) -> Result<Keypair> {
    let secret = match (&key.suri, &key.key_file) {
        (Some(suri), _) => suri.clone(),
        (None, Some(file)) => std::fs::read_to_string(file)
            .map_err(|e| Error::Usage(format!("cannot read the key file {}: {e}", file.display())))?,
        (None, None) => {
            return Err(Error::Usage(
                "who signs? give --key-file FILE or --suri SECRET (on a local test network e.g. --suri //Eve), or set ASSAY_SURI".into(),
            ))
        },
    };
    parse_secret(&secret)
}

/// A secret URI to a key.
pub fn parse_secret(secret: &str) -> Result<Keypair> {
    // The secret itself never goes into a message.
    let bad = |e: String| Error::Usage(format!("the secret is not a mnemonic, 0x seed or derivation path: {e}"));
    let uri = SecretUri::from_str(secret.trim()).map_err(|e| bad(e.to_string()))?;
    Keypair::from_uri(&uri).map_err(|e| bad(e.to_string()))
}

/// Builds `pallet.call(args)` with the indices of the node's metadata, signs and submits it, and waits until it is in a best block and
/// has succeeded, for as long as a block may have it.
pub async fn submit(chain: &Chain, signer: &Keypair, pallet: &str, call: &str, args: impl Encode) -> Result<Included> {
    submit_until(Deadline::after(PATIENCE), chain, signer, pallet, call, args).await
}

/// As [`submit`], but no longer than until `deadline`.
pub async fn submit_until(
    deadline: Deadline,
    chain: &Chain,
    signer: &Keypair,
    pallet: &str,
    call: &str,
    args: impl Encode,
) -> Result<Included> {
    let args = args.encode();
    let mut left = RESIGNED;
    loop {
        match submit_once(deadline, chain, signer, pallet, call, &args).await {
            // It is in no block and will be in none: nothing happens twice.
            Err(Error::NonceTaken { .. }) if left > 0 => left -= 1,
            ended => return ended,
        }
        tokio::time::sleep(RESIGN_AFTER).await;
    }
}

async fn submit_once(
    deadline: Deadline,
    chain: &Chain,
    signer: &Keypair,
    pallet: &str,
    call: &str,
    args: &[u8],
) -> Result<Included> {
    let name = format!("{pallet}.{call}");
    let url = chain.url.clone();
    let progress = deadline
        .keep(send(chain, signer, pallet, call, args), |seconds| Error::NotTaken { call: name.clone(), url, seconds })
        .await?;
    let extrinsic = format!("{:?}", progress.extrinsic_hash());
    let waiting = wait(chain, signer, &name, progress);
    deadline.keep(waiting, |seconds| Error::NotIncluded { call: name.clone(), extrinsic, seconds }).await
}

/// Signs a call and hands it to the node.
async fn send(chain: &Chain, signer: &Keypair, pallet: &str, call: &str, args: &[u8]) -> Result<Progress> {
    let name = format!("{pallet}.{call}");
    let lost = |reason: String| Error::Connection { url: chain.url.clone(), reason };
    let at = chain.api.at_current_block().await.map_err(|e| lost(e.to_string()))?;
    let unknown = || Error::Protocol { what: name.clone(), reason: "the chain has no such call".into() };
    let metadata = at.metadata();
    let pallet_metadata = metadata.pallet_by_name(pallet).ok_or_else(unknown)?;
    let variant = pallet_metadata.call_variant_by_name(call).ok_or_else(unknown)?;
    let mut bytes = vec![pallet_metadata.call_index(), variant.index];
    bytes.extend(args);
    let transactions = at.transactions();
    let payload = transactions
        .from_call_data_bytes(&bytes)
        .map_err(|e| Error::Protocol { what: name.clone(), reason: format!("the call's arguments differ: {e}") })?;
    // The pool's view of the nonce, so that several calls in a row need not wait for blocks.
    let account = signer.public_key().to_account_id();
    let mut params = RpcParams::new();
    params.push(account.to_string()).map_err(|e| Error::Usage(e.to_string()))?;
    let nonce: u64 = chain.request("system_accountNextIndex", params).await?;
    let params = PolkadotExtrinsicParamsBuilder::new().nonce(nonce).mortal(MORTALITY).build();
    at.transactions()
        .sign_and_submit_then_watch(&payload, signer, params)
        .await
        .map_err(|e| refused(&name, Done::Accepted, &e.to_string(), &account.to_string()))
}

/// Waits until a call that was sent is in a best block, and reads what became of it.
async fn wait(chain: &Chain, signer: &Keypair, name: &str, mut progress: Progress) -> Result<Included> {
    let lost = |reason: String| Error::Connection { url: chain.url.clone(), reason };
    let account = signer.public_key().to_account_id();
    while let Some(status) = progress.next().await {
        match status.map_err(|e| lost(e.to_string()))? {
            TransactionStatus::InBestBlock(block) | TransactionStatus::InFinalizedBlock(block) => {
                let events = block.wait_for_success().await.map_err(|e| match e {
                    TransactionEventsError::ExtrinsicFailed(e) => {
                        Error::Dispatch { call: name.into(), reason: explain(&e) }
                    }
                    e => lost(e.to_string()),
                })?;
                return included(name, format!("{:?}", block.block_hash()), &events);
            }
            TransactionStatus::Error { message }
            | TransactionStatus::Invalid { message }
            | TransactionStatus::Dropped { message } => {
                return Err(refused(name, Done::Included, &message, &account.to_string()))
            }
            _ => (),
        }
    }
    Err(lost("the node closed the subscription before the call was included".into()))
}

fn included(name: &str, block: String, events: &ExtrinsicEvents<PolkadotConfig>) -> Result<Included> {
    let mut all = Vec::new();
    for event in events.iter() {
        let event = event.map_err(|e| Error::Protocol { what: format!("events of {name}"), reason: e.to_string() })?;
        all.push((event.pallet_name().to_string(), event.event_name().to_string(), event.field_bytes().to_vec()));
    }
    Ok(Included { events: all, block })
}

/// The error's name and documentation: the pallets write what to change there.
fn explain(error: &DispatchError) -> String {
    if let DispatchError::Module(module) = error {
        if let Ok(details) = module.details() {
            let docs = details.variant.docs.join(" ");
            return format!("{} ({}.{})", docs.trim(), details.pallet.name(), details.variant.name);
        }
    }
    error.to_string()
}

/// What did not become of a call.
#[derive(Clone, Copy)]
enum Done {
    /// The pool took it.
    Accepted,
    /// A block has it.
    Included,
}

impl std::fmt::Display for Done {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Accepted => "accepted",
            Self::Included => "included",
        })
    }
}

/// What the pool says of a call that it does not have (`sc_transaction_pool_api::error`, `InvalidTransaction`), for people.
fn refused(call: &str, done: Done, message: &str, account: &str) -> Error {
    let lower = message.to_lowercase();
    if lower.contains("pay some fees") || lower.contains("payment") {
        return Error::Refused(format!(
            "{call} was not {done}: {account} cannot pay the fee; transfer some tokens to it"
        ));
    }
    if lower.contains("priority") && lower.contains("too low") {
        return Error::NonceTaken { call: call.into(), reason: message.into() };
    }
    if lower.contains("outdated") {
        // A call with this nonce is in a block. One that the pool never had is another; one that it had may be that call.
        return match done {
            Done::Accepted => Error::NonceTaken { call: call.into(), reason: message.into() },
            Done::Included => Error::Refused(format!(
                "{call}: a call with its nonce is in a block, which may be this one: look for its effect before sending it again ({message})"
            )),
        };
    }
    Error::Refused(format!("{call} was not {done}: {message}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refused_tells_a_nonce_that_is_taken_from_other_reasons() {
        let low = "The priority of the transaction is too low (pool 226 > current 226)";
        let low_too = "User error: Priority is too low: (226 vs 226) (1014)";
        let outdated = "Invalid transaction validity: Transaction is outdated (1010)";
        for (done, taken) in [(Done::Included, low), (Done::Accepted, low_too), (Done::Accepted, outdated)] {
            let error = refused("Providers.ask", done, taken, "5Eve");
            assert!(matches!(error, Error::NonceTaken { .. }), "{taken}");
            assert!(error.to_string().contains("send this one again"), "{error}");
        }
        // It was in the pool, and may be in a block: never sent twice.
        let error = refused("Jobs.submit", Done::Included, outdated, "5Eve");
        assert!(matches!(&error, Error::Refused(text) if text.contains("look for its effect")), "{error}");
        let poor = "Invalid Transaction: Inability to pay some fees , e.g. account balance too low (1010)";
        let error = refused("Jobs.submit", Done::Accepted, poor, "5Eve").to_string();
        assert_eq!(error, "Jobs.submit was not accepted: 5Eve cannot pay the fee; transfer some tokens to it");
        assert!(matches!(refused("Jobs.submit", Done::Accepted, "Immediately dropped", "5Eve"), Error::Refused(_)));
    }

    #[tokio::test]
    async fn keep_ends_what_never_comes_with_the_timeouts_code_and_counts_from_the_start() {
        let deadline = Deadline::after(Duration::from_millis(20));
        let late = |seconds| Error::NotIncluded { call: "Jobs.submit".into(), extrinsic: "0x01".into(), seconds };
        assert_eq!(deadline.keep(async { Ok(7) }, late).await.unwrap(), 7);
        let error = deadline.keep(std::future::pending::<Result<()>>(), late).await.unwrap_err();
        assert_eq!(error.exit_code(), 7);
        assert!(error.to_string().contains("was sent and is not included"), "{error}");
        // The second stage of a command has no time of its own.
        let begun = Instant::now();
        let slow = async {
            tokio::time::sleep(Duration::from_secs(60)).await;
            Ok(())
        };
        deadline.keep(slow, late).await.unwrap_err();
        assert!(begun.elapsed() < Duration::from_secs(30));
    }
}
