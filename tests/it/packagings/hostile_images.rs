//! Images whose layers mean harm below `/models`.

use super::artifact::Artifact;
use super::bytes::{In, gzip, header, image_config, tar, zstd, zstd_zeros};
use super::fixture::{Hostile, Stage};

pub fn refused() -> Vec<Hostile> {
    let mut refused = vec![
        image("image-without-models", "no files in /models or /model", &[tar(&[In::File("etc/passwd", b"root")])]),
        image("image-with-empty-models", "no files in /models or /model", &[tar(&[In::Folder("models/")])]),
        image(
            "image-all-whited-out",
            "no files in /models or /model",
            &[tar(&[In::File("models/m", b"GGUF")]), tar(&[In::File("models/.wh..wh..opq", b"")])],
        ),
        image("image-no-tar", "blob @layer0 cannot be read", &[vec![7; 2000]]),
        image("image-bomb-outside-models", "it unpacks to more than a hundred times its size", &[outside()]).slow(),
        image("image-count", "more than 200000 files, folders and links", &[gzip(&many())]).slow(),
        image(
            "image-through-a-symlink",
            "collide",
            &[tar(&[In::Symlink("models/d", "e"), In::File("models/e/x", b"x"), In::File("models/d/y", b"y")])],
        ),
        image(
            "image-hard-link-of-removed",
            "which is not among the model's files",
            &[
                tar(&[In::File("models/a", b"old"), In::HardLink("models/b", "models/a")]),
                tar(&[In::File("models/.wh.a", b""), In::File("models/c", b"x")]),
            ],
        ),
    ];
    refused.extend(members());
    refused
}

/// A file that nobody wants, and that takes years to pass over.
fn outside() -> Vec<u8> {
    let first = header("opt/zeros", tar::EntryType::Regular, 1 << 60);
    [zstd(first.as_bytes()), zstd_zeros(9000)].concat()
}

fn image(name: &'static str, words: &str, layers: &[Vec<u8>]) -> Hostile {
    let plain: Vec<&[u8]> = layers.iter().map(Vec::as_slice).collect();
    let mut artifact = Artifact::default().blob("config", image_config(&plain));
    let mut entries = Vec::new();
    for (index, layer) in layers.iter().enumerate() {
        artifact = artifact.blob(&format!("layer{index}"), layer.clone());
        entries.push(format!(r#"{{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"@layer{index}"}}"#));
    }
    let json = format!(
        r#"{{"schemaVersion":2,"config":{{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"@config"}},"layers":[{}]}}"#,
        entries.join(",")
    );
    Hostile::with(name, Stage::Unpack, words, artifact.manifest(json))
}

fn members() -> Vec<Hostile> {
    let one = |name, words: &str, member: In<'_>| image(name, words, &[tar(&[In::File("models/m", b"GGUF"), member])]);
    vec![
        one("image-path-up", "has a `..` component", In::File("models/../../etc/evil", b"x")),
        one("image-path-backslash", "has a backslash", In::File("models/..\\evil", b"x")),
        one("image-path-escape", "has a control character", In::File("models/\u{1b}[2J", b"x")),
        one("image-case", "collide", In::File("models/M", b"x")),
        one("image-same-name", "collide", In::File("models/m", b"x")),
        one("image-marker", "collide", In::File("models/.artishim.json", b"{}")),
        one("image-device", "is a device", In::Other("models/null", tar::EntryType::Char)),
        one("image-fifo", "is a pipe", In::Other("models/pipe", tar::EntryType::Fifo)),
        one("image-hard-link-out", "which is not among the model's files", In::HardLink("models/evil", "etc/passwd")),
        one(
            "image-hard-link-up",
            "which is not among the model's files",
            In::HardLink("models/evil", "../../sentinel"),
        ),
    ]
}

/// A tar of more links than any model has; each is kept in memory until the end.
fn many() -> Vec<u8> {
    let mut bytes = Vec::with_capacity(200_100 * 512);
    for number in 0..200_050u32 {
        let mut link = header(&format!("models/{number}"), tar::EntryType::Symlink, 0);
        link.as_ustar_mut().unwrap().linkname[..1].copy_from_slice(b"m");
        link.set_cksum();
        bytes.extend(link.as_bytes());
    }
    bytes.extend([0; 1024]);
    bytes
}
