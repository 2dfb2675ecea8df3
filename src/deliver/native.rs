//! Podman 5.7 and newer mounts artifacts itself; we see that it has them.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use base64::Engine as _;

use super::Result;
use tempfile::TempPath;

use crate::engine::{self, Engine};
use crate::mount::ArtifactMount;
use crate::process;
use crate::pull::Policy;
use crate::reference::Reference;

/// The mount's value when podman has the artifact already and `policy` does not ask for more.
///
/// The name as typed comes first: podman 5 knows an artifact only by the very text it was pulled or added by.
pub async fn stored(engine: &Engine, mount: &ArtifactMount, policy: Policy) -> Result<Option<String>> {
    if matches!(policy, Policy::Always | Policy::Newer) {
        return Ok(None);
    }
    let full = mount.source.parse::<Reference>().ok().map(|reference| reference.to_string());
    let names = [Some(mount.source.clone()), full.filter(|name| *name != mount.source)];
    for name in names.into_iter().flatten() {
        if let Some(inspected) = inspect(engine, &name).await? {
            // By a digest's first letters podman finds any artifact; by a name only the one meant.
            if inspected.is_named_for_mounting() {
                return Ok(Some(value(mount, &name)));
            }
        }
    }
    Ok(None)
}

/// Whether podman has an artifact of exactly this name.
pub async fn has(engine: &Engine, name: &str) -> Result<bool> {
    Ok(inspect(engine, name).await?.is_some())
}

/// What the user said about registries, for podman; not to be shown, as it may hold a password.
#[derive(Clone, Default)]
pub struct RegistryFlags {
    /// `--authfile`
    pub authfile: Option<PathBuf>,
    /// `--cert-dir`
    pub cert_dir: Option<PathBuf>,
    /// `--creds`, as user and password.
    pub creds: Option<(String, String)>,
    /// `--tls-verify`
    pub tls_verify: Option<bool>,
    /// A directory of ours for the credential file that stands for `--creds`.
    pub scratch: PathBuf,
}

impl RegistryFlags {
    /// podman's flags; it is told of a registry on this machine what we take for granted there.
    fn arguments(&self, registry: &str, secret: Option<&SecretFile>) -> Vec<String> {
        let authfile = secret.map(|secret| &*secret.0).or(self.authfile.as_deref());
        let authfile = authfile.map(|path| format!("--authfile={}", path.display()));
        let is_local = crate::registry::is_local(registry);
        let tls_verify = self.tls_verify.or_else(|| is_local.then_some(false));
        let tls_verify = tls_verify.map(|verify| format!("--tls-verify={verify}"));
        let cert_dir = self.cert_dir.as_ref().map(|directory| format!("--cert-dir={}", directory.display()));
        authfile.into_iter().chain(tls_verify).chain(cert_dir).collect()
    }

    /// The file that stands for `--creds`.
    fn secret(&self, registry: &str) -> engine::Result<Option<SecretFile>> {
        let create = |creds| SecretFile::create(&self.scratch, registry, creds);
        self.creds.as_ref().map(create).transpose()
    }

    /// Runs podman's `command` with the flags for `reference` and its name.
    async fn pull(&self, engine: &Engine, command: &[&str], reference: &Reference) -> engine::Result<()> {
        let secret = self.secret(reference.registry())?;
        let call = engine.cli()?.call().args(command.iter().copied());
        let call = call.args(self.arguments(reference.registry(), secret.as_ref())).arg(reference.to_string());
        process::capture(call).await?;
        Ok(())
    }
}

/// A credential file that only we can read and that goes with us: every user sees a program's arguments.
struct SecretFile(TempPath);

impl SecretFile {
    fn create(directory: &Path, registry: &str, (user, password): &(String, String)) -> engine::Result<Self> {
        let auth = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
        let text = serde_json::json!({"auths": {registry: {"auth": auth}}}).to_string();
        let written = fs::create_dir_all(directory).and_then(|()| {
            let mut file = tempfile::Builder::new().prefix("auth-").suffix(".json").tempfile_in(directory)?;
            file.write_all(text.as_bytes())?;
            Ok(file.into_temp_path())
        });
        written.map(Self).map_err(|source| engine::Error::Io { path: directory.to_owned(), source })
    }
}

/// Has podman push an artifact of its own to its registry, on our streams.
pub async fn push(
    engine: &Engine,
    (name, registry): (&str, &str),
    quiet: bool,
    flags: &RegistryFlags,
) -> engine::Result<ExitStatus> {
    let secret = flags.secret(registry)?;
    let call = engine.cli()?.call().args(["artifact", "push"]).args(quiet.then_some("--quiet"));
    let call = call.args(flags.arguments(registry, secret.as_ref())).arg(name);
    Ok(process::run_blocking(move || call.status()).await?)
}

/// Has podman pull an artifact.
pub async fn pull(engine: &Engine, reference: &Reference, flags: &RegistryFlags) -> engine::Result<()> {
    flags.pull(engine, &["artifact", "pull", "--quiet"], reference).await
}

/// Has podman pull an image, unless it has it and `policy` is content.
pub async fn pull_image(
    engine: &Engine,
    reference: &Reference,
    policy: Policy,
    flags: &RegistryFlags,
) -> engine::Result<()> {
    let is_wanted = match policy {
        Policy::Missing => !engine.image_exists(&reference.to_string()).await?,
        Policy::Always | Policy::Newer => true,
        Policy::Never => false,
    };
    if is_wanted { flags.pull(engine, &["pull", "--quiet"], reference).await } else { Ok(()) }
}

/// The value of podman's own artifact mount.
pub fn value(mount: &ArtifactMount, name: &str) -> String {
    ArtifactMount { source: name.to_owned(), ..mount.clone() }.to_value()
}

/// What podman says of an artifact it has.
#[derive(serde::Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Inspected {
    manifest: crate::manifest::Manifest,
}

impl Inspected {
    /// Whether podman mounts it under the names its files have: not so where it would show digests.
    fn is_named_for_mounting(&self) -> bool {
        crate::packaging::plan(&self.manifest, b"{}").is_ok_and(|plan| plan.is_named_as_by_podman())
    }
}

async fn inspect(engine: &Engine, name: &str) -> Result<Option<Inspected>> {
    let call = engine.cli()?.call().args(["artifact", "inspect"]).arg(name);
    match process::run_blocking(move || call.json::<Inspected>()).await {
        Ok(inspected) => Ok(Some(inspected)),
        // Podman has no exit status of its own for what is not there.
        Err(process::Error::Failed { .. }) => Ok(None),
        Err(error) => Err(engine::Error::from(error).into()),
    }
}
