//! The ways out of errors.

mod policy;
mod registries;

use self::registries::registry_hint;
use super::Error;
use crate::{
    add, checkout, config, deliver, driver, engine, media, model, oci_archive, packaging, pull, push, registry, store,
};

/// The way out of a full disk.
const ROOM: &str = "free some space, or name a store on another filesystem with --store or ARTISHIM_STORE";

/// What an artifact's name looks like.
const REFERENCE: &str = "expected [REGISTRY/]REPOSITORY[:TAG][@DIGEST]";

/// The way out, where there is one: the first that anything in the chain of causes knows.
pub(super) fn hint(error: &(dyn std::error::Error + 'static)) -> Option<String> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(hint) = own_hint(error) {
            return Some(hint);
        }
        cause = error.source();
    }
    None
}

fn own_hint(error: &(dyn std::error::Error + 'static)) -> Option<String> {
    // A transparent wrapper hides the error it holds from `source`, so each is opened here.
    match error.downcast_ref::<Error>() {
        Some(Error::Reference(_) | Error::Pull(pull::Error::Reference(_))) => return Some(REFERENCE.to_owned()),
        Some(Error::Config(config::Error::Read { source, .. })) if source.kind() == std::io::ErrorKind::NotFound => {
            return Some(format!("create it, or unset {}", config::CONFIG));
        }
        Some(Error::Config(config::Error::Read { .. })) => {
            return Some(format!("make it readable, or name another one with {}", config::CONFIG));
        }
        Some(Error::Config(config::Error::Containers { source, .. })) => {
            return Some(match source.kind() {
                std::io::ErrorKind::NotFound => format!("create it, or unset {}", config::CONTAINERS_REGISTRIES_CONF),
                _ => String::from("podman and skopeo need it too: make it readable"),
            });
        }
        Some(Error::Key { .. }) => return Some(String::from("name the file of a public key in PEM")),
        Some(Error::Driver(error)) => return driver_hint(error),
        Some(Error::Registry(error)) => return registry_hint(error),
        Some(Error::Store(error)) => return store_hint(error),
        Some(Error::Engine(error)) => return engine_hint(error),
        Some(Error::Packaging(error)) => return packaging_hint(error),
        Some(Error::Pull(error)) => return pull_hint(error),
        Some(Error::Deliver(error)) => return deliver_hint(error),
        Some(Error::Checkout(error)) => return checkout_hint(error),
        Some(Error::Model(model::Error::Pull(error))) => return pull_hint(error),
        Some(Error::Model(model::Error::Store(error))) => return store_hint(error),
        Some(Error::Decision(error)) => return decision_hint(error),
        Some(Error::Add(error)) => return add_hint(error),
        Some(Error::Archive(oci_archive::Error::Incomplete(name))) => return Some(rest_hint(name)),
        Some(Error::Archive(oci_archive::Error::Several(_))) => {
            return Some(String::from("load them without a name, and use artishim tag"));
        }
        Some(Error::Archive(oci_archive::Error::Store(
            store::Error::Mismatch(_) | store::Error::Incomplete { .. },
        ))) => {
            return Some(String::from("the archive is damaged: save it again"));
        }
        Some(Error::Archive(oci_archive::Error::Compressed(name))) => return Some(format!("undo that with {name} -d")),
        Some(Error::Archive(oci_archive::Error::Empty | oci_archive::Error::NoIndex)) => {
            return Some(String::from(
                "artishim save, skopeo copy … oci-archive:FILE and docker save make such archives",
            ));
        }
        Some(Error::Archive(oci_archive::Error::Store(error))) => return store_hint(error),
        Some(Error::Push(error)) => return push_hint(error),
        Some(Error::Part(name, _)) => return Some(rest_hint(name)),
        Some(Error::Incomplete(name)) => return Some(format!("pull it again: artishim pull {name}")),
        _ => {}
    }
    None
}

fn checkout_hint(error: &checkout::Error) -> Option<String> {
    match error {
        checkout::Error::Packaging(error) => packaging_hint(error),
        checkout::Error::Pull(error) => pull_hint(error),
        checkout::Error::Store(error) => store_hint(error),
        checkout::Error::Stopped(_) => None,
    }
}

fn add_hint(error: &add::Error) -> Option<String> {
    match error {
        add::Error::Exists(_) => Some(String::from("--replace takes its name, --append adds to it")),
        add::Error::Part(name) => Some(rest_hint(name)),
        add::Error::Changed(_) => Some(String::from("look at it, and try again")),
        add::Error::FileExists(_) | add::Error::TitleExists => {
            Some(format!("give each file another name: --annotation {}=NAME, one file at a time", media::TITLE))
        }
        add::Error::Outside(_) => Some(String::from("name the file itself, or copy it there")),
        add::Error::FileChanged(_) => Some(String::from("try again when nobody writes to it")),
        add::Error::NoName => Some(format!("name it: --annotation {}=NAME", media::TITLE)),
        add::Error::Store(error) => store_hint(error),
        _ => None,
    }
}

fn push_hint(error: &push::Error) -> Option<String> {
    match error {
        push::Error::Incomplete(name) => Some(rest_hint(name)),
        push::Error::Registry(registry::Error::Unauthorized { had_credentials: true, .. }) => {
            Some(String::from("check the user, the password and the right to push"))
        }
        push::Error::Registry(error) => registry_hint(error),
        push::Error::Store(error) => store_hint(error),
        _ => None,
    }
}

fn rest_hint(artifact: &str) -> String {
    format!("artishim pull {artifact} fetches the rest")
}

fn pull_hint(error: &pull::Error) -> Option<String> {
    match error {
        pull::Error::Nesting { .. } => Some(String::from("name the artifact itself by its digest: NAME@DIGEST")),
        pull::Error::Missing(reference) => Some(format!("pull it first: artishim pull {reference}")),
        pull::Error::Unclear { .. } => {
            Some(String::from("type one of these names in full, or give it an alias in registries.conf"))
        }
        pull::Error::Registry(error) => registry_hint(error),
        pull::Error::Refused(refusal) => Some(policy::hint(refusal).to_owned()),
        pull::Error::Unsigned { .. } => Some(String::from("have it signed, or name the key of who signed it")),
        pull::Error::Exhausted { .. } => Some(String::from("try again: a file goes on where it stopped")),
        pull::Error::Unresumable { .. } => Some(String::from("try again, or name another registry")),
        pull::Error::Store(error) => store_hint(error),
        pull::Error::Packaging(error) => packaging_hint(error),
        pull::Error::Artifact { source, .. } => packaging_hint(source),
        _ => None,
    }
}

fn driver_hint(error: &driver::Error) -> Option<String> {
    match error {
        driver::Error::Driven(_) => Some(String::from("stop the other one, or name another store with --store")),
        driver::Error::Served(_) => Some(String::from("stop the other one, or name another socket with --socket")),
        driver::Error::Socket { source, .. } if source.kind() == std::io::ErrorKind::PermissionDenied => {
            Some(String::from("become root, or name a socket of your own with --socket"))
        }
        _ => None,
    }
}

fn decision_hint(error: &engine::decision::Error) -> Option<String> {
    let hint = match error {
        engine::decision::Error::Unknown(_) => return None,
        engine::decision::Error::Impossible { .. } => {
            "leave --deliver out, see `artishim engines` for what is possible"
        }
        engine::decision::Error::NoWay { .. } => {
            "start it, for Podman with `systemctl start podman.socket`, or name it with --engine URL"
        }
    };
    Some(hint.to_owned())
}

fn deliver_hint(error: &deliver::Error) -> Option<String> {
    match error {
        deliver::Error::Pull(error) => pull_hint(error),
        deliver::Error::Checkout(error) => checkout_hint(error),
        deliver::Error::Store(error) => store_hint(error),
        deliver::Error::Engine(error) => engine_hint(error),
        deliver::Error::Decision(error) => decision_hint(error),
        deliver::Error::Packaging(error) => packaging_hint(error),
        deliver::Error::Reference(_) => Some(String::from("expected [REGISTRY/]REPOSITORY[:TAG][@DIGEST]")),
        deliver::Error::Busy { container, .. } => {
            Some(format!("wait, or if nobody fills it any more remove the container {container}"))
        }
        deliver::Error::Covered { .. } => Some(String::from("choose another destination")),
        deliver::Error::Part { artifact, .. } => Some(rest_hint(artifact)),
        deliver::Error::Accelerate(_) => Some(String::from("leave --accelerate out")),
        deliver::Error::Foreign { .. } => Some(String::from("choose another name")),
        deliver::Error::Holds { volume, .. } => {
            Some(format!("remove it first, as `docker compose down --volumes` or `docker volume rm {volume}` does"))
        }
        deliver::Error::Occupied { .. } => Some(String::from("name an empty volume")),
        deliver::Error::Driven { .. } => Some(String::from("name a volume without driver and driver_opts")),
        deliver::Error::Taken { .. } => Some(String::from("give each artifact a volume of its own")),
        deliver::Error::InUse { .. } => {
            Some(String::from("remove the containers that use it first, as `docker compose down` does"))
        }
        _ => None,
    }
}

fn store_hint(error: &store::Error) -> Option<String> {
    let hint = match error {
        store::Error::NotFound { .. } => "see what is there: artishim ls",
        store::Error::NotAStore { .. } => "name an empty or new directory with --store or ARTISHIM_STORE",
        store::Error::Occupied { .. } | store::Error::Owned { .. } => "remove it, or name another directory",
        store::Error::ReadOnly { .. } => "name a store you can write with --store or ARTISHIM_STORE",
        store::Error::NoSpace { .. } => {
            "free some space, or name a store on another filesystem with --store or ARTISHIM_STORE; what arrived is kept"
        }
        store::Error::Io { source, .. } if source.kind() == std::io::ErrorKind::PermissionDenied => {
            "become its owner, or name a store of your own with --store or ARTISHIM_STORE"
        }
        store::Error::Ambiguous { .. } => "give more of the digest, or the name",
        store::Error::Mismatch(_) => {
            "the registry, or a proxy in front of it, serves other bytes: try again, or name another registry"
        }
        _ => return None,
    };
    Some(hint.to_owned())
}

fn engine_hint(error: &engine::Error) -> Option<String> {
    let hint = match error {
        engine::Error::NotFound { .. } => "install podman or docker, start the daemon, or name an engine with --engine",
        engine::Error::Unwanted => "name an engine with --engine",
        engine::Error::PermissionDenied { .. } => {
            "join the docker group, use sudo, or name another engine with --engine, under docker with DOCKER_HOST"
        }
        engine::Error::NotAnswering { .. } | engine::Error::NoSocket { .. } | engine::Error::NoProgram { .. } => {
            "install or start the engine, or name another one with --engine, under docker with DOCKER_HOST"
        }
        engine::Error::TooOld { .. } => "upgrade it, or use `artishim path` and a bind mount of your own",
        engine::Error::NoContext { .. } => "see what is there: docker context ls",
        engine::Error::NoApi { .. } => {
            "start it, for Podman with `systemctl start podman.socket`, or name it with --engine URL"
        }
        engine::Error::NoCli { .. } => "install the docker or podman command line",
        _ => return None,
    };
    Some(hint.to_owned())
}

fn packaging_hint(error: &packaging::Error) -> Option<String> {
    let hint = match error {
        packaging::Error::NotAModel { .. } => "name an artifact or image that holds a model",
        packaging::Error::SeveralChildren { .. } => {
            "append @DIGEST to the reference, or pass --platform before the command"
        }
        packaging::Error::Cloud { .. } => "run it with ollama, or name a model that has weights",
        packaging::Error::Tensors => "run it with ollama, or name a GGUF or safetensors build of it",
        packaging::Error::TooLarge { .. } => ROOM,
        packaging::Error::Sink { source, .. } if source.kind() == std::io::ErrorKind::StorageFull => ROOM,
        packaging::Error::NoFiles | packaging::Error::NoModels | packaging::Error::NoChild => {
            "name an artifact or image that holds a model"
        }
        packaging::Error::Path { .. }
        | packaging::Error::Collision { .. }
        | packaging::Error::Special { .. }
        | packaging::Error::HardLink { .. }
        | packaging::Error::Config { .. }
        | packaging::Error::NoLayer { .. }
        | packaging::Error::Unlike { .. }
        | packaging::Error::OtherTar { .. }
        | packaging::Error::Larger { .. } => "have the artifact packed again by whoever made it",
        packaging::Error::CompressedFile { .. } => "have it packed again as a tar, or uncompressed",
        packaging::Error::Parent { .. } => "pull the other one by itself",
        packaging::Error::NoEntry { .. } => "--entry PATH chooses one",
        packaging::Error::NothingSelected { .. } => {
            "name some of them with --include, or pull all of it without options"
        }
        packaging::Error::Packed => "leave --entry-only out",
        packaging::Error::Selection { .. } => "pull it again",
        _ => return None,
    };
    Some(hint.to_owned())
}
