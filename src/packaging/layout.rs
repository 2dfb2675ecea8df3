//! A plan and readable blobs become files.

use std::io::{self, Read};

use crate::digest::Digest;
use crate::listing::Listing;
use crate::manifest::Descriptor;

use super::archive::{self, Format, Member};
use super::error::At;
use super::output::{Entry, Output, Sink};
use super::path;
use super::promise::Account;
use super::{Content, Error, Naming, Packaging, Piece, Plan, layers};

/// Opens a blob for reading in order from its first byte. The reader checks size and digest by itself: at the end of
/// wrong bytes it gives an error instead of the end.
pub type Open<'a> = &'a mut dyn FnMut(&Descriptor) -> io::Result<Box<dyn Read + Send>>;

/// Sends the files of `plan` to `sink`, each in one pass; `digest` is the manifest's.
///
/// Every blob is read to its end, and so verified, unless the sink takes a whole blob without reading. `limit` bounds
/// the bytes of all files that come out of archives; a file that is a blob has the size its descriptor says, and may be
/// there already. Where an entry cannot be told, the listing has none and [`super::entry`] says why.
pub fn lay_out(
    plan: &Plan,
    digest: &Digest,
    limit: Option<u64>,
    open: Open<'_>,
    sink: &mut dyn Sink,
) -> Result<Listing, Error> {
    let needed = plan.pieces.iter().map(|piece| piece.promise.bytes()).fold(0, u64::saturating_add);
    // Of a part it is not known beforehand what it takes.
    if let Some(limit) = limit.filter(|limit| needed > *limit && plan.selection.is_none()) {
        return Err(Error::TooLarge { path: None, needed, limit });
    }
    let mut output = Output::new(sink, limit, plan.selection.as_ref());
    if plan.packaging == Packaging::Image {
        layers::lay_out(&plan.pieces, open, &mut output)?;
    } else {
        // Only ModelPack's layers are put together from parts that need not know of each other.
        output = if plan.packaging == Packaging::ModelPack { output.with_repeats() } else { output };
        for piece in &plan.pieces {
            lay_out_piece(piece, open, &mut output)?;
        }
    }
    output.finish(digest, plan.packaging, plan.entry.as_deref())
}

pub(super) fn lay_out_piece(piece: &Piece, open: Open<'_>, output: &mut Output<'_>) -> Result<(), Error> {
    let mut blob = open(&piece.blob).reading(&piece.blob)?;
    let (path, naming) = match &piece.content {
        Content::File { path } => return output.file(&whole(&piece.blob, path), piece.role, &mut blob),
        Content::Archive { path, naming } => (path, *naming),
        Content::ImageLayer => (&None, Naming::Own),
    };
    let (mut format, mut blob) = archive::peek(blob).reading(&piece.blob)?;
    let begins_with = |folder: &str| archive::begins_with_folder(format, &blob, folder);
    if naming == Naming::Folder && !path.as_deref().is_some_and(begins_with) {
        format = Format::Other;
    }
    let mut account = Account::of_archive(piece, format);
    if format == Format::Other {
        // The type promised a tar; `oras push` promises one for every file.
        let path = path.clone().unwrap_or_else(|| piece.blob.digest.file_name());
        lay_out_file(&whole(&piece.blob, &path), &path, &mut account, &mut blob, output)?;
        return account.close();
    }
    let mut names = Names::new(naming, path.as_deref());
    let mut visit = |member: &mut Member<'_>| lay_out_member(member, &mut names, &mut account, output);
    archive::read(&piece.blob, piece.promise.tar.as_ref(), format, blob, &mut visit)?;
    account.close()
}

const fn whole<'a>(blob: &'a Descriptor, path: &'a str) -> Entry<'a> {
    Entry { path, size: blob.size, mode: 0o644, blob, whole: true }
}

/// Folders come with their files; an empty one is no part of a model.
fn lay_out_member(
    member: &mut Member<'_>,
    names: &mut Names<'_>,
    account: &mut Account<'_>,
    output: &mut Output<'_>,
) -> Result<(), Error> {
    let blob = account.blob;
    if member.kind.is_dir() && matches!(member.path.as_slice(), b"." | b"./" | b"/") {
        return Ok(());
    }
    let own = path::sanitise_bytes(&member.path)?;
    if member.kind.is_dir() {
        return output.count();
    }
    if !matches!(member.kind, tar::EntryType::Regular | tar::EntryType::Continuous) {
        let kind = archive::name_of(member.kind);
        return Err(Error::Special { blob: blob.digest.clone(), path: own, kind });
    }
    let path = names.place(&own);
    let file = Entry { path: &path, size: member.size, mode: member.mode, blob, whole: false };
    lay_out_file(&file, &own, account, &mut *member.content, output)
}

/// Passes on a file that is called `own` where it comes from, held against what the producer says of it.
fn lay_out_file(
    file: &Entry<'_>,
    own: &str,
    account: &mut Account<'_>,
    content: &mut dyn Read,
    output: &mut Output<'_>,
) -> Result<(), Error> {
    let mut content = account.take(own, file.size, content)?;
    output.file(file, None, &mut content)?;
    account.settle(own, content)
}

/// Places the members of one archive by its [`Naming`].
struct Names<'a> {
    naming: Naming,
    annotated: Option<&'a str>,
    /// The folder that is replaced and the one that stands for it; known with the first file.
    moved: Option<(String, String)>,
}

impl<'a> Names<'a> {
    const fn new(naming: Naming, annotated: Option<&'a str>) -> Self {
        Self { naming, annotated, moved: None }
    }

    fn place(&mut self, own: &str) -> String {
        match (self.naming, self.annotated) {
            (Naming::WithoutModels, _) => own.strip_prefix("models/").unwrap_or(own).to_owned(),
            (Naming::Annotated, Some(annotated)) => self.place_beside(own, annotated),
            (Naming::Below, Some(annotated)) => path::join(path::parent(annotated), own),
            (Naming::Annotated | Naming::Below | Naming::Folder | Naming::Own, _) => own.to_owned(),
        }
    }

    fn place_beside(&mut self, own: &str, annotated: &str) -> String {
        let (from, to) = self.moved.get_or_insert_with(|| {
            let is_same = path::base_name(own) == path::base_name(annotated);
            let to = if is_same { path::parent(annotated) } else { path::parent(own) };
            (path::parent(own).to_owned(), to.to_owned())
        });
        match path::below(own, from) {
            Some(rest) => path::join(to, rest),
            None => own.to_owned(),
        }
    }
}
