//! The header of a GGUF file, as far as it says what the model is (ggml docs/gguf.md, versions 2 and 3).
//!
//! The header is a list of keys and values, then one of tensors. It is walked over once: what is not shown is stepped
//! over and not kept, so that neither counts nor lengths that lie cost more than the bytes that are there.

/// The first bytes of every GGUF file.
pub const MAGIC: &[u8] = b"GGUF";

/// The longest text that is kept, the chat template aside.
const MAX_TEXT: usize = 1024;
/// The longest chat template that is kept; the longest known are some 20 KiB.
const MAX_TEMPLATE: usize = 1024 * 1024;
/// How deep arrays may nest; no known model has arrays of arrays.
const MAX_DEPTH: usize = 4;
/// How many keys that could be the context length are kept until the architecture is known.
const MAX_CONTEXTS: usize = 64;
/// ggml's GGML_MAX_DIMS is 4.
const MAX_DIMENSIONS: u32 = 8;
/// llama.cpp's LLAMA_FTYPE_GUESSED: the type was not written but inferred.
const GUESSED: u64 = 1024;
/// llama.cpp's LLAMA_FTYPE numbers and the names llama-quantize has for them; those that were given up are left out.
const FILE_TYPES: [(u64, &str); 36] = [
    (0, "F32"),
    (1, "F16"),
    (2, "Q4_0"),
    (3, "Q4_1"),
    (7, "Q8_0"),
    (8, "Q5_0"),
    (9, "Q5_1"),
    (10, "Q2_K"),
    (11, "Q3_K_S"),
    (12, "Q3_K_M"),
    (13, "Q3_K_L"),
    (14, "Q4_K_S"),
    (15, "Q4_K_M"),
    (16, "Q5_K_S"),
    (17, "Q5_K_M"),
    (18, "Q6_K"),
    (19, "IQ2_XXS"),
    (20, "IQ2_XS"),
    (21, "Q2_K_S"),
    (22, "IQ3_XS"),
    (23, "IQ3_XXS"),
    (24, "IQ1_S"),
    (25, "IQ4_NL"),
    (26, "IQ3_S"),
    (27, "IQ3_M"),
    (28, "IQ2_S"),
    (29, "IQ2_M"),
    (30, "IQ4_XS"),
    (31, "IQ1_M"),
    (32, "BF16"),
    (36, "TQ1_0"),
    (37, "TQ2_0"),
    (38, "MXFP4_MOE"),
    (39, "NVFP4"),
    (40, "Q1_0"),
    (41, "Q2_0"),
];

/// What a header says; any of it may be missing, and all of it is the producer's word.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// `general.architecture`.
    pub architecture: Option<String>,
    /// `general.name`.
    pub name: Option<String>,
    /// `general.size_label`, such as `8B`.
    pub size_label: Option<String>,
    /// `general.license`.
    pub licence: Option<String>,
    /// The name of `general.file_type`, such as `Q4_K_M`.
    pub quantization: Option<&'static str>,
    /// `<architecture>.context_length`, in tokens.
    pub context_length: Option<u64>,
    /// `general.parameter_count`, or the sum over the tensors where all of them are in this file and in the prefix.
    pub parameter_count: Option<u64>,
    /// `split.no`: which part of the model this file is, from 0.
    pub split_index: Option<u64>,
    /// `split.count`: how many parts there are.
    pub split_count: Option<u64>,
    /// `tokenizer.chat_template`, in Jinja.
    pub chat_template: Option<String>,
}

/// Bytes that are no whole header.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The prefix ends within the keys and values.
    #[error("the GGUF header ends after byte {needed}")]
    Incomplete {
        /// At least so many bytes of the file are needed.
        needed: u64,
        /// What was read until then.
        seen: Box<Header>,
    },
    /// The file does not begin as a GGUF file.
    #[error("not a GGUF file")]
    NotGguf,
    /// A header that breaks the format.
    #[error("the GGUF header is malformed: {0}")]
    Malformed(&'static str),
}

/// Reads the header from the first bytes of a file.
///
/// Takes time in proportion to `bytes`, and memory for the texts of [`Header`] only.
pub fn parse(bytes: &[u8]) -> Result<Header, Error> {
    let mut walk = Walk { reader: Reader { bytes, position: 0 }, header: Header::default(), contexts: Vec::new() };
    let ended = walk.run();
    let header = walk.finish();
    match ended {
        Ok(()) => Ok(header),
        Err(Stop::Incomplete(needed)) => Err(Error::Incomplete { needed, seen: Box::new(header) }),
        Err(Stop::NotGguf) => Err(Error::NotGguf),
        Err(Stop::Malformed(reason)) => Err(Error::Malformed(reason)),
    }
}

/// Why reading does not go on.
#[derive(Clone, Copy)]
enum Stop {
    Incomplete(u64),
    NotGguf,
    Malformed(&'static str),
}

struct Walk<'a> {
    reader: Reader<'a>,
    header: Header,
    /// What stands before `.context_length`, and the length.
    contexts: Vec<(&'a [u8], u64)>,
}

impl<'a> Walk<'a> {
    fn run(&mut self) -> Result<(), Stop> {
        let (tensors, pairs) = self.reader.counts()?;
        for _ in 0..pairs {
            let key = self.reader.text()?;
            let kind = self.reader.u32()?;
            let value = self.reader.value(kind, 0)?;
            self.note(key, &value);
        }
        // What the tensors say is welcome, but nobody waits for it.
        let counted = self.reader.parameters(tensors).ok().flatten();
        let is_whole = self.header.split_count.is_none_or(|count| count <= 1);
        self.header.parameter_count = self.header.parameter_count.or(counted.filter(|count| is_whole && *count > 0));
        Ok(())
    }

    /// Keeps what is shown. Of a key that comes twice, the first counts.
    fn note(&mut self, key: &'a [u8], value: &Value<'a>) {
        let header = &mut self.header;
        match (key, value) {
            (b"general.architecture", Value::Text(text)) => keep(&mut header.architecture, text, MAX_TEXT),
            (b"general.name", Value::Text(text)) => keep(&mut header.name, text, MAX_TEXT),
            (b"general.size_label", Value::Text(text)) => keep(&mut header.size_label, text, MAX_TEXT),
            (b"general.license", Value::Text(text)) => keep(&mut header.licence, text, MAX_TEXT),
            (b"tokenizer.chat_template", Value::Text(text)) => keep(&mut header.chat_template, text, MAX_TEMPLATE),
            (b"general.file_type", Value::Number(number)) => {
                header.quantization = header.quantization.or_else(|| file_type(*number));
            }
            (b"general.parameter_count", Value::Number(number)) => {
                header.parameter_count.get_or_insert(*number);
            }
            (b"split.no", Value::Number(number)) => {
                header.split_index.get_or_insert(*number);
            }
            (b"split.count", Value::Number(number)) => {
                header.split_count.get_or_insert(*number);
            }
            (key, Value::Number(number)) => {
                if let Some(owner) = key.strip_suffix(b".context_length").filter(|_| self.contexts.len() < MAX_CONTEXTS)
                {
                    self.contexts.push((owner, *number));
                }
            }
            _ => {}
        }
    }

    fn finish(self) -> Header {
        let architecture = self.header.architecture.as_deref().unwrap_or_default().as_bytes();
        let context = self.contexts.iter().find(|(owner, _)| *owner == architecture);
        Header { context_length: context.map(|(_, length)| *length), ..self.header }
    }
}

/// Keeps a text that is not longer than it may be; bytes that are no UTF-8 are replaced.
fn keep(place: &mut Option<String>, text: &[u8], limit: usize) {
    if place.is_none() && !text.is_empty() && text.len() <= limit {
        *place = Some(String::from_utf8_lossy(text).into_owned());
    }
}

fn file_type(number: u64) -> Option<&'static str> {
    FILE_TYPES.iter().find(|(known, _)| *known == number & !GUESSED).map(|(_, name)| *name)
}

/// A value, as far as one is of interest.
enum Value<'a> {
    Number(u64),
    Text(&'a [u8]),
    Other,
}

/// The types of values.
mod kind {
    pub const STRING: u32 = 8;
    pub const ARRAY: u32 = 9;

    /// The bytes of a value whose size is fixed.
    pub const fn size(kind: u32) -> Option<u64> {
        match kind {
            0 | 1 | 7 => Some(1),
            2 | 3 => Some(2),
            4..=6 => Some(4),
            10..=12 => Some(8),
            _ => None,
        }
    }

    pub const fn is_signed(kind: u32) -> bool {
        matches!(kind, 1 | 3 | 5 | 11)
    }

    pub const fn is_float(kind: u32) -> bool {
        matches!(kind, 6 | 12)
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, length: u64) -> Result<&'a [u8], Stop> {
        let end = (self.position as u64).checked_add(length).ok_or(Stop::Malformed("a length beyond any file"))?;
        let taken = usize::try_from(end).ok().and_then(|end| self.bytes.get(self.position..end));
        let taken = taken.ok_or(Stop::Incomplete(end))?;
        self.position += taken.len();
        Ok(taken)
    }

    fn number(&mut self, size: u64) -> Result<u64, Stop> {
        Ok(self.take(size)?.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    fn u32(&mut self) -> Result<u32, Stop> {
        Ok(self.number(4)? as u32)
    }

    fn text(&mut self) -> Result<&'a [u8], Stop> {
        let length = self.number(8)?;
        self.take(length)
    }

    /// Reads up to the first key: how many tensors and how many pairs there are.
    fn counts(&mut self) -> Result<(u64, u64), Stop> {
        let seen = self.bytes.len().min(MAGIC.len());
        if self.bytes[..seen] != MAGIC[..seen] {
            return Err(Stop::NotGguf);
        }
        self.take(MAGIC.len() as u64)?;
        match self.u32()? {
            2 | 3 => Ok((self.number(8)?, self.number(8)?)),
            1 => Err(Stop::Malformed("version 1 is not read any more")),
            version if matches!(version.swap_bytes(), 1..=3) => Err(Stop::Malformed("it is big-endian")),
            _ => Err(Stop::Malformed("its version is unknown")),
        }
    }

    fn value(&mut self, kind: u32, depth: usize) -> Result<Value<'a>, Stop> {
        match (kind, kind::size(kind)) {
            (kind::STRING, _) => self.text().map(Value::Text),
            (kind::ARRAY, _) => self.skip_array(depth),
            (_, None) => Err(Stop::Malformed("a value has an unknown type")),
            (_, Some(size)) => {
                let number = self.number(size)?;
                let is_negative = kind::is_signed(kind) && number >> (size * 8 - 1) == 1;
                Ok(if is_negative || kind::is_float(kind) { Value::Other } else { Value::Number(number) })
            }
        }
    }

    /// Steps over an array; each element that is walked over takes at least eight bytes.
    fn skip_array(&mut self, depth: usize) -> Result<Value<'a>, Stop> {
        if depth == MAX_DEPTH {
            return Err(Stop::Malformed("its arrays are nested too deep"));
        }
        let (kind, count) = (self.u32()?, self.number(8)?);
        if let Some(size) = kind::size(kind) {
            self.take(count.checked_mul(size).ok_or(Stop::Malformed("an array beyond any file"))?)?;
            return Ok(Value::Other);
        }
        for _ in 0..count {
            self.value(kind, depth + 1)?;
        }
        Ok(Value::Other)
    }

    /// The elements of all tensors; `None` where they are more than a number holds.
    fn parameters(&mut self, tensors: u64) -> Result<Option<u64>, Stop> {
        let mut sum = Some(0_u64);
        for _ in 0..tensors {
            self.text()?;
            let dimensions = self.u32()?;
            if dimensions > MAX_DIMENSIONS {
                return Err(Stop::Malformed("a tensor has too many dimensions"));
            }
            let mut elements = Some(1_u64);
            for _ in 0..dimensions {
                let dimension = self.number(8)?;
                elements = elements.and_then(|elements| elements.checked_mul(dimension));
            }
            // The type, and where the tensor lies.
            self.take(4 + 8)?;
            sum = sum.zip(elements).and_then(|(sum, elements)| sum.checked_add(elements));
        }
        Ok(sum)
    }
}

#[cfg(test)]
#[path = "../tests/it/common/gguf.rs"]
mod builder;
#[cfg(test)]
mod tests;
