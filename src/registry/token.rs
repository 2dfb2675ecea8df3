//! From a challenge to an `Authorization` header, kept for the next request to the same repository.
//!
//! 1. A request is refused with 401 and challenges.
//! 2. `Bearer`: the realm is asked for a token, by GET (anonymously or with a password), or by POST with a refresh
//!    token. `Basic`: the password itself is the answer.
//! 3. The header is used until the registry refuses it; then one of the waiting requests asks again for all.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use serde::Deserialize;

use super::Access;
use super::challenge::Challenge;
use super::credentials::{self, Credential, Credentials, HelperFailure};
use super::error::{Error, Result};
use super::hosts::{self, Trust};
use super::http::{self, Http, Security};
use super::request::{Method, Request};
use super::safe_url::SafeUrl;
use crate::reference::Reference;
use crate::registries_conf::Endpoint;

/// What a token may be large at most; the largest seen are some 8 KiB.
const MAX_ANSWER: u64 = 1024 * 1024;

/// The value of an `Authorization` header.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Authorization {
    Basic { user: String, password: String },
    Bearer(String),
}

impl fmt::Debug for Authorization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Basic { .. } => "Basic(...)",
            Self::Bearer(_) => "Bearer(...)",
        })
    }
}

/// What one repository was last granted.
#[derive(Clone, Default)]
pub(super) struct Grant {
    pub authorization: Option<Authorization>,
    had_credentials: bool,
    /// Why there were none: a broken helper must not keep anybody from a public model, and is told if that is refused.
    helper: Option<HelperFailure>,
}

impl Grant {
    /// Whether it is a password, of which there is no newer one.
    pub fn is_password(&self) -> bool {
        matches!(self.authorization, Some(Authorization::Basic { .. }))
    }

    /// The error for a repository that `answer` says is not ours to read.
    pub fn unauthorized(&self, reference: &Reference, answer: Error) -> Error {
        let source = self.helper.clone().map_or(answer, |failure| credentials::Error::from(failure).into());
        Error::Unauthorized {
            registry: reference.registry().to_owned(),
            repository: reference.repository().to_owned(),
            had_credentials: self.had_credentials,
            source: Box::new(source),
        }
    }
}

/// The grants of all repositories.
pub(super) struct Tokens {
    credentials: Credentials,
    access: Access,
    /// The first registry that asked for the explicit credentials, and the only one that gets them: users type one
    /// password, and a command may name several registries.
    explicit_for: OnceLock<String>,
    /// By repository, and whether it was asked where anybody may listen.
    slots: Mutex<HashMap<(String, bool), Slot>>,
}

type Slot = Arc<tokio::sync::Mutex<Grant>>;

impl Tokens {
    pub fn new(credentials: Credentials, access: Access) -> Self {
        Self { credentials, access, explicit_for: OnceLock::new(), slots: Mutex::default() }
    }

    /// The grant for the repository, if it has one; waits while another request renews it.
    pub async fn current(&self, endpoint: &Endpoint) -> Grant {
        self.slot(endpoint).lock().await.clone()
    }

    /// A grant other than the `refused` one. Explicit credentials are for a registry that the user named. `refusal` is what
    /// the registry answered, for the error.
    pub async fn renew(
        &self,
        http: &Http,
        trust: &Trust,
        (endpoint, is_named): (&Endpoint, bool),
        refused: &Grant,
        refusal: Refusal,
    ) -> Result<Grant> {
        let (slot, reference) = (self.slot(endpoint), &endpoint.reference);
        let mut grant = slot.lock().await;
        if grant.authorization != refused.authorization {
            return Ok(grant.clone());
        }
        let (credential, helper) = match self.find_credential(reference, is_named).await {
            Ok(credential) => (credential, None),
            Err(credentials::Error::Helper(failure)) => (None, Some(failure)),
            Err(error) => return Err(error.into()),
        };
        let empty = Grant { authorization: None, had_credentials: credential.is_some(), helper };
        let access = &self.access;
        let exchange = Exchange { http, trust, reference, access, credential, grant: empty };
        *grant = exchange.run(refusal).await?;
        Ok(grant.clone())
    }

    fn slot(&self, endpoint: &Endpoint) -> Slot {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(slots.entry((endpoint.reference.name(), endpoint.insecure)).or_default())
    }

    fn credentials_for(&self, registry: &str, is_named: bool) -> Credentials {
        let mut credentials = self.credentials.clone();
        let host = hosts::host(registry);
        if !is_named {
            credentials.explicit = None;
        }
        if credentials.explicit.is_some() && self.explicit_for.get_or_init(|| host.to_owned()) != host {
            tracing::debug!(registry, "the credentials given are another registry's");
            credentials.explicit = None;
        }
        credentials
    }

    async fn find_credential(
        &self,
        reference: &Reference,
        is_named: bool,
    ) -> Result<Option<Credential>, credentials::Error> {
        let credentials = self.credentials_for(reference.registry(), is_named);
        let (registry, repository) = (reference.registry().to_owned(), reference.repository().to_owned());
        let search = tokio::task::spawn_blocking(move || credentials.find(&registry, &repository));
        search.await.unwrap_or(Ok(None))
    }
}

/// A registry's 401.
pub(super) struct Refusal {
    pub challenges: Vec<Challenge>,
    pub error: Error,
}

/// One way from a refusal to a grant.
struct Exchange<'a> {
    http: &'a Http,
    trust: &'a Trust,
    reference: &'a Reference,
    access: &'a Access,
    credential: Option<Credential>,
    grant: Grant,
}

impl Exchange<'_> {
    async fn run(self, refusal: Refusal) -> Result<Grant> {
        let find = |scheme: &str| refusal.challenges.iter().find(|challenge| challenge.scheme == scheme);
        // Hugging Face's realm is a sentence: there is no token server to ask.
        let is_server = |realm: &&str| http::security(realm).is_some();
        let bearer = find("bearer").and_then(|found| Some((found.parameter("realm").filter(is_server)?, found)));
        let authorization = match (bearer, find("basic"), &self.credential) {
            (Some((realm, challenge)), _, _) => {
                Authorization::Bearer(self.fetch_token(realm, challenge.parameter("service")).await?)
            }
            (None, Some(_), Some(Credential::Password { user, password })) => {
                Authorization::Basic { user: user.clone(), password: password.clone() }
            }
            _ => return Err(self.grant.unauthorized(self.reference, refusal.error)),
        };
        Ok(Grant { authorization: Some(authorization), ..self.grant })
    }

    async fn fetch_token(&self, realm: &str, service: Option<&str>) -> Result<String> {
        self.check_realm(realm)?;
        let authorization = match &self.credential {
            Some(Credential::Password { user, password }) => {
                Some(Authorization::Basic { user: user.clone(), password: password.clone() })
            }
            _ => None,
        };
        let request = self.token_request(service);
        let answer = self.http.send(realm, &request, authorization.as_ref(), self.trust).await?.success().await;
        let response = answer.map_err(|error| self.refused(error))?;
        let url = response.url().clone();
        token_of(&response.bytes(MAX_ANSWER).await?).ok_or_else(|| Error::protocol(&url, "it holds no token"))
    }

    /// Neither tokens nor passwords travel in the clear, except where the user or loopback allows it.
    fn check_realm(&self, realm: &str) -> Result<()> {
        let url = SafeUrl::new(realm);
        match http::security(realm) {
            None => Err(Error::protocol(&url, "the realm is no URL")),
            Some(Security::Tls) => Ok(()),
            Some(Security::PlainLoopback) if self.trust.plain_http.covers(true) => Ok(()),
            Some(Security::Plain) if self.trust.plain_http.covers(false) && self.credential.is_none() => Ok(()),
            Some(_) => Err(Error::Insecure { registry: self.reference.registry().to_owned(), url }),
        }
    }

    fn token_request(&self, service: Option<&str>) -> Request {
        let mut fields: Vec<_> = match &self.credential {
            // OAuth's form has one scope with spaces; a query has several, each of one repository (Quay refuses others).
            Some(Credential::IdentityToken(_)) if !self.scopes().is_empty() => {
                vec![("scope", self.scopes().join(" "))]
            }
            _ => self.scopes().into_iter().map(|scope| ("scope", scope)).collect(),
        };
        fields.extend(service.map(|service| ("service", service.to_owned())));
        match &self.credential {
            Some(Credential::IdentityToken(token)) => {
                fields.push(("grant_type", String::from("refresh_token")));
                fields.push(("client_id", String::from("artishim")));
                fields.push(("refresh_token", token.clone()));
                Request { form: fields, ..Request::new(Method::Post) }
            }
            Some(Credential::Password { user, .. }) => {
                fields.push(("account", user.clone()));
                Request { query: fields, ..Request::new(Method::Get) }
            }
            None => Request { query: fields, ..Request::new(Method::Get) },
        }
    }

    fn scopes(&self) -> Vec<String> {
        let own = self.reference.repository();
        match self.access {
            Access::Login => Vec::new(),
            Access::Pull => vec![format!("repository:{own}:pull")],
            Access::Push(others) => {
                let others =
                    others.iter().filter(|other| *other != own).map(|other| format!("repository:{other}:pull"));
                std::iter::once(format!("repository:{own}:pull,push")).chain(others).collect()
            }
        }
    }

    /// Which answers of a token server mean that the credentials are wrong: 400 is OAuth's for a bad refresh token.
    fn refused(&self, error: Error) -> Error {
        match (error.status(), &self.credential) {
            (Some(401 | 403), _) | (Some(400), Some(Credential::IdentityToken(_))) => {
                self.grant.unauthorized(self.reference, error)
            }
            _ => error,
        }
    }
}

/// Docker's servers say `token`, OAuth's say `access_token`, some say both.
fn token_of(answer: &[u8]) -> Option<String> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Answer {
        token: Option<String>,
        access_token: Option<String>,
    }
    let answer: Answer = serde_json::from_slice(answer).ok()?;
    answer.token.or(answer.access_token).filter(|token| !token.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_has_one_of_two_names() {
        let cases = [
            (r#"{"token":"a","expires_in":60}"#, Some("a")),
            (r#"{"access_token":"b"}"#, Some("b")),
            (r#"{"token":"a","access_token":"b"}"#, Some("a")),
            (r#"{"token":null,"access_token":"b"}"#, Some("b")),
            (r#"{"token":""}"#, None),
            ("[]", None),
        ];
        for (answer, token) in cases {
            assert_eq!(token_of(answer.as_bytes()).as_deref(), token, "{answer}");
        }
    }

    #[test]
    fn headers_do_not_print_their_secret() {
        let bearer = Authorization::Bearer(String::from("secret"));
        assert_eq!(format!("{bearer:?}"), "Bearer(...)");
    }
}
