//! The way of every file to the sink: path checked, folders announced, size kept, first bytes remembered.

use std::collections::HashMap;
use std::io::{self, Cursor, Read};

use crate::digest::Digest;
use crate::listing::{File, Listing};
use crate::manifest::Descriptor;

use super::entry::{self, Known};
use super::error::At;
use super::path::{self, Tree};
use super::{Error, Packaging, Role, Selection};

/// As many files, folders and links as any model with its dataset has; it bounds the memory of a layout.
const MAX_MEMBERS: usize = 200_000;
/// How many names of files that are left out are worth telling.
const MAX_LEFT: usize = 100;
/// The largest file that may come twice: licences and configurations do.
const MAX_REPEATED: u64 = 4 * 1024 * 1024;
/// How much of a file is looked at: enough to tell GGUF and JSON.
pub const HEAD_BYTES: usize = 8;

/// Where laid-out files go: a snapshot directory, or a tar stream to an engine.
///
/// Paths are relative, sanitised, unique even without case. An error ends the layout; what was written is worthless.
pub trait Sink {
    /// Makes a folder; each once, after the one it is in and before anything in it.
    fn directory(&mut self, path: &str) -> io::Result<()>;

    /// Makes a file of exactly `file.size` bytes of `content`. If `file.whole`, a sink that has the blob need not read.
    fn file(&mut self, file: &Entry<'_>, content: &mut dyn Read) -> io::Result<()>;

    /// Makes a symbolic link, after all files; `target` is relative to the link's folder and leads to a file or folder
    /// made before.
    fn link(&mut self, path: &str, target: &str) -> io::Result<()>;
}

/// A file for a [`Sink`].
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    /// Where it goes.
    pub path: &'a str,
    /// The number of bytes.
    pub size: u64,
    /// 0644, or 0755 where the producer marked it as executable.
    pub mode: u32,
    /// The blob it comes from.
    pub blob: &'a Descriptor,
    /// Whether the file is the blob, byte for byte, and not a part of it.
    pub whole: bool,
}

/// A sink with what is known of the files that went there.
pub(super) struct Output<'a> {
    sink: &'a mut dyn Sink,
    limit: Option<u64>,
    selection: Option<&'a Selection>,
    /// Some of what was left out, for the case that nothing else is there.
    left: Vec<String>,
    /// The digests of small files by their paths; `None` where a path is not to come twice whatever lies there.
    repeatable: Option<HashMap<String, Digest>>,
    /// The bytes that came out of archives.
    unpacked: u64,
    /// Files, folders and links so far, and what else stays in memory until the end.
    members: usize,
    /// The bytes of names that are kept for other reasons than to become files.
    name_bytes: usize,
    tree: Tree,
    files: Vec<Known>,
    /// The place of each path in `files`.
    places: HashMap<String, usize>,
}

impl<'a> Output<'a> {
    pub(super) fn new(sink: &'a mut dyn Sink, limit: Option<u64>, selection: Option<&'a Selection>) -> Self {
        let (tree, files, places) = (Tree::new(), Vec::new(), HashMap::new());
        let left = Vec::new();
        let repeatable = None;
        Self { sink, limit, selection, left, repeatable, unpacked: 0, members: 0, name_bytes: 0, tree, files, places }
    }

    /// Takes a file that is there already where its bytes are the same: of two layers, each may bring the licence.
    pub(super) fn with_repeats(self) -> Self {
        Self { repeatable: Some(HashMap::new()), ..self }
    }

    /// Passes one file on, if it is wanted. Reads `source` to its end, except where the sink took the whole blob without
    /// reading.
    pub(super) fn file(&mut self, file: &Entry<'_>, role: Option<Role>, source: &mut dyn Read) -> Result<(), Error> {
        if self.leaves_out(file.path) {
            if self.left.len() < MAX_LEFT {
                self.left.push(file.path.to_owned());
            }
            return self.keep(file.path.len());
        }
        self.make_room(file)?;
        if self.repeatable.is_none() || file.size > MAX_REPEATED {
            return self.pass_on(file, role, source);
        }
        if file.whole {
            return match self.is_repeated(file.path, file.blob.digest.clone()) {
                true => io::copy(source, &mut io::sink()).map(drop).reading(file.blob),
                false => self.pass_on(file, role, source),
            };
        }
        let mut bytes = Vec::new();
        source.take(file.size).read_to_end(&mut bytes).reading(file.blob)?;
        match self.is_repeated(file.path, Digest::sha256(&bytes)) {
            true => Ok(()),
            false => self.pass_on(file, role, &mut bytes.as_slice()),
        }
    }

    /// Whether the same bytes came to the same path before.
    fn is_repeated(&mut self, path: &str, digest: Digest) -> bool {
        let Some(known) = &mut self.repeatable else { return false };
        match known.get(path) {
            Some(before) => *before == digest,
            None => {
                known.insert(path.to_owned(), digest);
                false
            }
        }
    }

    fn pass_on(&mut self, file: &Entry<'_>, role: Option<Role>, source: &mut dyn Read) -> Result<(), Error> {
        self.announce(file.path)?;
        let head = read_head(source, file.size).reading(file.blob)?;
        let mut content = Content::new(&head, source, file.size);
        let result = self.sink.file(file, &mut content);
        if content.is_broken {
            // The sink passes on what reading gave it: the blob is at fault, not the path.
            return result.and(Err(io::ErrorKind::UnexpectedEof.into())).reading(file.blob);
        }
        result.writing(file.path)?;
        let is_linked = file.whole && file.size > 0 && content.is_untouched();
        if !is_linked {
            io::copy(&mut content, &mut io::sink()).reading(file.blob)?;
            io::copy(source, &mut io::sink()).reading(file.blob)?;
        }
        let (path, size, blob) = (file.path.to_owned(), file.size, file.blob.digest.clone());
        self.know(Known { path, size, blob, head, role, target: None });
        Ok(())
    }

    /// Makes the link `path` to `target`, both from the root; `target` is a file or folder made before.
    pub(super) fn link(&mut self, path: &str, target: &str, layer: &Descriptor) -> Result<(), Error> {
        if self.leaves_out(path) {
            return Ok(());
        }
        let file = self.find(target).map(|file| (file.size, file.head.clone(), file.blob.clone()));
        let (size, head, blob) = file.unwrap_or_else(|| (0, Vec::new(), layer.digest.clone()));
        self.announce(path)?;
        self.sink.link(path, &path::relative(path, target)).writing(path)?;
        let target = Some(target.to_owned());
        self.know(Known { path: path.to_owned(), size, blob, head, role: None, target });
        Ok(())
    }

    /// Whether `path` is a file or folder made before.
    pub(super) fn has(&self, path: &str) -> bool {
        self.tree.is_directory(path) || self.tree.is_file(path)
    }

    /// What lies there now; `model` is the path the producer calls the model.
    pub(super) fn finish(self, digest: &Digest, packaging: Packaging, model: Option<&str>) -> Result<Listing, Error> {
        if self.files.is_empty() && self.selection.is_some() {
            return Err(Error::NothingSelected { files: self.left });
        }
        let choice = entry::choose(&self.files, packaging, model);
        let files = self.files.into_iter().map(|file| File { path: file.path, size: file.size, blob: file.blob });
        Ok(Listing {
            digest: digest.clone(),
            selection: self.selection.map(Selection::to_text),
            packaging: packaging.to_string(),
            files: files.collect(),
            entry: choice.entry,
            mmproj: choice.mmproj,
            chat_template: choice.chat_template,
        })
    }

    fn leaves_out(&self, path: &str) -> bool {
        self.selection.is_some_and(|selection| !selection.keeps(path))
    }

    fn find(&self, path: &str) -> Option<&Known> {
        self.places.get(path).map(|place| &self.files[*place])
    }

    fn know(&mut self, file: Known) {
        self.places.insert(file.path.clone(), self.files.len());
        self.files.push(file);
    }

    /// Counts a member that is kept in memory with `name_bytes` of names, and not as a file.
    pub(super) fn keep(&mut self, name_bytes: usize) -> Result<(), Error> {
        self.name_bytes += name_bytes;
        if self.name_bytes > path::MAX_NAME_BYTES {
            return Err(Error::TooManyNames { limit: path::MAX_NAME_BYTES });
        }
        self.count()
    }

    /// Counts what is about to be kept in memory; links are counted where they are found.
    pub(super) fn count(&mut self) -> Result<(), Error> {
        self.members += 1;
        if self.members > MAX_MEMBERS { Err(Error::TooManyFiles { limit: MAX_MEMBERS }) } else { Ok(()) }
    }

    fn make_room(&mut self, file: &Entry<'_>) -> Result<(), Error> {
        self.count()?;
        if !file.whole {
            self.unpacked = self.unpacked.saturating_add(file.size);
        }
        match self.limit {
            Some(limit) if self.unpacked > limit => {
                Err(Error::TooLarge { path: Some(file.path.to_owned()), needed: self.unpacked, limit })
            }
            _ => Ok(()),
        }
    }

    fn announce(&mut self, path: &str) -> Result<(), Error> {
        for directory in self.tree.add(path)? {
            self.count()?;
            self.sink.directory(&directory).writing(&directory)?;
        }
        Ok(())
    }
}

fn read_head(source: &mut dyn Read, size: u64) -> io::Result<Vec<u8>> {
    let mut head = Vec::with_capacity(HEAD_BYTES);
    source.take(size.min(HEAD_BYTES as u64)).read_to_end(&mut head)?;
    Ok(head)
}

/// Exactly `size` bytes: a source that ends early is an error, and one that goes on is not read further.
struct Content<'a> {
    source: io::Chain<Cursor<&'a [u8]>, &'a mut dyn Read>,
    size: u64,
    left: u64,
    is_broken: bool,
}

impl<'a> Content<'a> {
    fn new(head: &'a [u8], source: &'a mut dyn Read, size: u64) -> Self {
        Self { source: Cursor::new(head).chain(source), size, left: size, is_broken: false }
    }

    const fn is_untouched(&self) -> bool {
        self.left == self.size
    }
}

impl Read for Content<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        if wanted == 0 {
            return Ok(0);
        }
        let result = match self.source.read(&mut buffer[..wanted]) {
            Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            other => other,
        };
        match &result {
            Ok(count) => self.left -= *count as u64,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => self.is_broken = true,
        }
        result
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{GGUF, In, tar};
    use super::super::{Content as PieceContent, Naming, Piece, Promise, layers, layout};
    use super::*;

    struct Nowhere;

    impl Sink for Nowhere {
        fn directory(&mut self, _: &str) -> io::Result<()> {
            Ok(())
        }

        fn file(&mut self, _: &Entry<'_>, _: &mut dyn Read) -> io::Result<()> {
            Ok(())
        }

        fn link(&mut self, _: &str, _: &str) -> io::Result<()> {
            Ok(())
        }
    }

    /// Lays out one layer of an image, or else one archive, where only `room` more members may come, and `names` more
    /// bytes be kept.
    fn lay_out_within(content: PieceContent, room: usize, names: usize, members: &[In<'_>]) -> Result<(), Error> {
        let bytes = tar(members);
        let blob = Descriptor::new("", Digest::sha256(&bytes), bytes.len() as u64);
        let is_image = content == PieceContent::ImageLayer;
        let piece = Piece { blob, content, role: None, promise: Promise::default() };
        let mut open = |_: &Descriptor| Ok(Box::new(Cursor::new(bytes.clone())) as Box<dyn Read + Send>);
        let mut sink = Nowhere;
        let (members, name_bytes) = (MAX_MEMBERS - room, path::MAX_NAME_BYTES - names);
        let mut output = Output { members, name_bytes, ..Output::new(&mut sink, None, None) };
        if is_image {
            return layers::lay_out(&[piece], &mut open, &mut output);
        }
        layout::lay_out_piece(&piece, &mut open, &mut output)
    }

    fn lay_out(content: PieceContent, room: usize, members: &[In<'_>]) -> Result<(), Error> {
        lay_out_within(content, room, path::MAX_NAME_BYTES, members)
    }

    #[test]
    fn folders_links_and_removals_are_counted_as_files_are() {
        let cases = [
            In::File("models/b", GGUF),
            In::Folder("models/b"),
            In::File("models/.wh.b", b""),
            In::Symlink("models/b", "a"),
            In::HardLink("models/b", "models/a"),
        ];
        let image = |room, members: &[In<'_>]| lay_out(PieceContent::ImageLayer, room, members);
        for case in cases {
            let members = [In::File("models/a", GGUF), case];
            assert!(image(2, &members).is_ok());
            assert!(matches!(image(1, &members), Err(Error::TooManyFiles { .. })));
        }
        let deep = [In::File("models/x/y/a", GGUF)];
        assert!(image(3, &deep).is_ok());
        assert!(matches!(image(2, &deep), Err(Error::TooManyFiles { .. })));
    }

    #[test]
    fn an_archive_of_folders_comes_to_an_end() {
        let archive = |room| {
            let content = PieceContent::Archive { path: None, naming: Naming::Own };
            lay_out(content, room, &[In::Folder("a/"), In::Folder("b/"), In::Folder("c/")])
        };
        assert!(archive(3).is_ok());
        assert!(matches!(archive(2), Err(Error::TooManyFiles { .. })));
    }

    #[test]
    fn the_names_of_folders_links_and_removals_are_bounded() {
        for (case, bytes) in [
            (In::Folder("models/b"), 8),
            (In::File("models/.wh.b", b""), 12),
            (In::Symlink("models/b", "a"), 9),
            (In::Symlink("models/b", "/etc/passwd"), 19),
            (In::HardLink("models/b", "models/a"), 16),
        ] {
            let members = [In::File("models/a", GGUF), case];
            assert!(lay_out_within(PieceContent::ImageLayer, 2, bytes, &members).is_ok());
            assert!(matches!(
                lay_out_within(PieceContent::ImageLayer, 2, bytes - 1, &members),
                Err(Error::TooManyNames { .. })
            ));
        }
    }

    #[test]
    fn many_links_to_many_files_are_found_soon() {
        let mut sink = Nowhere;
        let mut output = Output::new(&mut sink, None, None);
        let blob = Descriptor::new("", Digest::sha256(b""), 0);
        let start = std::time::Instant::now();
        for index in 0..20_000 {
            let path = format!("file-{index}");
            let file = Entry { path: &path, size: 0, mode: 0o644, blob: &blob, whole: false };
            output.file(&file, None, &mut io::empty()).unwrap();
        }
        for index in 0..20_000 {
            output.link(&format!("link-{index}"), &format!("file-{index}"), &blob).unwrap();
        }
        assert!(start.elapsed().as_secs() < 10, "{:?}", start.elapsed());
    }
}
