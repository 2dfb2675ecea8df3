//! What engines send as tar archives, read from memory.

use std::io::{self, Read};

use super::PathState;

/// A tar archive that ends at once.
pub(super) const EMPTY: [u8; 1024] = [0; 1024];
/// Enough of an archive for its first entry's headers, with those of PAX before it.
pub(super) const HEAD: usize = 16 * 512;

/// What the path is whose archive begins with `head`: its first entry.
pub(super) fn path_state(head: &[u8]) -> PathState {
    let mut archive = tar::Archive::new(head);
    let first = archive.entries().ok().and_then(|mut entries| entries.next());
    match first {
        Some(Ok(entry)) if entry.header().entry_type().is_dir() => PathState::Directory,
        Some(Ok(_)) => PathState::File,
        _ => PathState::Missing,
    }
}

/// Whether a whole archive is that of a directory and has nothing else in it.
pub(super) fn is_empty_directory(archive: &[u8]) -> bool {
    let mut archive = tar::Archive::new(archive);
    let entries = archive.entries().map(|entries| entries.take(2).collect::<Vec<_>>());
    matches!(entries.as_deref(), Ok([Ok(only)]) if only.header().entry_type().is_dir())
}

/// The content of the first regular file.
pub(super) fn first_file(archive: &[u8]) -> io::Result<Option<Vec<u8>>> {
    for entry in tar::Archive::new(archive).entries()? {
        let mut entry = entry?;
        if entry.header().entry_type().is_file() {
            let mut content = Vec::new();
            let read = entry.read_to_end(&mut content)?;
            // The tar crate takes an archive that ends early for a shorter file.
            return if read as u64 == entry.size() {
                Ok(Some(content))
            } else {
                Err(io::ErrorKind::UnexpectedEof.into())
            };
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive(kind: tar::EntryType, content: &[u8]) -> Vec<u8> {
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(kind);
        header.set_size(content.len() as u64);
        let mut builder = tar::Builder::new(Vec::new());
        builder.append_data(&mut header, "name", content).expect("in memory");
        builder.into_inner().expect("in memory")
    }

    #[test]
    fn the_first_entry_is_the_path() {
        assert_eq!(path_state(&archive(tar::EntryType::Directory, b"")), PathState::Directory);
        assert_eq!(path_state(&archive(tar::EntryType::Regular, &[1; 9000])[..HEAD]), PathState::File);
        assert_eq!(path_state(&EMPTY), PathState::Missing);
    }

    #[test]
    fn an_empty_directory_is_an_archive_of_one_directory() {
        let directory = archive(tar::EntryType::Directory, b"");
        let both = [&directory[..directory.len() - EMPTY.len()], &archive(tar::EntryType::Regular, b"x")].concat();
        let cases = [(&directory[..], true), (&both, false), (&EMPTY, false), (&directory[..100], false)];
        for (archive, expected) in cases {
            assert_eq!(is_empty_directory(archive), expected, "{} bytes", archive.len());
        }
        assert!(!is_empty_directory(&archive(tar::EntryType::Regular, b"x")));
    }

    #[test]
    fn the_first_file_is_found_behind_directories() {
        assert_eq!(
            first_file(&archive(tar::EntryType::Regular, b"GGUF")).expect("is whole").as_deref(),
            Some(&b"GGUF"[..])
        );
        assert_eq!(first_file(&archive(tar::EntryType::Directory, b"")).expect("is whole"), None);
        assert!(first_file(&archive(tar::EntryType::Regular, &[1; 9000])[..HEAD]).is_err());
    }
}
