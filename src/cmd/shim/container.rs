//! podman's `run` and `create` in docker's words. Pure.

use std::ffi::OsString;

use crate::mount::{self, Dialect};
use crate::rewrite::{self, CommandLine};

/// Flags of podman 5.8 that docker does not have: they change what a container is or may do.
const UNKNOWN: [&str; 59] = [
    "arch",
    "authfile",
    "cert-dir",
    "cgroup-conf",
    "cgroups",
    "chrootdirs",
    "conmon-pidfile",
    "creds",
    "decryption-key",
    "env-host",
    "env-merge",
    "gidmap",
    "group-entry",
    "health-log-destination",
    "health-max-log-count",
    "health-max-log-size",
    "health-on-failure",
    "health-startup-cmd",
    "health-startup-interval",
    "health-startup-retries",
    "health-startup-success",
    "health-startup-timeout",
    "hosts-file",
    "hostuser",
    "http-proxy",
    "image-volume",
    "init-ctr",
    "init-path",
    "no-hostname",
    "no-hosts",
    "os",
    "passwd",
    "passwd-entry",
    "personality",
    "pidfile",
    "pod",
    "pod-id-file",
    "preserve-fd",
    "preserve-fds",
    "rdt-class",
    "read-only-tmpfs",
    "requires",
    "retry",
    "retry-delay",
    "rmi",
    "rootfs",
    "sdnotify",
    "seccomp-policy",
    "secret",
    "shm-size-systemd",
    "subgidname",
    "subuidname",
    "timeout",
    "tz",
    "uidmap",
    "umask",
    "unsetenv",
    "unsetenv-all",
    "variant",
];
/// How containers of podman's find the host.
const HOST: &str = "host.containers.internal";

/// A line of `run` or `create` in docker's words.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Container {
    pub arguments: Vec<OsString>,
    /// Whether the image is to be asked for again.
    pub renews_image: bool,
    pub image: Option<String>,
    /// The container whose place this one takes.
    pub replaces: Option<String>,
    /// Mounts that the arguments are still to be given.
    pub image_mounts: Vec<ImageMount>,
}

/// `--mount type=image,src=IMAGE,dst=DESTINATION,subpath=DIRECTORY`
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ImageMount {
    pub image: String,
    pub directory: String,
    pub destination: String,
}

impl Container {
    /// Reads what follows podman's `run` or `create`.
    pub(super) fn read(arguments: &[OsString]) -> Result<Self, String> {
        let line = CommandLine::parse(Dialect::Podman, arguments).map_err(|error| error.to_string())?;
        let (mut replaces, mut image_mounts) = (false, Vec::new());
        let mut translated = rewrite::translate(Dialect::Podman, arguments, |name, value| match name {
            "replace" => {
                replaces = boolean(name, value)?;
                Ok(Some(Vec::new()))
            }
            "mount" => Ok(image_mount(value)?.map(|mount| {
                image_mounts.push(mount);
                Vec::new()
            })),
            _ => flag(name, value),
        })?;
        if replaces && line.flags.name.is_none() {
            return Err(String::from("podman run --replace: name the container with --name"));
        }
        if names_host(arguments) {
            translated.insert(0, format!("--add-host={HOST}:host-gateway").into());
        }
        Ok(Self {
            arguments: translated,
            renews_image: line.flags.pull.as_deref() == Some("newer"),
            image: line.image().map(|image| image.to_string_lossy().into_owned()),
            replaces: line.flags.name.filter(|_| replaces && line.image.is_some() && !line.flags.help),
            image_mounts,
        })
    }
}

/// Whether a container is told of the host by the name that only podman gives it.
fn names_host(arguments: &[OsString]) -> bool {
    let mentions = |argument: &OsString| argument.to_string_lossy().contains(HOST);
    let maps = |argument: &OsString| argument.to_string_lossy().trim_start_matches("--add-host=").starts_with(HOST);
    arguments.iter().any(mentions) && !arguments.iter().any(maps)
}

/// A flag in docker's words; `None` where they are the same.
fn flag(name: &str, value: &str) -> Result<Option<Vec<String>>, String> {
    let written = |name: &str, value: &str| Some(vec![format!("--{name}={value}")]);
    Ok(match name {
        "device" => device(value),
        "runtime" if value.ends_with("/nvidia-container-runtime") => written(name, "nvidia"),
        // Docker runs as root, which has all groups of the user's.
        "group-add" if value == "keep-groups" => Some(Vec::new()),
        // What docker does anyhow.
        "tls-verify" if boolean(name, value)? => Some(Vec::new()),
        "systemd" if value == "false" => Some(Vec::new()),
        "tls-verify" | "systemd" => return Err(refusal(&format!("{name}={value}"))),
        _ if UNKNOWN.contains(&name) => return Err(refusal(name)),
        _ => None,
    })
}

/// As podman reads one.
fn boolean(name: &str, value: &str) -> Result<bool, String> {
    match value {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err(format!("podman run --{name}={value}: expected true or false")),
    }
}

fn refusal(flag: &str) -> String {
    format!("podman run --{flag}: docker has nothing like it")
}

/// CDI names of NVIDIA's devices, which Docker knows only from 28 on and only where it is told to.
fn device(value: &str) -> Option<Vec<String>> {
    match value.strip_prefix("nvidia.com/gpu=")? {
        "all" => Some(vec![String::from("--gpus=all")]),
        one => Some(vec![format!("--gpus=device={one}")]),
    }
}

/// A directory of an image, read-only; what docker has no word for, or none that works.
fn image_mount(value: &str) -> Result<Option<ImageMount>, String> {
    let fields = || value.split(',').map(|field| field.split_once('=').unwrap_or((field, "true")));
    let find = |names: &[&str]| fields().find(|(name, _)| names.contains(name)).map(|(_, value)| value.to_owned());
    let (Some("image"), Some(directory)) = (find(&["type"]).as_deref(), find(&["subpath"])) else { return Ok(None) };
    if find(&["rw", "readwrite"]).is_some_and(|value| value != "false") {
        return Err(format!("podman run --mount {value}: docker mounts images read-only"));
    }
    match (find(&["src", "source"]), find(&["dst", "destination", "target"])) {
        (Some(image), Some(destination)) => {
            Ok(Some(ImageMount { image, directory: mount::clean(&directory), destination }))
        }
        _ => Err(format!("podman run --mount {value}: it names no image, or no destination")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Container, String> {
        Container::read(&line.split_whitespace().map(OsString::from).collect::<Vec<_>>())
    }

    #[test]
    fn a_container_is_described_in_dockers_words() {
        let cases = [
            ("--device nvidia.com/gpu=all image", "--gpus=all image"),
            ("--device=nvidia.com/gpu=1 image", "--gpus=device=1 image"),
            ("--device /dev/dri image", "--device /dev/dri image"),
            ("--runtime /usr/bin/nvidia-container-runtime image", "--runtime=nvidia image"),
            ("--group-add keep-groups -d image", "-d image"),
            ("--group-add video image", "--group-add video image"),
            ("--env --replace --label --pod image", "--env --replace --label --pod image"),
            ("--tls-verify --systemd=false image", "image"),
            ("-itv /a:/b --rm image --pod x", "-itv /a:/b --rm image --pod x"),
            (
                "--security-opt=label=disable --rm image serve --device x",
                "--security-opt=label=disable --rm image serve --device x",
            ),
            ("--mount type=artifact,src=a,destination=/m image", "--mount type=artifact,src=a,destination=/m image"),
            (
                "--env URL=http://host.containers.internal:8080 image",
                "--add-host=host.containers.internal:host-gateway --env URL=http://host.containers.internal:8080 image",
            ),
            ("--add-host=host.containers.internal:1.2.3.4 image", "--add-host=host.containers.internal:1.2.3.4 image"),
        ];
        for (line, expected) in cases {
            let words: Vec<OsString> = expected.split_whitespace().map(OsString::from).collect();
            assert_eq!(read(line).unwrap().arguments, words, "{line}");
        }
    }

    #[test]
    fn what_docker_cannot_do_is_named() {
        for (line, flag) in [
            ("--pod p image", "--pod"),
            ("--uidmap=0:1:1 image", "--uidmap"),
            ("--tls-verify=false image", "--tls-verify=false"),
            ("--systemd always image", "--systemd=always"),
            ("--unsetenv-all image", "--unsetenv-all"),
            ("--replace image", "--replace"),
            ("--mount type=image,src=i,dst=/m,subpath=/a,rw=true image", "rw=true"),
            ("--mount type=image,dst=/m,subpath=/a image", "names no image"),
        ] {
            let error = read(line).unwrap_err();
            assert!(error.starts_with("podman run ") && error.contains(flag), "{error}");
        }
    }

    #[test]
    fn images_are_renewed_and_containers_replaced() {
        let newer = read("--pull newer image x").unwrap();
        assert_eq!((newer.renews_image, newer.image.as_deref(), newer.replaces), (true, Some("image"), None));
        let replacing = read("--replace --name a image").unwrap();
        assert_eq!(replacing.replaces.as_deref(), Some("a"));
        assert_eq!(replacing.arguments, ["--name", "a", "image"]);
        for line in [
            "--replace=False --name a image",
            "--replace=0 --name a image",
            "--replace --name a --help",
            "--replace --name a",
        ] {
            assert_eq!(read(line).unwrap().replaces, None, "{line}");
        }
        assert!(read("--replace=maybe --name a image").unwrap_err().contains("--replace=maybe"));
    }

    #[test]
    fn directories_of_images_are_told_from_other_mounts() {
        let line = "--mount=type=image,src=r/m:1,destination=/mnt/models,subpath=/models,rw=false \
            --mount type=image,src=r/m:1,dst=/whole --mount type=bind,src=/a,dst=/b image";
        let container = read(line).unwrap();
        let [image, directory, destination] = ["r/m:1", "/models", "/mnt/models"].map(str::to_owned);
        assert_eq!(container.image_mounts, [ImageMount { image, directory, destination }]);
        let kept = "--mount type=image,src=r/m:1,dst=/whole --mount type=bind,src=/a,dst=/b image";
        assert_eq!(container.arguments, kept.split(' ').map(OsString::from).collect::<Vec<_>>());
    }
}
