//! A volume with what lies in a directory of an image that the engine has.
//!
//! Docker mounts one directory of an image only from 28 on, and then shows it empty at times (moby#50999). It copies what
//! an image has at a volume's place into an empty volume when a container is made: so it fills ours.

use std::path::Path;

use super::loader::{Copied, Loader};
use super::volume::turn;
use super::{Error, Result};
use crate::digest::Digest;
use crate::engine::{Engine, Kind};
use crate::listing::{Extent, Listing};

/// The label with the id of the image that a volume's files are from.
pub const IMAGE_LABEL: &str = "io.artishim.image";

/// Makes sure that there is a volume with the files in `directory` of an image, and gives its name.
///
/// `image` is an id; `locks` is a directory for the turns.
pub async fn fill(engine: &Engine, image: &str, directory: &str, locks: &Path) -> Result<String> {
    if engine.kind != Kind::Docker {
        return Err(Error::Engine(crate::engine::Error::NoCopies { engine: engine.to_string() }));
    }
    let digest = Digest::sha256(format!("{image}\n{directory}").as_bytes());
    let name = format!("artishim-image-{}", digest.file_name());
    let copied = Copied { image: image.to_owned(), path: directory.to_owned() };
    let extent = Extent { manifest: digest.clone(), selection: None };
    let loader = Loader::of_image(engine, &name, extent, copied);
    if loader.look().await?.is_none() {
        let turn = turn(engine, &name, locks).wait().await?;
        loader.owned_by(turn.owner()).fill_with(&listing(digest)).await?;
    }
    Ok(name)
}

/// Removes the volumes of images that are gone, but for those that containers use.
pub async fn sweep(engine: &Engine) -> Result<()> {
    for volume in engine.list_volumes(IMAGE_LABEL).await? {
        let image = volume.labels.get(IMAGE_LABEL).map_or("", String::as_str);
        if engine.image_exists(image).await? {
            continue;
        }
        // What a killed process left: it holds the volume, and a copier the image.
        engine.remove_created_containers(&format!("{}-", volume.name), IMAGE_LABEL).await?;
        match engine.remove_volume(&volume.name).await {
            Err(error) if !error.is_conflict() => return Err(Error::Engine(error)),
            _ => {}
        }
    }
    Ok(())
}

/// What the image has there is not told.
fn listing(digest: Digest) -> Listing {
    let packaging = String::from("image");
    let (selection, entry, mmproj, chat_template) = Default::default();
    Listing { digest, selection, packaging, files: Vec::new(), entry, mmproj, chat_template }
}
