//! Whether a registry knows who we are, before anything is kept.

use super::credentials::Key;
use super::error::{Error, Result};
use super::hosts::{self, Scheme};
use super::request::{Method, Request};
use super::{Client, Target};
use crate::reference::Reference;

/// The URL of what lies below a repository, or of the registry itself where `path` is empty.
pub(super) fn url(scheme: Scheme, reference: &Reference, path: &str) -> String {
    let base = format!("{}://{}/v2/", scheme.as_str(), hosts::host(reference.registry()));
    if path.is_empty() { base } else { format!("{base}{}/{path}", reference.repository()) }
}

impl Client {
    /// Shows a registry our credentials; false where it asks for none, so that nobody knows whether they are right.
    ///
    /// A namespace is not asked for by itself, as by podman: what a token is for is found out by using it.
    pub async fn check_credentials(&self, key: &Key) -> Result<bool> {
        self.repeat(key.inside(), || self.ask(key)).await
    }

    async fn ask(&self, key: &Key) -> Result<bool> {
        let answer = self.send_to_own(key.inside(), Target::Path(""), &Request::new(Method::Get)).await;
        let (response, own) = answer.map_err(|error| refused(key, error))?;
        response.success().await?;
        Ok(self.0.tokens.current(&own).await.authorization.is_some())
    }
}

fn refused(key: &Key, error: Error) -> Error {
    match error {
        Error::Unauthorized { source, .. } => Error::Login { registry: key.registry().to_owned(), source },
        error => error,
    }
}
