//! Which files a request means, and their names in the artifact.

use std::ffi::OsStr;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::error::{At, Error, Result};
use super::{Form, Source};

/// One layer to be.
pub(super) struct Item {
    /// What it is called; nothing for what has no name of its own.
    pub name: Option<String>,
    pub content: Content,
}

pub(super) enum Content {
    File(PathBuf),
    /// A directory, to become one layer.
    Folder(PathBuf),
    Stream(Box<dyn Read + Send>),
}

/// The layers that `sources` become, in order.
pub(super) fn items(sources: Vec<Source>, form: Form) -> Result<Vec<Item>> {
    let mut items = Vec::new();
    for source in sources {
        match source {
            Source::Stream(stream) => items.push(Item { name: None, content: Content::Stream(stream) }),
            Source::Path(path) => add_path(&mut items, path, form)?,
        }
    }
    Ok(items)
}

fn add_path(items: &mut Vec<Item>, path: PathBuf, form: Form) -> Result<()> {
    let kind = fs::metadata(&path).at(&path)?.file_type();
    match form {
        _ if kind.is_file() => items.push(Item { name: Some(name(&path)?), content: Content::File(path) }),
        Form::Files if kind.is_dir() => items.push(Item { name: Some(name(&path)?), content: Content::Folder(path) }),
        Form::ModelPack if kind.is_dir() => {
            let files = below(&path, Hidden::LeftOut)?.files;
            if files.is_empty() {
                return Err(Error::Empty(path));
            }
            items.extend(files.into_iter().map(|(name, path)| Item { name: Some(name), content: Content::File(path) }));
        }
        // A pipe or device has bytes; its name says nothing of them.
        _ if !kind.is_dir() => {
            let stream = fs::File::open(&path).at(&path)?;
            items.push(Item { name: Some(name(&path)?), content: Content::Stream(Box::new(stream)) });
        }
        _ => return Err(Error::Kind(path)),
    }
    Ok(())
}

/// The last part of a path; of `.` and `..` that of the directory which they are.
fn name(path: &Path) -> Result<String> {
    let absolute = if path.file_name().is_none() { fs::canonicalize(path).at(path)? } else { path.to_owned() };
    absolute.file_name().and_then(OsStr::to_str).map(str::to_owned).ok_or_else(|| Error::Name(path.to_owned()))
}

/// What is below a directory, in order of the names.
#[derive(Default)]
pub(super) struct Tree {
    /// The files with their paths in the directory.
    pub files: Vec<(String, PathBuf)>,
    /// The paths of the directories in it.
    pub directories: Vec<String>,
}

/// What becomes of names that begin with a dot.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Hidden {
    Taken,
    /// They are the downloading programs' own, as `.cache` and `.gitattributes`.
    LeftOut,
}

/// What is below a directory.
///
/// Links to files are followed where they stay in it, or lead to the blobs of the same model in the cache of Hugging
/// Face's programs: what a stranger's model leads to elsewhere is nothing to be published.
pub(super) fn below(directory: &Path, hidden: Hidden) -> Result<Tree> {
    let mut tree = Tree::default();
    let walk = Walk { root: fs::canonicalize(directory).at(directory)?, hidden };
    walk.visit(directory, "", &mut tree)?;
    tree.files.sort();
    tree.directories.sort();
    Ok(tree)
}

struct Walk {
    root: PathBuf,
    hidden: Hidden,
}

impl Walk {
    fn visit(&self, directory: &Path, prefix: &str, tree: &mut Tree) -> Result<()> {
        for entry in fs::read_dir(directory).at(directory)? {
            let path = entry.at(directory)?.path();
            let name = name(&path)?;
            if self.hidden == Hidden::LeftOut && name.starts_with('.') {
                continue;
            }
            let own = fs::symlink_metadata(&path).at(&path)?;
            let name = format!("{prefix}{name}");
            if own.is_dir() {
                self.visit(&path, &format!("{name}/"), tree)?;
                tree.directories.push(name);
            } else if !fs::metadata(&path).at(&path)?.is_file() {
                return Err(Error::Kind(path));
            } else if own.is_symlink() && !self.may_follow(&fs::canonicalize(&path).at(&path)?) {
                return Err(Error::Outside(path));
            } else {
                tree.files.push((name, path));
            }
        }
        Ok(())
    }

    /// `models--NAME/snapshots/REVISION/…` leads to `models--NAME/blobs`.
    fn may_follow(&self, target: &Path) -> bool {
        let snapshots = self.root.ancestors().find(|path| path.ends_with("snapshots"));
        let blobs = snapshots.and_then(Path::parent).map(|model| model.join("blobs"));
        target.starts_with(&self.root) || blobs.is_some_and(|blobs| target.starts_with(blobs))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree() -> tempfile::TempDir {
        let tree = tempfile::tempdir().unwrap();
        for file in ["m/snapshots/1/b.json", "m/snapshots/1/a/w.safetensors", "m/snapshots/1/.cache/x", "m/blobs/1"] {
            let path = tree.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, file).unwrap();
        }
        std::os::unix::fs::symlink("../../blobs/1", tree.path().join("m/snapshots/1/linked.json")).unwrap();
        tree
    }

    fn names(path: PathBuf, form: Form) -> Vec<String> {
        items(vec![Source::Path(path)], form).unwrap().into_iter().map(|item| item.name.unwrap()).collect()
    }

    #[test]
    fn a_model_packs_directory_is_its_files_and_another_ones_is_one_layer() {
        let tree = tree();
        let model = tree.path().join("m/snapshots/1");
        assert_eq!(names(model.clone(), Form::ModelPack), ["a/w.safetensors", "b.json", "linked.json"]);
        assert_eq!(names(model.clone(), Form::Files), ["1"]);
        assert_eq!(names(model.join("a/.."), Form::Files), ["1"]);
        let whole = below(&model, Hidden::Taken).unwrap();
        assert_eq!((whole.files.len(), whole.directories), (4, vec![String::from(".cache"), String::from("a")]));
        assert_eq!(names(model.join("b.json"), Form::ModelPack), ["b.json"]);
    }

    #[test]
    fn what_cannot_become_a_layer_is_named() {
        let tree = tree();
        let model = tree.path().join("m/snapshots/1");
        std::os::unix::fs::symlink("a", model.join("folder")).unwrap();
        let refused = |path: PathBuf| items(vec![Source::Path(path)], Form::ModelPack).err().unwrap().to_string();
        assert!(refused(model.clone()).ends_with("1/folder is neither a file nor a directory"));
        fs::remove_file(model.join("folder")).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", model.join("secret")).unwrap();
        assert!(refused(model).ends_with("1/secret leads out of the directory"));
        assert!(refused(tree.path().join("gone")).ends_with("/gone"));
        fs::create_dir(tree.path().join("empty")).unwrap();
        assert!(refused(tree.path().join("empty")).ends_with("empty has no files"));
    }
}
