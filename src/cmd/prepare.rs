//! What the commands that deliver have in common.

use std::path::PathBuf;

use super::{Context, Error, Result};
use crate::config;
use crate::deliver::accelerate::{Accelerate, PodmanPull, Refusal};
use crate::deliver::native::{self, RegistryFlags};
use crate::deliver::{self, Preparation};
use crate::engine::{self, Cache, Engine};
use crate::pull::{Artifact, Part, Policy, Session};
use crate::reference::Reference;

/// Where an artifact is kept.
pub(super) enum Home {
    /// In podman's own store.
    Podman(Box<(Engine, Artifact)>),
    /// In ours.
    Store,
}

/// Podman's store for what podman can mount under the right names, else ours.
pub(super) async fn home(context: &Context, session: &Session, reference: &Reference) -> Result<Home> {
    let Some(engine) = podman(context).await? else { return Ok(Home::Store) };
    let is_part = matches!(session.part, Part::Asked(_));
    if is_part && context.accelerate()? == Accelerate::Must {
        return Err(deliver::Error::Accelerate(Refusal::Part(reference.to_string())).into());
    }
    if is_part || session.is_part(reference) {
        session.progress.note(&format!("{reference}: kept in artishim's store, as podman would not hold a part of it"));
        return Ok(Home::Store);
    }
    // What podman does not pull after all is asked for again.
    let artifact = match engine.checks_signatures() {
        true => session.leaving_signatures().resolve(reference).await?,
        false => session.resolve(reference).await?,
    };
    if artifact.plan.is_named_as_by_podman() {
        return Ok(Home::Podman(Box::new((engine, artifact))));
    }
    session.progress.note(&format!("{reference}: kept in artishim's store, as podman would not keep its file names"));
    Ok(Home::Store)
}

/// Whether podman or our store has the artifact, so that a policy which does not ask for more is content.
pub(super) async fn is_here(context: &Context, session: &Session, reference: &Reference) -> Result<bool> {
    if session.healthy(reference).is_some() {
        return Ok(true);
    }
    match podman(context).await? {
        // It has all or nothing, and the name may stand for a part here.
        Some(_) if matches!(session.part, Part::Asked(_)) || session.is_part(reference) => Ok(false),
        Some(engine) => Ok(native::has(&engine, &reference.to_string()).await?),
        None => Ok(false),
    }
}

/// The engine, if it is a podman that is to keep artifacts itself.
async fn podman(context: &Context) -> Result<Option<Engine>> {
    let engine = match context.engine().await {
        Ok(engine) => Some(engine),
        // Without an engine there is still a store to pull into, unless an engine was asked for.
        Err(Error::Engine(_)) if context.choice()? == engine::Choice::Auto => None,
        Err(Error::Engine(engine::Error::Unwanted)) => None,
        Err(error) => return Err(error),
    };
    context.accelerate()?.check(engine.as_ref())?;
    let is_native = matches!(context.wish()?.0, None | Some(engine::decision::Delivery::Native));
    Ok(engine.filter(|engine| engine.mounts_artifacts() && is_native))
}

/// Has podman pull, or pulls into our store what podman refuses.
pub(super) async fn pull_by_podman(
    context: &Context,
    session: &Session,
    (engine, artifact): &(Engine, Artifact),
    reference: &Reference,
) -> Result<()> {
    let (flags, cache, accelerate) = (context.podman_flags()?, context.cache(), context.accelerate()?);
    let pull = PodmanPull { engine, session, reference, artifact, flags: &flags, accelerate, cache: &cache };
    let error = match pull.run().await {
        Ok(()) => return Ok(()),
        Err(deliver::Error::Engine(error)) => error,
        Err(error) => return Err(error.into()),
    };
    let reason = crate::cause::one_line(&error);
    session.progress.note(&format!("{reference}: pulled by artishim, as podman refused: {reason}"));
    session.pull(reference, Policy::Always).await?;
    Ok(())
}

/// What all mounts of one container have in common.
pub(super) fn preparation<'a>(
    context: &Context,
    engine: &'a Engine,
    session: &'a Session,
    policy: Policy,
    cache: &'a Cache,
) -> Result<Preparation<'a>> {
    Ok(Preparation {
        engine,
        session,
        image: None,
        others: &[],
        policy,
        wish: context.wish()?,
        cache,
        locks: context.locks(),
        podman_flags: context.podman_flags()?,
        accelerate: context.accelerate()?,
    })
}

impl Context {
    /// What was found out about engines and images before.
    pub(super) fn cache(&self) -> Cache {
        Cache::new(self.environment.cache().join("engines.json"))
    }

    /// Where those who fill a volume take turns.
    pub(super) fn locks(&self) -> PathBuf {
        self.environment.cache().join("locks")
    }

    /// What podman is told about registries.
    pub(super) fn podman_flags(&self) -> Result<RegistryFlags> {
        let registry = &self.global.registry;
        Ok(RegistryFlags {
            authfile: registry.authfile.clone().or_else(|| self.environment.authfile()),
            cert_dir: registry.cert_dir.clone(),
            creds: self.explicit_credentials()?,
            tls_verify: registry.tls_verify,
            scratch: self.environment.cache(),
        })
    }

    /// `--accelerate`, which is an order, or what the environment says, which is a wish.
    pub(super) fn accelerate(&self) -> Result<Accelerate> {
        match self.global.accelerate {
            Some(true) => Ok(Accelerate::Must),
            Some(false) => Ok(Accelerate::No),
            None if self.environment.accelerate()? == Some(true) => Ok(Accelerate::IfPossible),
            None => Ok(Accelerate::No),
        }
    }

    pub(super) fn wish(&self) -> Result<engine::decision::Wish> {
        let text = self.global.deliver.clone().or_else(|| self.environment.deliver());
        Ok(text.as_deref().unwrap_or("auto").parse()?)
    }

    pub(super) fn engine_environment(&self) -> engine::Environment {
        let environment = &self.environment;
        engine::Environment {
            docker_host: environment.text(config::DOCKER_HOST),
            docker_context: environment.text(config::DOCKER_CONTEXT),
            docker_config_dir: environment.docker_config(),
            docker_tls_verify: environment.os(config::DOCKER_TLS_VERIFY).is_some(),
            docker_cert_path: environment.path(config::DOCKER_CERT_PATH),
            container_host: environment.text(config::CONTAINER_HOST),
            xdg_runtime_dir: environment.path("XDG_RUNTIME_DIR"),
            path: environment.os("PATH"),
            own_program: environment.own_program(),
        }
    }
}
