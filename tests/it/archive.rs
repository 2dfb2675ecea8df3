//! `artishim save` and `load`, and the tar of `extract`.

use std::fs;
use std::io::{Read as _, Write as _};
use std::process::Stdio;

use crate::common::{Home, bytes, outcome};

fn added(home: &Home) -> Vec<u8> {
    let model = bytes(3, 700_000);
    fs::create_dir_all(home.path("m/sub")).unwrap();
    fs::write(home.path("m/w.gguf"), &model).unwrap();
    fs::write(home.path("m/sub/a.json"), "{}").unwrap();
    let directory = home.path("m").display().to_string();
    home.artishim(&["add", "--packaging", "modelpack", "quay.io/acme/m:1", &directory]).success();
    let file = home.path("m/w.gguf").display().to_string();
    home.artishim(&["add", "quay.io/acme/other:2", &file]).success();
    model
}

#[test]
fn what_is_saved_is_what_is_loaded() {
    let (home, other) = (Home::new(), Home::new());
    let model = added(&home);
    let archive = home.path("models.tar").display().to_string();
    home.artishim(&["save", "--output", &archive, "quay.io/acme/m:1", "quay.io/acme/other:2"]).success();
    assert!(fs::metadata(&archive).unwrap().len() < 800_000, "each blob is in it once");
    let loaded = other.artishim(&["load", "--input", &archive]).success();
    assert_eq!(loaded, "quay.io/acme/m:1\nquay.io/acme/other:2\n");
    let digests = |home: &Home| home.artishim(&["ls", "--format", "{{.Repository}} {{.Digest}}"]).success();
    assert_eq!(digests(&home), digests(&other));
    let target = other.path("out");
    other.artishim(&["extract", "quay.io/acme/other:2", target.to_str().unwrap(), "--entry"]).success();
    assert!(fs::read(target).unwrap() == model);
}

#[test]
fn archives_go_through_pipes_and_may_be_compressed_and_named() {
    let (home, other) = (Home::new(), Home::new());
    added(&home);
    let saved = home.command(&["save", "quay.io/acme/other:2"]).output().unwrap();
    assert!(saved.status.success());
    let mut zipped = Vec::new();
    flate2::read::GzEncoder::new(&saved.stdout[..], flate2::Compression::fast()).read_to_end(&mut zipped).unwrap();
    for (bytes, name) in [(&saved.stdout, "a:1"), (&zipped, "b:1")] {
        let mut child = other.command(&["load", name]).stdin(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(bytes).unwrap();
        outcome(child.wait_with_output().unwrap()).success();
    }
    let names = other.artishim(&["ls", "--format", "{{.Repository}}:{{.Tag}}"]).success();
    assert_eq!(names, "docker.io/library/a:1\ndocker.io/library/b:1\n");
}

#[test]
fn archive_that_is_torn_or_wrong_names_nothing() {
    let (home, other) = (Home::new(), Home::new());
    added(&home);
    let archive = home.path("a.tar");
    home.artishim(&["save", "-o", archive.to_str().unwrap(), "quay.io/acme/m:1"]).success();
    let whole = fs::read(&archive).unwrap();
    let mut wrong = whole.clone();
    let place = whole.len() - 100_000;
    wrong[place] ^= 1;
    let cases: [(&[u8], &str); 4] = [
        (&whole[..300_000], "is incomplete"),
        (&wrong, "has the wrong content"),
        (b"no tar at all", "cannot be read"),
        (&[0; 10240], "the archive holds no index.json, so it is no OCI archive"),
    ];
    for (bytes, expected) in cases {
        fs::write(&archive, bytes).unwrap();
        let said = other.artishim(&["load", "-i", archive.to_str().unwrap()]).failure();
        assert!(said.contains(expected), "{said}");
        assert_eq!(other.artishim(&["ls", "--quiet"]).success(), "");
    }
    let both = home.path("b.tar").display().to_string();
    home.artishim(&["save", "-o", &both, "quay.io/acme/m:1", "quay.io/acme/other:2"]).success();
    let said = other.artishim(&["load", "-i", &both, "x:1"]).failure();
    assert!(said.contains("the archive holds 2 artifacts"), "{said}");
    assert!(home.artishim(&["save", "-o", &both, "gone"]).failure().contains("gone: artifact does not exist"));
    let nowhere = home.path("no/where.tar").display().to_string();
    assert!(home.artishim(&["save", "-o", &nowhere, "quay.io/acme/m:1"]).failure().contains("no/where.tar"));
}

#[test]
fn files_are_extracted_as_a_tar_and_by_digest() {
    let home = Home::new();
    let model = added(&home);
    let output = home.command(&["extract", "quay.io/acme/m:1", "-"]).output().unwrap();
    let mut archive = tar::Archive::new(&output.stdout[..]);
    let mut files = Vec::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        files.push((entry.path().unwrap().display().to_string(), entry.header().mode().unwrap(), content));
    }
    files.sort();
    assert_eq!(files.len(), 2);
    assert_eq!(files[0], (String::from("sub/a.json"), 0o644, b"{}".to_vec()));
    assert!(files[1].0 == "w.gguf" && files[1].2 == model);
    let digest = artishim::digest::Digest::sha256(&model);
    fs::create_dir(home.path("out")).unwrap();
    let target = home.path("out").display().to_string();
    home.artishim(&["extract", "--digest", &digest.to_string(), "quay.io/acme/m:1", &target]).success();
    assert!(fs::read(home.path("out").join(digest.file_name())).unwrap() == model);
}

#[test]
fn lists_and_manifests_are_shown_by_templates() {
    let home = Home::new();
    added(&home);
    let shown = |line: &[&str]| home.artishim(line).success();
    assert_eq!(shown(&["ls", "--format", "{{.VirtualSize}}"]), "700002\n700000\n");
    assert_eq!(shown(&["ls", "--format", "{{range .}}{{.Tag}},{{end}}"]), "1,2,\n");
    assert_eq!(
        shown(&["ls", "--format", r"table {{.Tag}}\t{{.Kind}}"]),
        "TAG         KIND\n1           ModelPack\n2           ORAS\n"
    );
    assert_eq!(
        shown(&["ls", "-n", "--format", r"table {{.Tag}}\t{{.Kind}}"]),
        "1           ModelPack\n2           ORAS\n"
    );
    let created = shown(&["ls", "--format", "{{.CreatedAt}}"]);
    assert!(created.lines().all(|line| line.starts_with("20") && line.ends_with(" +0000 UTC")), "{created}");
    let layers =
        "{{range .Manifest.Layers}}{{.Size}} {{index .Annotations \"org.opencontainers.image.title\"}};{{end}}";
    assert_eq!(shown(&["inspect", "-f", layers, "quay.io/acme/m:1"]), "2 sub/a.json;700000 w.gguf;\n");
    assert_eq!(
        shown(&["inspect", "-f", "{{.TotalSizeBytes}} {{.Artifact.Name}}", "quay.io/acme/m:1"]),
        "700002 quay.io/acme/m:1\n"
    );
}

#[test]
fn device_is_written_to_and_stays_and_a_link_is_followed() {
    let home = Home::new();
    added(&home);
    let fifo = home.path("fifo");
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    let child = home.spawn(&["save", "-o", fifo.to_str().unwrap(), "quay.io/acme/other:2"]);
    let read = fs::read(&fifo).unwrap();
    outcome(child.wait_with_output().unwrap()).success();
    assert!(read.len() > 700_000 && std::os::unix::fs::FileTypeExt::is_fifo(&fs::metadata(&fifo).unwrap().file_type()));
    fs::write(home.path("real.tar"), "old").unwrap();
    std::os::unix::fs::symlink("real.tar", home.path("link.tar")).unwrap();
    home.artishim(&["save", "-o", home.path("link.tar").to_str().unwrap(), "quay.io/acme/other:2"]).success();
    assert!(home.path("link.tar").is_symlink() && fs::metadata(home.path("real.tar")).unwrap().len() > 700_000);
    assert!(home.artishim(&["save", "-o", "/dev/full", "quay.io/acme/other:2"]).failure().contains("No space left"));
}

#[test]
fn what_is_stopped_or_cut_off_is_no_success_and_leaves_nothing() {
    let home = Home::new();
    let path = home.path("large");
    fs::File::create(&path).unwrap().set_len(600 << 20).unwrap();
    home.artishim(&["add", "big:1", path.to_str().unwrap()]).success();
    fs::remove_file(&path).unwrap();
    fs::create_dir(home.path("out")).unwrap();
    let [archive, file] = ["out/a.tar", "out/file"].map(|name| home.path(name).display().to_string());
    for line in [["save", "big:1", "-o", &archive], ["extract", "big:1", &file, "--entry"]] {
        let line = if line[0] == "extract" { &line[..3] } else { &line[..] };
        let child = home.spawn(line);
        while fs::read_dir(home.path("out")).unwrap().count() == 0 {
            std::thread::yield_now();
        }
        rustix::process::kill_process(rustix::process::Pid::from_child(&child), rustix::process::Signal::INT).unwrap();
        assert_eq!(outcome(child.wait_with_output().unwrap()).status, 130, "{line:?}");
        assert_eq!(fs::read_dir(home.path("out")).unwrap().count(), 0, "{line:?}");
    }
    let mut child = home.command(&["save", "big:1"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut begin = [0; 100];
    child.stdout.take().unwrap().read_exact(&mut begin).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(125));
}

#[test]
fn other_compressions_and_empty_input_are_told() {
    let home = Home::new();
    let cases: [(&[u8], &str); 3] = [
        (b"\x28\xb5\x2f\xfdrest", "compressed by zstd, and only plain and gzip ones are read (undo that with zstd -d)"),
        (b"BZh91AY", "compressed by bzip2"),
        (b"", "the archive is empty"),
    ];
    for (bytes, expected) in cases {
        fs::write(home.path("a"), bytes).unwrap();
        let said = home.artishim(&["load", "-i", home.path("a").to_str().unwrap()]).failure();
        assert!(said.contains(expected), "{said}");
    }
    let directory = home.path(".").display().to_string();
    assert!(home.artishim(&["load", "-i", &directory]).failure().contains("is a directory"));
}
