//! Signed calls: built from the types of `assay-primitives`, checked against the node's metadata, submitted, watched.

use crate::{
    chain::Chain,
    cli::Key,
    error::{Error, Result},
};
use codec::Encode;
use std::str::FromStr;
use subxt::{
    config::PolkadotExtrinsicParamsBuilder,
    error::{DispatchError, TransactionEventsError},
    extrinsics::ExtrinsicEvents,
    rpcs::client::RpcParams,
    tx::TransactionStatus,
    PolkadotConfig,
};
use subxt_signer::{sr25519::Keypair, SecretUri};

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
/// has succeeded.
pub async fn submit(chain: &Chain, signer: &Keypair, pallet: &str, call: &str, args: impl Encode) -> Result<Included> {
    let name = format!("{pallet}.{call}");
    let lost = |reason: String| Error::Connection { url: chain.url.clone(), reason };
    let at = chain.api.at_current_block().await.map_err(|e| lost(e.to_string()))?;
    let unknown = || Error::Protocol { what: name.clone(), reason: "the chain has no such call".into() };
    let metadata = at.metadata();
    let pallet_metadata = metadata.pallet_by_name(pallet).ok_or_else(unknown)?;
    let variant = pallet_metadata.call_variant_by_name(call).ok_or_else(unknown)?;
    let mut bytes = vec![pallet_metadata.call_index(), variant.index];
    args.encode_to(&mut bytes);
    let transactions = at.transactions();
    let payload = transactions
        .from_call_data_bytes(&bytes)
        .map_err(|e| Error::Protocol { what: name.clone(), reason: format!("the call's arguments differ: {e}") })?;
    // The pool's view of the nonce, so that several calls in a row need not wait for blocks.
    let account = signer.public_key().to_account_id();
    let mut params = RpcParams::new();
    params.push(account.to_string()).map_err(|e| Error::Usage(e.to_string()))?;
    let nonce: u64 = chain.request("system_accountNextIndex", params).await?;
    let params = PolkadotExtrinsicParamsBuilder::new().nonce(nonce).mortal(64).build();
    let mut progress = at.transactions().sign_and_submit_then_watch(&payload, signer, params).await.map_err(|e| {
        Error::Refused(format!("{name} was not accepted: {}", explain_invalid(&e.to_string(), &account.to_string())))
    })?;
    while let Some(status) = progress.next().await {
        match status.map_err(|e| lost(e.to_string()))? {
            TransactionStatus::InBestBlock(block) | TransactionStatus::InFinalizedBlock(block) => {
                let events = block.wait_for_success().await.map_err(|e| match e {
                    TransactionEventsError::ExtrinsicFailed(e) => {
                        Error::Dispatch { call: name.clone(), reason: explain(&e) }
                    }
                    e => lost(e.to_string()),
                })?;
                return included(&name, format!("{:?}", block.block_hash()), &events);
            }
            TransactionStatus::Error { message }
            | TransactionStatus::Invalid { message }
            | TransactionStatus::Dropped { message } => {
                return Err(Error::Refused(format!(
                    "{name} was not included: {}",
                    explain_invalid(&message, &account.to_string())
                )))
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

/// What the pool says, for people.
fn explain_invalid(message: &str, account: &str) -> String {
    if message.contains("pay some fees") || message.contains("Payment") {
        return format!("{account} cannot pay the fee; transfer some tokens to it");
    }
    message.to_string()
}
