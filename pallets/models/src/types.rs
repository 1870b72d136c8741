//! What the registry stores.

use alloc::vec::Vec;
use assay_primitives::{AccountId, Balance, PerStage, Span};
use frame::{deps::sp_core::ConstU32, prelude::*};

/// Longest name, in bytes.
pub const MAX_NAME: u32 = 64;
/// Longest header, in bytes: room for about two hundred ids that end generation.
pub const MAX_HEADER: u32 = 1_024;
/// Most entries of a package besides its header: 1,024 layers and six others.
pub const MAX_ENTRIES: u32 = 1_030;
/// Most templates of a model.
pub const MAX_TEMPLATES: u32 = 8;

/// A model's name, UTF-8.
pub type ModelName = BoundedVec<u8, ConstU32<MAX_NAME>>;
/// An encoded header.
pub type HeaderBytes = BoundedVec<u8, ConstU32<MAX_HEADER>>;
/// Roots of the entries after the header.
pub type EntryRoots = BoundedVec<H256, ConstU32<MAX_ENTRIES>>;
/// Ways to cut a model into stages.
pub type Templates = BoundedVec<PerStage<Span>, ConstU32<MAX_TEMPLATES>>;

/// A registered model.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, MaxEncodedLen, TypeInfo)]
pub struct Model {
    /// Who holds the deposit; none for a model of the genesis state.
    pub owner: Option<AccountId>,
    /// What is held of the owner.
    pub deposit: Balance,
    /// A label for people.
    pub name: ModelName,
    /// The package's header, as its root commits to it.
    pub header: HeaderBytes,
    /// Ways to cut it into stages.
    pub templates: Templates,
    /// Whether new jobs may use it.
    pub active: bool,
}

impl Model {
    /// The spans of each template.
    pub fn spans(&self) -> Vec<Vec<Span>> {
        self.templates.iter().map(|t| t.to_vec()).collect()
    }
}

/// A model of the genesis state.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GenesisModel {
    /// A label for people.
    pub name: alloc::string::String,
    /// The package's header, as encoded.
    pub header: Vec<u8>,
    /// Roots of the package's other entries, in order.
    pub entries: Vec<H256>,
    /// Templates: each the first layer of every stage after the first, ascending. `[]` is one stage, `[4]` two stages.
    pub cuts: Vec<Vec<u16>>,
}
