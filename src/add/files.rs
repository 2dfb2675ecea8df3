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
            let files = below(&path)?;
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

/// The files below a directory with their paths in it, in order of their names.
///
/// Links to files are followed, as in the cache of Hugging Face's programs; hidden files are those programs' own.
pub(super) fn below(directory: &Path) -> Result<Vec<(String, PathBuf)>> {
    let mut files = Vec::new();
    walk(directory, "", &mut files)?;
    files.sort();
    Ok(files)
}

fn walk(directory: &Path, prefix: &str, files: &mut Vec<(String, PathBuf)>) -> Result<()> {
    for entry in fs::read_dir(directory).at(directory)? {
        let path = entry.at(directory)?.path();
        let name = name(&path)?;
        if name.starts_with('.') {
            continue;
        }
        let own = fs::symlink_metadata(&path).at(&path)?;
        let name = format!("{prefix}{name}");
        if own.is_dir() {
            walk(&path, &format!("{name}/"), files)?;
        } else if fs::metadata(&path).at(&path)?.is_file() {
            files.push((name, path));
        } else {
            return Err(Error::Kind(path));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree() -> tempfile::TempDir {
        let tree = tempfile::tempdir().unwrap();
        for file in ["model/b.json", "model/a/w.safetensors", "model/.cache/x", "blobs/1"] {
            let path = tree.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, file).unwrap();
        }
        std::os::unix::fs::symlink("../blobs/1", tree.path().join("model/linked.json")).unwrap();
        tree
    }

    fn names(path: PathBuf, form: Form) -> Vec<String> {
        items(vec![Source::Path(path)], form).unwrap().into_iter().map(|item| item.name.unwrap()).collect()
    }

    #[test]
    fn a_model_packs_directory_is_its_files_and_another_ones_is_one_layer() {
        let tree = tree();
        let model = tree.path().join("model");
        assert_eq!(names(model.clone(), Form::ModelPack), ["a/w.safetensors", "b.json", "linked.json"]);
        assert_eq!(names(model.clone(), Form::Files), ["model"]);
        assert_eq!(names(model.join("a/.."), Form::Files), ["model"]);
        assert_eq!(names(model.join("b.json"), Form::ModelPack), ["b.json"]);
    }

    #[test]
    fn what_cannot_become_a_layer_is_named() {
        let tree = tree();
        let model = tree.path().join("model");
        std::os::unix::fs::symlink("a", model.join("folder")).unwrap();
        let refused = |path: PathBuf| items(vec![Source::Path(path)], Form::ModelPack).err().unwrap().to_string();
        assert!(refused(model).ends_with("model/folder is neither a file nor a directory"));
        assert!(refused(tree.path().join("gone")).ends_with("/gone"));
        fs::create_dir(tree.path().join("empty")).unwrap();
        assert!(refused(tree.path().join("empty")).ends_with("empty has no files"));
    }
}
