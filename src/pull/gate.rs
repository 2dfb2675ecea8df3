//! What an artifact must have so that it may be pulled: what policy.json says, and a signature by the user's key.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use super::attached::Place;
use super::{Error, Result, Session};
use crate::digest::Digest;
use crate::policy::{Demand, KeySource, Policy, Refusal};
use crate::reference::Reference;
use crate::registries_d::RegistriesD;
use crate::signature::{Flaw, KeyError, PublicKey, Signature, Unsigned};

/// The most bytes of a key's file.
const MAX_KEY: u64 = 64 * 1024;

/// What every pull passes.
#[derive(Clone, Debug, Default)]
pub struct Gate {
    /// containers-policy.json(5), where there is one.
    pub policy: Option<Policy>,
    /// Where a policy's signatures are looked for.
    pub registries: RegistriesD,
    /// A key that must have signed, by the name of its file; wherever its signature lies, and for whatever name.
    pub key: Option<(String, PublicKey)>,
    /// Whether the engine checks what it pulls, so that only what is rejected stops here.
    pub leaves_signatures: bool,
}

/// The signatures that one reference must have, each of them.
pub(super) struct Admission {
    judges: Vec<Judge>,
}

/// Looks for one signature.
struct Judge {
    asks: Asks,
    keys: Vec<PublicKey>,
    is_content: bool,
    flaws: Vec<Flaw>,
}

enum Asks {
    Policy(Demand),
    /// The user, by the file of a key.
    User(String),
}

impl Gate {
    /// Whether a signature is asked for.
    pub fn asks_for_signatures(&self, reference: &Reference) -> bool {
        let demands = self.policy.as_ref().map(|policy| policy.demands(reference));
        self.key.is_some() || demands.is_some_and(|demands| demands.map_or(true, |demands| !demands.is_empty()))
    }

    /// What the reference must have, as the user typed it; what it can never have is refused before anybody is asked.
    pub(super) fn open(&self, reference: &Reference) -> Result<Admission> {
        let demands = match &self.policy {
            Some(policy) if self.leaves_signatures => policy.check(reference).map(|()| Vec::new())?,
            Some(policy) => policy.demands(reference)?,
            None => Vec::new(),
        };
        let judge = |demand| self.judge(reference, demand);
        let mut judges = demands.into_iter().map(judge).collect::<Result<Vec<_>, Refusal>>()?;
        if let Some((file, key)) = &self.key {
            judges.push(Judge::new(Asks::User(file.clone()), vec![key.clone()]));
        }
        Ok(Admission { judges })
    }

    fn judge(&self, reference: &Reference, demand: Demand) -> Result<Judge, Refusal> {
        let keys = demand.keys.iter().map(|source| key(&demand, source)).collect::<Result<_, _>>()?;
        if !self.registries.uses_attachments(reference) {
            return Err(Refusal::Unsigned { cause: demand.cause, source: Unsigned::NotLooked });
        }
        Ok(Judge::new(Asks::Policy(demand), keys))
    }
}

fn key(demand: &Demand, source: &KeySource) -> Result<PublicKey, Refusal> {
    let (name, key) = match source {
        KeySource::File(path) => (path.as_str(), read_key(path.as_ref())),
        KeySource::Inline(text) => ("keyData", PublicKey::parse(text)),
    };
    key.map_err(|source| Refusal::Key { cause: demand.cause.clone(), key: name.to_owned(), source })
}

/// Reads a public key's file.
pub fn read_key(path: &Path) -> Result<PublicKey, KeyError> {
    let mut text = Vec::new();
    File::open(path)?.take(MAX_KEY).read_to_end(&mut text)?;
    PublicKey::parse(&text)
}

impl Judge {
    const fn new(asks: Asks, keys: Vec<PublicKey>) -> Self {
        Self { asks, keys, is_content: false, flaws: Vec::new() }
    }

    fn look(&mut self, signature: &Signature, reference: &Reference, digest: &Digest) {
        match self.check(signature, reference, digest) {
            Ok(()) => self.is_content = true,
            Err(flaw) => self.flaws.push(flaw),
        }
    }

    fn check(&self, signature: &Signature, reference: &Reference, digest: &Digest) -> Result<(), Flaw> {
        let name = signature.verify(&self.keys, digest)?;
        match (&self.asks, name) {
            (Asks::User(_), _) => Ok(()),
            (Asks::Policy(_), None) => Err(Flaw::Nameless),
            (Asks::Policy(demand), Some(name)) if demand.identity.admits(reference, &name) => Ok(()),
            (Asks::Policy(_), Some(name)) => Err(Flaw::Name(name)),
        }
    }

    fn conclude(self, reference: &Reference) -> Result<()> {
        if self.is_content {
            return Ok(());
        }
        let source = if self.flaws.is_empty() { Unsigned::None } else { Unsigned::Flawed(self.flaws) };
        Err(match self.asks {
            Asks::Policy(demand) => Refusal::Unsigned { cause: demand.cause, source }.into(),
            Asks::User(key) => Error::Unsigned { reference: reference.to_string(), key, source },
        })
    }
}

impl Session {
    /// The same for who has the engine pull, which checks signatures itself.
    #[must_use]
    pub fn leaving_signatures(&self) -> Self {
        let gate = Gate { leaves_signatures: true, ..Gate::clone(&self.gate) };
        Self { gate: Arc::new(gate), ..self.clone() }
    }

    /// What the user typed, whatever it was pinned to since.
    pub(super) fn typed<'a>(&'a self, reference: &'a Reference) -> &'a Reference {
        self.typed.as_ref().unwrap_or(reference)
    }

    /// Looks for the signatures that are asked for: beside the manifest, which is the last of `digests`, and then beside
    /// the indexes that it was chosen from. containers/image knows the manifest's only.
    pub(super) async fn admit(&self, reference: &Reference, admission: Admission, digests: &[Digest]) -> Result<()> {
        let (mut judges, typed) = (admission.judges, self.typed(reference));
        for digest in digests.iter().rev() {
            for place in [Place::Tag, Place::Referrers] {
                if judges.iter().all(|judge| judge.is_content) {
                    break;
                }
                let found = self.signatures(reference, digest, place).await?;
                let open = judges.iter_mut().filter(|judge| !judge.is_content);
                for judge in open {
                    found.iter().for_each(|signature| judge.look(signature, typed, digest));
                }
            }
        }
        judges.into_iter().try_for_each(|judge| judge.conclude(typed))
    }
}
