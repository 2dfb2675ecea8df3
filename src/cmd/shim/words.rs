//! podman's words in docker's. Pure.

/// What a line of podman's asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Call {
    /// `version`, by a template if there is one.
    Version(Option<String>),
    /// `artifact …`
    Artifact(Vec<String>),
    /// `run` or `create` with its arguments.
    Run(String, Vec<String>),
    /// docker's own line.
    Docker(Vec<String>),
    /// A command once for each name.
    Each { command: Vec<String>, names: Vec<String>, mind_missing: bool },
    /// `images`
    Images(Images),
    /// A list without its first line.
    WithoutHeading(Vec<String>),
    /// What docker has nothing of.
    Nothing,
}

/// docker's `images`, and where its answer needs sizes in bytes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Images {
    pub arguments: Vec<String>,
}

/// What stands around an image's id where its size belongs.
const MARK: &str = "\u{1}";
/// Podman's field, with the spaces its users write.
const SIZES: [&str; 2] = ["{{ .VirtualSize }}", "{{.VirtualSize}}"];

/// Commands that mean the same to docker.
const SAME: [&str; 36] = [
    "attach",
    "build",
    "commit",
    "container",
    "cp",
    "diff",
    "events",
    "exec",
    "export",
    "history",
    "image",
    "import",
    "inspect",
    "kill",
    "load",
    "login",
    "logout",
    "logs",
    "network",
    "pause",
    "port",
    "ps",
    "pull",
    "push",
    "rename",
    "restart",
    "rmi",
    "save",
    "search",
    "start",
    "stats",
    "system",
    "tag",
    "top",
    "unpause",
    "volume",
];

/// Options of podman's `run` and `create` that docker does not have: they change what a container is or may do.
const UNKNOWN: [&str; 28] = [
    "authfile",
    "chrootdirs",
    "conmon-pidfile",
    "decryption-key",
    "env-host",
    "env-merge",
    "gidmap",
    "group-entry",
    "hostuser",
    "image-volume",
    "init-ctr",
    "init-path",
    "passwd-entry",
    "personality",
    "pod",
    "pod-id-file",
    "preserve-fds",
    "requires",
    "rootfs",
    "sdnotify",
    "seccomp-policy",
    "secret",
    "subgidname",
    "subuidname",
    "systemd",
    "uidmap",
    "umask",
    "variant",
];

/// Reads a line of podman's.
pub(super) fn read(words: &[String]) -> Result<Call, String> {
    let (command, rest) = match words.split_first() {
        None => return Err(String::from("podman on Docker: name a command, as in podman(1)")),
        Some((first, rest)) => (first.as_str(), rest),
    };
    let line = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).chain(rest.iter().cloned()).collect();
    Ok(match command {
        "--version" | "-v" => Call::Version(None),
        "version" => Call::Version(value_of(rest, &["--format", "-f"])),
        "artifact" => Call::Artifact(rest.to_vec()),
        "run" | "create" => Call::Run(command.to_owned(), rest.to_vec()),
        "container" if matches!(rest.first().map(String::as_str), Some("run" | "create")) => {
            Call::Run(rest[0].clone(), rest[1..].to_vec())
        }
        "stop" | "rm" => each(command, rest),
        "images" => images(rest),
        "ps" if rest.iter().any(|word| word == "--noheading") => listed(command, rest),
        "pod" if rest.first().is_some_and(|word| word == "rm") && rest.iter().any(|word| word == "--ignore") => {
            Call::Nothing
        }
        "network" if rest.first().is_some_and(|word| word == "rm") => network_rm(&rest[1..]),
        "inspect" if value_of(rest, &["--format", "-f"]).is_some_and(|format| format.contains(".Pod")) => Call::Nothing,
        "info" if value_of(rest, &["--format", "-f"]).as_deref() == Some("json") => {
            Call::Docker(["info", "--format", "{{json .}}"].map(str::to_owned).to_vec())
        }
        "info" => Call::Docker(line(&["info"])),
        _ if SAME.contains(&command) => Call::Docker(words.to_vec()),
        _ => return Err(format!("podman {command}: artishim does not know how to do this with docker")),
    })
}

/// The value of an option, attached or behind it.
fn value_of(words: &[String], names: &[&str]) -> Option<String> {
    let at = words.iter().position(|word| names.iter().any(|name| is_option(word, name)))?;
    match words[at].split_once('=') {
        Some((_, value)) => Some(value.to_owned()),
        None => words.get(at + 1).cloned(),
    }
}

fn is_option(word: &str, name: &str) -> bool {
    word == name || word.strip_prefix(name).is_some_and(|rest| rest.starts_with('='))
}

/// `stop` and `rm`; RamaLama writes `--ignore True`, which podman takes for a name that is not there.
fn each(command: &str, rest: &[String]) -> Call {
    let ignores = rest.iter().any(|word| word == "--ignore" || word == "-i");
    let kept = rest.iter().filter(|word| !matches!(word.as_str(), "--ignore" | "-i" | "True"));
    let (options, names): (Vec<String>, Vec<String>) = kept.cloned().partition(|word| word.starts_with('-'));
    Call::Each { command: std::iter::once(command.to_owned()).chain(options).collect(), names, mind_missing: !ignores }
}

fn network_rm(rest: &[String]) -> Call {
    let forced = rest.iter().any(|word| matches!(word.as_str(), "-f" | "--force"));
    let names = rest.iter().filter(|word| !word.starts_with('-')).cloned().collect();
    Call::Each { command: vec![String::from("network"), String::from("rm")], names, mind_missing: !forced }
}

/// A list without its heading; where there is a template docker prints none.
fn listed(command: &str, rest: &[String]) -> Call {
    let kept = rest.iter().filter(|word| *word != "--noheading").cloned();
    let words: Vec<String> = std::iter::once(command.to_owned()).chain(kept).collect();
    match value_of(rest, &["--format"]) {
        Some(_) => Call::Docker(words),
        None => Call::WithoutHeading(words),
    }
}

/// docker has no lists of images, and prints sizes for people.
fn images(rest: &[String]) -> Call {
    if value_of(rest, &["--filter", "-f"]).is_some_and(|filter| filter.starts_with("manifest=")) {
        return Call::Nothing;
    }
    let kept = rest.iter().filter(|word| *word != "--noheading");
    let marked = kept.map(|word| SIZES.iter().fold(word.clone(), |word, size| word.replace(size, &mark("{{.ID}}"))));
    Call::Images(Images { arguments: std::iter::once(String::from("images")).chain(marked).collect() })
}

fn mark(id: &str) -> String {
    format!("{MARK}{id}{MARK}")
}

impl Images {
    /// The ids of the images whose sizes are wanted.
    pub fn ids(&self, text: &str) -> Vec<String> {
        text.split(MARK).skip(1).step_by(2).map(str::to_owned).collect()
    }

    /// The text with the size of one image.
    pub fn with_size(&self, text: &str, id: &str, size: &str) -> String {
        text.replace(&mark(id), size)
    }
}

/// A line of `run` or `create` in docker's words.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Run {
    pub arguments: Vec<String>,
    /// Whether the image is to be asked for again.
    pub renews_image: bool,
    pub image: Option<String>,
}

/// Puts the options before the image into docker's words.
pub(super) fn run(rest: &[String]) -> Result<Run, String> {
    let arguments: Vec<std::ffi::OsString> = rest.iter().map(std::ffi::OsString::from).collect();
    let dialect = crate::mount::Dialect::Podman;
    let line = crate::rewrite::CommandLine::parse(dialect, &arguments).map_err(|error| error.to_string())?;
    let end = line.image.unwrap_or(rest.len());
    let mut run = Run { renews_image: line.flags.pull.as_deref() == Some("newer"), ..Run::default() };
    let mut words = rest[..end].iter().peekable();
    while let Some(word) = words.next() {
        let (name, attached) = match word.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (word.as_str(), None),
        };
        if let Some(unknown) = UNKNOWN.iter().find(|unknown| name.strip_prefix("--") == Some(unknown)) {
            return Err(format!("podman run --{unknown}: docker has nothing like it"));
        }
        let mut value = || attached.clone().or_else(|| words.next().cloned()).unwrap_or_default();
        match name {
            "--device" => run.arguments.extend(device(&value())),
            "--runtime" => run.arguments.extend(pair("--runtime", runtime(&value()))),
            "--group-add" => {
                // Docker runs as root, which has all groups of the user's.
                let group = value();
                run.arguments
                    .extend((group != "keep-groups").then(|| pair("--group-add", &group)).into_iter().flatten());
            }
            "--mount" => run.arguments.extend(pair("--mount", &mount(&value()))),
            "--replace" => {
                return Err(String::from("podman run --replace: remove the container first: docker rm -f NAME"));
            }
            _ => run.arguments.push(word.clone()),
        }
    }
    run.image = rest.get(end).cloned();
    run.arguments.extend(rest[end..].iter().cloned());
    Ok(run)
}

fn pair(name: &str, value: &str) -> [String; 2] {
    [name.to_owned(), value.to_owned()]
}

/// CDI names of NVIDIA's devices, which Docker knows only from 28 on and only where it is told to.
fn device(value: &str) -> [String; 2] {
    match value.strip_prefix("nvidia.com/gpu=") {
        Some("all") => pair("--gpus", "all"),
        Some(one) => pair("--gpus", &format!("device={one}")),
        None => pair("--device", value),
    }
}

fn runtime(value: &str) -> &str {
    if value.ends_with("/nvidia-container-runtime") { "nvidia" } else { value }
}

/// A model in an image is an artifact to us; other images are docker's own to mount.
fn mount(value: &str) -> String {
    let fields: Vec<&str> = value.split(',').collect();
    if !(fields.contains(&"type=image") && fields.contains(&"subpath=/models")) {
        return value.to_owned();
    }
    let kept = fields.into_iter().filter(|field| !matches!(*field, "type=image" | "subpath=/models" | "rw=false"));
    std::iter::once("type=artifact").chain(kept).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split_whitespace().map(str::to_owned).collect()
    }

    fn read_line(line: &str) -> Call {
        read(&words(line)).unwrap()
    }

    #[test]
    fn what_docker_knows_is_dockers_line() {
        for line in ["logs -f x", "image inspect x", "ps -a --filter label=x", "container ls", "network create n"] {
            assert_eq!(read_line(line), Call::Docker(words(line)), "{line}");
        }
        let info = ["info", "--format", "{{json .}}"].map(str::to_owned).to_vec();
        assert_eq!(read_line("info --format json"), Call::Docker(info));
    }

    #[test]
    fn what_docker_does_not_know_is_named() {
        for (line, word) in [
            ("machine list", "machine"),
            ("kube play x", "kube"),
            ("manifest rm x", "manifest"),
            ("pod rm x", "pod"),
            ("quadlet list", "quadlet"),
        ] {
            let error = read(&words(line)).unwrap_err();
            assert!(error.starts_with(&format!("podman {word}:")), "{error}");
        }
        for (line, flag) in
            [("--pod p image", "--pod"), ("--uidmap=0:1:1 image", "--uidmap"), ("--replace image", "--replace")]
        {
            let error = run(&words(line)).unwrap_err();
            assert!(error.contains(flag), "{error}");
        }
    }

    #[test]
    fn names_that_are_not_there_are_borne_where_podman_bears_them() {
        let each = |command: &str, names: &str, mind_missing| Call::Each {
            command: words(command),
            names: words(names),
            mind_missing,
        };
        assert_eq!(read_line("stop -t=0 --ignore True x"), each("stop -t=0", "x", false));
        assert_eq!(read_line("stop x y"), each("stop", "x y", true));
        assert_eq!(read_line("rm --ignore x"), each("rm", "x", false));
        assert_eq!(read_line("network rm -f n"), each("network rm", "n", false));
        assert_eq!(read_line("images --filter manifest=true --format x"), Call::Nothing);
        assert_eq!(read_line("pod rm -t=0 --ignore --force p"), Call::Nothing);
    }

    #[test]
    fn sizes_of_images_are_bytes() {
        let Call::Images(images) =
            read(&["images", "--format", r#"{"size":{{ .VirtualSize }}},"#].map(str::to_owned)).unwrap()
        else {
            panic!("it lists images")
        };
        let text = format!(r#"{{"size":{MARK}abc{MARK}}},"#);
        assert_eq!(images.ids(&text), ["abc"]);
        assert_eq!(images.with_size(&text, "abc", "42"), r#"{"size":42},"#);
    }

    #[test]
    fn a_container_is_described_in_dockers_words() {
        let cases = [
            ("--device nvidia.com/gpu=all image", "--gpus all image"),
            ("--device /dev/dri image", "--device /dev/dri image"),
            ("--runtime /usr/bin/nvidia-container-runtime image", "--runtime nvidia image"),
            ("--group-add keep-groups -d image", "-d image"),
            (
                "--security-opt=label=disable --rm image serve --device x",
                "--security-opt=label=disable --rm image serve --device x",
            ),
            (
                "--mount=type=image,src=r/m:1,destination=/mnt/models,subpath=/models,rw=false image",
                "--mount type=artifact,src=r/m:1,destination=/mnt/models image",
            ),
            ("--mount=type=artifact,src=a,destination=/m image", "--mount type=artifact,src=a,destination=/m image"),
        ];
        for (line, expected) in cases {
            assert_eq!(run(&words(line)).unwrap().arguments, words(expected), "{line}");
        }
        let newer = run(&words("--pull newer image x")).unwrap();
        assert_eq!((newer.renews_image, newer.image.as_deref()), (true, Some("image")));
    }
}
