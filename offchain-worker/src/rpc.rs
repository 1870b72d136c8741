//! JSON-RPC of inference: streams and conveniences. State is read through the chain's own view functions and runtime API.
//!
//! | method | gives |
//! |---|---|
//! | `inference_subscribeJob(job)` | the job's tokens as they are drawn, its phases, its receipt ([`StreamItem`]) |
//! | `inference_tokenize(model, text)` | the text's token ids, to be put into a `JobSpec` |
//! | `inference_detokenize(model, ids)` | the ids' text |
//! | `inference_models()` | models in the registry and on this node |
//! | `inference_status()` | this node's worker |

use crate::{
    chain::{Chain, Watched},
    engine::{Engine, EngineError, LocalModel},
    stream::{StreamHub, StreamItem},
};
use assay_primitives::{traits::ModelKind, JobHash, ModelId, MAX_INPUT_IDS};
use jsonrpsee::{
    core::{async_trait, RpcResult, SubscriptionResult},
    proc_macros::rpc,
    types::ErrorObjectOwned,
    PendingSubscriptionSink, SubscriptionMessage, SubscriptionSink,
};
use parking_lot::RwLock;
use polkadot_sdk::sc_rpc::SubscriptionTaskExecutor;
use serde::Serialize;
use std::sync::Arc;

const BASE: i32 = 11_000;
/// No such job at the best block.
pub const UNKNOWN_JOB: i32 = BASE + 1;
/// This node does not hold the model.
pub const UNKNOWN_MODEL: i32 = BASE + 2;
/// A prompt that no job can have.
pub const BAD_PROMPT: i32 = BASE + 3;
/// The subscriber reads slower than the job runs, or there are too many.
pub const SLOW_SUBSCRIBER: i32 = BASE + 4;
/// The engine or the chain failed.
pub const FAILED: i32 = BASE + 5;

/// Longest text that is tokenized, in bytes: more cannot fit a prompt.
const MAX_TEXT: usize = 256 * 1024;

/// A model as `inference_models` shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ModelView {
    /// Root of its package.
    pub id: ModelId,
    /// Its name: the registry's, or that of the local package.
    pub name: String,
    /// `decoder`: continues texts; `encoder`: embeds them.
    pub kind: &'static str,
    /// Entries of a residual row, and of an encoder's vector.
    pub width: u32,
    /// Ids in the vocabulary.
    pub vocab: u32,
    /// Longest sequence, prompt and output.
    pub context: u32,
    /// Number of layers.
    pub layers: u16,
    /// Ids that end generation.
    pub eos: Vec<u32>,
    /// Whether the registry has it.
    pub registered: bool,
    /// Whether new jobs may use it.
    pub active: bool,
    /// Whether this node holds it.
    pub local: bool,
}

/// This node's worker.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// Whether the node runs models.
    pub enabled: bool,
    /// What computes.
    pub backend: String,
    /// Inference threads.
    pub threads: usize,
    /// The worker key in the keystore.
    pub worker: Option<String>,
    /// The controller that it is registered for.
    pub controller: Option<String>,
    /// This node's peer id.
    pub peer_id: String,
    /// Whether the chain has that peer id.
    pub announced: bool,
    /// Stages executed and checked now.
    pub tasks: usize,
    /// Answers that are not yet on chain.
    pub pending_answers: usize,
    /// Why the worker stopped, if it did.
    pub alarm: Option<String>,
    /// Open ring streams: peer id, and the worker that it proved.
    pub peers: Vec<(String, Option<String>)>,
    /// Best block seen.
    pub best_block: u32,
}

/// See the module.
#[rpc(server, namespace = "inference")]
pub trait InferenceRpc {
    /// Streams a job.
    #[subscription(name = "subscribeJob" => "job", unsubscribe = "unsubscribeJob", item = StreamItem)]
    async fn subscribe_job(&self, job: JobHash) -> SubscriptionResult;

    /// Token ids of a text, with the special ids that the model's prompts begin with. `model` is an id or a name.
    #[method(name = "tokenize", blocking)]
    fn tokenize(&self, model: String, text: String) -> RpcResult<Vec<u32>>;

    /// Text of token ids, special ids left out.
    #[method(name = "detokenize", blocking)]
    fn detokenize(&self, model: String, ids: Vec<u32>) -> RpcResult<String>;

    /// All models, in the registry or on this node.
    #[method(name = "models", blocking)]
    fn models(&self) -> RpcResult<Vec<ModelView>>;

    /// This node's worker.
    #[method(name = "status")]
    fn status(&self) -> RpcResult<Status>;
}

/// What the methods need.
#[derive(Clone)]
pub struct Rpc {
    pub(crate) hub: StreamHub,
    pub(crate) watched: Watched,
    pub(crate) chain: Arc<dyn Chain>,
    pub(crate) engine: Arc<dyn Engine>,
    pub(crate) status: Arc<RwLock<Status>>,
    pub(crate) executor: SubscriptionTaskExecutor,
}

fn error(code: i32, message: impl Into<String>) -> ErrorObjectOwned {
    ErrorObjectOwned::owned(code, message, None::<()>)
}

impl From<EngineError> for ErrorObjectOwned {
    fn from(e: EngineError) -> Self {
        let code = match &e {
            EngineError::UnknownModel(_) | EngineError::UnknownSpan { .. } => UNKNOWN_MODEL,
            EngineError::Tokenizer(_) => BAD_PROMPT,
            _ => FAILED,
        };
        error(code, e.to_string())
    }
}

impl Rpc {
    /// A model of this node, by id or by name in the registry or here.
    fn local(&self, model: &str) -> Result<LocalModel, ErrorObjectOwned> {
        let locals = self.engine.models();
        let id = model.strip_prefix("0x").and_then(|hex| hex.parse::<ModelId>().ok()).or_else(|| {
            locals.iter().find(|local| local.name == model).map(|local| local.id).or_else(|| {
                let registered = self.chain.models(self.chain.best().hash).ok()?;
                registered.into_iter().find(|info| info.name == model.as_bytes()).map(|info| info.id)
            })
        });
        id.and_then(|id| locals.iter().find(|local| local.id == id).cloned()).ok_or_else(|| {
            let held: Vec<String> = locals.iter().map(|local| format!("{} ({:?})", local.name, local.id)).collect();
            let held =
                if held.is_empty() { "none: it was started with --inference off".into() } else { held.join(", ") };
            error(
                UNKNOWN_MODEL,
                format!("this node holds no model `{model}`; it holds {held}; inference_models lists all"),
            )
        })
    }
}

#[async_trait]
impl InferenceRpcServer for Rpc {
    async fn subscribe_job(&self, pending: PendingSubscriptionSink, job: JobHash) -> SubscriptionResult {
        let Some((backlog, items)) = self.hub.subscribe(job) else {
            pending
                .reject(error(SLOW_SUBSCRIBER, "this job has too many subscribers here; subscribe on another node"))
                .await;
            return Ok(());
        };
        self.watched.add(job);
        let sink = pending.accept().await?;
        self.executor.spawn("assay-stream", Some("rpc"), Box::pin(forward(sink, backlog, items)));
        Ok(())
    }

    fn tokenize(&self, model: String, text: String) -> RpcResult<Vec<u32>> {
        let model = self.local(&model)?;
        if text.len() > MAX_TEXT {
            return Err(error(
                BAD_PROMPT,
                format!("the text has {} bytes; at most {MAX_TEXT} are tokenized", text.len()),
            ));
        }
        let ids = self.engine.tokenize(&model.id, &text)?;
        // A prompt leaves a place for an answer.
        let answer = u32::from(model.kind == ModelKind::Decoder);
        let most = MAX_INPUT_IDS.min(model.context.saturating_sub(answer)) as usize;
        match ids.len() {
            0 => Err(error(BAD_PROMPT, "the text has no tokens; a prompt needs at least one")),
            n if n > most => Err(error(
                BAD_PROMPT,
                format!(
                    "the text has {n} tokens; a prompt of {} may have {most} (and prompt and answer together {}): shorten it",
                    model.name, model.context,
                ),
            )),
            _ => Ok(ids),
        }
    }

    fn detokenize(&self, model: String, ids: Vec<u32>) -> RpcResult<String> {
        let model = self.local(&model)?;
        if let Some(id) = ids.iter().find(|id| **id >= model.vocab) {
            return Err(error(BAD_PROMPT, format!("token id {id} is outside of the vocabulary of {}", model.vocab)));
        }
        if ids.len() > model.context as usize {
            let text = format!("{} ids are more than the model's context of {}", ids.len(), model.context);
            return Err(error(BAD_PROMPT, text));
        }
        Ok(self.engine.detokenize(&model.id, &ids)?)
    }

    fn models(&self) -> RpcResult<Vec<ModelView>> {
        let locals = self.engine.models();
        let registered = self.chain.models(self.chain.best().hash).map_err(|e| error(FAILED, e.to_string()))?;
        let mut views: Vec<ModelView> = registered
            .into_iter()
            .map(|info| ModelView {
                local: locals.iter().any(|local| local.id == info.id),
                id: info.id,
                name: String::from_utf8_lossy(&info.name).into_owned(),
                kind: kind_name(info.kind),
                width: info.width,
                vocab: info.vocab,
                context: info.context,
                layers: info.layers,
                eos: info.eos,
                registered: true,
                active: info.active,
            })
            .collect();
        for local in locals {
            if !views.iter().any(|view| view.id == local.id) {
                views.push(ModelView {
                    id: local.id,
                    name: local.name,
                    kind: kind_name(local.kind),
                    width: local.width,
                    vocab: local.vocab,
                    context: local.context,
                    layers: local.layers,
                    eos: local.eos,
                    registered: false,
                    active: false,
                    local: true,
                });
            }
        }
        Ok(views)
    }

    fn status(&self) -> RpcResult<Status> {
        Ok(self.status.read().clone())
    }
}

/// Writes a stream to its subscriber, as fast as it reads.
async fn forward(sink: SubscriptionSink, backlog: Vec<StreamItem>, mut items: tokio::sync::mpsc::Receiver<StreamItem>) {
    let mut ended = false;
    for item in backlog {
        ended = is_last(&item);
        if send(&sink, &item).await.is_err() {
            return;
        }
    }
    while !ended {
        let item = tokio::select! {
            item = items.recv() => item,
            _ = sink.closed() => return,
        };
        match item {
            Some(item) => {
                ended = is_last(&item);
                if send(&sink, &item).await.is_err() {
                    return;
                }
            }
            // The sender was dropped before the end: the buffer had run full.
            None => {
                let message = "the subscriber reads slower than the job runs; subscribe again to get what was streamed";
                let _ = send(&sink, &StreamItem::Error { code: SLOW_SUBSCRIBER, message: message.into() }).await;
                return;
            }
        }
    }
}

fn kind_name(kind: ModelKind) -> &'static str {
    match kind {
        ModelKind::Decoder => "decoder",
        ModelKind::Encoder => "encoder",
    }
}

fn is_last(item: &StreamItem) -> bool {
    matches!(item, StreamItem::Finalized { .. } | StreamItem::Refunded { .. } | StreamItem::Error { .. })
}

async fn send(sink: &SubscriptionSink, item: &StreamItem) -> Result<(), ()> {
    let message = SubscriptionMessage::from_json(item).map_err(|_| ())?;
    sink.send(message).await.map_err(|_| ())
}
