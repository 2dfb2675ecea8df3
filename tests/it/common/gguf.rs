//! Writes GGUF files that have a header and no weights.

/// The numbers of the format's types.
pub const U32: u32 = 4;
pub const STRING: u32 = 8;
pub const ARRAY: u32 = 9;

/// A GGUF file in the making.
#[derive(Clone, Default)]
pub struct Gguf {
    pairs: Vec<u8>,
    pair_count: u64,
    tensors: Vec<u8>,
    tensor_count: u64,
}

impl Gguf {
    /// A file of `architecture`, which is its first key as in all of llama.cpp's.
    pub fn new(architecture: &str) -> Self {
        Self::default().text("general.architecture", architecture)
    }

    /// Adds a text.
    pub fn text(self, key: &str, value: &str) -> Self {
        self.pair(key.as_bytes(), STRING, &string(value.as_bytes()))
    }

    /// Adds a number of 32 bits.
    pub fn number(self, key: &str, value: u32) -> Self {
        self.pair(key.as_bytes(), U32, &value.to_le_bytes())
    }

    /// Adds an array of `count` texts, as a tokenizer has.
    pub fn texts(self, key: &str, count: u64) -> Self {
        let mut value = [STRING.to_le_bytes().as_slice(), &count.to_le_bytes()].concat();
        (0..count).for_each(|index| value.extend(string(format!("token-{index}").as_bytes())));
        self.pair(key.as_bytes(), ARRAY, &value)
    }

    /// Adds a key with a value of any type, right or wrong.
    pub fn pair(mut self, key: &[u8], kind: u32, value: &[u8]) -> Self {
        self.pairs.extend(string(key));
        self.pairs.extend(kind.to_le_bytes());
        self.pairs.extend(value);
        self.pair_count += 1;
        self
    }

    /// Adds the description of a tensor.
    pub fn tensor(mut self, name: &str, dimensions: &[u64]) -> Self {
        self.tensors.extend(string(name.as_bytes()));
        self.tensors.extend((dimensions.len() as u32).to_le_bytes());
        dimensions.iter().for_each(|dimension| self.tensors.extend(dimension.to_le_bytes()));
        self.tensors.extend([0; 4 + 8]);
        self.tensor_count += 1;
        self
    }

    /// The file.
    pub fn bytes(&self) -> Vec<u8> {
        let counts = [self.tensor_count, self.pair_count].map(u64::to_le_bytes).concat();
        [b"GGUF".as_slice(), &3_u32.to_le_bytes(), &counts, &self.pairs, &self.tensors].concat()
    }

    /// The file with so many bytes behind the header.
    pub fn with_weights(&self, bytes: usize) -> Vec<u8> {
        [self.bytes(), vec![0x5a; bytes]].concat()
    }
}

/// A text as the format has it: its length, then its bytes.
pub fn string(text: &[u8]) -> Vec<u8> {
    [(text.len() as u64).to_le_bytes().as_slice(), text].concat()
}
