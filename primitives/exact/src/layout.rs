//! Section 11: which entries a package has, the parts of each, and the tensors of each part.
//!
//! `model_root` is the list over [`Header::entries`]: the layer root of a layer, the blob of its one part
//! for every other entry. A layer root is the list over the blobs of [`Header::layer_parts`].

use crate::header::{encoded_bytes, Flags, Header, Kind, Placement};

/// Parts of an entry's file begin at multiples of this; the padding is not hashed.
pub const PART_ALIGNMENT: u64 = 64;

/// One entry of `model_root`'s list, and one file of a package.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Entry {
    /// The header.
    Header,
    /// Rope tables; empty (but present) without any.
    Tables,
    /// Embedding matrix.
    Embedding,
    /// Position matrix (flag 8).
    Positions,
    /// Norm after the embedding (flag 9).
    EmbeddingNorm,
    /// A layer, from 0.
    Layer(u32),
    /// Norm after the last layer (flag 10).
    FinalNorm,
    /// Head of a decoder.
    Head,
}

/// What a part is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PartName {
    /// The one part of an entry that is not a layer.
    Whole,
    /// The layer's constants ([`LayerStatics`](crate::statics::LayerStatics)).
    Statics,
    /// n1.
    AttentionNorm,
    /// n1', on the attention's output (sandwich).
    AttentionOutNorm,
    /// q.
    Query,
    /// k.
    Key,
    /// v.
    Value,
    /// o.
    Output,
    /// RMS norm of each query head (flag 6).
    QueryNorm,
    /// RMS norm of each key head (flag 6).
    KeyNorm,
    /// n2.
    MlpNorm,
    /// n2', on the MLP's output (sandwich).
    MlpOutNorm,
    /// Router of the experts.
    Router,
    /// Gate projection, of an expert if any (gated models).
    Gate(Option<u32>),
    /// Up projection, of an expert if any.
    Up(Option<u32>),
    /// Down projection, of an expert if any.
    Down(Option<u32>),
}

/// How a part's bytes are laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// The header's own encoding.
    Header {
        /// Its length.
        bytes: u64,
    },
    /// `[table, position, pair]` of `c, s`, i32 Q30.
    RopeTables {
        /// Number of tables.
        tables: u32,
        /// Positions of each.
        positions: u32,
        /// Rotated entries: two numbers per pair.
        rot: u32,
    },
    /// The row scales of a head that shares the embedding's weights.
    Scales {
        /// Rows.
        out: u32,
    },
    /// `W ‖ W' ‖ row scales ‖ bias`.
    Linear {
        /// Rows.
        out: u32,
        /// In-features.
        input: u32,
        /// Whether there is a second plane `W'` (flag 13).
        second_plane: bool,
        /// Whether there is a bias.
        bias: bool,
    },
    /// `F_g ‖ m ‖ k ‖ g ‖ b`.
    Norm {
        /// Entries.
        n: u32,
        /// Whether there is a `b` (LayerNorm).
        bias: bool,
    },
    /// `W, rope table, e_v, F_o, F_d ‖ query heads ‖ kv heads`.
    Statics {
        /// i32 words.
        words: u32,
    },
}

/// One part of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// What it is.
    pub name: PartName,
    /// Its bytes.
    pub layout: Layout,
}

/// Element type of a tensor, little endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Element {
    /// Raw bytes.
    U8,
    /// Weights.
    I8,
    /// Packed row scales.
    U32,
    /// Everything else.
    I32,
}

impl Element {
    /// Bytes per element.
    pub const fn size(self) -> u64 {
        match self {
            Self::U8 | Self::I8 => 1,
            Self::U32 | Self::I32 => 4,
        }
    }
}

/// What a tensor is within its part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Bytes with a format of their own (the header).
    Raw,
    /// Rope tables, `[table * position, rot]`.
    Rope,
    /// `W` `[out, in]`.
    Weights,
    /// `W'` `[out, in]`.
    SecondPlane,
    /// Row scales `[out, 1]`.
    Scales,
    /// Bias of a linear or a norm.
    Bias,
    /// `F_g, m, k`.
    NormConstants,
    /// Gain of a norm.
    Gain,
    /// Constants of a layer.
    Statics,
}

/// One array of a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tensor {
    /// What it is.
    pub role: Role,
    /// Its type.
    pub element: Element,
    /// Rows and columns, row-major; a vector has one column.
    pub shape: [u64; 2],
    /// Bytes from the part's start. Not aligned: a linear's scales follow its planes at once.
    pub offset: u64,
}

impl Tensor {
    /// Bytes.
    pub const fn size(&self) -> u64 {
        self.shape[0].saturating_mul(self.shape[1]).saturating_mul(self.element.size())
    }
}

impl Layout {
    /// The arrays of the part, in order.
    pub fn tensors(&self) -> impl Iterator<Item = Tensor> {
        let matrix =
            |role, element, rows: u32, columns: u32| Some((role, element, [u64::from(rows), u64::from(columns)]));
        let vector = |role, element, n| matrix(role, element, n, 1);
        let list = match *self {
            Self::Header { bytes } => [Some((Role::Raw, Element::U8, [bytes, 1])), None, None, None],
            Self::RopeTables { tables, positions, rot } => {
                let rows = u64::from(tables) * u64::from(positions);
                [Some((Role::Rope, Element::I32, [rows, u64::from(rot)])), None, None, None]
            }
            Self::Scales { out } => [vector(Role::Scales, Element::U32, out), None, None, None],
            Self::Linear { out, input, second_plane, bias } => [
                matrix(Role::Weights, Element::I8, out, input),
                if second_plane { matrix(Role::SecondPlane, Element::I8, out, input) } else { None },
                vector(Role::Scales, Element::U32, out),
                if bias { vector(Role::Bias, Element::I32, out) } else { None },
            ],
            Self::Norm { n, bias } => [
                vector(Role::NormConstants, Element::I32, 3),
                vector(Role::Gain, Element::I32, n),
                if bias { vector(Role::Bias, Element::I32, n) } else { None },
                None,
            ],
            Self::Statics { words } => [vector(Role::Statics, Element::I32, words), None, None, None],
        };
        list.into_iter().flatten().scan(0u64, |end, (role, element, shape)| {
            let tensor = Tensor { role, element, shape, offset: *end };
            *end = end.saturating_add(tensor.size());
            Some(tensor)
        })
    }

    /// Bytes.
    pub fn size(&self) -> u64 {
        self.tensors().fold(0, |sum, t| sum.saturating_add(t.size()))
    }
}

impl Header {
    /// The entries of the package, in order of `model_root`.
    pub fn entries(&self) -> impl Iterator<Item = Entry> + '_ {
        let front = [Entry::Header, Entry::Tables, Entry::Embedding, Entry::Positions, Entry::EmbeddingNorm];
        let layers = (0..self.layers).map(Entry::Layer);
        let back = [Entry::FinalNorm, Entry::Head];
        front.into_iter().chain(layers).chain(back).filter(|e| self.has_entry(*e))
    }

    /// Whether the package has this entry.
    pub const fn has_entry(&self, entry: Entry) -> bool {
        match entry {
            Entry::Header | Entry::Tables | Entry::Embedding => true,
            Entry::Positions => self.flags.has(Flags::POSITIONS),
            Entry::EmbeddingNorm => self.flags.has(Flags::EMBEDDING_NORM),
            Entry::Layer(i) => i < self.layers,
            Entry::FinalNorm => self.flags.has(Flags::FINAL_NORM),
            Entry::Head => matches!(self.kind, Kind::Decoder),
        }
    }

    /// Whether whoever runs the layers `first..end` must hold this entry.
    pub const fn span_needs(&self, entry: Entry, first: u32, end: u32) -> bool {
        let (is_first, is_last) = (first == 0, end >= self.layers);
        self.has_entry(entry)
            && match entry {
                Entry::Header | Entry::Tables => true,
                Entry::Embedding => is_first || (is_last && self.flags.has(Flags::SHARED_HEAD)),
                Entry::Positions | Entry::EmbeddingNorm => is_first,
                Entry::Layer(i) => first <= i && i < end,
                Entry::FinalNorm | Entry::Head => is_last,
            }
    }

    /// The parts of an entry, in order; none if the package does not have it.
    pub fn parts(&self, entry: Entry) -> impl Iterator<Item = Part> + '_ {
        let whole = match entry {
            Entry::Layer(_) => None,
            _ if !self.has_entry(entry) => None,
            _ => Some(Part { name: PartName::Whole, layout: self.entry_layout(entry) }),
        };
        let layer = matches!(entry, Entry::Layer(_)) && self.has_entry(entry);
        whole.into_iter().chain(layer.then(|| self.layer_parts()).into_iter().flatten())
    }

    /// The parts of any layer, in order: all layers have the same.
    pub fn layer_parts(&self) -> impl Iterator<Item = Part> + '_ {
        let sandwich = self.placement == Placement::Sandwich;
        let qk_norm = self.flags.has(Flags::QK_NORM);
        let attention = [
            (true, PartName::Statics),
            (true, PartName::AttentionNorm),
            (sandwich, PartName::AttentionOutNorm),
            (true, PartName::Query),
            (true, PartName::Key),
            (true, PartName::Value),
            (true, PartName::Output),
            (qk_norm, PartName::QueryNorm),
            (qk_norm, PartName::KeyNorm),
            (true, PartName::MlpNorm),
            (sandwich, PartName::MlpOutNorm),
            (self.experts > 0, PartName::Router),
        ];
        let gated = !self.flags.has(Flags::UNGATED);
        let mlps = if self.experts == 0 { 1 } else { self.experts };
        let mlp = (0..mlps).flat_map(move |i| {
            let expert = (self.experts > 0).then_some(i);
            [(gated, PartName::Gate(expert)), (true, PartName::Up(expert)), (true, PartName::Down(expert))]
        });
        attention
            .into_iter()
            .chain(mlp)
            .filter(|(present, _)| *present)
            .map(|(_, name)| Part { name, layout: self.layer_part_layout(name) })
    }

    /// The offset of each part in its entry's file, and the part.
    pub fn file_parts(&self, entry: Entry) -> impl Iterator<Item = (u64, Part)> + '_ {
        self.parts(entry).scan(0u64, |end, part| {
            let start = end.checked_next_multiple_of(PART_ALIGNMENT).unwrap_or(u64::MAX);
            *end = start.saturating_add(part.layout.size());
            Some((start, part))
        })
    }

    /// Bytes of an entry's file: the end of its last part, without padding.
    pub fn file_size(&self, entry: Entry) -> u64 {
        self.file_parts(entry).last().map_or(0, |(start, part)| start.saturating_add(part.layout.size()))
    }

    /// Words of a layer's statics: 5, then 3 (5 with soft-cap) per query head and 1 per kv head.
    pub const fn statics_words(&self) -> u32 {
        let per_query_head = if self.flags.has(Flags::SOFT_CAP) { 5 } else { 3 };
        self.query_heads.saturating_mul(per_query_head).saturating_add(self.kv_heads).saturating_add(5)
    }

    fn entry_layout(&self, entry: Entry) -> Layout {
        match entry {
            // A layer has no single part; `parts` does not ask.
            Entry::Header | Entry::Layer(_) => Layout::Header { bytes: encoded_bytes(self.eos.len() as u64) },
            Entry::Tables => Layout::RopeTables { tables: self.rope_tables, positions: self.context, rot: self.rot },
            Entry::Embedding => self.linear(self.vocab, self.d, false),
            Entry::Positions => self.linear(self.context, self.d, false),
            Entry::EmbeddingNorm | Entry::FinalNorm => self.stream_norm(),
            Entry::Head if self.flags.has(Flags::SHARED_HEAD) => Layout::Scales { out: self.vocab },
            Entry::Head => self.linear(self.vocab, self.d, false),
        }
    }

    fn layer_part_layout(&self, name: PartName) -> Layout {
        let flag = |f| self.flags.has(f);
        let linear = |out, input, bias| self.linear(out, input, bias);
        match name {
            PartName::Whole | PartName::Statics => Layout::Statics { words: self.statics_words() },
            PartName::AttentionNorm | PartName::AttentionOutNorm | PartName::MlpNorm | PartName::MlpOutNorm => {
                self.stream_norm()
            }
            // QK-norm is RMS also where the other norms are LayerNorm.
            PartName::QueryNorm | PartName::KeyNorm => Layout::Norm { n: self.head_dim, bias: false },
            PartName::Query => linear(self.query_width(), self.d, flag(Flags::QKV_BIAS)),
            PartName::Key | PartName::Value => linear(self.kv_width(), self.d, flag(Flags::QKV_BIAS)),
            PartName::Output => linear(self.d, self.query_width(), flag(Flags::OUTPUT_BIAS)),
            PartName::Router => linear(self.experts, self.d, flag(Flags::MLP_BIAS)),
            PartName::Gate(_) | PartName::Up(_) => linear(self.hidden, self.d, flag(Flags::MLP_BIAS)),
            PartName::Down(_) => linear(self.d, self.hidden, flag(Flags::MLP_BIAS)),
        }
    }

    fn linear(&self, out: u32, input: u32, bias: bool) -> Layout {
        Layout::Linear { out, input, second_plane: self.flags.has(Flags::SECOND_PLANE), bias }
    }

    fn stream_norm(&self) -> Layout {
        Layout::Norm { n: self.d, bias: self.flags.has(Flags::LAYER_NORM) }
    }
}
