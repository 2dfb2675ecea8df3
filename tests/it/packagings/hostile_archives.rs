//! Archives that mean harm: links, devices, names in every kind of header, and bytes without end.

use super::artifact::Artifact;
use super::bytes::{In, ZSTD_MAGIC, gguf, gnu_long, gzip, header, manifest, pax, tar, zstd, zstd_stored, zstd_zeros};
use super::fixture::{Hostile, Stage};
use super::modelpack::{CONFIG, METADATA, PATH, TAR, TYPE};

pub fn refused() -> Vec<Hostile> {
    [members(), names(), collisions(), broken(), bombs()].into_iter().flatten().collect()
}

fn archive(name: &'static str, words: &str, bytes: impl Into<Vec<u8>>) -> Hostile {
    let json = manifest(TYPE, CONFIG, &[(TAR, "layer", &[])]);
    Hostile::with(
        name,
        Stage::Unpack,
        words,
        Artifact::default().blob("config", "{}").blob("layer", bytes).manifest(json),
    )
}

fn members() -> Vec<Hostile> {
    let one = |name, what: &str, member: In<'_>| {
        let words = format!("in layer @layer is a {what}, only files and folders are taken");
        archive(name, &words, tar(&[In::File("m.gguf", &gguf("m")), member]))
    };
    let through = tar(&[In::Symlink("d", "../../../.."), In::File("d/evil", b"evil")]);
    vec![
        one("tar-symlink-absolute", "symbolic link", In::Symlink("evil", "/etc/passwd")),
        one("tar-symlink-up", "symbolic link", In::Symlink("evil", "../../../../sentinel")),
        one("tar-symlink-inside", "symbolic link", In::Symlink("evil", "m.gguf")),
        archive("tar-through-a-symlink", "\"d\" in layer @layer is a symbolic link", through),
        one("tar-hard-link-out", "hard link", In::HardLink("evil", "../../../../sentinel")),
        one("tar-hard-link-absolute", "hard link", In::HardLink("evil", "/etc/passwd")),
        one("tar-hard-link-inside", "hard link", In::HardLink("evil", "m.gguf")),
        one("tar-char-device", "device", In::Other("evil", tar::EntryType::Char)),
        one("tar-block-device", "device", In::Other("evil", tar::EntryType::Block)),
        one("tar-fifo", "pipe", In::Other("evil", tar::EntryType::Fifo)),
        one("tar-volume-label", "special member", In::Other("evil", tar::EntryType::new(b'V'))),
        one("tar-multi-volume", "special member", In::Other("evil", tar::EntryType::new(b'M'))),
        archive(
            "tar-pax-sparse",
            "is a sparse file",
            pax(
                &[
                    ("GNU.sparse.major", b"1"),
                    ("GNU.sparse.minor", b"0"),
                    ("GNU.sparse.name", b"m.gguf"),
                    ("GNU.sparse.realsize", b"1099511627776"),
                ],
                "GNUSparseFile.0/m.gguf",
                b"1\n0\n1\n",
            ),
        ),
        archive("tar-gnu-sparse", "@layer", old_sparse()),
        archive("tar-pax-link", "is a symbolic link", pax_link()),
    ]
}

/// GNU tar's older sparse file: gigabytes of nothing in one block.
fn old_sparse() -> Vec<u8> {
    let mut header = tar::Header::new_gnu();
    header.as_gnu_mut().unwrap().name[..6].copy_from_slice(b"m.gguf");
    header.set_entry_type(tar::EntryType::GNUSparse);
    header.set_size(0);
    header.set_mode(0o644);
    header.as_gnu_mut().unwrap().realsize.copy_from_slice(b"20000000000\0");
    header.set_cksum();
    [header.as_bytes().as_slice(), &[0; 1024]].concat()
}

/// The target of a link in an extended header.
fn pax_link() -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    builder.append_pax_extensions([("linkpath", &b"../../../../sentinel"[..])]).unwrap();
    builder.append(&header("evil", tar::EntryType::Symlink, 0), &b""[..]).unwrap();
    builder.into_inner().unwrap()
}

fn names() -> Vec<Hostile> {
    let file = |name, words: &str, path: &str| archive(name, words, tar(&[In::File(path, b"evil")]));
    vec![
        file("tar-name-absolute", "is absolute", "/tmp/artishim-evil"),
        file("tar-name-up", "has a `..` component", "a/../../../evil"),
        file("tar-name-backslash", "has a backslash", "..\\evil"),
        file("tar-name-drive", "starts with a drive letter", "C:evil"),
        file("tar-name-escape", "has a control character", "a\u{1b}[2J"),
        file("tar-name-newline", "has a control character", "a\nb"),
        file("tar-name-empty-component", "has an empty component", "a//b"),
        file("tar-name-is-our-marker", "collide", ".artishim.json"),
        archive("tar-folder-up", "has a `..` component", tar(&[In::Folder("a/../../../evil/")])),
        archive("tar-name-not-utf8", "is not UTF-8", not_utf8()),
        archive("tar-pax-path-up", "has a `..` component", pax(&[("path", b"a/../../../evil")], "good", b"evil")),
        archive("tar-pax-path-absolute", "is absolute", pax(&[("path", b"/tmp/artishim-evil")], "good", b"evil")),
        archive("tar-pax-path-nul", "has a control character", pax(&[("path", b"a\0/../../evil")], "good", b"evil")),
        archive(
            "tar-gnu-long-name-up",
            "has a `..` component",
            gnu_long(format!("{}../../evil", "a/".repeat(80)).as_bytes(), b"evil"),
        ),
        archive(
            "tar-gnu-long-name-absolute",
            "is absolute",
            gnu_long(format!("/tmp/{}", "a/".repeat(80)).as_bytes(), b"evil"),
        ),
        archive("tar-long-component", "more than 255 bytes", gnu_long("x".repeat(300).as_bytes(), b"evil")),
        archive("tar-prefix-up", "has a `..` component", prefix_up()),
    ]
}

fn not_utf8() -> Vec<u8> {
    let mut header = header("x", tar::EntryType::Regular, 0);
    header.as_ustar_mut().unwrap().name[..2].copy_from_slice(b"a\xff");
    header.set_cksum();
    [header.as_bytes().as_slice(), &[0; 1024]].concat()
}

/// The other field that ustar joins to the name.
fn prefix_up() -> Vec<u8> {
    let mut header = header("evil", tar::EntryType::Regular, 0);
    header.as_ustar_mut().unwrap().prefix[..10].copy_from_slice(b"a/../../..");
    header.set_cksum();
    [header.as_bytes().as_slice(), &[0; 1024]].concat()
}

fn collisions() -> Vec<Hostile> {
    let both = |name, one: &str, other: &str| {
        archive(name, "collide", tar(&[In::File(one, b"one"), In::File(other, b"other")]))
    };
    let two = Artifact::default()
        .blob("config", "{}")
        .blob("one", tar(&[In::File("m.gguf", b"GGUF one")]))
        .blob("other", tar(&[In::File("M.gguf", b"GGUF other")]))
        .manifest(manifest(TYPE, CONFIG, &[(TAR, "one", &[]), (TAR, "other", &[])]));
    let raw = "application/vnd.cncf.model.weight.v1.raw";
    let unequal = Artifact::default()
        .blob("config", "{}")
        .blob("one", "GGUF one")
        .blob("other", tar(&[In::File("m.gguf", b"GGUF other")]))
        .manifest(manifest(TYPE, CONFIG, &[(raw, "one", &[(PATH, "m.gguf")]), (TAR, "other", &[])]));
    vec![
        both("tar-same-name", "a", "a"),
        both("tar-same-name-by-case", "a", "A"),
        both("tar-file-then-folder", "a", "a/b"),
        both("tar-folder-then-file", "a/b", "a"),
        both("tar-same-folder-by-case", "d/a", "D/b"),
        Hostile::with("tars-that-meet-by-case", Stage::Unpack, "collide", two),
        Hostile::with("tar-meets-a-file", Stage::Unpack, "collide", unequal),
    ]
}

fn broken() -> Vec<Hostile> {
    let good = tar(&[In::File("m.gguf", &[7; 3000])]);
    let zipped = gzip(&tar(&[In::File("m.gguf", &noise(20_000))]));
    let changed = |bytes: &[u8], at: usize| {
        let mut bytes = bytes.to_vec();
        bytes[at] ^= 0xff;
        bytes
    };
    let squeezed = zstd_stored(&good);
    vec![
        archive("tar-cut-in-a-file", "blob @layer cannot be read", &good[..1500]),
        archive("tar-cut-in-a-header", "blob @layer cannot be read", &good[..700]),
        archive(
            "tar-checksum-wrong",
            "blob @layer cannot be read",
            [tar(&[In::File("a", b"")])[..512].to_vec(), changed(&good, 0)].concat(),
        ),
        archive("tar-size-no-number", "blob @layer cannot be read", odd_size(b"zzzzzzzzzzz\0")),
        archive("gzip-cut", "blob @layer cannot be read", &zipped[..zipped.len() - 1000]),
        archive("gzip-then-noise", "blob @layer cannot be read", [gzip(&good[..1024]), b"noise".to_vec()].concat()),
        archive("zstd-cut", "blob @layer cannot be read", &squeezed[..1000]),
        archive("zstd-block-of-no-kind", "blob @layer cannot be read", changed(&squeezed, 6)),
        archive(
            "zstd-window-of-terabytes",
            "blob @layer cannot be read",
            [&ZSTD_MAGIC[..], &[0, 31 << 3, 0xff, 0xff, 0xff, 1, 2, 3]].concat(),
        ),
        archive(
            "zstd-needs-a-dictionary",
            "blob @layer cannot be read",
            [&ZSTD_MAGIC[..], &[1, 7 << 3, 42, 1, 0, 0]].concat(),
        ),
    ]
}

fn noise(length: u32) -> Vec<u8> {
    (0..length).map(|number| number.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect()
}

fn odd_size(field: &[u8; 12]) -> Vec<u8> {
    let mut header = header("m.gguf", tar::EntryType::Regular, 0);
    header.as_ustar_mut().unwrap().size = *field;
    header.set_cksum();
    [header.as_bytes().as_slice(), &[0; 2048]].concat()
}

/// Little that becomes much; bounded by what is declared and by the space there is.
fn bombs() -> Vec<Hostile> {
    const MIB: usize = 1024 * 1024;
    let exabyte = header("m.gguf", tar::EntryType::Regular, 1 << 60);
    let first = [exabyte.as_bytes().as_slice(), &[0; 512]].concat();
    let long_name =
        [header("././@LongLink", tar::EntryType::GNULongName, 64 << 20).as_bytes().as_slice(), &vec![b'x'; 64 * MIB]]
            .concat();
    let long_pax =
        [header("pax", tar::EntryType::XHeader, 64 << 20).as_bytes().as_slice(), &vec![b'1'; 64 * MIB]].concat();
    let declared = |name, kind: &str, bytes: Vec<u8>| {
        let metadata =
            r#"{"name":"m.gguf","mode":420,"uid":0,"gid":0,"size":1000,"mtime":"2025-07-21T08:00:00Z","typeflag":0}"#;
        let json = manifest(TYPE, CONFIG, &[(kind, "layer", &[(PATH, "m.gguf"), (METADATA, metadata)])]);
        Hostile::with(
            name,
            Stage::Unpack,
            "more than",
            Artifact::default().blob("config", "{}").blob("layer", bytes).manifest(json),
        )
    };
    let zeros = tar(&[In::File("m.gguf", &vec![0; 32 * MIB])]);
    vec![
        archive(
            "bomb-gzip-exabyte",
            "take 1152921504606846976 bytes or more when unpacked",
            gzip(&[first.clone(), vec![0; MIB]].concat()),
        ),
        archive(
            "bomb-tar-exabyte",
            "take 1152921504606846976 bytes or more when unpacked",
            [first.clone(), vec![0; 1024]].concat(),
        ),
        archive(
            "bomb-zstd-exabyte",
            "take 1152921504606846976 bytes or more when unpacked",
            [zstd(&first), zstd_zeros(1000)].concat(),
        ),
        archive("bomb-long-name", "the headers of a tar member are too long", gzip(&long_name)),
        archive("bomb-pax-header", "the headers of a tar member are too long", gzip(&long_pax)),
        declared("bomb-gzip-declared", "application/vnd.cncf.model.weight.v1.tar+gzip", gzip(&zeros)),
        declared(
            "bomb-zstd-declared",
            "application/vnd.cncf.model.weight.v1.tar+zstd",
            [zstd(&zeros[..512]), zstd_zeros(256)].concat(),
        ),
    ]
}
