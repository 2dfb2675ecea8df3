//! What an artifact is, for people who have not pulled it: its manifest and config, the names of its files, and where
//! those say too little the first bytes of the file a server would be started with.
//!
//! The config's word goes before the file's: it is verified, and the first bytes of a file in a registry are not.

mod content;
mod transformers;

use serde::Serialize;

use self::content::Content;
pub use self::content::Error;
use crate::digest::Digest;
use crate::gguf;
use crate::listing::{File, Listing};
use crate::packaging::{self, Description};
use crate::pull::{Artifact, Session};
use crate::reference::Reference;

/// What is known of an artifact; as JSON, fields come and none goes.
#[derive(Clone, Debug, Serialize)]
pub struct Model {
    /// The name it was asked for by.
    pub reference: String,
    /// The digest of the manifest.
    pub digest: Digest,
    /// Whether all of it lies in the store.
    pub stored: bool,
    /// The name of its packaging.
    pub packaging: String,
    /// The program that made it.
    pub producer: Option<String>,
    /// The model's name.
    pub name: Option<String>,
    /// Its family.
    pub family: Option<String>,
    /// Its version.
    pub version: Option<String>,
    /// The format of its files.
    pub format: Option<String>,
    /// Its architecture.
    pub architecture: Option<String>,
    /// How many parameters it has, in the producer's words.
    pub parameters: Option<String>,
    /// How many parameters it has, counted.
    pub parameter_count: Option<u64>,
    /// The type of its numbers.
    pub precision: Option<String>,
    /// How it was quantized.
    pub quantization: Option<String>,
    /// The most tokens it was made for.
    pub context_length: Option<u64>,
    /// Its licences.
    pub licenses: Vec<String>,
    /// The file, or folder, a server is started with.
    pub entry: Option<String>,
    /// The files that could be meant where there is no entry.
    pub entry_candidates: Vec<String>,
    /// The multimodal projector beside it.
    pub mmproj: Option<String>,
    /// The file with the Jinja chat template beside it.
    pub chat_template: Option<String>,
    /// The template itself, from that file or else from the entry's header; only where it was asked for.
    pub chat_template_text: Option<String>,
    /// Whether the entry's header holds a template.
    pub has_own_template: bool,
    /// The bytes of all layers.
    pub size: u64,
    /// The files, without those in archives that were not unpacked yet.
    pub files: Vec<Named>,
    /// The layers whose files are known when they are unpacked.
    pub archives: Vec<Named>,
    /// Why there is no entry.
    #[serde(skip)]
    pub entry_problem: Option<String>,
}

/// A file or archive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Named {
    /// Its path; archives may have none.
    pub path: Option<String>,
    /// Its bytes; of an archive as it is stored.
    pub size: u64,
    /// The digest of the blob it is, or comes from.
    pub digest: Digest,
}

impl From<&File> for Named {
    fn from(file: &File) -> Self {
        Self { path: Some(file.path.clone()), size: file.size, digest: file.blob.clone() }
    }
}

/// Finds out what `artifact` is; nothing is pulled.
///
/// What is not in the store is asked of the registry of `reference`, which may be missing for a stored artifact. The
/// text of the chat template is read only if `with_template`.
pub async fn describe(
    session: &Session,
    reference: Option<&Reference>,
    artifact: &Artifact,
    with_template: bool,
) -> Result<Model, Error> {
    let content = Content::new(session, reference, artifact)?;
    let listing = content.listing().await?;
    let archives = content.archives();
    let mut model = Model::new(artifact, &listing, archives);
    if let Some(file) = model.entry.as_deref().and_then(|entry| listing.files.iter().find(|file| file.path == entry)) {
        model.add_header(content.header(file).await?);
    }
    if let Some((file, add)) = model.entry.as_deref().and_then(|entry| transformers::find(&listing, entry)) {
        add(&mut model, &content.json(file).await?);
    }
    let template = model.chat_template.as_deref().filter(|_| with_template);
    if let Some(file) = template.and_then(|path| listing.files.iter().find(|file| file.path == path)) {
        model.chat_template_text = Some(content.text(file).await?);
    }
    if !with_template {
        model.chat_template_text = None;
    }
    model.reference = reference.map_or_else(|| model.digest.to_string(), ToString::to_string);
    Ok(model)
}

impl Model {
    /// What manifest, config and names say.
    fn new(artifact: &Artifact, listing: &Listing, archives: Vec<Named>) -> Self {
        let said = packaging::describe(artifact.plan.packaging, &artifact.manifest, &artifact.config);
        let Description { producer, name, family, version, format, architecture, .. } = said;
        let entry = entry(listing, archives.is_empty());
        let candidates = if entry.is_ok() { Vec::new() } else { packaging::entry_candidates(listing) };
        Self {
            reference: String::new(),
            digest: artifact.descriptor.digest.clone(),
            stored: artifact.is_stored,
            packaging: listing.packaging.clone(),
            producer,
            name,
            family,
            version,
            format,
            architecture,
            parameters: said.parameters,
            parameter_count: None,
            precision: said.precision,
            quantization: said.quantization,
            context_length: said.context_length,
            licenses: said.licences,
            entry_candidates: candidates.into_iter().map(str::to_owned).collect(),
            mmproj: listing.mmproj.clone(),
            chat_template: listing.chat_template.clone(),
            chat_template_text: None,
            has_own_template: false,
            size: crate::manifest::total(&artifact.manifest.layers),
            files: listing.files.iter().map(Named::from).collect(),
            archives,
            entry_problem: entry.as_ref().err().cloned(),
            entry: entry.ok(),
        }
    }

    /// Adds what the entry's own header says and the config does not.
    fn add_header(&mut self, header: Option<gguf::Header>) {
        let Some(header) = header else { return };
        let or = |said: &mut Option<String>, own: Option<String>| *said = said.take().or(own);
        or(&mut self.format, Some(String::from("gguf")));
        or(&mut self.name, header.name);
        or(&mut self.architecture, header.architecture);
        or(&mut self.parameters, header.size_label);
        or(&mut self.quantization, header.quantization.map(str::to_owned));
        self.parameter_count = header.parameter_count;
        self.context_length = self.context_length.or(header.context_length);
        if self.licenses.is_empty() {
            self.licenses.extend(header.licence);
        }
        self.has_own_template = header.chat_template.is_some();
        self.chat_template_text = header.chat_template;
    }
}

/// The entry, or why there is none. An only file is no entry beside archives that nobody has looked into.
fn entry(listing: &Listing, is_complete: bool) -> Result<String, String> {
    match &listing.entry {
        Some(entry) => Ok(entry.clone()),
        None if !is_complete => Err(String::from("not known before the archives are unpacked")),
        None => packaging::entry(listing).map(str::to_owned).map_err(|error| error.to_string()),
    }
}
