//! `artishim tag` and `untag`.

use clap::Args;

use super::{Context, Error, Result};
use crate::manifest::Descriptor;
use crate::media;
use crate::reference::Reference;
use crate::store::{Entry, Store};

/// Give an artifact of artishim's store further names
///
/// A name that stands for another artifact is taken from it.
#[derive(Args, Debug)]
pub struct TagArgs {
    /// Artifact, by name or digest
    pub artifact: String,
    /// Names to give
    #[arg(required = true)]
    pub names: Vec<String>,
}

/// Take names from artifacts of artishim's store
///
/// An artifact without a name stays until `artishim prune`, and is found by its digest.
#[derive(Args, Debug)]
pub struct UntagArgs {
    /// Names to take away
    #[arg(required = true)]
    pub names: Vec<String>,
}

pub(super) fn tag(context: &Context, args: &TagArgs) -> Result<()> {
    let store = context.store()?;
    let names = args.names.iter().map(|name| new_name(name)).collect::<Result<Vec<_>>>()?;
    let guard = store.exclusive()?;
    let entry = store.find(&context.stored(&store, &args.artifact)?)?;
    let mut descriptor: Descriptor = entry.descriptor.clone();
    descriptor.annotations.remove(media::REF_NAME);
    descriptor.annotations.remove(media::CHOSEN_FROM);
    names.iter().try_for_each(|name| store.tag(&guard, name, descriptor.clone()))?;
    // A name that it had none of is no name any more.
    if entry.name.is_none() {
        store.untag(&guard, &entry)?;
    }
    Ok(())
}

/// A name that can be given: one with a digest belongs to what has that digest.
pub(super) fn new_name(text: &str) -> Result<Reference> {
    let name: Reference = text.parse()?;
    if text.starts_with("sha256:") || text.starts_with("sha512:") {
        return Err(Error::usage(format!("{text} is a digest, and an artifact's digest is its own: give a name")));
    }
    if name.digest().is_some() {
        return Err(Error::usage(format!("{text}: a new name has no digest")));
    }
    Ok(name)
}

pub(super) fn untag(context: &Context, args: &UntagArgs) -> Result<()> {
    let store = context.store()?;
    let guard = store.exclusive()?;
    let entries =
        args.names.iter().map(|name| named(&store, &context.stored(&store, name)?)).collect::<Result<Vec<_>>>()?;
    Ok(entries.iter().try_for_each(|entry| store.unname(&guard, entry))?)
}

/// The artifact of a name; a digest is none.
fn named(store: &Store, text: &str) -> Result<Entry> {
    let entry = store.find(text)?;
    let is_name =
        |name: &str| name == text || text.parse::<Reference>().is_ok_and(|reference| reference.to_string() == name);
    if entry.name.as_deref().is_some_and(is_name) {
        Ok(entry)
    } else {
        Err(Error::usage(format!("{text} is no name: artishim rm removes what has none")))
    }
}
