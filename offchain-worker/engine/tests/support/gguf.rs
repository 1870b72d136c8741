//! Writes GGUF files, right or damaged, from the format's description alone; shares no code with the reader.
#![allow(dead_code)] // each test crate uses a part

/// Types of stored values, by their number in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    F32 = 0,
    F16 = 1,
    Q4_1 = 3,
    Q8_0 = 8,
    Bf16 = 30,
}

/// A value of the metadata.
#[derive(Debug, Clone)]
pub enum Value {
    U32(u32),
    I32(i32),
    U64(u64),
    F32(f32),
    Bool(bool),
    Text(String),
    Texts(Vec<String>),
    Floats(Vec<f32>),
    Integers(Vec<i32>),
}

/// A tensor as it is stored.
#[derive(Debug, Clone)]
pub struct Tensor {
    pub name: String,
    /// The length of a row first.
    pub dimensions: Vec<u64>,
    pub kind: u32,
    pub bytes: Vec<u8>,
}

/// A file in memory.
#[derive(Debug, Clone)]
pub struct File {
    pub magic: [u8; 4],
    pub version: u32,
    pub metadata: Vec<(String, Value)>,
    pub tensors: Vec<Tensor>,
    pub alignment: u64,
}

impl Default for File {
    fn default() -> Self {
        Self { magic: *b"GGUF", version: 3, metadata: Vec::new(), tensors: Vec::new(), alignment: 32 }
    }
}

impl File {
    pub fn set(&mut self, key: &str, value: Value) {
        self.unset(key);
        self.metadata.push((key.into(), value));
    }

    pub fn unset(&mut self, key: &str) {
        self.metadata.retain(|(name, _)| name != key);
    }

    /// `values` row-major, `shape` with the length of a row last.
    pub fn push(&mut self, name: &str, shape: &[usize], values: &[f32], kind: Type) {
        assert_eq!(values.len(), shape.iter().product::<usize>());
        self.tensors.push(Tensor {
            name: name.into(),
            dimensions: shape.iter().rev().map(|size| *size as u64).collect(),
            kind: kind as u32,
            bytes: encode(values, kind),
        });
    }

    pub fn tensor(&mut self, name: &str) -> &mut Tensor {
        self.tensors.iter_mut().find(|tensor| tensor.name == name).unwrap()
    }

    pub fn bytes(&self) -> Vec<u8> {
        self.bytes_and_boundaries().0
    }

    /// The file, and where each of its structures ends.
    pub fn bytes_and_boundaries(&self) -> (Vec<u8>, Vec<usize>) {
        let mut out = Vec::new();
        let mut boundaries = Vec::new();
        out.extend(self.magic);
        boundaries.push(out.len());
        out.extend(self.version.to_le_bytes());
        boundaries.push(out.len());
        out.extend((self.tensors.len() as u64).to_le_bytes());
        boundaries.push(out.len());
        out.extend((self.metadata.len() as u64).to_le_bytes());
        boundaries.push(out.len());
        for (key, value) in &self.metadata {
            text(&mut out, key);
            boundaries.push(out.len());
            value.write(&mut out);
            boundaries.push(out.len());
        }
        let mut offset = 0u64;
        for tensor in &self.tensors {
            text(&mut out, &tensor.name);
            boundaries.push(out.len());
            out.extend((tensor.dimensions.len() as u32).to_le_bytes());
            tensor.dimensions.iter().for_each(|size| out.extend(size.to_le_bytes()));
            boundaries.push(out.len());
            out.extend(tensor.kind.to_le_bytes());
            boundaries.push(out.len());
            out.extend(offset.to_le_bytes());
            boundaries.push(out.len());
            offset = (offset + tensor.bytes.len() as u64).next_multiple_of(self.alignment);
        }
        let pad = |out: &mut Vec<u8>| out.resize(out.len().next_multiple_of(self.alignment as usize), 0);
        for tensor in &self.tensors {
            pad(&mut out);
            out.extend(&tensor.bytes);
            boundaries.push(out.len());
        }
        (out, boundaries)
    }
}

impl Value {
    fn write(&self, out: &mut Vec<u8>) {
        let (kind, array) = match self {
            Self::U32(_) => (4, false),
            Self::I32(_) => (5, false),
            Self::F32(_) => (6, false),
            Self::Bool(_) => (7, false),
            Self::Text(_) => (8, false),
            Self::U64(_) => (10, false),
            Self::Texts(_) => (8, true),
            Self::Floats(_) => (6, true),
            Self::Integers(_) => (5, true),
        };
        if array {
            out.extend(9u32.to_le_bytes());
        }
        out.extend((kind as u32).to_le_bytes());
        let count = |out: &mut Vec<u8>, n: usize| out.extend((n as u64).to_le_bytes());
        match self {
            Self::U32(value) => out.extend(value.to_le_bytes()),
            Self::I32(value) => out.extend(value.to_le_bytes()),
            Self::U64(value) => out.extend(value.to_le_bytes()),
            Self::F32(value) => out.extend(value.to_le_bytes()),
            Self::Bool(value) => out.push(u8::from(*value)),
            Self::Text(value) => text(out, value),
            Self::Texts(values) => {
                count(out, values.len());
                values.iter().for_each(|value| text(out, value));
            }
            Self::Floats(values) => {
                count(out, values.len());
                values.iter().for_each(|value| out.extend(value.to_le_bytes()));
            }
            Self::Integers(values) => {
                count(out, values.len());
                values.iter().for_each(|value| out.extend(value.to_le_bytes()));
            }
        }
    }
}

fn text(out: &mut Vec<u8>, value: &str) {
    out.extend((value.len() as u64).to_le_bytes());
    out.extend(value.as_bytes());
}

fn encode(values: &[f32], kind: Type) -> Vec<u8> {
    match kind {
        Type::F32 => values.iter().flat_map(|x| x.to_le_bytes()).collect(),
        Type::F16 => values.iter().flat_map(|x| half::f16::from_f32(*x).to_le_bytes()).collect(),
        Type::Bf16 => values.iter().flat_map(|x| half::bf16::from_f32(*x).to_le_bytes()).collect(),
        Type::Q4_1 => values
            .chunks(32)
            .flat_map(|block| {
                let least = block.iter().copied().fold(f32::INFINITY, f32::min);
                let scale = (block.iter().copied().fold(f32::NEG_INFINITY, f32::max) - least) / 15.;
                let quant = |x: f32| if scale == 0. { 0 } else { ((x - least) / scale).round() as u8 };
                let scales = [scale, least].map(|x| half::f16::from_f32(x).to_le_bytes()).concat();
                let halves = block.split_at(16);
                let pairs: Vec<u8> = halves.0.iter().zip(halves.1).map(|(a, b)| quant(*a) | quant(*b) << 4).collect();
                scales.into_iter().chain(pairs).collect::<Vec<u8>>()
            })
            .collect(),
        Type::Q8_0 => values
            .chunks(32)
            .flat_map(|block| {
                let scale = block.iter().fold(0f32, |max, x| max.max(x.abs())) / 127.;
                let quant = |x: &f32| if scale == 0. { 0 } else { (x / scale).round() as i8 as u8 };
                let scale_bytes = half::f16::from_f32(scale).to_le_bytes();
                scale_bytes.into_iter().chain(block.iter().map(quant)).collect::<Vec<u8>>()
            })
            .collect(),
    }
}

/// The rows of each head in the order for a rotation of neighbours: `[heads, 2, D/2, ..]` with the inner axes swapped.
pub fn interleave(values: &[f32], heads: usize, columns: usize) -> Vec<f32> {
    let half = values.len() / columns / heads / 2;
    let mut out = Vec::with_capacity(values.len());
    for head in 0..heads {
        for pair in 0..half {
            for side in 0..2 {
                let row = (head * 2 + side) * half + pair;
                out.extend(&values[row * columns..][..columns]);
            }
        }
    }
    out
}
