//! JSON objects read as strictly as containers/image reads them.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};

/// An object of any keys, none of which stands there twice: another reader might take the other one.
#[derive(Clone, Debug)]
pub struct Object<V>(pub BTreeMap<String, V>);

impl<V> Default for Object<V> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<'de, V: Deserialize<'de>> Deserialize<'de> for Object<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Reader(PhantomData))
    }
}

struct Reader<V>(PhantomData<V>);

impl<'de, V: Deserialize<'de>> Visitor<'de> for Reader<V> {
    type Value = Object<V>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Object<V>, A::Error> {
        let mut object = Object::default();
        while let Some((key, value)) = entries.next_entry::<String, V>()? {
            if object.0.contains_key(&key) {
                return Err(A::Error::custom(format_args!("duplicate key {key:?}")));
            }
            object.0.insert(key, value);
        }
        Ok(object)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_stands_there_twice_is_an_error() {
        let read = |text| serde_json::from_str::<Object<u8>>(text).map(|object| object.0.len());
        assert_eq!(read(r#"{"a": 1, "b": 2}"#).unwrap(), 2);
        assert!(read(r#"{"a": 1, "a": 1}"#).unwrap_err().to_string().contains("duplicate key \"a\""));
        assert!(read("[]").is_err());
    }
}
