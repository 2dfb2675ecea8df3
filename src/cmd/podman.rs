//! What `podman artifact` keeps, where podman is new enough to keep artifacts itself.

use std::collections::BTreeMap;
use std::ffi::OsString;

use super::{Context, Error, Result};
use crate::engine::Engine;
use crate::reference::Reference;
use crate::store;

/// The fields of a line of `podman artifact ls`, in the order of [`super::ls::Line`]'s.
const LS_FORMAT: &str = "{{.Repository}}\t{{.Tag}}\t{{.Digest}}\t{{.CreatedAt}}\t{{.VirtualSize}}";

impl Context {
    /// The engine, if it is a podman that keeps artifacts.
    pub(super) async fn artifact_podman(&self) -> Option<Engine> {
        match self.engine().await {
            Ok(engine) => Some(engine).filter(Engine::mounts_artifacts),
            Err(error) => {
                tracing::debug!(%error, "no engine, so only our own store counts");
                None
            }
        }
    }

    /// Hands an artifact that our store does not have to podman, which takes this process's place.
    ///
    /// `arguments` makes podman's arguments of what the artifact is called there. Any other error, and that one where
    /// podman has no such artifact either, is given back.
    pub(super) async fn hand_over<A: Into<OsString>>(
        &self,
        error: store::Error,
        artifact: &str,
        arguments: impl FnOnce(String) -> Vec<A>,
    ) -> Error {
        if !matches!(error, store::Error::NotFound { .. }) {
            return error.into();
        }
        let name = match self.podmans(artifact).await {
            Ok(Some(name)) => name,
            Ok(None) => return error.into(),
            Err(error) => return error,
        };
        match self.artifact_podman().await.map(|podman| podman.cli().cloned()) {
            Some(Ok(cli)) => cli.call().arg("artifact").args(arguments(name)).exec().into(),
            Some(Err(error)) => error.into(),
            None => error.into(),
        }
    }

    /// What podman calls an artifact of its own; nothing where there is none, or no such podman.
    pub(super) async fn podmans(&self, artifact: &str) -> Result<Option<String>> {
        let listed = self.podman_artifacts().await?;
        for name in self.short_names()?.local(artifact) {
            if let Some(found) = podmans_name(&listed, &name.to_string())? {
                return Ok(Some(found));
            }
        }
        Ok(podmans_name(&listed, artifact)?)
    }

    /// What podman says of an artifact of its own, as JSON; nothing where there is none, or no such podman.
    pub(super) async fn inspect_by_podman(&self, artifact: &str) -> Result<Option<Vec<u8>>> {
        let Some(name) = self.podmans(artifact).await? else { return Ok(None) };
        let Some(podman) = self.artifact_podman().await else { return Ok(None) };
        let call = podman.cli()?.call().args(["artifact", "inspect"]).arg(name);
        Ok(Some(crate::process::capture(call).await?))
    }

    /// All artifacts of podman's own.
    pub(super) async fn podmans_artifacts(&self) -> Result<BTreeMap<String, String>> {
        let listed = self.podman_artifacts().await?;
        Ok(listed.iter().map(|line| (name(line), name(line))).collect())
    }

    /// Removes artifacts of podman's own, and prints their digests.
    pub(super) async fn remove_by_podman(&self, names: Vec<String>) -> Result<()> {
        let Some(podman) = self.artifact_podman().await else { return Ok(()) };
        let removed = crate::process::capture(podman.cli()?.call().args(["artifact", "rm"]).args(names)).await?;
        Ok(self.ui.data(String::from_utf8_lossy(&removed).trim_end())?)
    }

    /// Runs `podman artifact add`, which prints the digest; two at once would lose one (podman#27569).
    pub(super) async fn add_by_podman(&self, podman: &Engine, arguments: Vec<OsString>) -> Result<String> {
        let store = self.store()?;
        let call = podman.cli()?.call().args(["artifact", "add"]).args(arguments);
        let added = crate::process::run_blocking(move || -> Result<Vec<u8>> {
            let _turn = store.turn_at_podman()?;
            Ok(call.capture()?)
        });
        Ok(String::from_utf8_lossy(&added.await?).trim().to_owned())
    }

    /// What podman keeps: repository, tag, digest, time of creation and bytes of each artifact.
    pub(super) async fn podman_artifacts(&self) -> Result<Vec<[String; 5]>> {
        let Some(podman) = self.artifact_podman().await else { return Ok(Vec::new()) };
        let arguments = ["artifact", "ls", "--noheading", "--no-trunc", "--format", LS_FORMAT];
        let listed = crate::process::capture(podman.cli()?.call().args(arguments)).await?;
        let listed = String::from_utf8_lossy(&listed).into_owned();
        let fields = |line: &str| {
            let fields: Vec<String> = line.split('\t').map(str::to_owned).collect();
            fields.try_into().ok()
        };
        Ok(listed.lines().filter_map(fields).collect())
    }
}

fn name([repository, tag, ..]: &[String; 5]) -> String {
    if tag.is_empty() { repository.clone() } else { format!("{repository}:{tag}") }
}

/// What podman calls the artifact that `text` means: podman itself compares names byte for byte, and takes a single digit
/// of any digest for one.
fn podmans_name(listed: &[[String; 5]], text: &str) -> Result<Option<String>, store::Error> {
    let full = text.parse::<Reference>().map(|reference| reference.to_string());
    let wanted = [Some(text.to_owned()), full.ok()];
    if let Some(found) = listed.iter().map(name).find(|name| wanted.iter().flatten().any(|wanted| wanted == name)) {
        return Ok(Some(found));
    }
    let hex = text.strip_prefix("sha256:").unwrap_or(text);
    let is_hex = hex.len() >= store::SHORTEST_PREFIX && hex.bytes().all(|byte| byte.is_ascii_hexdigit());
    let meant: Vec<&[String; 5]> = listed.iter().filter(|line| is_hex && line[2].starts_with(hex)).collect();
    match meant.as_slice() {
        [first, others @ ..] if others.iter().all(|other| other[2] == first[2]) => Ok(Some(first[2].clone())),
        [] => Ok(None),
        several => {
            let names = several.iter().map(|line| name(line)).collect();
            Err(store::Error::Ambiguous { text: text.to_owned(), names })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn podman_is_asked_for_what_it_has_and_for_nothing_that_only_begins_alike() {
        let line = |repository: &str, tag: &str, digest: &str| {
            [repository, tag, &format!("{digest:0<64}"), "", ""].map(str::to_owned)
        };
        let listed = [
            line("a1", "", "beef1"),
            line("quay.io/acme/llama", "8b", "beef2"),
            line("docker.io/library/gemma", "latest", "cafe3"),
        ];
        let cafe = format!("{:0<64}", "cafe3");
        let cases = [
            ("a1", Some("a1")),
            ("quay.io/acme/llama:8b", Some("quay.io/acme/llama:8b")),
            ("oci://quay.io/acme/llama:8b", Some("quay.io/acme/llama:8b")),
            ("gemma", Some("docker.io/library/gemma:latest")),
            ("cafe", Some(cafe.as_str())),
            ("sha256:cafe3", Some(cafe.as_str())),
            ("caf", None),
            ("b", None),
            ("", None),
            ("other", None),
        ];
        for (text, expected) in cases {
            assert_eq!(podmans_name(&listed, text).unwrap().as_deref(), expected, "{text}");
        }
        let ambiguous = podmans_name(&listed, "beef").unwrap_err().to_string();
        assert_eq!(ambiguous, "beef could be any of a1, quay.io/acme/llama:8b");
    }
}
