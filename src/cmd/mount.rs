//! `artishim mount`.

use clap::Args;

use super::args::PullPolicy;
use super::prepare::preparation;
use super::{Context, Error, Result};
use crate::deliver::Prepared;
use crate::mount::{ArtifactMount, clean};

/// Where files go when no destination is given, as RamaLama's servers expect them.
const DEFAULT_DESTINATION: &str = "/mnt/models";

/// Print the `--mount` arguments that show an artifact in a container, after pulling it
///
/// For scripts: `docker run $(artishim mount REF:/models) IMAGE …`. A single file is mounted at the destination itself,
/// several lie below it; what the image has there is not known here, so name a destination it does not have.
#[derive(Args, Debug)]
pub struct MountArgs {
    /// Artifact, and where it goes in the container
    #[arg(value_name = "REF[:DST]")]
    pub artifact: String,
    /// When to ask the registry
    #[arg(long, value_name = "WHEN", default_value = "missing")]
    pub pull: PullPolicy,
}

pub(super) async fn run(context: &Context, args: MountArgs) -> Result<()> {
    let (reference, destination) = split(&args.artifact);
    let mount = ArtifactMount {
        source: reference.to_owned(),
        destination: clean(destination),
        title: None,
        digest: None,
        name: None,
    };
    let engine = context.engine().await?;
    let (session, cache) = (context.session()?, context.cache());
    let preparation = preparation(context, &engine, &session, args.pull.into(), &cache)?;
    let Prepared::Mounts(values) = preparation.prepare(&mount).await? else {
        let reason = format!("{engine} can be given {reference} only by a copy into the container");
        return Err(Error::usage(format!("{reason}: use artishim run, or artishim cp")));
    };
    let arguments = values.iter().map(|value| argument(value)).collect::<Result<Vec<_>>>()?;
    Ok(context.ui.data(&arguments.join(" "))?)
}

/// The argument for `$(…)`, where the shell cuts at white space: a file's name must not become a flag.
fn argument(value: &str) -> Result<String> {
    match value.contains(|c: char| c.is_whitespace() || "*?[\\".contains(c)) {
        true => Err(Error::usage(format!("{value:?} would not survive the shell's word splitting: use artishim run"))),
        false => Ok(format!("--mount {value}")),
    }
}

/// Cuts a destination off: what follows the last `:` when it is an absolute path.
fn split(text: &str) -> (&str, &str) {
    match text.rsplit_once(':') {
        Some((reference, destination)) if destination.starts_with('/') => (reference, destination),
        _ => (text, DEFAULT_DESTINATION),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_name_cannot_become_a_flag_of_the_engine() {
        assert_eq!(argument("type=bind,src=/a,dst=/m").unwrap(), "--mount type=bind,src=/a,dst=/m");
        assert!(argument("type=volume,src=v,dst=/m,volume-subpath=x --privileged").is_err());
    }

    #[test]
    fn a_destination_is_an_absolute_path_after_the_last_colon() {
        let cases = [
            ("quay.io/a/b:1:/models", ("quay.io/a/b:1", "/models")),
            ("quay.io/a/b:1", ("quay.io/a/b:1", DEFAULT_DESTINATION)),
            ("127.0.0.1:5000/a", ("127.0.0.1:5000/a", DEFAULT_DESTINATION)),
            ("oci://quay.io/a:/m", ("oci://quay.io/a", "/m")),
        ];
        for (typed, expected) in cases {
            assert_eq!(split(typed), expected);
        }
    }
}
