//! Which artifact a text names: what a short name may stand for is looked for in the store, and then asked of registries.

use super::{Error, Policy, Result, Session};
use crate::cause::one_line;
use crate::reference::Reference;
use crate::registries_conf::short_names::Meaning;

impl Session {
    /// The full name of what the user typed; which it is may be a question to registries (containers-registries.conf(5)).
    pub async fn reference(&self, text: &str, policy: Policy) -> Result<Reference> {
        let is_stored = |name: &Reference| self.store.find(&name.to_string()).is_ok();
        let stored = || self.short_names.local(text).into_iter().find(is_stored);
        if matches!(policy, Policy::Missing | Policy::Never)
            && let Some(name) = stored()
        {
            return Ok(name);
        }
        let names = match self.short_names.meaning(text)? {
            Meaning::One(name) => return Ok(name),
            Meaning::Unclear(names) => return Err(Error::Unclear { text: text.to_owned(), names }),
            Meaning::FirstOf(names) => names,
        };
        match self.first_of(text, names, policy).await {
            Err(error) if policy == Policy::Newer && error.is_transient() => stored().ok_or(error),
            found => found,
        }
    }

    /// The first name that a registry has a manifest for.
    async fn first_of(&self, text: &str, names: Vec<Reference>, policy: Policy) -> Result<Reference> {
        let mut last = None;
        for name in &names {
            if policy == Policy::Never {
                return Err(Error::Missing(name.clone()));
            }
            // Whether a registry has a digest is told by its manifest only.
            match self.client.manifest(name).await {
                Ok(_) => return Ok(name.clone()),
                Err(error) => {
                    if error.status() != Some(404) {
                        self.progress.note(&format!("{text}: {name} is passed over: {}", one_line(&error)));
                    }
                    last = Some(Box::new(error));
                }
            }
        }
        match last {
            Some(source) => Err(Error::Nowhere { text: text.to_owned(), names, source }),
            None => Ok(text.parse()?),
        }
    }
}
