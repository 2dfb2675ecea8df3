//! What looks like an attack and is none: strange names, huge texts, names that only look alike.

use super::bytes::{In, gguf, gnu_long, gzip, manifest, pax, tar};
use super::fixture::Fixture;
use super::modelpack::{CONFIG, PATH, RAW, TAR, TYPE};

pub fn fixtures() -> Vec<Fixture> {
    [names(), texts(), archives()].into_iter().flatten().collect()
}

fn named(name: &'static str, path: &str) -> Fixture {
    Fixture::new(name, "ModelPack", "section 7: refused is only what its rules name")
        .blob("config", "{}")
        .raw("model", path, gguf("m"))
        .manifest(manifest(TYPE, CONFIG, &[(RAW, "model", &[(PATH, path)])]))
        .entry(path)
}

fn names() -> Vec<Fixture> {
    let deep = format!("{}m.gguf", "d/".repeat(100));
    let longest = format!("{}.gguf", "m".repeat(250));
    let (composed, decomposed) = ("caf\u{e9}.txt", "cafe\u{301}.txt");
    let alike = Fixture::new(
        "odd-names-that-look-alike",
        "ModelPack",
        "Unicode: composed and decomposed are two names on Linux",
    )
    .blob("config", "{}")
    .raw("model", "m.gguf", gguf("m"))
    .raw("one", composed, "1")
    .raw("two", decomposed, "2")
    .manifest(manifest(
        TYPE,
        CONFIG,
        &[(RAW, "model", &[(PATH, "m.gguf")]), (RAW, "one", &[(PATH, composed)]), (RAW, "two", &[(PATH, decomposed)])],
    ))
    .entry("m.gguf");
    vec![
        named("odd-spaces-and-umlauts", "ein Modell \u{e4}\u{f6}\u{fc}.gguf"),
        named("odd-right-to-left", "fugg\u{202e}.gguf"),
        named("odd-dots", "..m/.../m..gguf"),
        named("odd-dashes", "--help.gguf"),
        named("odd-shell", "$(touch evil);`x`|&.gguf"),
        named("odd-hidden", ".hidden/.m.gguf"),
        named("odd-whiteout-name", ".wh.m.gguf"),
        named("odd-marker-in-a-folder", "sub/.artishim.json"),
        named("odd-deep", &deep),
        named("odd-longest-component", &longest),
        alike,
    ]
}

fn texts() -> Vec<Fixture> {
    let huge = "a".repeat(1_000_000);
    let annotations =
        Fixture::new("odd-megabytes-of-annotations", "ModelPack", "section 6: a manifest has up to 4 MiB")
            .blob("config", "{}")
            .raw("model", "m.gguf", gguf("m"))
            .manifest(manifest(
                TYPE,
                CONFIG,
                &[(RAW, "model", &[(PATH, "m.gguf"), ("a", &huge), ("b", &huge), ("c", &huge)])],
            ))
            .entry("m.gguf");
    let escapes =
        Fixture::new("odd-escapes-in-annotations", "ModelPack", "section 7: annotations are terminal-unsafe text")
            .blob(
                "config",
                r#"{"descriptor":{"name":"\u001b[2J\u001b]0;evil\u0007"},"config":{"architecture":"\u202e"}}"#,
            )
            .raw("model", "m.gguf", gguf("\u{1b}[31mred"))
            .manifest(manifest(
                TYPE,
                CONFIG,
                &[(RAW, "model", &[(PATH, "m.gguf"), ("org.opencontainers.image.description", "\u{1b}[2J")])],
            ))
            .entry("m.gguf");
    let unknown = Fixture::new("odd-unknown-fields", "ModelPack", "section 3.1: all fields may be missing, others may be there")
        .blob("config", "[]")
        .raw("model", "m.gguf", gguf("m"))
        .manifest(r#"{"schemaVersion":2,"artifactType":"application/vnd.cncf.model.manifest.v1+json","future":{"layers":[1,2],"manifests":[]},
         "config":{"mediaType":"application/vnd.cncf.model.config.v1+json","digest":"@config","urls":["https://example.com"]},
         "layers":[{"mediaType":"application/vnd.cncf.model.weight.v1.raw","digest":"@model","annotations":{"org.cncf.model.filepath":"m.gguf"},"future":null}]}"#)
        .entry("m.gguf");
    let many = (0..1000).map(|index| format!("part-{index:04}.txt")).collect::<Vec<_>>();
    let paths: Vec<_> = many.iter().map(|path| [(PATH, path.as_str())]).collect();
    let layers: Vec<_> = paths.iter().map(|path| (RAW, "layer", path.as_slice())).collect();
    let count = Fixture::new(
        "odd-thousand-layers",
        "ModelPack",
        "section 6: Ollama's tensor manifests have thousands of layers",
    )
    .blob("config", "{}")
    .blob("layer", "text")
    .manifest(manifest(TYPE, CONFIG, &layers));
    let count = many.iter().fold(count, |fixture, path| fixture.file(path, "text"));
    vec![annotations, escapes, unknown, count]
}

fn archives() -> Vec<Fixture> {
    let model = gguf("m");
    let long = format!("{}/{}.gguf", "d".repeat(120), "m".repeat(120));
    let archive = |name, path: &str, bytes: Vec<u8>| {
        Fixture::new(name, "ModelPack", "POSIX pax, GNU tar")
            .blob("config", "{}")
            .blob("layer", bytes)
            .manifest(manifest(TYPE, CONFIG, &[(TAR, "layer", &[])]))
            .file(path, model.clone())
            .entry(path)
    };
    let mut global = tar::Builder::new(Vec::new());
    global
        .append(
            &super::bytes::header("pax_global_header", tar::EntryType::XGlobalHeader, 20),
            &b"20 comment=abcdefgh\n"[..],
        )
        .unwrap();
    global
        .append(&super::bytes::header("m.gguf", tar::EntryType::Regular, model.len() as u64), model.as_slice())
        .unwrap();
    let empty_folders =
        tar(&[In::Folder("./"), In::Folder("empty/"), In::Folder("a/b/c/"), In::File("./m.gguf", &model)]);
    let behind_end = [tar(&[In::File("m.gguf", &model)]), tar(&[In::File("../evil", b"evil")])].concat();
    vec![
        archive("odd-pax-path", &long, pax(&[("path", long.as_bytes())], "short", &model)),
        archive("odd-gnu-long-name", &long, gnu_long(long.as_bytes(), &model)),
        archive("odd-git-archive", "m.gguf", global.into_inner().unwrap()),
        archive("odd-empty-folders", "m.gguf", empty_folders),
        // What stands behind the end of an archive is not read, only verified.
        archive("odd-behind-the-end", "m.gguf", behind_end),
        archive(
            "odd-pax-size-and-times",
            "m.gguf",
            pax(&[("mtime", b"1.5"), ("uid", b"0"), ("SCHILY.xattr.user.x", b"y")], "m.gguf", &model),
        ),
        archive(
            "odd-gzip-of-zeros-behind",
            "m.gguf",
            gzip(&[tar(&[In::File("m.gguf", &model)]), vec![0; 4_000_000]].concat()),
        ),
    ]
}
