//! What is sent to the registry: uploads and manifests (distribution-spec, "Pushing").

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::answer::Answer;
use super::fault::What;
use super::request::Request;
use super::{Shared, State, digest};

/// Uploads that are under way, and whose blobs are whose.
#[derive(Default)]
pub(super) struct Uploads {
    open: HashMap<String, Vec<u8>>,
    begun: usize,
    /// `repository/digest` of each blob, where blobs belong to repositories.
    pub members: Option<HashSet<String>>,
    /// Whether an upload that broke off is forgotten, as by docker-registry.
    pub are_forgotten: bool,
}

impl Shared {
    /// The answer to a request that sends something; nothing for one that reads.
    pub(super) fn take(&self, request: &Request) -> Option<Answer> {
        let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
        let name = path.strip_prefix("/v2/")?;
        let mut state = self.state();
        if let Some((repository, id)) = name.split_once("/blobs/uploads/") {
            return Some(match request.method.as_str() {
                "POST" => state.begin_upload(repository, query),
                "PATCH" => state.add_to_upload(path, id, request),
                "PUT" => state.end_upload(repository, id, query, request),
                _ => state.tell_of_upload(path, id),
            });
        }
        let (repository, version) = name.split_once("/manifests/").filter(|_| request.method == "PUT")?;
        Some(state.take_manifest(repository, version, request))
    }

    /// Takes a part of what was sent, before the connection breaks.
    pub(super) fn take_part(&self, request: &Request, faults: &[What]) -> bool {
        let length =
            faults.iter().find_map(|what| if let What::TakeOnly(length) = what { Some(*length) } else { None });
        let (Some(length), Some((_, id))) = (length, request.path.split_once("/blobs/uploads/")) else { return false };
        let mut state = self.state();
        let id = id.split('?').next().unwrap_or_default().to_owned();
        let forgotten = state.uploads.are_forgotten;
        if let Some(upload) = state.uploads.open.get_mut(&id) {
            upload.extend_from_slice(&request.bytes[..length.min(request.bytes.len())]);
        }
        if forgotten {
            state.uploads.open.remove(&id);
        }
        true
    }
}

impl State {
    fn begin_upload(&mut self, repository: &str, query: &str) -> Answer {
        let decoded = query.replace("%3A", ":").replace("%2F", "/");
        let field = |name: &str| decoded.split('&').find_map(|pair| pair.strip_prefix(name)).map(str::to_owned);
        if let (Some(wanted), Some(from)) = (field("mount="), field("from=")) {
            let has = self.has_blob(&from, &wanted);
            if has {
                self.add_member(repository, &wanted);
                return Answer::new(201, b"").header("Location", &format!("/v2/{repository}/blobs/{wanted}"));
            }
        }
        self.uploads.begun += 1;
        let id = self.uploads.begun.to_string();
        self.uploads.open.insert(id.clone(), Vec::new());
        Answer::new(202, b"").header("Location", &format!("/v2/{repository}/blobs/uploads/{id}?state=secret"))
    }

    fn add_to_upload(&mut self, path: &str, id: &str, request: &Request) -> Answer {
        let Some(upload) = self.uploads.open.get_mut(id) else { return Answer::not_found("BLOB_UPLOAD_UNKNOWN") };
        let start = request.content_range.as_deref().and_then(|range| range.split('-').next()?.parse().ok());
        if start.is_some_and(|start: usize| start != upload.len()) {
            return Answer::new(416, b"");
        }
        upload.extend_from_slice(&request.bytes);
        let answer = Answer::new(202, b"").header("Location", &format!("{path}?state=later"));
        answer.header("Range", &format!("0-{}", upload.len().saturating_sub(1)))
    }

    fn end_upload(&mut self, repository: &str, id: &str, query: &str, request: &Request) -> Answer {
        let Some(mut upload) = self.uploads.open.remove(id) else { return Answer::not_found("BLOB_UPLOAD_UNKNOWN") };
        upload.extend_from_slice(&request.bytes);
        let actual = digest(&upload);
        if !query.replace("%3A", ":").ends_with(&format!("digest={actual}")) {
            return Answer::new(400, br#"{"errors":[{"code":"DIGEST_INVALID","message":"other bytes"}]}"#);
        }
        self.add_member(repository, &actual);
        self.blobs.insert(actual.clone(), Arc::new(upload));
        Answer::new(201, b"").header("Location", &format!("/v2/{repository}/blobs/{actual}"))
    }

    fn tell_of_upload(&self, path: &str, id: &str) -> Answer {
        match self.uploads.open.get(id) {
            Some(upload) => {
                let answer = Answer::new(204, b"").header("Location", &format!("{path}?state=told"));
                answer.header("Range", &format!("0-{}", upload.len().saturating_sub(1)))
            }
            None => Answer::not_found("BLOB_UPLOAD_UNKNOWN"),
        }
    }

    fn take_manifest(&mut self, repository: &str, version: &str, request: &Request) -> Answer {
        let json: serde_json::Value = serde_json::from_slice(&request.bytes).unwrap_or_default();
        let listed = json["layers"].as_array().into_iter().flatten().chain([&json["config"]]);
        let is_whole = listed.filter_map(|blob| blob["digest"].as_str()).all(|blob| self.has_blob(repository, blob));
        if !is_whole {
            return Answer::new(404, br#"{"errors":[{"code":"MANIFEST_BLOB_UNKNOWN","message":"not here"}]}"#);
        }
        let digest = digest(&request.bytes);
        for version in [version, &digest] {
            self.manifests.insert(format!("{repository}/{version}"), Arc::clone(&request.bytes));
        }
        Answer::new(201, b"").header("Docker-Content-Digest", &digest)
    }

    /// Whether the repository has the blob.
    pub(super) fn has_blob(&self, repository: &str, digest: &str) -> bool {
        let is_member = |members: &HashSet<String>| members.contains(&format!("{repository}/{digest}"));
        self.blobs.contains_key(digest) && self.uploads.members.as_ref().is_none_or(is_member)
    }

    fn add_member(&mut self, repository: &str, digest: &str) {
        if let Some(members) = &mut self.uploads.members {
            members.insert(format!("{repository}/{digest}"));
        }
    }
}
