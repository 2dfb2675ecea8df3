//! `--mount type=artifact,…`: what the user writes, where the files go, and what an engine is told instead.
//!
//! The grammar, the rules and the texts of the errors are podman 5.8's, on every engine. Three things differ, none of
//! which changes what a line that podman accepts means:
//!
//! * `ro` and `readonly` (bare, `=true` or `=1`) are accepted, because docker's users write them out of habit and an
//!   artifact is read-only anyway; their negations and every other option stay refused;
//! * a file's name may have directories, and `title=` also finds a file by its last component;
//! * `name=` may not leave the destination, which podman lets `name=../x` do.

mod engine_mount;

pub use engine_mount::EngineMount;
use engine_mount::record;

use crate::digest::{self, Digest};
use crate::listing::File;

/// Whose command line is read or written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// The docker CLI's.
    Docker,
    /// podman's.
    Podman,
}

/// One `--mount type=artifact` value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArtifactMount {
    /// The artifact, as typed.
    pub source: String,
    /// The path in the container: absolute, and cleaned of `.`, `..` and doubled slashes.
    pub destination: String,
    /// Mount only the file of this name.
    pub title: Option<String>,
    /// Mount only the file from this blob.
    pub digest: Option<Digest>,
    /// What the file is called in a destination that is a directory.
    pub name: Option<String>,
}

/// What is at the destination in the image, symbolic links followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DestinationState {
    /// Nothing.
    Missing,
    /// Anything but a directory.
    File,
    /// A directory.
    Directory,
}

/// One file and its path in the container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Which of the files it is.
    pub file: usize,
    /// The absolute path in the container.
    pub path: String,
}

/// A mount that cannot be made, in podman's words where podman has them.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Error {
    /// An option an artifact mount does not have.
    #[error("{0}: invalid mount option")]
    Option(String),
    /// An option that needs a value and has none.
    #[error("{0}: must provide an argument for option")]
    Argument(String),
    /// `src` or `dst` is missing.
    #[error("must set source and destination for artifact volume")]
    Incomplete,
    /// The destination is empty.
    #[error("container directory cannot be empty")]
    EmptyDestination,
    /// The destination is a relative path.
    #[error("invalid container path {0:?}, must be an absolute path")]
    RelativeDestination(String),
    /// The value is more than one CSV record.
    #[error("incorrect mount format: should be --mount type=artifact,src=ARTIFACT,dst=PATH")]
    Format,
    /// `digest=` is no digest.
    #[error(transparent)]
    Digest(#[from] digest::ParseError),
    /// `title=` and `digest=` in one mount.
    #[error("cannot specify both digest and title")]
    TwoFilters,
    /// The artifact has nothing to mount.
    #[error("the artifact has no blobs, nothing to extract")]
    Empty,
    /// No file fits `title=` or `digest=`.
    #[error("no blob with the {0}")]
    NoMatch(Filter),
    /// More than one file fits `title=` or `digest=`.
    #[error("more than one match for the {0}")]
    ManyMatches(Filter),
    /// Several files cannot become one.
    #[error("artifact {artifact:?} contains more than one blob and container path {path:?} is a file")]
    SeveralOntoFile {
        /// The artifact, as typed.
        artifact: String,
        /// The destination.
        path: String,
    },
    /// `name=` is no path below the destination.
    #[error("invalid name: {0:?} does not stay below the destination")]
    Name(String),
}

/// What picks one file of an artifact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Filter {
    /// `title=`
    Title(String),
    /// `digest=`
    Digest(Digest),
}

impl std::fmt::Display for Filter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Title(title) => write!(f, "title {title:?}"),
            Self::Digest(digest) => write!(f, "digest \"{digest}\""),
        }
    }
}

impl ArtifactMount {
    /// Reads the value of one `--mount`; `None` when it is not of `type=artifact` and therefore not ours.
    pub fn parse(value: &str) -> Result<Option<Self>, Error> {
        let mut records = csv_records(value);
        let Some(mut fields) = records.next() else { return Ok(None) };
        let Some(at) = fields.iter().position(|field| is_type(field)) else { return Ok(None) };
        if fields.remove(at) != "type=artifact" {
            return Ok(None);
        }
        if records.next().is_some() {
            return Err(Error::Format);
        }
        Self::from_options(&fields).map(Some)
    }

    fn from_options(options: &[String]) -> Result<Self, Error> {
        let mut mount =
            Self { source: String::new(), destination: String::new(), title: None, digest: None, name: None };
        for option in options {
            mount.set(option)?;
        }
        if mount.source.is_empty() || mount.destination.is_empty() {
            return Err(Error::Incomplete);
        }
        if mount.title.is_some() && mount.digest.is_some() {
            return Err(Error::TwoFilters);
        }
        Ok(mount)
    }

    fn set(&mut self, option: &str) -> Result<(), Error> {
        let (key, value) = match option.split_once('=') {
            Some((key, value)) => (key, Some(value)),
            None => (option, None),
        };
        let needed = || value.ok_or_else(|| Error::Argument(key.to_owned()));
        match key {
            "src" | "source" => needed()?.clone_into(&mut self.source),
            "dst" | "dest" | "destination" | "target" => self.destination = destination(needed()?)?,
            "title" => self.title = non_empty(needed()?),
            "digest" => self.digest = non_empty(needed()?).map(|text| text.parse()).transpose()?,
            "name" => self.name = non_empty(needed()?).map(below).transpose()?,
            "ro" | "readonly" if matches!(value, None | Some("true" | "1")) => {}
            _ => return Err(Error::Option(key.to_owned())),
        }
        Ok(())
    }

    /// The value of `--mount` as podman 5.7 and newer understands it.
    pub fn to_value(&self) -> String {
        let mut fields =
            vec!["type=artifact".to_owned(), format!("src={}", self.source), format!("dst={}", self.destination)];
        fields.extend(self.title.iter().map(|title| format!("title={title}")));
        fields.extend(self.digest.iter().map(|digest| format!("digest={digest}")));
        fields.extend(self.name.iter().map(|name| format!("name={name}")));
        record(&fields)
    }

    /// Where each wanted one of `files` goes, when the image has `state` at the destination.
    ///
    /// podman's rule: a single file becomes the destination itself unless that is a directory; otherwise every file
    /// goes below the destination, and what the image has beside it stays visible.
    pub fn targets(&self, files: &[File], state: DestinationState) -> Result<Vec<Target>, Error> {
        let wanted = self.wanted(files)?;
        match (wanted.as_slice(), state) {
            ([], _) => Err(Error::Empty),
            ([file], DestinationState::Missing | DestinationState::File) => {
                Ok(vec![Target { file: *file, path: self.destination.clone() }])
            }
            (_, DestinationState::File) => {
                Err(Error::SeveralOntoFile { artifact: self.source.clone(), path: self.destination.clone() })
            }
            (several, _) => Ok(self.below_destination(several, files)),
        }
    }

    fn below_destination(&self, wanted: &[usize], files: &[File]) -> Vec<Target> {
        let target = |(position, &file): (usize, &usize)| {
            let name = match &self.name {
                Some(name) if wanted.len() == 1 => name.clone(),
                Some(name) => format!("{name}-{position}"),
                None => self.file_name(&files[file]),
            };
            Target { file, path: join(&self.destination, &name) }
        };
        wanted.iter().enumerate().map(target).collect()
    }

    /// The name podman gives the file of a filter is the filter's, not the file's own.
    fn file_name(&self, file: &File) -> String {
        match (&self.title, &self.digest) {
            (Some(title), _) => title.clone(),
            (None, Some(digest)) => digest.file_name(),
            (None, None) => file.path.clone(),
        }
    }

    fn wanted(&self, files: &[File]) -> Result<Vec<usize>, Error> {
        select(files, self.title.as_deref(), self.digest.as_ref())
    }
}

/// Which of `files` a title or a digest picks; all of them without either.
///
/// A title is a file's whole path or, where none is, its last component.
pub fn select(files: &[File], title: Option<&str>, digest: Option<&Digest>) -> Result<Vec<usize>, Error> {
    let matching = |fits: &dyn Fn(&File) -> bool| -> Vec<usize> {
        files.iter().enumerate().filter(|(_, file)| fits(file)).map(|(at, _)| at).collect()
    };
    if let Some(title) = title {
        let mut found = matching(&|file| file.path == title);
        if found.is_empty() {
            found = matching(&|file| file.path.rsplit('/').next() == Some(title));
        }
        return only(found, || Filter::Title(title.to_owned()));
    }
    if let Some(digest) = digest {
        return only(matching(&|file| file.blob == *digest), || Filter::Digest(digest.clone()));
    }
    Ok((0..files.len()).collect())
}

/// The path the engines make of a container path: no `.`, no `..`, single slashes, none at the end.
pub fn clean(path: &str) -> String {
    let mut components = Vec::new();
    for component in path.split('/') {
        match component {
            "" | "." => {}
            ".." => drop(components.pop()),
            name => components.push(name),
        }
    }
    format!("/{}", components.join("/"))
}

/// The container path of a `--mount` value of any type.
pub fn destination_of(value: &str) -> Option<String> {
    let fields = csv_records(value).next()?;
    fields.iter().rev().find_map(|field| {
        let (key, path) = field.split_once('=')?;
        let key = key.to_ascii_lowercase();
        matches!(key.as_str(), "dst" | "dest" | "destination" | "target").then(|| clean(path))
    })
}

fn csv_records(value: &str) -> impl Iterator<Item = Vec<String>> {
    let reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(value.as_bytes());
    // Reading from memory has no errors but those of UTF-8, and a `&str` is that.
    reader.into_records().map_while(Result::ok).map(|record| record.iter().map(str::to_owned).collect())
}

fn is_type(field: &str) -> bool {
    field.strip_prefix("type=").is_some_and(|kind| !kind.contains('='))
}

fn non_empty(value: &str) -> Option<String> {
    (!value.is_empty()).then(|| value.to_owned())
}

fn destination(path: &str) -> Result<String, Error> {
    match path {
        "" => Err(Error::EmptyDestination),
        path if path.starts_with('/') => Ok(clean(path)),
        path => Err(Error::RelativeDestination(path.to_owned())),
    }
}

fn below(name: String) -> Result<String, Error> {
    let escapes = name.split('/').any(|component| component == "..");
    match clean(&name).strip_prefix('/') {
        Some(cleaned) if !escapes && !cleaned.is_empty() => Ok(cleaned.to_owned()),
        _ => Err(Error::Name(name)),
    }
}

fn only(found: Vec<usize>, filter: impl Fn() -> Filter) -> Result<Vec<usize>, Error> {
    match found.len() {
        0 => Err(Error::NoMatch(filter())),
        1 => Ok(found),
        _ => Err(Error::ManyMatches(filter())),
    }
}

fn join(directory: &str, name: &str) -> String {
    format!("{}/{name}", directory.trim_end_matches('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(value: &str) -> Result<Option<ArtifactMount>, Error> {
        ArtifactMount::parse(value)
    }

    fn mount(options: &str) -> ArtifactMount {
        parse(&format!("type=artifact,src=quay.io/a/b:1,{options}")).unwrap().unwrap()
    }

    fn file(path: &str) -> File {
        File { path: path.to_owned(), size: 1, blob: Digest::sha256(path.as_bytes()) }
    }

    fn paths(mount: &ArtifactMount, files: &[File], state: DestinationState) -> Result<Vec<String>, String> {
        let targets = mount.targets(files, state).map_err(|error| error.to_string())?;
        Ok(targets.into_iter().map(|target| target.path).collect())
    }

    #[test]
    fn every_spelling_of_the_options_is_read() {
        let spellings = [
            "type=artifact,src=quay.io/a/b:1,dst=/models",
            "source=quay.io/a/b:1,type=artifact,target=/models",
            "destination=/models,dest=/models/,src=x,src=quay.io/a/b:1,type=artifact",
            "\"type=artifact\",\"src=quay.io/a/b:1\",\"dst=/models\"",
            "type=artifact,src=quay.io/a/b:1,dst=//models/./x/..,title=,digest=,name=",
            "type=artifact,src=quay.io/a/b:1,dst=/models,ro",
            "type=artifact,src=quay.io/a/b:1,dst=/models,readonly=true,ro=1",
        ];
        for value in spellings {
            assert_eq!(parse(value).unwrap().unwrap(), mount("dst=/models"), "{value}");
        }
    }

    #[test]
    fn the_filters_are_read_from_quoted_fields() {
        let found = mount("dst=/m,\"title=x,\"\"y\"\".txt\",name=a/./b");
        assert_eq!(found.title.as_deref(), Some("x,\"y\".txt"));
        assert_eq!(found.name.as_deref(), Some("a/b"));
        let digest = Digest::sha256(b"");
        assert_eq!(mount(&format!("dst=/m,digest={digest}")).digest, Some(digest));
    }

    #[test]
    fn other_types_are_not_ours() {
        let values = [
            "type=bind,src=/a,dst=/b",
            "type=volume,dst=/b,volume-opt=type=artifact",
            "src=a,dst=/b",
            "type=bind,type=artifact,dst=/b",
            "type=Artifact,src=a,dst=/b",
            "",
            "type=artifact=x",
        ];
        for value in values {
            assert_eq!(parse(value), Ok(None), "{value}");
        }
    }

    #[test]
    fn what_podman_refuses_is_refused_with_its_words() {
        let cases = [
            ("ro=false", "ro: invalid mount option"),
            ("readonly=0", "readonly: invalid mount option"),
            ("rw", "rw: invalid mount option"),
            ("rw=false", "rw: invalid mount option"),
            ("Z", "Z: invalid mount option"),
            ("relabel=shared", "relabel: invalid mount option"),
            ("subpath=a", "subpath: invalid mount option"),
            ("consistency=cached", "consistency: invalid mount option"),
            ("type=artifact", "type: invalid mount option"),
            ("title", "title: must provide an argument for option"),
            ("dst=", "container directory cannot be empty"),
            ("dst=rel/path", "invalid container path \"rel/path\", must be an absolute path"),
            ("digest=sha256:12", "digest \"sha256:12\" is not lower-case hex of the right length"),
            ("name=../zz", "invalid name: \"../zz\" does not stay below the destination"),
            ("name=./", "invalid name: \"./\" does not stay below the destination"),
        ];
        for (option, text) in cases {
            let error = parse(&format!("type=artifact,src=a,dst=/m,{option}")).unwrap_err();
            assert_eq!(error.to_string(), text, "{option}");
        }
        for value in ["type=artifact", "type=artifact,src=a", "type=artifact,src=,dst=/m"] {
            assert_eq!(parse(value), Err(Error::Incomplete), "{value}");
        }
        assert_eq!(parse("type=artifact,src=a,dst=/m\nsrc=b"), Err(Error::Format));
        let both = format!("type=artifact,src=a,dst=/m,title=x,digest={}", Digest::sha256(b""));
        assert_eq!(parse(&both), Err(Error::TwoFilters));
    }

    #[test]
    fn one_file_is_the_destination_unless_that_is_a_directory() {
        let files = [file("testfile")];
        let cases = [
            ("dst=/test", DestinationState::Missing, "/test"),
            ("dst=/etc/hosts", DestinationState::File, "/etc/hosts"),
            ("dst=/tmp", DestinationState::Directory, "/tmp/testfile"),
            ("dst=/", DestinationState::Directory, "/testfile"),
            ("dst=/tmp,title=testfile", DestinationState::Directory, "/tmp/testfile"),
            ("dst=/tmp,name=abcd", DestinationState::Directory, "/tmp/abcd"),
            ("dst=/test,name=abcd", DestinationState::Missing, "/test"),
        ];
        for (options, state, path) in cases {
            assert_eq!(paths(&mount(options), &files, state), Ok(vec![path.to_owned()]), "{options}");
        }
    }

    #[test]
    fn several_files_go_below_the_destination() {
        let files = [file("model/a.gguf"), file("b.gguf")];
        let below = ["/test/model/a.gguf".to_owned(), "/test/b.gguf".to_owned()];
        for state in [DestinationState::Missing, DestinationState::Directory] {
            assert_eq!(paths(&mount("dst=/test"), &files, state), Ok(below.to_vec()));
        }
        let named = paths(&mount("dst=/test,name=my"), &files, DestinationState::Missing);
        assert_eq!(named, Ok(vec!["/test/my-0".to_owned(), "/test/my-1".to_owned()]));
        let error = paths(&mount("dst=/etc/hosts"), &files, DestinationState::File).unwrap_err();
        assert_eq!(
            error,
            "artifact \"quay.io/a/b:1\" contains more than one blob and container path \"/etc/hosts\" is a file"
        );
        assert_eq!(mount("dst=/test").targets(&[], DestinationState::Missing), Err(Error::Empty));
    }

    #[test]
    fn a_filter_picks_one_file_and_names_it() {
        let files = [file("q4/model.gguf"), file("q8/model.gguf"), file("q8/config.json")];
        let pick = |options: &str| mount(options).targets(&files, DestinationState::Directory);
        let target = |file, path: &str| Ok(vec![Target { file, path: path.to_owned() }]);
        assert_eq!(pick("dst=/m,title=q8/model.gguf"), target(1, "/m/q8/model.gguf"));
        assert_eq!(pick("dst=/m,title=config.json"), target(2, "/m/config.json"));
        let blob = &files[0].blob;
        assert_eq!(pick(&format!("dst=/m,digest={blob}")), target(0, &format!("/m/{}", blob.file_name())));
        let text = |options: &str| pick(options).unwrap_err().to_string();
        assert_eq!(text("dst=/m,title=nope"), "no blob with the title \"nope\"");
        assert_eq!(text("dst=/m,title=model.gguf"), "more than one match for the title \"model.gguf\"");
        let other = Digest::sha256(b"other");
        assert_eq!(text(&format!("dst=/m,digest={other}")), format!("no blob with the digest \"{other}\""));
    }

    #[test]
    fn the_same_content_twice_is_two_matches() {
        let files = [File { path: "a".to_owned(), ..file("x") }, File { path: "b".to_owned(), ..file("x") }];
        let digest = &files[0].blob;
        let error = mount(&format!("dst=/m,digest={digest}")).targets(&files, DestinationState::Missing).unwrap_err();
        assert_eq!(error.to_string(), format!("more than one match for the digest \"{digest}\""));
    }

    #[test]
    fn engine_mounts_are_read_only_and_quoted() {
        let bind = EngineMount::Bind { source: "/s/a,\"b\"".to_owned(), destination: "/m".to_owned() };
        assert_eq!(bind.to_value(Dialect::Docker), "type=bind,\"src=/s/a,\"\"b\"\"\",dst=/m,readonly");
        assert_eq!(bind.to_value(Dialect::Podman), "type=bind,\"src=/s/a,\"\"b\"\"\",dst=/m,ro=true");
        let volume = |subpath: Option<&str>| EngineMount::Volume {
            name: "v".to_owned(),
            destination: "/m".to_owned(),
            subpath: subpath.map(str::to_owned),
        };
        assert_eq!(volume(None).to_value(Dialect::Docker), "type=volume,src=v,dst=/m,readonly,volume-nocopy");
        assert_eq!(
            volume(Some("a,b")).to_value(Dialect::Docker),
            "type=volume,src=v,dst=/m,readonly,volume-nocopy,\"volume-subpath=a,b\""
        );
        assert_eq!(volume(Some("a")).to_value(Dialect::Podman), "type=volume,src=v,dst=/m,ro=true,subpath=a");
    }

    #[test]
    fn destinations_of_other_mounts_are_found() {
        let cases = [
            ("type=bind,src=/a,dst=/b/", Some("/b")),
            ("type=tmpfs,Target=/t", Some("/t")),
            ("\"destination=/a,b\",type=bind", Some("/a,b")),
            ("type=glob,src=/x*", None),
        ];
        for (value, path) in cases {
            assert_eq!(destination_of(value).as_deref(), path, "{value}");
        }
    }
}
