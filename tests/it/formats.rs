//! Packagings whose files lie in archives: whole commands, and the stream to an engine.

use std::fs;
use std::io::{self, Read};
use std::sync::Arc;

use artishim::digest::Digest;
use artishim::packaging::{self, Entry, Sink};
use artishim::progress::Silent;
use artishim::pull::{Interrupter, Session, Settings};
use artishim::registry::Client;
use artishim::store::Store;
use serde_json::json;

use crate::common::registry::Registry;
use crate::common::{Home, MANIFEST, layer, push};

const GGUF: &[u8] = b"GGUF\x03\0\0\0 a model";
const OCI_TAR: &str = "application/vnd.oci.image.layer.v1.tar";

fn tar(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (path, content) in files {
        builder.append_data(&mut header(content.len() as u64), path, *content).unwrap();
    }
    builder.into_inner().unwrap()
}

fn header(size: u64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_size(size);
    header.set_mode(0o644);
    header
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).unwrap()
}

/// A ModelKit of one model in an archive, and its Kitfile.
fn modelkit(registry: &Registry) -> (String, String) {
    let archive = zstd(&tar(&[("model/tiny.gguf", GGUF), ("model/README.md", b"# Tiny")]));
    let model = layer(registry, "application/vnd.kitops.modelkit.model.v1.tar+zstd", &archive, &json!({}));
    let kitfile = json!({
        "manifestVersion": "1.0.0", "package": {"name": "tiny"},
        "model": {"name": "tiny", "path": "model/tiny.gguf", "digest": model["digest"]}
    });
    let kitfile = kitfile.to_string();
    let config = layer(registry, "application/vnd.kitops.modelkit.config.v1+json", kitfile.as_bytes(), &json!({}));
    let manifest = json!({"schemaVersion": 2, "config": config, "layers": [model]});
    (push(registry, "acme/kit", &manifest), kitfile)
}

#[test]
fn a_modelkit_lies_in_a_snapshot_with_its_kitfile() {
    let (home, registry) = (Home::new(), Registry::start());
    let (reference, kitfile) = modelkit(&registry);
    home.artishim(&["pull", &reference]).success();
    let entry = home.artishim(&["path", &reference]).success();
    let entry = std::path::Path::new(entry.trim_end());
    assert!(entry.ends_with("model/tiny.gguf"), "{entry:?}");
    assert_eq!(fs::read(entry).unwrap(), GGUF);
    let snapshot = entry.parent().and_then(|folder| folder.parent()).unwrap();
    assert_eq!(fs::read_to_string(snapshot.join("Kitfile")).unwrap(), kitfile);
    assert!(home.artishim(&["path", "--json", &reference]).success().contains("KitOps"));
}

/// omlmd: the config is one of the layers.
#[test]
fn a_config_that_is_a_layer_is_a_file() {
    let (home, registry) = (Home::new(), Registry::start());
    let titled = |kind: &str, title: &str, content: &[u8]| {
        layer(&registry, kind, content, &json!({"org.opencontainers.image.title": title}))
    };
    let metadata = titled("application/x-config", "model_metadata.omlmd.json", b"{}");
    let model = titled("application/x-mlmodel", "model.onnx", b"onnx");
    let config = layer(&registry, "application/x-config", b"{}", &json!({}));
    let manifest = json!({"schemaVersion": 2, "config": config, "layers": [model, metadata]});
    let entry = home.artishim(&["path", &push(&registry, "acme/omlmd", &manifest)]).success();
    let entry = std::path::Path::new(entry.trim_end());
    assert!(entry.ends_with("model.onnx"), "{entry:?}");
    assert_eq!(fs::read(entry.with_file_name("model_metadata.omlmd.json")).unwrap(), b"{}");
}

#[derive(Default)]
struct Names(Vec<String>);

impl Sink for Names {
    fn directory(&mut self, _: &str) -> io::Result<()> {
        Ok(())
    }

    fn file(&mut self, file: &Entry<'_>, content: &mut dyn Read) -> io::Result<()> {
        self.0.push(file.path.to_owned());
        io::copy(content, &mut io::sink()).map(drop)
    }

    fn link(&mut self, _: &str, _: &str) -> io::Result<()> {
        Ok(())
    }
}

/// A volume is filled straight from the registry: the config is a file, too, and was not stored.
#[tokio::test(flavor = "multi_thread")]
async fn a_modelkit_is_streamed_with_its_kitfile() {
    let (home, registry) = (Home::new(), Registry::start());
    let (reference, _) = modelkit(&registry);
    let reference = reference.parse().unwrap();
    let (_interrupter, interrupt) = Interrupter::new();
    let session = Session {
        client: Client::new(artishim::registry::Settings::default()).unwrap(),
        store: Store::open(&home.store()).unwrap(),
        progress: Arc::new(Silent),
        settings: Settings::default(),
        platform: None,
        part: artishim::pull::Part::default(),
        names: true,
        short_names: Default::default(),
        gate: Arc::default(),
        typed: None,
        interrupt,
    };
    let artifact = session.resolve(&reference).await.unwrap();
    let mut open = session.opener(&reference, &artifact);
    let (plan, digest) = (artifact.plan.clone(), artifact.descriptor.digest.clone());
    let laid_out = tokio::task::spawn_blocking(move || {
        let mut names = Names::default();
        packaging::lay_out(&plan, &digest, None, &mut open, &mut names).map(|listing| (names.0, listing.entry))
    });
    let (names, entry) = laid_out.await.unwrap().unwrap();
    assert_eq!(names, ["model/tiny.gguf", "model/README.md", "Kitfile"]);
    assert_eq!(entry.as_deref(), Some("model/tiny.gguf"));
    assert!(!session.store.blob_path(&artifact.manifest.config.unwrap().digest).exists());
}

/// Cog's weights of one layer, whose config lists `listed` as the content of `config.json`.
fn cog(registry: &Registry, archive: &[u8], listed: &[u8]) -> String {
    let weights = layer(registry, &format!("{OCI_TAR}+gzip"), archive, &json!({}));
    let files = json!([{
        "path": "config.json", "layer": weights["digest"], "size": listed.len(), "digest": Digest::sha256(listed)
    }]);
    let config = json!({"name": "w", "target": "/src/w", "files": files}).to_string();
    let config = layer(registry, "application/vnd.cog.weight.config.v1+json", config.as_bytes(), &json!({}));
    let kind = "application/vnd.cog.weight.v1";
    let manifest = json!({
        "schemaVersion": 2, "mediaType": MANIFEST, "artifactType": kind, "config": config, "layers": [weights]
    });
    push(registry, "acme/weights", &manifest)
}

fn snapshots(home: &Home) -> usize {
    fs::read_dir(home.store().join("snapshots")).map_or(0, Iterator::count)
}

#[test]
fn a_file_that_is_not_as_cog_lists_it_leaves_nothing_behind() {
    let (home, registry) = (Home::new(), Registry::start());
    let reference = cog(&registry, &tar(&[("config.json", b"{}")]), b"[]");
    let error = home.artishim(&["pull", "--quiet", &reference]).failure();
    assert!(error.contains("\"config.json\" in layer sha256:") && error.contains("wrong content"), "{error}");
    assert!(error.ends_with("(have the artifact packed again by whoever made it)"), "{error}");
    assert_eq!(snapshots(&home), 0);
    let right = cog(&registry, &tar(&[("config.json", b"[]")]), b"[]");
    Home::new().artishim(&["path", &right]).success();
}

/// What a bomb of zeros looks like where it begins: an honest header, and more than any disk has.
#[test]
fn an_archive_larger_than_the_disk_is_given_up_before_it_is_written() {
    let (home, registry) = (Home::new(), Registry::start());
    let mut bomb = header(1 << 60);
    bomb.set_path("zeros.gguf").unwrap();
    bomb.set_cksum();
    let bytes = [bomb.as_bytes().as_slice(), &[0; 1 << 20]].concat();
    for (name, bytes) in [("gzip", gzip(&bytes)), ("zstd", zstd(&bytes))] {
        let kind = format!("application/vnd.cncf.model.weight.v1.tar+{name}");
        let model = layer(&registry, &kind, &bytes, &json!({}));
        let manifest = json!({"schemaVersion": 2, "mediaType": MANIFEST, "layers": [model]});
        let reference = push(&registry, "acme/bomb", &manifest);
        let error = home.artishim(&["pull", "--quiet", &reference]).failure();
        let expected = format!("{reference}: the files up to \"zeros.gguf\" take 1152921504606846976 bytes or more");
        assert!(error.starts_with(&expected), "{error}");
        assert!(
            error.ends_with("(free some space, or name a store on another filesystem with --store or ARTISHIM_STORE)"),
            "{error}"
        );
        assert_eq!(snapshots(&home), 0);
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::read::GzEncoder::new(bytes, flate2::Compression::fast());
    let mut zipped = Vec::new();
    encoder.read_to_end(&mut zipped).unwrap();
    zipped
}
