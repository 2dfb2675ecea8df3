//! Who may read: challenges, tokens and signed URLs.

use std::time::{Duration, Instant};

use base64::Engine as _;

use super::answer::Answer;
use super::request::Request;
use super::{Shared, State};

/// What a client must show.
#[derive(Clone, Debug, Default)]
pub enum Auth {
    #[default]
    Open,
    Basic {
        user: &'static str,
        password: &'static str,
    },
    /// Tokens from `/token`, each good for `uses` requests; for all, or for a user or a refresh token only.
    Bearer {
        user: Option<(&'static str, &'static str)>,
        refresh_token: Option<&'static str>,
        uses: usize,
    },
}

/// How long a URL that blobs are redirected to is good for, and what it gives afterwards.
#[derive(Clone, Copy, Debug)]
pub struct Expiry {
    pub uses: usize,
    pub age: Duration,
    pub status: u16,
}

impl Expiry {
    pub const NEVER: Self = Self { uses: usize::MAX, age: Duration::MAX, status: 403 };
}

/// A URL that was signed.
pub(super) struct Signature {
    uses: usize,
    made: Instant,
}

impl Shared {
    /// The answer to who may not read.
    pub(super) fn refuse(&self, request: &Request) -> Option<Answer> {
        if request.redirected {
            return self.state().refuse_signature(request);
        }
        let shown = request.authorization.as_deref();
        let mut state = self.state();
        let challenge = match state.auth.clone() {
            Auth::Open => return None,
            Auth::Basic { user, password } if shown == Some(&basic(user, password)) => return None,
            Auth::Basic { .. } => String::from("Basic realm=\"test\""),
            Auth::Bearer { .. } => {
                let token = shown.and_then(|value| value.strip_prefix("Bearer "));
                if state.use_token(token.unwrap_or_default()) {
                    return None;
                }
                format!("Bearer realm=\"http://{}/token\",service=\"test\",scope=\"x:y,z\"", self.registry.address)
            }
        };
        let errors = r#"{"errors":[{"code":"UNAUTHORIZED","message":"authentication required","detail":null}]}"#;
        Some(Answer::new(401, errors.as_bytes()).header("WWW-Authenticate", &challenge))
    }

    pub(super) fn token(&self, request: &Request) -> Answer {
        let mut state = self.state();
        let Auth::Bearer { user, refresh_token, uses } = state.auth.clone() else { return Answer::new(404, b"") };
        let shown = request.authorization.as_deref();
        let by_user = user.is_some_and(|(user, password)| shown == Some(&basic(user, password)));
        let by_token = refresh_token.is_some_and(|token| request.body.contains(&format!("refresh_token={token}")));
        let open = user.is_none() && refresh_token.is_none();
        if !(open || by_user || by_token) {
            return Answer::new(401, br#"{"errors":[{"code":"UNAUTHORIZED","message":"wrong user"}]}"#);
        }
        let token = format!("token-{}", state.tokens.len());
        state.tokens.insert(token.clone(), uses);
        let name = if by_token { "access_token" } else { "token" };
        Answer::new(200, format!(r#"{{"{name}":"{token}"}}"#).as_bytes())
    }
}

impl State {
    fn use_token(&mut self, token: &str) -> bool {
        match self.tokens.get_mut(token) {
            Some(uses) if *uses > 0 => {
                *uses -= 1;
                true
            }
            _ => false,
        }
    }

    /// A new query for a URL that blobs are redirected to.
    pub(super) fn sign(&mut self) -> String {
        self.signatures.push(Signature { uses: 0, made: Instant::now() });
        format!("signature=secret-{}", self.signatures.len() - 1)
    }

    /// Object stores take a signature or a header, and refuse who shows both.
    fn refuse_signature(&mut self, request: &Request) -> Option<Answer> {
        if request.authorization.is_some() {
            return Some(Answer::new(400, b"only one way of authorization is allowed"));
        }
        let expiry = self.redirect.unwrap_or(Expiry::NEVER);
        let number = request.path.rsplit_once("signature=secret-").and_then(|(_, number)| number.parse::<usize>().ok());
        match number.and_then(|number| self.signatures.get_mut(number)) {
            Some(signature) if signature.uses < expiry.uses && signature.made.elapsed() < expiry.age => {
                signature.uses += 1;
                None
            }
            _ => Some(Answer::new(expiry.status, b"<Error><Code>AccessDenied</Code></Error>")),
        }
    }
}

fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}")))
}
