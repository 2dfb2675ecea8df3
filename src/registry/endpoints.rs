//! Which of several places serve a repository: its mirrors, as long as they are good for something, and then itself.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::error::Result;
use crate::reference::Reference;
use crate::registries_conf::{Endpoint, RegistriesConf};

/// The places of all repositories.
pub(super) struct Endpoints {
    conf: RegistriesConf,
    /// The mirrors that did not answer or gave wrong bytes, each with the repository that it was to serve.
    left: Mutex<HashSet<(String, String)>>,
}

/// The places that may serve a repository, in the order in which they are asked.
pub(super) struct Places {
    pub mirrors: Vec<Endpoint>,
    pub own: Endpoint,
}

impl Endpoints {
    pub fn new(conf: RegistriesConf) -> Self {
        Self { conf, left: Mutex::default() }
    }

    /// The places to read from.
    pub fn find(&self, named: &Reference) -> Result<Places> {
        let mut mirrors = self.conf.endpoints(named)?;
        let own = mirrors.pop().expect("the registry itself is the last");
        let left = self.left();
        mirrors.retain(|mirror| !left.contains(&key(named, mirror)));
        Ok(Places { mirrors, own })
    }

    /// The place to write to.
    pub fn own(&self, named: &Reference) -> Result<Endpoint> {
        Ok(self.conf.own(named)?)
    }

    /// Asks a mirror no more; several may find at once that it is no good.
    pub fn leave(&self, named: &Reference, mirror: &Endpoint) {
        if mirror.is_mirror && self.left().insert(key(named, mirror)) {
            tracing::warn!(%named, mirror = %mirror.reference, "the mirror is asked no more");
        }
    }

    /// Whether it is asked no more.
    pub fn has_left(&self, named: &Reference, endpoint: &Endpoint) -> bool {
        endpoint.is_mirror && self.left().contains(&key(named, endpoint))
    }

    fn left(&self) -> MutexGuard<'_, HashSet<(String, String)>> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn key(named: &Reference, mirror: &Endpoint) -> (String, String) {
    (named.name(), mirror.reference.name())
}
