//! A receipt for JSON.

use assay_primitives::{Output, Receipt};
use codec::Encode;
use polkadot_sdk::sp_core::{hexdisplay::HexDisplay, H256};
use serde::Serialize;

/// A settled job's receipt. Amounts are decimal strings: they exceed what JSON numbers hold exactly.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ReceiptView {
    /// The job.
    pub job: H256,
    /// Who paid.
    pub client: String,
    /// Which model.
    pub model: H256,
    /// The attempt that succeeded, from 0.
    pub attempt: u32,
    /// Root of the ids of the input and, after it, the generated ones.
    pub ids_root: H256,
    /// Length of the input.
    pub input_len: u32,
    /// The generated ids; none of an embedding.
    pub output: Vec<u32>,
    /// Their text, if this node has the model's tokenizer.
    pub text: Option<String>,
    /// The text's vector, of an embedding: integers in units of 2^-15, of unit length.
    pub vector: Option<Vec<i16>>,
    /// How much the receipt proves.
    pub assurance: AssuranceView,
    /// Stage by stage.
    pub stages: Vec<StageReceiptView>,
    /// Burned of the escrow.
    pub burned: String,
    /// Returned to the client.
    pub refunded: String,
    /// When it settled.
    pub tick: u32,
    /// The receipt as SCALE, to be verified or decoded by whoever prefers that.
    pub encoded: String,
}

/// See [`assay_primitives::Assurance`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AssuranceView {
    /// Controllers per stage; 1 means unverified.
    pub k: u8,
    /// False for k = 1.
    pub verified: bool,
    /// Distinct authors behind the draw.
    pub beacon_authors: u8,
    /// A checker executed another stage.
    pub overlap: bool,
    /// The holding rule was relaxed.
    pub relaxed: bool,
    /// The result stands by an arbiter's verdict.
    pub escalated: bool,
}

/// See [`assay_primitives::StageReceipt`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StageReceiptView {
    /// First layer and end layer.
    pub layers: (u16, u16),
    /// The executor's controller.
    pub executor: String,
    /// What it was paid.
    pub paid: String,
    /// Its work units.
    pub work: u64,
    /// The opened stage root.
    pub root: Option<H256>,
    /// Checkers with their fees.
    pub checkers: Vec<(String, String)>,
}

impl ReceiptView {
    /// Of a receipt, with the output's text.
    pub fn of(receipt: &Receipt, text: Option<String>) -> Self {
        let assurance = &receipt.assurance;
        Self {
            job: receipt.job,
            client: receipt.client.to_string(),
            model: receipt.model,
            attempt: receipt.attempt,
            ids_root: receipt.ids_root,
            input_len: receipt.input_len,
            output: receipt.output.ids().to_vec(),
            text,
            vector: match &receipt.output {
                Output::Ids(_) => None,
                Output::Vector(vector) => Some(vector.to_vec()),
            },
            assurance: AssuranceView {
                k: assurance.k,
                verified: assurance.k > 1,
                beacon_authors: assurance.beacon_authors,
                overlap: assurance.overlap,
                relaxed: assurance.relaxed,
                escalated: assurance.escalated,
            },
            stages: receipt
                .stages
                .iter()
                .map(|stage| StageReceiptView {
                    layers: (stage.span.first, stage.span.end),
                    executor: stage.executor.to_string(),
                    paid: stage.paid.to_string(),
                    work: stage.work,
                    root: stage.root,
                    checkers: stage.checkers.iter().map(|(who, fee)| (who.to_string(), fee.to_string())).collect(),
                })
                .collect(),
            burned: receipt.burned.to_string(),
            refunded: receipt.refunded.to_string(),
            tick: receipt.tick,
            encoded: format!("0x{}", HexDisplay::from(&receipt.encode())),
        }
    }
}
