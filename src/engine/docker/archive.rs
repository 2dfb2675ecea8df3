use std::io;

use bollard::container::PathStatResponse;
use bollard::query_parameters::{
    ContainerArchiveInfoOptionsBuilder, DownloadFromContainerOptionsBuilder, UploadToContainerOptionsBuilder,
};
use bytes::Bytes;
use futures_util::{Stream, StreamExt};

use super::container;
use super::{Api, found};
use crate::engine::PathState;
use crate::engine::error::{Error, Result};
use crate::engine::scratch::Scratch;
use crate::engine::tape;

/// Go's `os.ModeDir`.
const MODE_DIRECTORY: u32 = 1 << 31;
/// Go's `os.ModeSymlink`.
const MODE_SYMLINK: u32 = 1 << 27;
/// How many links may lead to a path, as in Linux.
const MAX_LINKS: usize = 40;
/// Where a probed directory is bound.
const PROBE_PATH: &str = "/p";
/// What a tar archive may add to the file in it: headers and padding.
const TAR_OVERHEAD: usize = 16 * 1024;

impl Api {
    /// Unpacks a tar archive, as it arrives, into the directory `path` of a container, started or not.
    ///
    /// What was unpacked before an error of `archive` or of the engine stays there, under its final names.
    pub async fn put_archive(
        &self,
        container: &str,
        path: &str,
        archive: impl Stream<Item = io::Result<Bytes>> + Send + 'static,
    ) -> Result<()> {
        let options = UploadToContainerOptionsBuilder::default().path(path).build();
        let body = bollard::body_try_stream(archive);
        let sent = self.unhurried().upload_to_container(container, Some(options), body).await;
        sent.map_err(|source| self.error(format!("unpack an archive at {path} of container {container}"), source))
    }

    /// The first regular file in the archive of `path`, which is the file itself when `path` is one.
    pub async fn read_file(&self, container: &str, path: &str, limit: usize) -> Result<Option<Vec<u8>>> {
        let options = DownloadFromContainerOptionsBuilder::default().path(path).build();
        let mut chunks = Box::pin(self.docker.download_from_container(container, Some(options)));
        let mut archive = Vec::new();
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk.map_err(|source| self.error(format!("read {path} of container {container}"), source));
            let Some(chunk) = found(chunk)? else { return Ok(None) };
            archive.extend_from_slice(&chunk);
            if archive.len() > limit + TAR_OVERHEAD {
                return Err(Error::FileTooLarge { container: container.to_owned(), path: path.to_owned(), limit });
            }
        }
        tape::first_file(&archive).map_err(|source| Error::Broken {
            endpoint: self.endpoint.clone(),
            action: format!("send {path} of container {container} as a tar archive"),
            source: source.into(),
        })
    }

    /// Whether the directory `path` of a container has nothing in it; no more is read than tells that.
    pub async fn is_empty(&self, container: &str, path: &str) -> Result<bool> {
        let options = DownloadFromContainerOptionsBuilder::default().path(path).build();
        let mut chunks = Box::pin(self.docker.download_from_container(container, Some(options)));
        let mut archive = Vec::new();
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk.map_err(|source| self.error(format!("read {path} of container {container}"), source));
            archive.extend_from_slice(&chunk?);
            if archive.len() > TAR_OVERHEAD {
                return Ok(false);
            }
        }
        Ok(tape::is_empty_directory(&archive))
    }

    /// What `path` is in a container, symbolic links followed.
    pub async fn path_in_container(&self, container: &str, path: &str) -> Result<PathState> {
        let mut path = path.to_owned();
        for _ in 0..MAX_LINKS {
            match self.stat(container, &path).await? {
                None => return Ok(PathState::Missing),
                Some(stat) if stat.file_mode & MODE_DIRECTORY != 0 => return Ok(PathState::Directory),
                Some(stat) if stat.file_mode & MODE_SYMLINK == 0 => return Ok(PathState::File),
                Some(stat) if stat.link_target.is_empty() || stat.link_target == path => return Ok(PathState::Missing),
                Some(stat) => path = stat.link_target,
            }
        }
        Ok(PathState::Missing)
    }

    async fn stat(&self, container: &str, path: &str) -> Result<Option<PathStatResponse>> {
        let options = ContainerArchiveInfoOptionsBuilder::default().path(path).build();
        let stat = self.docker.get_container_archive_info(container, Some(options)).await;
        let stat = stat.map_err(|source| self.error(format!("look at {path} of container {container}"), source));
        match found(stat) {
            // The answer to HEAD has no message, the one to GET has.
            Err(Error::Refused { .. }) => match self.read_file(container, path, 0).await {
                Err(Error::Refused { message, .. }) if leads_nowhere(&message) => Ok(None),
                Err(error) => Err(error),
                Ok(_) => Ok(None),
            },
            stat => stat,
        }
    }

    /// What `path` is in an image, symbolic links followed.
    pub async fn path_in_image(&self, image: &str, path: &str) -> Result<PathState> {
        let container = Scratch::create(self, "artishim-look", image, Vec::new()).await?;
        let state = self.path_in_container(container.name(), path).await;
        container.remove().await?;
        state
    }

    /// The file `name` of `directory`, as the engine sees it on its side.
    pub async fn read_through_bind(&self, directory: &str, name: &str, limit: usize) -> Result<Option<Vec<u8>>> {
        let image = self.empty_image().await?;
        let mounts = vec![container::bind(directory, PROBE_PATH)];
        let container = match Scratch::create(self, "artishim-probe", &image, mounts).await {
            Ok(container) => container,
            // Docker says so at once when it does not have the directory; Docker Desktop when it does not share it.
            Err(error @ Error::Refused { status: 400 | 500, .. }) => {
                tracing::debug!(%error, "the engine does not bind our directory");
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        let content = self.read_file(container.name(), &format!("{PROBE_PATH}/{name}"), limit).await;
        container.remove().await?;
        content
    }
}

/// A path below a file, or through links that go round: to the engines an error, to us a path that does not exist.
fn leads_nowhere(message: &str) -> bool {
    ["not a directory", "too many links", "too many levels"].iter().any(|words| message.contains(words))
}
