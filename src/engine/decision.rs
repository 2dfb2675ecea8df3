//! The one decision: how files get into a container, and who pulls them.
//!
//! [`decide`] is pure. The table it holds, first row that fits:
//!
//! | engine | sees our files | delivery |
//! | --- | --- | --- |
//! | Podman >= 5.7, and the artifact keeps its file names | | native |
//! | Podman >= 5.1, and it is an image | | image |
//! | any | yes | bind |
//! | any, and a volume's mount would hide or lack something | no | copy |
//! | any | no | volume |

use std::fmt;
use std::str::FromStr;

use super::{Engine, Kind, PathState};

/// How files become visible in a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Delivery {
    /// podman's own `--mount type=artifact`.
    Native,
    /// A read-only bind of a snapshot.
    Bind,
    /// A named volume, filled once.
    Volume,
    /// A tar stream into the created container.
    Copy,
    /// podman's own `--mount type=image`.
    Image,
}

impl Delivery {
    /// The word of `--deliver`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Native => "artifact",
            Self::Bind => "bind",
            Self::Volume => "volume",
            Self::Copy => "copy",
            Self::Image => "image",
        }
    }
}

impl fmt::Display for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What `--deliver` says: a delivery, or that the table decides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wish(pub Option<Delivery>);

impl FromStr for Wish {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let deliveries = [Delivery::Native, Delivery::Bind, Delivery::Volume, Delivery::Copy, Delivery::Image];
        if text == "auto" {
            return Ok(Self(None));
        }
        let wished = deliveries.into_iter().find(|delivery| delivery.as_str() == text);
        wished.map(|delivery| Self(Some(delivery))).ok_or_else(|| Error::Unknown(text.to_owned()))
    }
}

/// Who fetches the bytes from the registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Puller {
    /// We do.
    Artishim,
    /// `podman artifact pull`.
    PodmanArtifact,
    /// The engine's `pull` of an image.
    Engine,
}

impl fmt::Display for Puller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Artishim => "artishim",
            Self::PodmanArtifact => "podman artifact pull",
            Self::Engine => "the engine",
        })
    }
}

/// What a reference names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReferenceKind {
    /// An artifact.
    Artifact,
    /// An image with files of a model in it.
    Image,
}

/// What the engine can do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineFacts {
    /// Whose engine it is.
    pub kind: Kind,
    /// Its name and version, for the reasons.
    pub name: String,
    /// [`Engine::mounts_artifacts`].
    pub mounts_artifacts: bool,
    /// [`Engine::mounts_images`].
    pub mounts_images: bool,
    /// [`Engine::mounts_volume_subpaths`].
    pub mounts_volume_subpaths: bool,
    /// [`Engine::has_api`].
    pub has_api: bool,
    /// [`Engine::sees_path`].
    pub sees_store: bool,
}

impl Engine {
    /// What [`decide`] needs of this engine; what only a volume needs is asked for only if it may be one.
    pub async fn facts(&self, sees_store: bool, wish: Wish) -> super::Result<EngineFacts> {
        let may_be_volume = !sees_store || wish == Wish(Some(Delivery::Volume));
        Ok(EngineFacts {
            kind: self.kind,
            name: format!("{} {}", self.kind, self.server_version),
            mounts_artifacts: self.mounts_artifacts(),
            mounts_images: self.mounts_images(),
            mounts_volume_subpaths: may_be_volume && self.mounts_volume_subpaths().await?,
            has_api: self.has_api(),
            sees_store,
        })
    }
}

/// What is to be delivered, and where to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// What the reference names.
    pub reference: ReferenceKind,
    /// Whether podman would show the same files: each layer has a plain title, none is a tar, and all are wanted.
    pub podman_safe: bool,
    /// How many files.
    pub files: usize,
    /// What `dst` is in the container's image.
    pub destination: PathState,
    /// `--deliver`.
    pub wish: Wish,
}

/// What is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// How the files get into the container.
    pub delivery: Delivery,
    /// Who pulls.
    pub who_pulls: Puller,
    /// Why, in one clause.
    pub reason: String,
}

/// Why files cannot be delivered.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Error {
    /// `--deliver` has a value that means nothing.
    #[error("delivery {0:?} is not auto, artifact, bind, volume, copy or image")]
    Unknown(String),
    /// `--deliver` asks for what this engine or this artifact cannot do.
    #[error("delivery {delivery} is not possible: {reason}")]
    Impossible {
        /// What was asked for.
        delivery: Delivery,
        /// What stands against it.
        reason: String,
    },
    /// No delivery is possible.
    #[error("{engine} cannot be given any files: {reason}")]
    NoWay {
        /// The engine.
        engine: String,
        /// What stands against it.
        reason: String,
    },
}

/// Decides.
pub fn decide(engine: &EngineFacts, wanted: &Wanted) -> Result<Decision, Error> {
    match wanted.wish {
        Wish(Some(delivery)) => match obstacle(delivery, engine, wanted) {
            None => Ok(decision(delivery, "--deliver asks for it".to_owned())),
            Some(reason) => Err(Error::Impossible { delivery, reason }),
        },
        Wish(None) => by_table(engine, wanted),
    }
}

fn by_table(engine: &EngineFacts, wanted: &Wanted) -> Result<Decision, Error> {
    let remote = || match obstacle(Delivery::Volume, engine, wanted) {
        None if hides_neighbours(engine, wanted) => Delivery::Copy,
        None => Delivery::Volume,
        Some(_) => Delivery::Copy,
    };
    let own = match wanted.reference {
        ReferenceKind::Artifact => Delivery::Native,
        ReferenceKind::Image => Delivery::Image,
    };
    let delivery = [own, Delivery::Bind]
        .into_iter()
        .find(|delivery| obstacle(*delivery, engine, wanted).is_none())
        .unwrap_or_else(remote);
    match obstacle(delivery, engine, wanted) {
        None => Ok(decision(delivery, reason(delivery, engine, wanted))),
        Some(reason) => Err(Error::NoWay { engine: engine.name.clone(), reason }),
    }
}

const fn decision(delivery: Delivery, reason: String) -> Decision {
    let who_pulls = match delivery {
        Delivery::Native => Puller::PodmanArtifact,
        Delivery::Image => Puller::Engine,
        Delivery::Bind | Delivery::Volume | Delivery::Copy => Puller::Artishim,
    };
    Decision { delivery, who_pulls, reason }
}

/// What stands against a delivery; nothing if it is possible.
fn obstacle(delivery: Delivery, engine: &EngineFacts, wanted: &Wanted) -> Option<String> {
    match delivery {
        Delivery::Native => native_obstacle(engine, wanted),
        Delivery::Image => image_obstacle(engine, wanted),
        Delivery::Bind if !engine.sees_store => Some(format!("{} does not see our files", engine.name)),
        Delivery::Bind => None,
        Delivery::Volume | Delivery::Copy if !engine.has_api => {
            Some(format!("{} has no API socket we can reach", engine.name))
        }
        Delivery::Volume if is_one_path(wanted) && !engine.mounts_volume_subpaths => {
            Some(format!("{} cannot mount one file of a volume", engine.name))
        }
        Delivery::Volume | Delivery::Copy => None,
    }
}

fn native_obstacle(engine: &EngineFacts, wanted: &Wanted) -> Option<String> {
    if wanted.reference == ReferenceKind::Image {
        Some("the reference is an image".to_owned())
    } else if !engine.mounts_artifacts {
        Some(format!("{} does not mount artifacts as podman 5.7 does", engine.name))
    } else if !wanted.podman_safe {
        Some("podman would show other files, or other names".to_owned())
    } else {
        None
    }
}

fn image_obstacle(engine: &EngineFacts, wanted: &Wanted) -> Option<String> {
    if wanted.reference == ReferenceKind::Artifact {
        Some("the reference is an artifact".to_owned())
    } else if engine.kind == Kind::Docker {
        Some("docker's image mounts turn empty when its daemon restarts".to_owned())
    } else if !engine.mounts_images {
        Some(format!("{} cannot mount a directory of an image as podman 5.1 does", engine.name))
    } else {
        None
    }
}

/// Whether `dst` itself becomes the file.
fn is_one_path(wanted: &Wanted) -> bool {
    wanted.destination == PathState::File || (wanted.destination == PathState::Missing && wanted.files == 1)
}

/// Whether mounting all of a volume would hide what the image has beside the files.
fn hides_neighbours(engine: &EngineFacts, wanted: &Wanted) -> bool {
    wanted.destination == PathState::Directory && !engine.mounts_volume_subpaths
}

fn reason(delivery: Delivery, engine: &EngineFacts, wanted: &Wanted) -> String {
    let name = &engine.name;
    match delivery {
        Delivery::Native => format!("{name} mounts artifacts itself"),
        Delivery::Image => format!("the reference is an image, which {name} mounts itself"),
        Delivery::Bind if engine.mounts_artifacts && !wanted.podman_safe => {
            "podman would show other files, or other names, and it sees ours".to_owned()
        }
        Delivery::Bind => format!("{name} sees our files"),
        Delivery::Volume => format!("{name} does not see our files"),
        Delivery::Copy if wanted.destination == PathState::Directory => {
            format!("{name} does not see our files, and a volume would hide the image's files in that directory")
        }
        Delivery::Copy => format!("{name} does not see our files and cannot mount one file of a volume"),
    }
}

#[cfg(test)]
mod tests {
    use super::Delivery::{Bind, Copy, Image, Native, Volume};
    use super::PathState::{Directory, File, Missing};
    use super::*;

    fn podman(minor: &str, sees_store: bool) -> EngineFacts {
        EngineFacts {
            kind: Kind::Podman,
            name: format!("Podman {minor}"),
            mounts_artifacts: minor == "5.8",
            mounts_images: minor != "4.3",
            mounts_volume_subpaths: minor == "5.8",
            has_api: !sees_store,
            sees_store,
        }
    }

    fn docker(api_version: &str, sees_store: bool) -> EngineFacts {
        EngineFacts {
            kind: Kind::Docker,
            name: format!("Docker API {api_version}"),
            mounts_artifacts: false,
            mounts_images: false,
            mounts_volume_subpaths: api_version == "1.51",
            has_api: true,
            sees_store,
        }
    }

    const ONE: Wanted = Wanted {
        reference: ReferenceKind::Artifact,
        podman_safe: true,
        files: 1,
        destination: Missing,
        wish: Wish(None),
    };
    const IMAGE: Wanted = Wanted { reference: ReferenceKind::Image, podman_safe: false, ..ONE };

    #[test]
    fn every_row_of_the_table() {
        let several = Wanted { files: 3, ..ONE };
        let unsafe_names = Wanted { podman_safe: false, ..several };
        let at = |destination| Wanted { destination, ..ONE };
        let cases = [
            (podman("5.8", true), ONE, Native),
            (podman("5.8", false), several, Native),
            (podman("5.8", true), unsafe_names, Bind),
            (podman("5.8", false), unsafe_names, Volume),
            (podman("5.8", true), IMAGE, Image),
            (podman("5.3", true), IMAGE, Image),
            (podman("4.3", true), IMAGE, Bind),
            (podman("4.3", true), several, Bind),
            (podman("4.3", false), several, Volume),
            (podman("4.3", false), ONE, Copy),
            (podman("4.3", false), at(Directory), Copy),
            (docker("1.41", true), ONE, Bind),
            (docker("1.51", true), IMAGE, Bind),
            (docker("1.51", false), IMAGE, Volume),
            (docker("1.51", false), ONE, Volume),
            (docker("1.51", false), at(File), Volume),
            (docker("1.51", false), at(Directory), Volume),
            (docker("1.41", false), ONE, Copy),
            (docker("1.41", false), at(File), Copy),
            (docker("1.41", false), at(Directory), Copy),
            (docker("1.41", false), several, Volume),
        ];
        for (engine, wanted, expected) in cases {
            let decision = decide(&engine, &wanted).expect("is possible");
            assert_eq!(decision.delivery, expected, "{engine:?} {wanted:?}");
            let puller = match expected {
                Native => Puller::PodmanArtifact,
                Image => Puller::Engine,
                Bind | Volume | Copy => Puller::Artishim,
            };
            assert_eq!(decision.who_pulls, puller, "{engine:?} {wanted:?}");
            assert!(!decision.reason.is_empty());
        }
    }

    #[test]
    fn a_wish_is_granted_where_it_is_possible() {
        let several = Wanted { files: 3, ..ONE };
        let cases = [
            (podman("5.8", true), ONE, Bind, None),
            (docker("1.51", true), ONE, Volume, None),
            (docker("1.51", true), ONE, Copy, None),
            (docker("1.41", false), several, Volume, None),
            (docker("1.41", false), ONE, Bind, Some("Docker API 1.41 does not see our files")),
            (docker("1.41", false), ONE, Volume, Some("Docker API 1.41 cannot mount one file of a volume")),
            (docker("1.51", true), ONE, Native, Some("Docker API 1.51 does not mount artifacts as podman 5.7 does")),
            (docker("1.51", true), ONE, Image, Some("the reference is an artifact")),
            (docker("1.51", true), IMAGE, Image, Some("docker's image mounts turn empty when its daemon restarts")),
            (podman("5.8", true), IMAGE, Native, Some("the reference is an image")),
            (podman("5.8", true), ONE, Volume, Some("Podman 5.8 has no API socket we can reach")),
        ];
        for (engine, wanted, delivery, obstacle) in cases {
            let decided = decide(&engine, &Wanted { wish: Wish(Some(delivery)), ..wanted });
            let expected = obstacle.map(|reason| Error::Impossible { delivery, reason: reason.to_owned() });
            assert_eq!(decided.as_ref().err(), expected.as_ref(), "{engine:?} {delivery}");
            assert_eq!(decided.map(|decision| decision.delivery).ok(), expected.is_none().then_some(delivery));
        }
    }

    #[test]
    fn an_engine_that_can_be_given_nothing_is_an_error() {
        let engine = EngineFacts { has_api: false, ..podman("4.3", false) };
        let error = decide(&engine, &ONE).expect_err("there is no way").to_string();
        assert_eq!(error, "Podman 4.3 cannot be given any files: Podman 4.3 has no API socket we can reach");
    }

    #[test]
    fn wishes_are_the_words_of_the_flag() {
        assert_eq!("auto".parse(), Ok(Wish(None)));
        assert_eq!("artifact".parse(), Ok(Wish(Some(Native))));
        assert_eq!("volume".parse(), Ok(Wish(Some(Volume))));
        assert!("nfs".parse::<Wish>().is_err());
    }
}
