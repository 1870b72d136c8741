//! One connection to a node: typed reads at its best block, RPC requests, subscriptions.

use crate::{
    amount::Token,
    error::{Error, Result},
};
use assay_primitives::{api, traits::ModelInfo, JobHash, ModelId, Params, Receipt, Span};
use codec::{Decode, DecodeAll, Encode};
use serde::de::DeserializeOwned;
use subxt::{
    rpcs::client::{RpcClient, RpcParams, RpcSubscription},
    OnlineClient, PolkadotConfig,
};

/// A connected node.
pub struct Chain {
    /// Where it is.
    pub url: String,
    /// Metadata-checked access, for calls.
    pub api: OnlineClient<PolkadotConfig>,
    /// The chain's token.
    pub token: Token,
    rpc: RpcClient,
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Properties {
    token_symbol: Option<String>,
    token_decimals: Option<u32>,
}

impl Chain {
    /// Connects. Plain `ws://` is refused unless the host is the machine itself: keys sign what this node says.
    pub async fn connect(url: &str, insecure: bool) -> Result<Self> {
        let failed = |reason: String| Error::Connection { url: url.to_string(), reason };
        let rpc = if insecure { RpcClient::from_insecure_url(url).await } else { RpcClient::from_url(url).await }
            .map_err(|e| failed(e.to_string()))?;
        let api = OnlineClient::from_rpc_client(rpc.clone()).await.map_err(|e| failed(e.to_string()))?;
        let properties: Properties = request(&rpc, url, "system_properties", RpcParams::new()).await?;
        let token = Token {
            symbol: properties.token_symbol.unwrap_or_else(|| "UNIT".into()),
            decimals: properties.token_decimals.unwrap_or(12),
        };
        Ok(Self { url: url.to_string(), api, token, rpc })
    }

    /// Hash of block 0.
    pub fn genesis(&self) -> assay_primitives::JobHash {
        self.api.genesis_hash().0.into()
    }

    /// A JSON-RPC request.
    pub async fn request<R: DeserializeOwned>(&self, method: &str, params: RpcParams) -> Result<R> {
        request(&self.rpc, &self.url, method, params).await
    }

    /// A JSON-RPC subscription.
    pub async fn subscribe<R: DeserializeOwned>(
        &self,
        sub: &str,
        params: RpcParams,
        unsub: &str,
    ) -> Result<RpcSubscription<R>> {
        self.rpc.subscribe(sub, params, unsub).await.map_err(|e| rpc_error(&self.url, sub, e))
    }

    /// Calls `InferenceApi_<method>` at the best block, or at the finalized one.
    async fn call<R: Decode>(&self, method: &str, args: impl Encode, finalized: bool) -> Result<R> {
        let name = format!("InferenceApi_{method}");
        let mut params = RpcParams::new();
        let push = |p: &mut RpcParams, v: String| p.push(v).map_err(|e| Error::Usage(e.to_string()));
        push(&mut params, name.clone())?;
        push(&mut params, format!("0x{}", hex::encode(args.encode())))?;
        if finalized {
            let hash: String = self.request("chain_getFinalizedHead", RpcParams::new()).await?;
            push(&mut params, hash)?;
        }
        let answer: String = self.request("state_call", params).await?;
        let unclear = |reason: String| Error::Protocol { what: name.clone(), reason };
        let bytes = hex::decode(answer.trim_start_matches("0x")).map_err(|e| unclear(e.to_string()))?;
        R::decode_all(&mut bytes.as_slice()).map_err(|e| unclear(e.to_string()))
    }

    /// Every model.
    pub async fn models(&self) -> Result<Vec<ModelInfo>> {
        self.call("models", (), false).await
    }

    /// A model by name or by the beginning of its id.
    pub async fn model(&self, name: &str) -> Result<ModelInfo> {
        let models = self.models().await?;
        let hex = name.trim_start_matches("0x").to_lowercase();
        let fits =
            |m: &&ModelInfo| m.name == name.as_bytes() || (hex.len() >= 6 && hex::encode(m.id).starts_with(&hex));
        let mut found = models.iter().filter(fits);
        match (found.next(), found.next()) {
            (Some(m), None) => Ok(m.clone()),
            (Some(_), Some(_)) => Err(Error::Usage(format!("`{name}` names more than one model; give more of its id"))),
            (None, _) => {
                let names: Vec<_> = models.iter().map(|m| String::from_utf8_lossy(&m.name).into_owned()).collect();
                Err(Error::NotFound(format!("no model `{name}`; the chain has: {}", names.join(", "))))
            }
        }
    }

    /// The spans of a template.
    pub async fn template(&self, model: ModelId, template: u8) -> Result<Option<Vec<Span>>> {
        self.call("template", (model, template), false).await
    }

    /// Every provider.
    pub async fn providers(&self) -> Result<Vec<api::ProviderView>> {
        self.call("providers", (), false).await
    }

    /// What a job would cost.
    pub async fn quote(&self, spec: &assay_primitives::JobSpec) -> Result<Option<api::Quote>> {
        self.call("quote", spec, false).await
    }

    /// Parameters of new jobs.
    pub async fn params(&self) -> Result<Params> {
        self.call("params", (), false).await
    }

    /// An open job.
    pub async fn job(&self, job: JobHash) -> Result<Option<api::JobView>> {
        self.call("job", job, false).await
    }

    /// A receipt, at the best block or at the finalized one.
    pub async fn receipt(&self, job: JobHash, finalized: bool) -> Result<Option<Receipt>> {
        self.call("receipt", job, finalized).await
    }
}

async fn request<R: DeserializeOwned>(rpc: &RpcClient, url: &str, method: &str, params: RpcParams) -> Result<R> {
    rpc.request(method, params).await.map_err(|e| rpc_error(url, method, e))
}

fn rpc_error(url: &str, method: &str, error: subxt::rpcs::Error) -> Error {
    match error {
        subxt::rpcs::Error::User(e) => {
            let data = e.data.map(|d| format!(" ({})", d.get().trim_matches('"'))).unwrap_or_default();
            Error::Refused(format!("{}{data}", e.message))
        }
        subxt::rpcs::Error::Deserialization(e) => Error::Protocol { what: method.into(), reason: e.to_string() },
        e => Error::Connection { url: url.into(), reason: e.to_string() },
    }
}
