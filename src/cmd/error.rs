//! The one place that turns errors into text and an exit status; the ways out are in [`super::hint`].

use std::path::Path;
use std::process::ExitCode;

use super::hint::hint;
use super::{FAILURE, INTERRUPTED};
use crate::cause::one_line;
use crate::ui::{SENTENCE, Ui, shortened};
use crate::{
    add, checkout, config, deliver, digest, driver, engine, model, mount, oci_archive, packaging, policy, process,
    pull, push, reference, registries_conf, registries_d, registry, rewrite, signature, store, template,
};

/// The result of a command.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a command did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The command line asks for what cannot be.
    #[error("{0}")]
    Usage(String),
    /// Somebody else has told the user already.
    #[error("the engine has said why")]
    Silent,
    /// The same, with the status the engine's program ended with.
    #[error("the engine has said why")]
    Ended(u8),
    /// A file of the user's.
    #[error("{path}")]
    Io {
        /// The file.
        path: String,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The terminal or pipe we write to.
    #[error("cannot write the output")]
    Output(#[from] std::io::Error),
    /// What should not happen.
    #[error("internal error")]
    Internal(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// An artifact of the store whose blobs are not all there.
    #[error("{0}: blobs are missing in the store")]
    Incomplete(String),
    /// A variable or a configuration file.
    #[error(transparent)]
    Config(#[from] config::Error),
    /// A file is wanted that may be in the rest of the artifact.
    #[error("{0} was pulled in part")]
    Part(String, #[source] packaging::Error),
    /// `--format`.
    #[error(transparent)]
    Template(#[from] template::Error),
    /// A reference.
    #[error(transparent)]
    Reference(#[from] reference::ParseError),
    /// A digest.
    #[error(transparent)]
    Digest(#[from] digest::ParseError),
    /// The engine's command line.
    #[error(transparent)]
    Rewrite(#[from] rewrite::Error),
    /// A mount.
    #[error(transparent)]
    Mount(#[from] mount::Error),
    /// An artifact's content.
    #[error(transparent)]
    Packaging(#[from] packaging::Error),
    /// A program.
    #[error(transparent)]
    Process(#[from] process::Error),
    /// The engine.
    #[error(transparent)]
    Engine(#[from] engine::Error),
    /// `--deliver`.
    #[error(transparent)]
    Decision(#[from] engine::decision::Error),
    /// policy.json.
    #[error(transparent)]
    Policy(#[from] policy::Error),
    /// registries.conf.
    #[error(transparent)]
    RegistriesConf(#[from] registries_conf::Error),
    /// registries.d.
    #[error(transparent)]
    RegistriesD(#[from] registries_d::Error),
    /// `--verify-key`.
    #[error("key {path}")]
    Key {
        /// The file.
        path: String,
        /// What is wrong with it.
        #[source]
        source: signature::KeyError,
    },
    /// A registry.
    #[error(transparent)]
    Registry(#[from] registry::Error),
    /// The store.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// A snapshot.
    #[error(transparent)]
    Checkout(checkout::Error),
    /// A pull.
    #[error(transparent)]
    Pull(#[from] pull::Error),
    /// A delivery.
    #[error(transparent)]
    Deliver(#[from] deliver::Error),
    /// The volume driver.
    #[error(transparent)]
    Driver(#[from] driver::Error),
    /// An artifact to be made.
    #[error(transparent)]
    Add(#[from] add::Error),
    /// An archive.
    #[error(transparent)]
    Archive(#[from] oci_archive::Error),
    /// A push.
    #[error(transparent)]
    Push(#[from] push::Error),
    /// What a model is.
    #[error(transparent)]
    Model(#[from] model::Error),
}

impl From<checkout::Error> for Error {
    fn from(error: checkout::Error) -> Self {
        match error {
            checkout::Error::Pull(error) => Self::Pull(error),
            error => Self::Checkout(error),
        }
    }
}

impl Error {
    /// A command line that asks for what cannot be.
    pub const fn usage(text: String) -> Self {
        Self::Usage(text)
    }

    /// A file of the user's that cannot be read or written.
    pub fn io(path: &Path, source: std::io::Error) -> Self {
        Self::Io { path: path.display().to_string(), source }
    }

    /// An address that cannot be listened on.
    pub fn address(address: std::net::SocketAddr, source: std::io::Error) -> Self {
        Self::Io { path: address.to_string(), source }
    }

    /// What should not happen.
    pub fn internal(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Internal(source.into())
    }

    /// Tells the user, and gives the exit status.
    pub fn report(&self, ui: &Ui) -> ExitCode {
        if let Self::Ended(status) = self {
            return ExitCode::from(*status);
        }
        if !matches!(self, Self::Silent) {
            let hint = hint(self).map_or_else(String::new, |hint| format!(" ({hint})"));
            // The hint stays, however much a registry has to say.
            ui.error(&format!("{}{hint}", shortened(&one_line(self), SENTENCE)));
        }
        if self.is_interrupt() { ExitCode::from(INTERRUPTED) } else { ExitCode::from(FAILURE) }
    }

    const fn is_interrupt(&self) -> bool {
        matches!(
            self,
            Self::Pull(pull::Error::Interrupted)
                | Self::Deliver(deliver::Error::Pull(pull::Error::Interrupted))
                | Self::Model(model::Error::Pull(pull::Error::Interrupted))
                | Self::Push(push::Error::Pull(pull::Error::Interrupted))
        )
    }
}
