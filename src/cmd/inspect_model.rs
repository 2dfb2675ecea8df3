//! `artishim inspect --model`.

use super::inspect::InspectArgs;
use super::{Context, Error, Result};
use crate::model::{self, Model, Named};
use crate::pull::{self, Artifact, Session};
use crate::reference::Reference;
use crate::store::{self, Entry};
use crate::ui;

pub(super) async fn run(context: &Context, args: &InspectArgs) -> Result<()> {
    let session = context.session()?;
    let text = context.stored(&session.store, &args.artifact)?;
    let (reference, artifact) = find(&session, &text).await?;
    let model = model::describe(&session, reference.as_ref(), &artifact, args.json).await?;
    if args.json {
        return context.json(&model);
    }
    context.table(&facts(&model))?;
    context.ui.data("")?;
    context.table(&files(&model))
}

/// The artifact as the store has it, else as its registry says; nothing is pulled.
async fn find(session: &Session, text: &str) -> Result<(Option<Reference>, Artifact)> {
    let entry = match session.store.find(text) {
        Ok(entry) => Some(entry),
        Err(store::Error::NotFound { .. }) => None,
        Err(error) => return Err(error.into()),
    };
    let named = |entry: &Entry| entry.name.as_deref().and_then(|name| name.parse().ok());
    if let Some(entry) = &entry
        && let Some(artifact) = pull::load(&session.store, entry)?
    {
        return Ok((named(entry), artifact));
    }
    // What is not all here is asked for; without a name there is nobody to ask.
    let reference: Reference = match &entry {
        Some(entry) => named(entry).ok_or_else(|| Error::Incomplete(text.to_owned()))?,
        None => session.reference(text, pull::Policy::Always).await?,
    };
    let artifact = session.resolve(&reference).await?;
    Ok((Some(reference), artifact))
}

/// What is known, in the order people ask.
fn facts(model: &Model) -> Vec<Vec<String>> {
    let parameters = model.parameters.clone().or_else(|| model.parameter_count.map(ui::count));
    let stored = if model.stored { "yes" } else { "no" };
    let rows = [
        ("reference", Some(model.reference.clone())),
        ("digest", Some(model.digest.to_string())),
        ("packaging", Some(model.packaging.clone())),
        ("producer", model.producer.clone()),
        ("name", model.name.clone()),
        ("family", model.family.clone()),
        ("version", model.version.clone()),
        ("architecture", model.architecture.clone()),
        ("parameters", parameters),
        ("quantization", model.quantization.clone()),
        ("precision", model.precision.clone()),
        ("context length", model.context_length.map(|tokens| format!("{tokens} tokens"))),
        ("format", model.format.clone()),
        ("licence", licence(model)),
        ("entry", model.entry.clone().or_else(|| model.entry_problem.clone())),
        ("mmproj", model.mmproj.clone()),
        ("chat template", chat_template(model)),
        ("size", Some(ui::size(model.size))),
        ("stored", Some(stored.to_owned())),
    ];
    rows.into_iter().filter_map(|(name, value)| Some(vec![name.to_owned(), value?])).collect()
}

/// The licences' names, else the files that may be licences.
fn licence(model: &Model) -> Option<String> {
    if !model.licenses.is_empty() {
        return Some(model.licenses.join(", "));
    }
    let is_licence = |path: &&str| {
        let name = path.rsplit('/').next().unwrap_or_default().to_lowercase();
        ["license", "licence", "copying"].iter().any(|word| name.starts_with(word))
    };
    let files: Vec<&str> = model.files.iter().filter_map(|file| file.path.as_deref()).filter(is_licence).collect();
    (!files.is_empty()).then(|| format!("see {}", files.join(", ")))
}

fn chat_template(model: &Model) -> Option<String> {
    model.chat_template.clone().or_else(|| model.has_own_template.then(|| String::from("in the entry's header")))
}

/// The files with their sizes, then what is not known before it is unpacked.
fn files(model: &Model) -> Vec<Vec<String>> {
    let file = |named: &Named| vec![path(named), ui::size(named.size)];
    let archive = |named: &Named| {
        let size = ui::size(named.size);
        vec![path(named), size, String::from("archive, listed when unpacked")]
    };
    let heading = vec![String::from("FILE"), String::from("SIZE")];
    std::iter::once(heading).chain(model.files.iter().map(file)).chain(model.archives.iter().map(archive)).collect()
}

fn path(named: &Named) -> String {
    named.path.clone().unwrap_or_else(|| named.digest.short().to_owned())
}
