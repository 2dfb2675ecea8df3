//! Headers as llama.cpp writes them, and as nobody should.

use super::builder::{ARRAY, Gguf, STRING, U32, string};
use super::*;

fn llama() -> Gguf {
    Gguf::new("llama")
        .text("general.name", "Tiny Llama")
        .text("general.size_label", "1.1B")
        .text("general.license", "apache-2.0")
        .number("general.file_type", 15)
        .number("llama.context_length", 2048)
        .number("clip.context_length", 77)
        .texts("tokenizer.ggml.tokens", 1000)
        .text("tokenizer.chat_template", "{{ messages }}")
}

fn array(kind: u32, count: u64, elements: &[u8]) -> Vec<u8> {
    [kind.to_le_bytes().as_slice(), &count.to_le_bytes(), elements].concat()
}

#[track_caller]
fn malformed(bytes: &[u8]) -> &'static str {
    match parse(bytes) {
        Err(Error::Malformed(reason)) => reason,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_the_header_says_is_read_and_the_tokens_are_stepped_over() {
    let header = parse(&llama().tensor("output", &[100, 20]).tensor("norm", &[100]).with_weights(9)).unwrap();
    let expected = Header {
        architecture: Some(String::from("llama")),
        name: Some(String::from("Tiny Llama")),
        size_label: Some(String::from("1.1B")),
        licence: Some(String::from("apache-2.0")),
        quantization: Some("Q4_K_M"),
        context_length: Some(2048),
        parameter_count: Some(2100),
        split_index: None,
        split_count: None,
        chat_template: Some(String::from("{{ messages }}")),
    };
    assert_eq!(header, expected);
    assert_eq!(parse(&Gguf::default().bytes()).unwrap(), Header::default());
}

#[test]
fn the_order_of_the_keys_does_not_matter_and_the_first_of_equal_keys_counts() {
    let header = parse(
        &Gguf::default()
            .number("gemma3.context_length", 32_768)
            .text("general.architecture", "gemma3")
            .text("general.architecture", "llama")
            .number("gemma3.context_length", 1)
            .bytes(),
    );
    let header = header.unwrap();
    assert_eq!((header.architecture.as_deref(), header.context_length), (Some("gemma3"), Some(32_768)));
}

#[test]
fn a_part_of_a_split_model_does_not_count_for_the_whole() {
    let part = |count| Gguf::new("llama").number("split.no", 1).number("split.count", count).tensor("a", &[10]);
    let header = parse(&part(3).bytes()).unwrap();
    assert_eq!((header.split_index, header.split_count, header.parameter_count), (Some(1), Some(3), None));
    assert_eq!(parse(&part(1).bytes()).unwrap().parameter_count, Some(10));
}

#[test]
fn file_types_have_llama_cpps_names() {
    let cases = [
        (0, Some("F32")),
        (7, Some("Q8_0")),
        (18, Some("Q6_K")),
        (32, Some("BF16")),
        (38, Some("MXFP4_MOE")),
        (1024 + 15, Some("Q4_K_M")),
        (5, None),
        (u32::MAX, None),
    ];
    for (number, name) in cases {
        let header = parse(&Gguf::new("llama").number("general.file_type", number).bytes()).unwrap();
        assert_eq!(header.quantization, name, "{number}");
    }
}

#[test]
fn numbers_of_any_width_count_and_negative_ones_do_not() {
    let cases: [(u32, &[u8], Option<u64>); 8] = [
        (2, &[0, 8], Some(2048)),
        (3, &[0, 8], Some(2048)),
        (3, &[0, 0x80], None),
        (5, &[0, 8, 0, 0], Some(2048)),
        (10, &[0, 8, 0, 0, 0, 0, 0, 0], Some(2048)),
        (11, &[0xff; 8], None),
        (6, &[0, 0, 0, 0x45], None),
        (STRING, &[4, 0, 0, 0, 0, 0, 0, 0, b'2', b'0', b'4', b'8'], None),
    ];
    for (kind, value, length) in cases {
        let header = parse(&Gguf::new("llama").pair(b"llama.context_length", kind, value).bytes()).unwrap();
        assert_eq!(header.context_length, length, "{kind}");
    }
}

#[test]
fn a_header_that_is_cut_says_how_much_is_needed_and_what_it_has() {
    let bytes = llama().bytes();
    for length in 0..bytes.len() {
        let Err(Error::Incomplete { needed, seen }) = parse(&bytes[..length]) else { panic!("{length}") };
        assert!(needed > length as u64 && needed <= bytes.len() as u64, "{needed} for {length}");
        assert_eq!(seen.chat_template, None);
        assert_eq!(seen.architecture.is_some(), length >= 24 + 8 + 20 + 4 + 8 + 5, "{length}");
    }
    parse(&bytes).unwrap();
    // Tensors that are not all in the prefix are done without.
    let tensors = llama().tensor("a", &[4]).tensor("b", &[4]).bytes();
    assert_eq!(parse(&tensors[..tensors.len() - 1]).unwrap().parameter_count, None);
}

#[test]
fn other_files_and_versions_are_told_apart() {
    for other in [&b"GGML"[..], b"PK\x03\x04", b"\0", b"{\"a\":1}"] {
        assert_eq!(parse(other), Err(Error::NotGguf), "{other:?}");
    }
    let with_version = |version: [u8; 4]| [MAGIC, &version, &[0; 16]].concat();
    assert_eq!(malformed(&with_version([1, 0, 0, 0])), "version 1 is not read any more");
    assert_eq!(malformed(&with_version([0, 0, 0, 3])), "it is big-endian");
    assert_eq!(malformed(&with_version([9, 0, 0, 0])), "its version is unknown");
    assert!(parse(&with_version([2, 0, 0, 0])).is_ok());
}

#[test]
fn lengths_and_counts_that_lie_cost_nothing() {
    let text = |length: u64| Gguf::default().pair(b"x", STRING, &length.to_le_bytes()).bytes();
    assert_eq!(malformed(&text(u64::MAX)), "a length beyond any file");
    assert!(matches!(parse(&text(1 << 60)), Err(Error::Incomplete { needed, .. }) if needed > 1 << 60));
    let elements = |kind, count| Gguf::default().pair(b"x", ARRAY, &array(kind, count, b"")).bytes();
    assert_eq!(malformed(&elements(U32, u64::MAX)), "an array beyond any file");
    assert_eq!(malformed(&elements(0, u64::MAX)), "a length beyond any file");
    for kind in [STRING, ARRAY] {
        assert!(matches!(parse(&elements(kind, u64::MAX)), Err(Error::Incomplete { .. })), "{kind}");
    }
    let counts = |tensors: u64, pairs: u64| {
        [MAGIC, &3_u32.to_le_bytes(), &tensors.to_le_bytes(), &pairs.to_le_bytes(), &[0; 64]].concat()
    };
    assert!(matches!(parse(&counts(0, u64::MAX)), Err(Error::Incomplete { .. })));
    assert_eq!(parse(&counts(u64::MAX, 0)), Ok(Header::default()));
}

#[test]
fn arrays_nest_only_so_deep() {
    let nested = |depth| (0..depth).fold(array(U32, 1, &[0; 4]), |inner, _| array(ARRAY, 1, &inner));
    let file = |depth| Gguf::new("llama").pair(b"x", ARRAY, &nested(depth)).bytes();
    assert!(parse(&file(MAX_DEPTH - 1)).is_ok());
    for depth in [MAX_DEPTH, 1000] {
        assert_eq!(malformed(&file(depth)), "its arrays are nested too deep");
    }
    let unknown = Gguf::new("llama").pair(b"x", ARRAY, &array(13, 1, &[0; 64])).bytes();
    assert_eq!(malformed(&unknown), "a value has an unknown type");
}

#[test]
fn texts_that_are_no_text_or_too_long_do_no_harm() {
    let file = Gguf::new("llama")
        .pair(b"\xff\xfe", U32, &[0; 4])
        .pair(b"general.name", STRING, &string(b"a\xffb"))
        .text("general.size_label", &"8".repeat(MAX_TEXT + 1))
        .text("tokenizer.chat_template", &"x".repeat(MAX_TEMPLATE + 1));
    let header = parse(&file.bytes()).unwrap();
    assert_eq!(header.name.as_deref(), Some("a\u{fffd}b"));
    assert_eq!((header.size_label, header.chat_template), (None, None));
}

#[test]
fn elements_that_are_more_than_a_number_holds_are_not_counted() {
    let counted =
        |dimensions: &[u64]| parse(&Gguf::new("llama").tensor("a", dimensions).bytes()).unwrap().parameter_count;
    assert_eq!(counted(&[4, 5, 6]), Some(120));
    assert_eq!(counted(&[u64::MAX, 2]), None);
    assert_eq!(counted(&[1; 9]), None);
    assert_eq!(counted(&[0]), None);
}
