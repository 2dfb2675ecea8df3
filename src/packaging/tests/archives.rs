//! Archives: their names, formats, and what is refused in them.

use super::*;

const GZIP_LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
const WEIGHT_TAR: &str = "application/vnd.cncf.model.weight.v1.tar";

/// One layer with annotations, under ModelPack's artifact type or none.
fn layer(artifact_type: Option<&str>, kind: &str, annotations: &[(&str, &str)], bytes: &[u8]) -> Artifact {
    let annotations: BTreeMap<_, _> = annotations.iter().copied().collect();
    let layer = serde_json::json!({"mediaType": kind, "digest": "@layer", "annotations": annotations});
    let mut json = serde_json::json!({"schemaVersion": 2, "layers": [layer]});
    if let Some(artifact_type) = artifact_type {
        json["artifactType"] = artifact_type.into();
    }
    Artifact::new(&json.to_string(), &[("layer", bytes)])
}

fn model_tar(filepath: &str, members: &[In<'_>]) -> Artifact {
    layer(Some(media::MODELPACK), WEIGHT_TAR, &[(media::FILEPATH, filepath)], &tar(members))
}

#[test]
fn oras_folders_are_unpacked_where_the_tar_says() {
    let bytes = gzip(&tar(&[
        In::Folder("data/"),
        In::File("data/config.json", b"{}"),
        In::Folder("data/empty/"),
        In::Program("data/sub/run.sh", b"#!"),
    ]));
    for title in ["data", "."] {
        let (sink, listing) =
            layer(None, GZIP_LAYER, &[(media::TITLE, title), (media::ORAS_UNPACK, "true")], &bytes).files();
        assert_eq!(sink.paths(), ["data/config.json", "data/sub/run.sh"]);
        assert_eq!(sink.directories, ["data", "data/sub"]);
        assert_eq!(sink.files["data/config.json"].1, 0o644);
        assert_eq!(sink.files["data/sub/run.sh"].1, 0o755, "executable, and no setuid");
        assert_eq!(listing.files[0].blob, Digest::sha256(&bytes));
    }
}

#[test]
fn compressed_tars_are_unpacked_only_where_type_and_title_agree() {
    let bytes = gzip(&tar(&[In::File("inside", b"x")]));
    let plain = media::OCI_LAYER_TAR;
    let cases = [
        (GZIP_LAYER, "a.tar.gz", "inside"),
        (GZIP_LAYER, "a.tgz", "inside"),
        (GZIP_LAYER, "layer0.tar", "inside"),
        (GZIP_LAYER, "model.bin", "model.bin"),
        (plain, "a.tar.gz", "a.tar.gz"),
        ("application/gzip", "a.tar.gz", "a.tar.gz"),
    ];
    for (kind, title, file) in cases {
        assert_eq!(layer(None, kind, &[(media::TITLE, title)], &bytes).files().0.paths(), [file], "{kind} {title}");
    }
}

#[test]
fn a_compressed_tar_that_begins_with_the_folder_of_its_title_is_that_folder() {
    let (folder, file) = (In::Folder("data/"), In::File("data/a", b"x"));
    let packed = gzip(&tar(&[folder, file]));
    for (title, path) in [("data", "data/a"), ("other", "other"), ("dat", "dat")] {
        let (sink, _) = layer(None, GZIP_LAYER, &[(media::TITLE, title)], &packed).files();
        assert_eq!(sink.paths(), [path]);
    }
    for members in [[In::File("data/a", b"x"), In::Folder("data/")], [In::File("data", b"x"), In::Folder("x/")]] {
        let packed = gzip(&tar(&members));
        let (sink, _) = layer(None, GZIP_LAYER, &[(media::TITLE, "data")], &packed).files();
        assert_eq!(sink.content("data"), packed);
    }
}

#[test]
fn a_promised_tar_that_is_none_is_a_file() {
    let (gzipped, zstandard) = (gzip(b"just text"), zstd(b"just text"));
    for bytes in [&b"short"[..], &[7; 2000], &gzipped, &zstandard] {
        let (sink, _) = layer(Some(media::MODELPACK), WEIGHT_TAR, &[(media::FILEPATH, "a/b")], bytes).files();
        assert_eq!(sink.content("a/b"), bytes);
        let (sink, _) = layer(Some(media::MODELPACK), WEIGHT_TAR, &[], bytes).files();
        assert_eq!(sink.paths(), [Digest::sha256(bytes).file_name()]);
    }
}

#[test]
fn raw_stays_raw_when_it_is_a_tar() {
    let bytes = tar(&[In::File("inside", b"x")]);
    let raw = "application/vnd.cncf.model.weight.config.v1.raw";
    let (sink, _) = layer(Some(media::MODELPACK), raw, &[(media::FILEPATH, "vllm.config.tar")], &bytes).files();
    assert_eq!(sink.content("vllm.config.tar"), bytes);
}

#[test]
fn the_first_bytes_decide_how_a_tar_is_compressed() {
    let bytes = tar(&[In::File("m.gguf", GGUF)]);
    let gzipped = "application/vnd.cncf.model.weight.v1.tar+gzip";
    for (kind, bytes) in
        [(WEIGHT_TAR, gzip(&bytes)), (gzipped, zstd(&bytes)), (ZSTD_WEIGHT, gzip(&bytes)), (gzipped, bytes)]
    {
        assert_eq!(layer(None, kind, &[], &bytes).files().0.content("m.gguf"), GGUF);
    }
}

#[test]
fn a_packed_file_goes_to_its_annotated_path() {
    let one = |name| [In::File(name, b"w")];
    let cases = [
        ("unet/model.safetensors", "model.safetensors", "unet/model.safetensors"),
        ("unet/model.safetensors", "./model.safetensors", "unet/model.safetensors"),
        ("unet/model.safetensors", "unet/model.safetensors", "unet/model.safetensors"),
        ("unet/model.safetensors", "x/model.safetensors", "unet/model.safetensors"),
        ("unet/model.safetensors", "other.safetensors", "other.safetensors"),
        ("config", "tokenizer.json", "tokenizer.json"),
    ];
    for (filepath, name, path) in cases {
        assert_eq!(model_tar(filepath, &one(name)).files().0.paths(), [path], "{name} at {filepath}");
    }
}

#[test]
fn category_words_of_aikit_never_become_files() {
    let members = [In::File("config.json", b"{}"), In::File("tokenizer/vocab.json", b"{}")];
    assert_eq!(model_tar("config", &members).files().0.paths(), ["config.json", "tokenizer/vocab.json"]);
}

#[test]
fn a_modelcars_layers_as_modelpack_lose_their_models_folder() {
    let bytes = tar(&[In::Folder("models/"), In::File("models/sub/m.gguf", GGUF)]);
    let olot = media::OCI_LAYER_TAR;
    let (sink, _) = layer(Some(media::MODELPACK), olot, &[(media::TITLE, "m.gguf")], &bytes).files();
    assert_eq!(sink.paths(), ["sub/m.gguf"]);
    let (sink, _) = layer(None, GZIP_LAYER, &[(media::OLOT_NAME, "m.gguf")], &gzip(&bytes)).files();
    assert_eq!(sink.paths(), ["sub/m.gguf"]);
    assert_eq!(model_tar("models", &[In::File("models/m.gguf", GGUF)]).files().0.paths(), ["models/m.gguf"]);
}

#[test]
fn only_files_and_folders_are_taken_from_an_archive() {
    let cases = [
        (In::Symlink("a", "b"), "symbolic link"),
        (In::HardLink("a", "b"), "hard link"),
        (In::Other("a", tar::EntryType::Char), "device"),
        (In::Other("a", tar::EntryType::Block), "device"),
        (In::Other("a", tar::EntryType::Fifo), "pipe"),
        (In::Other("a", tar::EntryType::new(b'V')), "special member"),
    ];
    for (member, expected) in cases {
        let Error::Special { kind, .. } = model_tar("x", &[member]).error() else { panic!("{expected}") };
        assert_eq!(kind, expected);
    }
}

#[test]
fn hostile_names_in_an_archive_are_refused() {
    for name in ["/etc/passwd", "a/../../b", "..", "a//b", "a\\b", "C:x", "a\nb", ".artishim.json"] {
        let error = model_tar("x", &[In::File(name, b"x")]).error();
        assert!(matches!(error, Error::Path { .. } | Error::Collision { .. }), "{name:?} {error:?}");
    }
    let hostile_folder = model_tar("x", &[In::Folder("a/../../b/")]).error();
    assert!(matches!(hostile_folder, Error::Path { .. }), "{hostile_folder:?}");
}

#[test]
fn archives_that_meet_collide() {
    let first = tar(&[In::File("a", b"1")]);
    let cases = [
        tar(&[In::File("a", b"2")]),
        tar(&[In::File("A", b"2")]),
        tar(&[In::File("a/b", b"2")]),
        tar(&[In::File("b", b"2"), In::File("b", b"3")]),
        tar(&[In::File("raw.bin", b"2")]),
    ];
    for second in &cases {
        let json = format!(
            r#"{{"layers":[{{"mediaType":"application/vnd.cncf.model.weight.v1.raw","digest":"@raw","annotations":{{"{}":"raw.bin"}}}},
            {{"mediaType":"{WEIGHT_TAR}","digest":"@one"}},{{"mediaType":"{WEIGHT_TAR}","digest":"@two"}}]}}"#,
            media::FILEPATH
        );
        let error = Artifact::new(&json, &[("raw", b"r"), ("one", &first), ("two", second)]).error();
        assert!(matches!(error, Error::Collision { .. }), "{error:?}");
    }
}

const ZSTD_WEIGHT: &str = "application/vnd.cncf.model.weight.v1.tar+zstd";

/// RFC 8878: one frame that asks for a window of `window_log` bits and holds `bytes` as they are.
fn zstd_frame(window_log: u8, bytes: &[u8]) -> Vec<u8> {
    let block = u32::try_from(bytes.len()).unwrap() << 3 | 1;
    [&[0x28, 0xb5, 0x2f, 0xfd, 0, (window_log - 10) << 3][..], &block.to_le_bytes()[..3], bytes].concat()
}

#[test]
fn zstd_is_unpacked_in_frames_of_every_kind() {
    let noise: Vec<u8> = (0u32..300_000).map(|number| number.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect();
    let bytes = tar(&[In::File("noise", &noise), In::File("m.gguf", GGUF)]);
    let (first, second) = bytes.split_at(1000);
    let many: Vec<u8> = bytes.chunks(700).flat_map(zstd).collect();
    let skippable = [&[0x5a, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3][..], &zstd(&bytes)].concat();
    let with_window = [zstd_frame(27, first), zstd(second)].concat();
    for zipped in [zstd(&bytes), many, skippable, with_window] {
        for kind in [ZSTD_WEIGHT, WEIGHT_TAR] {
            let (sink, listing) = layer(None, kind, &[], &zipped).files();
            assert_eq!(sink.content("noise"), noise);
            assert_eq!(listing.entry.as_deref(), Some("m.gguf"));
        }
    }
}

#[test]
fn hostile_zstd_is_the_blobs_fault() {
    let bytes = tar(&[In::File("m.gguf", &[7; 100_000])]);
    let zipped = zstd(&bytes);
    let mut damaged = zstd(&bytes);
    damaged[20..].fill(0xff);
    let cases = [
        b"\x28\xb5\x2f\xfd and so on".to_vec(),
        b"\x28\xb5\x2f\xfd".to_vec(),
        zipped[..zipped.len() / 2].to_vec(),
        zstd_frame(27, &bytes[..1000]),
        zstd_frame(28, &bytes),
        damaged,
    ];
    for case in cases {
        let error = layer(None, ZSTD_WEIGHT, &[], &case).error();
        assert!(matches!(error, Error::Blob { .. }), "{error:?}");
    }
}

#[test]
fn a_window_of_zstd_larger_than_we_give_is_said_to_be() {
    let bytes = tar(&[In::File("m.gguf", GGUF)]);
    let Error::Blob { source, .. } = layer(None, ZSTD_WEIGHT, &[], &zstd_frame(28, &bytes)).error() else { panic!() };
    assert_eq!(source.to_string(), "Frame requires too much memory for decoding");
}

#[test]
fn long_names_of_both_kinds_are_read() {
    let long = format!("{}/{}.gguf", "d".repeat(120), "m".repeat(120));
    let mut gnu = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(GGUF.len() as u64);
    header.set_mode(0o644);
    gnu.append_data(&mut header, &long, GGUF).unwrap();
    let mut pax = tar::Builder::new(Vec::new());
    pax.append_pax_extensions([("path", long.as_bytes())]).unwrap();
    let mut header = tar::Header::new_ustar();
    header.set_size(GGUF.len() as u64);
    header.set_mode(0o644);
    header.set_cksum();
    pax.append(&header, GGUF).unwrap();
    for bytes in [gnu.into_inner().unwrap(), pax.into_inner().unwrap()] {
        assert_eq!(layer(None, WEIGHT_TAR, &[], &bytes).files().0.paths(), [long.as_str()]);
    }
}

#[test]
fn a_sparse_file_is_not_taken_for_its_map() {
    let mut builder = tar::Builder::new(Vec::new());
    builder.append_pax_extensions([("GNU.sparse.major", &b"1"[..]), ("GNU.sparse.name", b"m.gguf")]).unwrap();
    let mut header = tar::Header::new_ustar();
    header.set_path("GNUSparseFile.0/m.gguf").unwrap();
    header.set_size(4);
    header.set_mode(0o644);
    header.set_cksum();
    builder.append(&header, &b"map\n"[..]).unwrap();
    let error = layer(None, WEIGHT_TAR, &[], &builder.into_inner().unwrap()).error();
    assert!(matches!(error, Error::Special { kind: "sparse file", .. }), "{error:?}");
}

/// Tars older than POSIX have no extended headers, and the tar crate takes none in them for one.
#[test]
fn an_extended_header_of_the_oldest_form_is_no_header() {
    let mut header = tar::Header::new_old();
    header.set_path("m").unwrap();
    header.set_entry_type(tar::EntryType::XHeader);
    header.set_size(600);
    header.set_mode(0o644);
    header.set_cksum();
    let mut builder = tar::Builder::new(tar(&[In::File("a", b"x")]));
    builder.get_mut().truncate(2 * 512);
    builder.append(&header, &[b'x'; 600][..]).unwrap();
    let error = layer(None, WEIGHT_TAR, &[], &builder.into_inner().unwrap()).error();
    assert!(matches!(error, Error::Special { kind: "special member", .. }), "{error:?}");
}

#[test]
fn a_path_is_looked_at_where_it_ends_up() {
    let olot = |name| {
        layer(Some(media::MODELPACK), media::OCI_LAYER_TAR, &[(media::TITLE, "m")], &tar(&[In::File(name, b"x")]))
    };
    let beside = |name| model_tar("model.bin", &[In::File("d/model.bin", b"x"), In::File(name, b"x")]);
    for artifact in [olot("models/C:x"), beside("d/C:x"), Artifact::image(&[tar(&[In::File("models/C:x", b"x")])])] {
        let error = artifact.error();
        assert!(matches!(&error, Error::Path { path, .. } if path == "C:x"), "{error:?}");
    }
    let long = format!("{}/model.bin", ["d"; 1000].join("/"));
    let mut builder = tar::Builder::new(Vec::new());
    for name in ["model.bin", &["e"; 1000].join("/")] {
        let mut header = tar::Header::new_gnu();
        header.set_size(1);
        header.set_mode(0o644);
        builder.append_data(&mut header, name, &b"x"[..]).unwrap();
    }
    let packed = layer(Some(media::MODELPACK), WEIGHT_TAR, &[(media::FILEPATH, &long)], &builder.into_inner().unwrap());
    let error = packed.error();
    assert!(matches!(error, Error::Path { reason: "is too long", .. }), "{error:?}");
}

#[test]
fn a_name_that_would_fill_the_memory_is_refused() {
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::GNULongName);
    header.set_size(4 * 1024 * 1024);
    header.set_mode(0o644);
    header.set_cksum();
    builder.append(&header, io::repeat(b'x').take(4 * 1024 * 1024)).unwrap();
    let bytes = builder.into_inner().unwrap();
    let Error::Blob { source, .. } = layer(None, WEIGHT_TAR, &[], &gzip(&bytes)).error() else { panic!() };
    assert_eq!(source.to_string(), "the headers of a tar member are too long");
}

#[test]
fn a_tar_that_ends_early_is_an_error() {
    let bytes = tar(&[In::File("a", &[1; 2000])]);
    for cut in [700, 1500] {
        let error = layer(None, WEIGHT_TAR, &[], &bytes[..cut]).error();
        assert!(matches!(error, Error::Blob { .. }), "{error:?}");
    }
    let noise: Vec<u8> = (0u32..20_000).map(|number| number.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect();
    let zipped = gzip(&tar(&[In::File("a", &noise)]));
    let error = layer(None, WEIGHT_TAR, &[], &zipped[..zipped.len() - 1000]).error();
    assert!(matches!(error, Error::Blob { .. }), "{error:?}");
}

#[test]
fn more_bytes_than_allowed_are_refused_before_they_are_written() {
    let artifact = model_tar("x", &[In::File("a", &[1; 100]), In::File("b", &[1; 100])]);
    assert!(artifact.lay_out_within(Some(200), &mut Memory::default()).is_ok());
    let mut sink = Memory::default();
    assert!(matches!(
        artifact.lay_out_within(Some(199), &mut sink),
        Err(Error::TooLarge { needed: 200, limit: 199, .. })
    ));
    assert_eq!(sink.paths(), ["a"]);
}

#[test]
fn only_what_is_unpacked_is_bounded() {
    let whole = Artifact::titled(&[("application/octet-stream", "m", &[1; 1000])]);
    assert!(whole.lay_out_within(Some(0), &mut Memory::default()).is_ok());
    let members = [In::File("usr/lib/large", &[1; 1000]), In::File("models/m", &[1; 10])];
    assert!(Artifact::image(&[tar(&members)]).lay_out_within(Some(10), &mut Memory::default()).is_ok());
}

/// A layer of AIKit's or modctl's, whose metadata says how many bytes its files have.
fn with_metadata(metadata: &str, bytes: &[u8]) -> Artifact {
    let annotations = [(media::FILEPATH, "m.bin"), (media::FILE_METADATA, metadata)];
    layer(None, "application/vnd.cncf.model.weight.v1.tar+gzip", &annotations, bytes)
}

#[test]
fn a_compressed_archive_unpacks_to_what_its_metadata_says_at_most() {
    let bytes = tar(&[In::File("m.bin", &[0; 600]), In::File("n.bin", &[0; 400])]);
    let regular = |size: u64, flag: u64| format!(r#"{{"name":"m.bin","size":{size},"typeflag":{flag}}}"#);
    for bytes in [gzip(&bytes), zstd(&bytes)] {
        for flag in [0, 48] {
            with_metadata(&regular(1000, flag), &bytes).files();
            let error = with_metadata(&regular(999, flag), &bytes).error();
            assert_eq!(
                error.to_string(),
                format!("layer {} holds more than the 999 bytes it is said to unpack to", Digest::sha256(&bytes))
            );
        }
        // A folder's size is not that of its files, and what is odd says nothing.
        for metadata in [&regular(4, 5), r#"{"size":"4","typeflag":0}"#, r#"{"size":4}"#, r#"{"size":-4,"typeflag":0}"#]
        {
            with_metadata(metadata, &bytes).files();
        }
    }
    // What is not compressed cannot be larger than it came.
    with_metadata(&regular(4, 0), &bytes).files();
}

#[test]
fn a_declared_size_beyond_the_limit_is_refused_before_anything_is_opened() {
    let artifact = with_metadata(r#"{"size":5000,"typeflag":0}"#, &gzip(&tar(&[In::File("m.bin", &[0; 5000])])));
    let error = artifact.lay_out_within(Some(4999), &mut Memory::default()).unwrap_err();
    assert_eq!(error.to_string(), "the files take 5000 bytes or more when unpacked, and there is room for 4999");
    assert_eq!(artifact.opened.load(Ordering::Relaxed), 0);
}

/// Ten gigabytes of zeros in some megabytes, which must not be unpacked to find out.
#[test]
fn a_bomb_is_given_up_at_its_header() {
    let mut header = tar::Header::new_gnu();
    header.set_path("zeros.gguf").unwrap();
    header.set_size(10 << 30);
    header.set_mode(0o644);
    header.set_cksum();
    let mut start = header.as_bytes().to_vec();
    start.resize(1 << 20, 0);
    for bytes in [gzip(&start), zstd(&start)] {
        let mut sink = Memory::default();
        let error = layer(None, WEIGHT_TAR, &[], &bytes).lay_out_within(Some(1 << 30), &mut sink).unwrap_err();
        assert!(matches!(error, Error::TooLarge { needed: 10_737_418_240, .. }), "{error:?}");
        assert!(sink.files.is_empty());
    }
}

#[test]
fn one_archive_at_two_places_is_there_twice() {
    let bytes = tar(&[In::File("model.safetensors", b"w")]);
    let json = |path: &str| {
        format!(r#"{{"mediaType":"{WEIGHT_TAR}","digest":"@layer","annotations":{{"{}":"{path}"}}}}"#, media::FILEPATH)
    };
    let paths = ["unet/model.safetensors", "vae/model.safetensors", "vae/model.safetensors"];
    let json = format!(r#"{{"layers":[{}]}}"#, paths.map(json).join(","));
    assert_eq!(Artifact::new(&json, &[("layer", &bytes)]).files().0.paths(), paths[..2]);
}

#[test]
fn wrong_bytes_are_the_blobs_fault_and_noticed_behind_the_end_of_a_tar() {
    let bytes = tar(&[In::File("a", &[1; 100])]);
    for (kind, changed) in [(WEIGHT_TAR, bytes.len() - 1), ("application/octet-stream", 600)] {
        let mut artifact = layer(Some(media::MODELPACK), kind, &[(media::FILEPATH, "a")], &bytes);
        for content in artifact.blobs.values_mut() {
            content[changed] ^= 1;
        }
        let error = artifact.error();
        assert!(matches!(error, Error::Blob { .. }), "{error:?}");
    }
}

#[test]
fn a_sink_that_links_whole_blobs_reads_none_of_them() {
    let artifact = Artifact::titled(&[("application/octet-stream", "m", GGUF), ("text/plain", "empty", b"")]);
    let mut sink = Memory { is_linking: true, ..Memory::default() };
    let listing = artifact.lay_out(&mut sink).unwrap();
    assert_eq!(sink.linked, ["m", "empty"]);
    assert_eq!(listing.entry.as_deref(), Some("m"), "told by the first bytes");
    assert_eq!(artifact.verified.load(Ordering::Relaxed), 1, "only the empty one");
}
