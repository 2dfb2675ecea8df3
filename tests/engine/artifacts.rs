//! Artifacts pushed to the testbed's registry, each test's in a repository of its own.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicU32, Ordering};

use artishim::digest::Digest;
use serde_json::{Value, json};

/// A repository name no other test uses.
pub fn repository(name: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    format!("{name}/{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

/// A ModelPack artifact with raw layers; each file's path is title and filepath.
pub fn modelpack(host: &str, files: &[(&str, &[u8])]) -> String {
    let repository = repository("modelpack");
    let layers = files.iter().map(|(path, bytes)| {
        let annotations = json!({"org.cncf.model.filepath": path, "org.opencontainers.image.title": path});
        layer(host, &repository, "application/vnd.cncf.model.weight.v1.raw", bytes, &annotations)
    });
    let layers: Vec<Value> = layers.collect();
    push_artifact(host, &repository, &layers)
}

/// The same without titles, as Docker Hub's models are: podman would name the files by their digests.
pub fn untitled(host: &str, files: &[(&str, &[u8])]) -> String {
    let repository = repository("untitled");
    let layers = files.iter().map(|(path, bytes)| {
        layer(
            host,
            &repository,
            "application/vnd.cncf.model.weight.v1.raw",
            bytes,
            &json!({"org.cncf.model.filepath": path}),
        )
    });
    let layers: Vec<Value> = layers.collect();
    push_artifact(host, &repository, &layers)
}

/// The same with titles only, as `oras push` makes them.
pub fn titled(host: &str, files: &[(&str, &[u8])]) -> String {
    let repository = repository("titled");
    let layers = files.iter().map(|(path, bytes)| {
        let annotations = json!({"org.opencontainers.image.title": path});
        layer(host, &repository, "application/vnd.oci.image.layer.v1.tar", bytes, &annotations)
    });
    let layers: Vec<Value> = layers.collect();
    push_artifact(host, &repository, &layers)
}

fn push_artifact(host: &str, repository: &str, layers: &[Value]) -> String {
    let config = push_blob(host, repository, b"{}");
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "artifactType": "application/vnd.cncf.model.manifest.v1+json",
        "config": {"mediaType": "application/vnd.cncf.model.config.v1+json", "digest": config.to_string(), "size": 2},
        "layers": layers,
    });
    push_manifest(host, repository, &manifest)
}

/// An image with `/models/tiny/tiny.gguf` and the link `/models/model.file` to it, as RamaLama makes them.
pub fn image(host: &str, content: &[u8]) -> String {
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_mode(0o644);
    header.set_size(content.len() as u64);
    tar.append_data(&mut header, "models/tiny/tiny.gguf", content).unwrap();
    let mut link = tar::Header::new_gnu();
    link.set_entry_type(tar::EntryType::Symlink);
    link.set_mode(0o777);
    link.set_size(0);
    tar.append_link(&mut link, "models/model.file", "tiny/tiny.gguf").unwrap();
    let bytes = tar.into_inner().unwrap();
    let repository = repository("image");
    let layer = layer(host, &repository, "application/vnd.oci.image.layer.v1.tar", &bytes, &json!({}));
    let config = json!({
        "architecture": "amd64", "os": "linux", "config": {},
        "rootfs": {"type": "layers", "diff_ids": [Digest::sha256(&bytes).to_string()]},
    });
    let config = config.to_string().into_bytes();
    let digest = push_blob(host, &repository, &config);
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {
            "mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest.to_string(), "size": config.len(),
        },
        "layers": [layer],
    });
    push_manifest(host, &repository, &manifest)
}

fn layer(host: &str, repository: &str, media_type: &str, bytes: &[u8], annotations: &Value) -> Value {
    let digest = push_blob(host, repository, bytes);
    json!({"mediaType": media_type, "digest": digest.to_string(), "size": bytes.len(), "annotations": annotations})
}

fn push_blob(host: &str, repository: &str, bytes: &[u8]) -> Digest {
    let digest = Digest::sha256(bytes);
    put_blob(host, repository, &digest.to_string(), bytes).unwrap();
    digest
}

fn push_manifest(host: &str, repository: &str, manifest: &Value) -> String {
    let kind = manifest["mediaType"].as_str().unwrap();
    put_manifest(host, repository, "1", kind, manifest.to_string().as_bytes()).unwrap();
    format!("{host}/{repository}:1")
}

/// Uploads a blob; the error is the registry's answer.
pub fn put_blob(host: &str, repository: &str, digest: &str, bytes: &[u8]) -> Result<(), String> {
    let answer = request(host, "POST", &format!("/v2/{repository}/blobs/uploads/"), None, &[]);
    let location = header(&answer, "location").ok_or_else(|| answer.clone())?;
    let path = location.split_once(host).map_or(location.as_str(), |(_, path)| path);
    let separator = if path.contains('?') { '&' } else { '?' };
    created(request(host, "PUT", &format!("{path}{separator}digest={digest}"), None, bytes))
}

/// Uploads a manifest after what it names; the error is the registry's answer.
pub fn put_manifest(host: &str, repository: &str, version: &str, kind: &str, json: &[u8]) -> Result<(), String> {
    created(request(host, "PUT", &format!("/v2/{repository}/manifests/{version}"), Some(kind), json))
}

fn created(answer: String) -> Result<(), String> {
    if answer.starts_with("HTTP/1.1 201") { Ok(()) } else { Err(answer) }
}

fn request(host: &str, method: &str, path: &str, media_type: Option<&str>, body: &[u8]) -> String {
    let mut stream = TcpStream::connect(host).unwrap();
    let media_type = media_type.unwrap_or("application/octet-stream");
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Type: {media_type}\r\n\
         Content-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(body).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn header(answer: &str, name: &str) -> Option<String> {
    let lines = answer.lines().filter_map(|line| line.split_once(": "));
    lines.into_iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned())
}
