//! A token server as registries have them: JSON web tokens, signed for one repository, that are soon over.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::answerer::{Answer, Answerer, Asked};
use super::server::{Server, make_certificates, shell};
use crate::matrix::client::Client;

/// docker-registry takes a token for so much longer than it says.
const LEEWAY: Duration = Duration::from_secs(60);
pub const USER: (&str, &str) = ("ann", "secret");

/// Starts a registry with a token server, whose tokens are good for `life`.
pub fn start(client: &Client, life: Duration) -> (Server, Answerer) {
    let place = client.path("token");
    make_certificates(&place);
    let certificate = shell(&place, "openssl x509 -in server.pem -outform der", b"");
    let head = json!({"typ": "JWT", "alg": "ES256", "x5c": [STANDARD.encode(certificate)]});
    let signer = Signer { place: place.clone(), head, life };
    let tokens = Answerer::start(move |asked| signer.answer(asked));
    let settings = format!(
        "auth: {{token: {{realm: 'http://{}/token', service: matrix, issuer: test, rootcertbundle: {}}}}}",
        tokens.address,
        place.join("ca.pem").display()
    );
    (Server::registry(&place, "", &settings), tokens)
}

struct Signer {
    place: PathBuf,
    head: Value,
    life: Duration,
}

impl Signer {
    fn answer(&self, asked: &Asked) -> Answer {
        let expected = format!("Basic {}", STANDARD.encode(format!("{}:{}", USER.0, USER.1)));
        if asked.authorization.as_ref() != Some(&expected) {
            return Answer { status: 401, header: String::new(), text: String::from("{}") };
        }
        let text = json!({"token": self.token(&asked.fields("scope")), "expires_in": self.life.as_secs()}).to_string();
        Answer { status: 200, header: String::from("Content-Type: application/json"), text }
    }

    fn token(&self, scopes: &[String]) -> String {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        let access = scopes.iter().filter_map(|scope| {
            let mut words = scope.splitn(3, ':');
            let (kind, name, actions) = (words.next()?, words.next()?, words.next()?);
            Some(json!({"type": kind, "name": name, "actions": actions.split(',').collect::<Vec<_>>()}))
        });
        let claims = json!({
            "iss": "test", "aud": "matrix", "sub": USER.0, "jti": now.as_nanos().to_string(),
            "nbf": (now - 2 * LEEWAY).as_secs(), "iat": now.as_secs(), "exp": (now + self.life - LEEWAY).as_secs(),
            "access": access.collect::<Vec<_>>(),
        });
        let signed = [&self.head, &claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string())).join(".");
        let signature = shell(&self.place, "openssl dgst -sha256 -sign server.key", signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(raw_signature(&signature)))
    }
}

/// The two numbers of an ECDSA signature, as JSON web tokens have them (RFC 7518, section 3.4) and not as DER.
fn raw_signature(der: &[u8]) -> Vec<u8> {
    let number = |at: usize| {
        let length = usize::from(der[at + 1]);
        let bytes = &der[at + 2..at + 2 + length];
        let bytes = &bytes[length.saturating_sub(32)..];
        let padded = [vec![0; 32 - bytes.len()], bytes.to_vec()].concat();
        (padded, at + 2 + length)
    };
    let (first, next) = number(2);
    let (second, _) = number(next);
    [first, second].concat()
}
