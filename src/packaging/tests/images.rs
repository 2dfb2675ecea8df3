//! Models in images: layers over layers, removals, links.

use super::*;

fn listing(layers: &[Vec<u8>]) -> (Memory, Listing) {
    Artifact::image(layers).files()
}

/// ramalama test/unit/data/test_oci/ollama-type-car.
#[test]
fn ramalama_images_have_a_link_named_model_file() {
    let layer = gzip(&tar(&[
        In::Folder("models/"),
        In::Folder("models/tinyllama/"),
        In::File("models/tinyllama/tinyllama", GGUF),
        In::File("models/tinyllama/config.json", b"{}"),
        In::File("models/tinyllama/chat_template", b"{{ .Prompt }}"),
        In::File("models/tinyllama/chat_template_converted", b"{{ prompt }}"),
        In::Symlink("models/model.file", "tinyllama/tinyllama"),
    ]));
    let (sink, listing) = listing(&[layer]);
    assert_eq!(sink.links["model.file"], "tinyllama/tinyllama");
    assert_eq!(sink.content("tinyllama/tinyllama"), GGUF);
    assert_eq!(listing.entry.as_deref(), Some("model.file"));
    assert_eq!(listing.chat_template.as_deref(), Some("tinyllama/chat_template_converted"));
    assert_eq!(listing.files.last().map(|file| file.size), Some(GGUF.len() as u64), "of the target");
    assert_eq!(listing.packaging, "image");
}

#[test]
fn only_the_models_folder_is_taken() {
    let layer = tar(&[
        In::File("etc/passwd", b"root"),
        In::Symlink("bin", "usr/bin"),
        In::Other("dev/null", tar::EntryType::Char),
        In::File("model/other", b"x"),
        In::File("modelsX/other", b"x"),
        In::File("/models/m.gguf", GGUF),
        In::File("./models/README.md", b"x"),
    ]);
    let (sink, listing) = listing(&[layer]);
    assert_eq!(sink.paths(), ["README.md", "m.gguf"]);
    assert_eq!(listing.entry.as_deref(), Some("m.gguf"));
}

/// ai-lab-recipes: `/model/model.file`.
#[test]
fn the_model_folder_is_taken_where_there_is_no_models_folder() {
    let layers =
        [tar(&[In::File("model/model.file", GGUF)]), tar(&[In::Folder("models/"), In::Symlink("models/x", "/etc")])];
    let (sink, listing) = listing(&layers);
    assert_eq!(sink.paths(), ["model.file"]);
    assert_eq!(listing.entry.as_deref(), Some("model.file"));
    assert!(sink.links.is_empty());
    let error = Artifact::image(&[tar(&[In::File("etc/passwd", b"root")])]).error();
    assert!(matches!(error, Error::NoModels), "{error:?}");
}

/// LocalAI: `FROM scratch` and `COPY model.gguf /`.
#[test]
fn an_image_of_nothing_but_a_model_is_taken_whole() {
    let layers = [
        tar(&[In::Folder("./"), In::File("old.gguf", GGUF), In::File("m.yaml", b"name: m")]),
        gzip(&tar(&[In::File("m.gguf", GGUF), In::File(".wh.old.gguf", b""), In::Symlink("latest.gguf", "/m.gguf")])),
    ];
    let (sink, listing) = listing(&layers);
    assert_eq!(sink.paths(), ["m.gguf", "m.yaml"]);
    assert_eq!(sink.links["latest.gguf"], "m.gguf");
    assert_eq!(listing.entry.as_deref(), Some("latest.gguf"));
    for more in [In::File("usr/bin/server", b"x"), In::File("etc/hosts", b"x")] {
        let error = Artifact::image(&[tar(&[In::File("m.gguf", GGUF), more])]).error();
        assert!(matches!(error, Error::NoModels), "{error:?}");
    }
    assert!(matches!(Artifact::image(&[tar(&[In::File("hello", b"x")])]).error(), Error::NoModels));
}

#[test]
fn upper_layers_hide_lower_ones() {
    let lower = || {
        tar(&[
            In::File("models/a", b"low"),
            In::File("models/d/x", b"low"),
            In::File("models/d/y", b"low"),
            In::File("models/e/z", b"low"),
        ])
    };
    type Case<'a> = (&'a [In<'a>], &'a [(&'a str, &'a str)]);
    let cases: [Case<'_>; 9] = [
        (&[In::File("models/a", b"up")], &[("a", "up"), ("d/x", "low"), ("d/y", "low"), ("e/z", "low")]),
        (&[In::File("models/.wh.a", b"")], &[("d/x", "low"), ("d/y", "low"), ("e/z", "low")]),
        (&[In::File("models/.wh.d", b"")], &[("a", "low"), ("e/z", "low")]),
        (
            &[In::Folder("models/d/"), In::File("models/d/.wh..wh..opq", b""), In::File("models/d/new", b"up")],
            &[("a", "low"), ("d/new", "up"), ("e/z", "low")],
        ),
        (&[In::File("models/.wh..wh..opq", b""), In::File("models/n", b"up")], &[("n", "up")]),
        (&[In::File(".wh.models", b""), In::File("models/n", b"up")], &[("n", "up")]),
        (&[In::File(".wh..wh..opq", b""), In::File("models/n", b"up")], &[("n", "up")]),
        (&[In::File("models/d", b"up")], &[("a", "low"), ("d", "up"), ("e/z", "low")]),
        (
            &[In::File("models/a/f", b"up"), In::Folder("models/e/")],
            &[("a/f", "up"), ("d/x", "low"), ("d/y", "low"), ("e/z", "low")],
        ),
    ];
    for (number, (upper, expected)) in cases.iter().enumerate() {
        let (sink, _) = listing(&[lower(), gzip(&tar(upper))]);
        let found: Vec<(&str, &[u8])> =
            sink.files.iter().map(|(path, (bytes, _))| (path.as_str(), bytes.as_slice())).collect();
        let expected: Vec<(&str, &[u8])> = expected.iter().map(|(path, text)| (*path, text.as_bytes())).collect();
        assert_eq!(found, expected, "case {number}");
    }
}

#[test]
fn a_layer_hides_nothing_of_itself_and_every_lower_one() {
    let layers = [
        tar(&[In::File("models/a", b"1"), In::File("models/b", b"1")]),
        tar(&[In::File("models/.wh.a", b"")]),
        tar(&[In::File("models/c", b"3")]),
        tar(&[In::File("models/a", b"4"), In::File("models/.wh.a", b"")]),
    ];
    let (sink, _) = listing(&layers);
    assert_eq!(sink.paths(), ["a", "b", "c"]);
    assert_eq!(sink.content("a"), b"4");
}

#[test]
fn layers_are_compressed_in_any_way_whatever_their_type_says() {
    let layers = [
        zstd(&tar(&[In::File("models/a", b"1"), In::File("models/b", b"1")])),
        tar(&[In::File("models/.wh.b", b"")]),
        gzip(&tar(&[In::File("models/c", b"2")])),
    ];
    let (sink, _) = listing(&layers);
    assert_eq!(sink.paths(), ["a", "c"]);
}

#[test]
fn the_same_layer_twice_counts_where_it_lies() {
    let layer = tar(&[In::File("models/a", b"1")]);
    let (sink, _) = listing(&[layer.clone(), tar(&[In::File("models/.wh.a", b"")]), layer]);
    assert_eq!(sink.paths(), ["a"]);
}

#[test]
fn links_are_relative_and_stay_inside() {
    let layer = tar(&[
        In::File("models/v/m.gguf", GGUF),
        In::Symlink("models/absolute", "/models/v/m.gguf"),
        In::Symlink("models/v/up", "../v/m.gguf"),
        In::Symlink("models/x/round", "../../models/v/m.gguf"),
        In::Symlink("models/latest", "v"),
        In::Symlink("models/chain", "latest/up"),
        In::HardLink("models/hard", "models/v/m.gguf"),
        In::HardLink("models/x/y/hard", "/models/hard"),
        // None of these leads to a file of the model.
        In::Symlink("models/out", "/etc/passwd"),
        In::Symlink("models/out2", "../etc/passwd"),
        In::Symlink("models/out3", "../../../../etc"),
        In::Symlink("models/dangling", "nowhere"),
        In::Symlink("models/circle", "circle"),
        In::Symlink("models/one", "two"),
        In::Symlink("models/two", "one"),
        In::Symlink("models/v/parent", "."),
        In::Symlink("models/root", "/models"),
    ]);
    let (sink, listing) = listing(&[layer]);
    let expected = [
        ("absolute", "v/m.gguf"),
        ("chain", "v/m.gguf"),
        ("hard", "v/m.gguf"),
        ("latest", "v"),
        ("v/up", "m.gguf"),
        ("x/round", "../v/m.gguf"),
        ("x/y/hard", "../../v/m.gguf"),
    ];
    let found: Vec<(&str, &str)> = sink.links.iter().map(|(path, target)| (path.as_str(), target.as_str())).collect();
    assert_eq!(found, expected);
    assert_eq!(sink.directories, ["v", "x", "x/y"]);
    assert_eq!(listing.files.len(), 8);
}

/// A member of GNU tar's older sparse files: a hole of an exbibyte and nothing else.
fn hole(name: &str) -> Vec<u8> {
    let mut size = [0; 12];
    size[0] = 0x80;
    size[4..].copy_from_slice(&(1u64 << 60).to_be_bytes());
    let mut header = tar::Header::new_gnu();
    header.set_path(name).unwrap();
    header.set_entry_type(tar::EntryType::GNUSparse);
    header.set_size(0);
    header.set_mode(0o644);
    let gnu = header.as_gnu_mut().unwrap();
    gnu.sparse[0].offset = size;
    gnu.sparse[0].numbytes = *b"00000000000\0";
    gnu.realsize = size;
    header.set_cksum();
    header.as_bytes().to_vec()
}

#[test]
fn a_hole_outside_the_models_folder_is_passed_over() {
    let layer = [hole("var/log/lastlog"), tar(&[In::File("models/m.gguf", GGUF)])].concat();
    assert_eq!(listing(&[layer]).0.paths(), ["m.gguf"]);
    let error = Artifact::image(&[[hole("models/m.gguf"), tar(&[])].concat()]).error();
    assert!(matches!(error, Error::Special { kind: "sparse file", .. }), "{error:?}");
}

/// A link in a layer of its own, its names in an extended header, as long as they may be.
fn long_link(name: &str, target: &str) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    builder.append_pax_extensions([("path", name.as_bytes()), ("linkpath", target.as_bytes())]).unwrap();
    let mut header = tar::Header::new_ustar();
    header.set_entry_type(tar::EntryType::Symlink);
    header.set_size(0);
    header.set_mode(0o777);
    header.set_cksum();
    builder.append(&header, io::empty()).unwrap();
    let mut bytes = builder.into_inner().unwrap();
    bytes.truncate(bytes.len() - 1024);
    bytes
}

#[test]
fn a_link_longer_than_any_path_leads_nowhere() {
    let file = tar(&[In::File("models/a/m", GGUF)]);
    let links =
        [long_link("models/l", &format!("/models/a/{}m", "./".repeat(450_000))), long_link("models/k", "a/./m")];
    let (sink, _) = listing(&[[links.concat(), file].concat()]);
    assert_eq!(sink.links.keys().collect::<Vec<_>>(), ["k"]);
}

#[test]
fn links_that_lead_through_all_others_are_refused() {
    let folder = "d/".repeat(1000);
    let links = (0..39).map(|index| long_link(&format!("models/{folder}{index}"), &(index + 1).to_string()));
    let layer = [links.collect::<Vec<_>>().concat(), tar(&[In::File("models/m", GGUF)])].concat();
    let error = Artifact::image(&[layer]).error();
    assert!(matches!(error, Error::TooManyLinks), "{error:?}");
}

#[test]
fn a_link_hides_what_lower_layers_have_there() {
    let layers = [
        tar(&[In::File("models/d/old", b"1"), In::File("models/m.gguf", GGUF)]),
        tar(&[In::Symlink("models/d", "m.gguf")]),
    ];
    let (sink, _) = listing(&layers);
    assert_eq!(sink.paths(), ["m.gguf"]);
    assert_eq!(sink.links["d"], "m.gguf");
}

#[test]
fn hard_links_to_content_that_is_not_laid_out_are_refused() {
    let outside =
        vec![tar(&[In::File("data/m", GGUF), In::HardLink("models/m", "data/m"), In::File("models/b", b"x")])];
    let replaced = vec![
        tar(&[In::File("models/a", b"old"), In::HardLink("models/b", "models/a")]),
        tar(&[In::File("models/a", b"new")]),
    ];
    let removed = vec![
        tar(&[In::File("models/a", b"old"), In::HardLink("models/b", "models/a")]),
        tar(&[In::File("models/.wh.a", b""), In::File("models/c", b"x")]),
    ];
    for layers in [outside, replaced, removed] {
        let error = Artifact::image(&layers).error();
        assert!(matches!(error, Error::HardLink { .. }), "{error:?}");
    }
}

#[test]
fn hostile_members_of_the_folder_are_refused() {
    let cases: [&[In<'_>]; 6] = [
        &[In::File("models/../../etc/passwd", b"x")],
        &[In::File("models/a\\b", b"x")],
        &[In::File("models/a", b"x"), In::File("models/A", b"x")],
        &[In::File("models/a", b"x"), In::File("models/a", b"y")],
        &[In::File("models/.artishim.json", b"{}")],
        &[In::Other("models/pipe", tar::EntryType::Fifo)],
    ];
    for members in cases {
        let error = Artifact::image(&[tar(members)]).error();
        assert!(matches!(error, Error::Path { .. } | Error::Collision { .. } | Error::Special { .. }), "{error:?}");
    }
    let through_a_link = [In::Symlink("models/d", "e"), In::File("models/e/x", b"x"), In::File("models/d/y", b"y")];
    assert!(matches!(Artifact::image(&[tar(&through_a_link)]).error(), Error::Collision { .. }));
}

#[test]
fn a_layer_that_is_no_tar_is_the_blobs_fault() {
    let error = Artifact::image(&[vec![7; 2000]]).error();
    assert!(matches!(error, Error::Blob { .. }), "{error:?}");
}
