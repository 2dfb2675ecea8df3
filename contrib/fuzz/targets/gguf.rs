//! The first bytes of a GGUF file, as they are read of a model that was not pulled.

#![no_main]

use artishim::gguf::{Error, Header, parse};
use artishim_fuzz::assert_harmless;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    match parse(bytes) {
        Ok(header) => check_prefixes(bytes, &header),
        Err(error) => {
            assert_harmless(&error);
            if let Error::Incomplete { needed, .. } = error {
                assert!(needed > bytes.len() as u64, "{needed} of {} bytes are there already", bytes.len());
            }
        }
    }
});

/// Reading on as far as each prefix asks for comes to the same header, and never calls the beginning wrong.
fn check_prefixes(bytes: &[u8], whole: &Header) {
    let mut length = 0;
    loop {
        match parse(&bytes[..length]) {
            // Without the tensors, only the number of parameters may be missing.
            Ok(header) => {
                let parameter_count = whole.parameter_count.filter(|_| header.parameter_count.is_some());
                return assert_eq!(header, Header { parameter_count, ..whole.clone() });
            }
            Err(Error::Incomplete { needed, .. }) => {
                length = usize::try_from(needed).expect("the whole is enough").max(length + 1);
                assert!(length <= bytes.len(), "{length} of {} bytes are asked for", bytes.len());
            }
            Err(error) => panic!("a prefix of {length} bytes: {error}"),
        }
    }
}
