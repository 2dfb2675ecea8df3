//! Which of several places serves a repository: its mirrors, as long as they are good for something, and then itself.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use super::error::Result;
use crate::reference::Reference;
use crate::registries_conf::{Endpoint, RegistriesConf};

/// The places of all repositories.
pub(super) struct Endpoints {
    conf: RegistriesConf,
    /// How many places of a repository were left, because they did not answer or gave wrong bytes.
    left: Mutex<HashMap<String, usize>>,
}

impl Endpoints {
    pub fn new(conf: RegistriesConf) -> Self {
        Self { conf, left: Mutex::default() }
    }

    /// The places to ask, the best first; never none.
    pub fn find(&self, reference: &Reference) -> Result<Vec<Endpoint>> {
        let mut endpoints = self.conf.endpoints(reference)?;
        let left = self.left(reference).min(endpoints.len() - 1);
        endpoints.drain(..left);
        Ok(endpoints)
    }

    /// The repository itself, to which alone anything is sent, as by containers/image; an error where it is blocked.
    pub fn own(&self, reference: &Reference) -> Result<Endpoint> {
        self.conf.endpoints(reference)?;
        Ok(Endpoint { reference: reference.clone(), insecure: false })
    }

    /// Asks the place no more that was the first when `left` had been left, if there is another one; tells whether there is.
    /// Several may find at once that it is no good.
    pub fn leave(&self, reference: &Reference, left: usize) -> bool {
        let count = self.conf.endpoints(reference).map_or(0, |endpoints| endpoints.len());
        let mut all = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        let now = all.entry(reference.name()).or_default();
        if *now == left && left + 1 < count {
            *now += 1;
        }
        *now > left
    }

    /// Whether the settings say that this place may do without TLS.
    pub fn is_insecure(&self, place: &Reference) -> bool {
        self.conf.is_insecure(place)
    }

    /// How many places were left.
    pub fn left(&self, reference: &Reference) -> usize {
        self.left.lock().unwrap_or_else(PoisonError::into_inner).get(&reference.name()).copied().unwrap_or_default()
    }
}
