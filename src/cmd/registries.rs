//! What this machine knows of registries: names, places, policies.

use super::{Context, Result};
use crate::engine::{self, OwnDocker};
use crate::policy::Policy;
use crate::pull::{self, Gate};
use crate::reference::{self, Reference};
use crate::registries_conf::short_names::ShortNames;
use crate::registries_conf::{Docker, RegistriesConf};
use crate::registries_d::RegistriesD;
use crate::store::Store;

impl Context {
    /// What containers-registries.conf(5) says.
    pub(super) fn registries_conf(&self) -> Result<RegistriesConf> {
        let mut conf = RegistriesConf::default();
        let files = self.environment.registries_conf()?;
        if let Some((path, text)) = files.main {
            conf.add(&path.display().to_string(), &text)?;
        }
        for (path, text) in files.drop_ins {
            conf.add_drop_in(&path.display().to_string(), &text)?;
        }
        Ok(conf.with_docker(self.docker_conf()?))
    }

    /// What the files of the Docker on this machine say, where it is the engine or the only one.
    fn docker_conf(&self) -> Result<Docker> {
        let mut docker = Docker::default();
        let own = engine::docker_of_this_machine(&self.choice()?, &self.engine_environment(), &self.endpoint);
        let Some(own) = own else { return Ok(docker) };
        let files = self.environment.docker_files(own == OwnDocker::Rootless);
        if let Some((path, text)) = files.daemon {
            docker.add_daemon(&path.display().to_string(), &text);
        }
        files.hosts.iter().for_each(|(path, text)| docker.add_hosts(path, text));
        for reason in docker.passed_over() {
            tracing::debug!("{reason}");
        }
        Ok(docker)
    }

    /// What names without a registry stand for.
    pub(super) fn short_names(&self) -> Result<ShortNames> {
        let mut names = self.registries_conf()?.short_names().clone();
        if let Some((path, text)) = self.environment.short_name_aliases()? {
            names.add_noted(&path.display().to_string(), &text)?;
        }
        Ok(names)
    }

    /// The full name of the artifact that the user typed, for who asks registries as `policy` says.
    pub(super) async fn reference(&self, text: &str, policy: pull::Policy) -> Result<Reference> {
        match reference::short_name(text) {
            Some(_) => Ok(self.session()?.reference(text, policy).await?),
            None => Ok(text.parse()?),
        }
    }

    /// What the store finds by what the user typed: a short name's full one where it is there, else the same.
    pub(super) fn stored(&self, store: &Store, text: &str) -> Result<String> {
        if reference::short_name(text).is_none() {
            return Ok(text.to_owned());
        }
        let names = self.short_names()?.local(text);
        let is_there = |name: &Reference| store.find(&name.to_string()).is_ok();
        Ok(names.into_iter().find(is_there).map_or_else(|| text.to_owned(), |name| name.to_string()))
    }

    /// What containers-policy.json(5) says, where there is one.
    pub(super) fn policy(&self) -> Result<Option<Policy>> {
        let read = self.environment.policy()?;
        Ok(read.map(|(path, text)| Policy::parse(&path.display().to_string(), &text)).transpose()?)
    }

    /// What containers-registries.d(5) says.
    pub(super) fn registries_d(&self) -> Result<RegistriesD> {
        let mut registries = RegistriesD::default();
        for (path, text) in self.environment.registries_d()? {
            registries.add(&path.display().to_string(), &text)?;
        }
        Ok(registries)
    }

    /// What all pulls pass; where no policy asks for signatures, nobody need know where they lie.
    pub(super) fn gate(&self) -> Result<Gate> {
        let policy = self.policy()?;
        let registries = if policy.is_some() { self.registries_d()? } else { RegistriesD::default() };
        Ok(Gate { policy, registries, ..Gate::default() })
    }
}
