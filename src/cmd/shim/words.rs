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
    /// docker's own line that removes images.
    RemoveImages(Vec<String>),
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
const SAME: [&str; 35] = [
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
        "stop" | "rm" => each(command, rest)?,
        "rmi" => Call::RemoveImages(words.to_vec()),
        "image" if rest.first().is_some_and(|word| matches!(word.as_str(), "rm" | "remove" | "prune")) => {
            Call::RemoveImages(words.to_vec())
        }
        "images" => images(rest),
        "ps" if rest.iter().any(|word| word == "--noheading") => listed(command, rest),
        "pod" if rest.first().is_some_and(|word| word == "rm") && rest.iter().any(|word| word == "--ignore") => {
            Call::Nothing
        }
        "network" if rest.first().is_some_and(|word| word == "rm") => network_rm(&rest[1..])?,
        "inspect" | "container" => Call::Docker(words.iter().map(|word| without_pod(word)).collect()),
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

/// docker's containers are in no pod.
fn without_pod(word: &str) -> String {
    ["{{ .Pod }}", "{{.Pod}}"].iter().fold(word.to_owned(), |word, field| word.replace(field, r#"{{""}}"#))
}

/// `stop` and `rm`; RamaLama writes `--ignore True`, which podman takes for a name that is not there.
fn each(command: &str, rest: &[String]) -> Result<Call, String> {
    let (mut ignores, mut options, mut names) = (false, vec![command.to_owned()], Vec::new());
    let mut words = rest.iter();
    while let Some(word) = words.next() {
        match word.split_once('=').map_or(word.as_str(), |(name, _)| name) {
            "--ignore" | "-i" => ignores = true,
            "-t" | "--time" => {
                let value = word.split_once('=').map(|(_, value)| value).or_else(|| words.next().map(String::as_str));
                // docker's rm kills at once.
                let stops = value.filter(|_| command == "stop");
                options.extend(stops.map(|seconds| format!("-t={seconds}")));
            }
            "--all" | "-a" | "--latest" | "-l" | "--filter" | "--cidfile" | "--depend" => {
                return Err(format!("podman {command} {word}: artishim does not know how to do this with docker"));
            }
            "True" => {}
            name if name.starts_with('-') => options.push(word.clone()),
            _ => names.push(word.clone()),
        }
    }
    Ok(Call::Each { command: options, names, mind_missing: !ignores })
}

fn network_rm(rest: &[String]) -> Result<Call, String> {
    let (mut forced, mut names) = (false, Vec::new());
    for word in rest {
        match word.as_str() {
            "-f" | "--force" => forced = true,
            // Containers that use it docker does not remove with it.
            option if option.starts_with('-') => {
                return Err(format!("podman network rm {option}: artishim does not know how to do this with docker"));
            }
            _ => names.push(word.clone()),
        }
    }
    let command = vec![String::from("network"), String::from("rm")];
    Ok(Call::Each { command, names, mind_missing: !forced })
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
            ("stop --all", "stop --all"),
            ("rm --depend x", "rm --depend"),
            ("network rm -t 5 n", "network rm -t"),
        ] {
            let error = read(&words(line)).unwrap_err();
            assert!(error.starts_with(&format!("podman {word}:")), "{error}");
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
        assert_eq!(read_line("stop -t 5 -i x"), each("stop -t=5", "x", false));
        assert_eq!(read_line("stop x y"), each("stop", "x y", true));
        assert_eq!(read_line("rm -f -t 0 x"), each("rm -f", "x", true));
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
}
