//! What every command works with: the user's words, the environment, the terminal.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use serde::Serialize;
use tracing_subscriber::EnvFilter;

use super::args::{GlobalArgs, LogFormat};
use super::door::Globals;
use super::secret::{self, Typed};
use super::{Error, Result, stop};
use crate::cause::one_line;
use crate::checkout::fetch_and_check_out;
use crate::config::{self, Environment};
use crate::driver;
use crate::engine::{self, Choice, DockerEndpointFlags, Engine};
use crate::progress::Progress;
use crate::pull::{self, Interrupt, Interrupter, Part, Session};
use crate::reference::Reference;
use crate::registry::{Access, Certificates, Client, Credentials, Patience, Settings, Waiting};
use crate::store::{Snapshot, Store};
use crate::ui::{self, ProgressMode, Ui, Way};

/// How long after the user asked to stop everything may take.
const PATIENCE: Duration = Duration::from_secs(3);
/// podman's own.
const JSON_INDENT: usize = 5;

/// The user's words, the environment and the terminal.
#[derive(Clone)]
pub struct Context {
    pub global: GlobalArgs,
    pub environment: Environment,
    pub ui: Ui,
    /// Where the engine is, if its own options said so.
    pub(super) endpoint: DockerEndpointFlags,
    interrupter: Arc<Interrupter>,
    interrupt: Interrupt,
    /// What `--creds` meant when it was first asked for.
    typed: Typed,
}

impl Context {
    pub(super) fn new(global: GlobalArgs, ui: Ui) -> Result<Self> {
        let environment = Environment::from_process().with_config_files()?;
        let level = global.log_level.clone().or_else(|| environment.text(config::LOG_LEVEL));
        log(level.as_deref().unwrap_or("error"), global.log_format, &ui)?;
        let (interrupter, interrupt) = Interrupter::new();
        let endpoint = DockerEndpointFlags { context: global.context.clone(), ..DockerEndpointFlags::default() };
        let (interrupter, typed) = (Arc::new(interrupter), Typed::default());
        Ok(Self { global, environment, ui, endpoint, interrupter, interrupt, typed })
    }

    /// The same for the engine that its own options lead to.
    pub(super) fn told(mut self, globals: Globals) -> Self {
        self.environment = self.environment.with_variables(globals.variables);
        let context = globals.endpoint.context.clone().or_else(|| self.endpoint.context.take());
        self.endpoint = DockerEndpointFlags { context, ..globals.endpoint };
        self
    }

    /// The same without progress and notes.
    pub(super) fn quiet(&self, quiet: bool) -> Self {
        let mut context = self.clone();
        if quiet {
            context.global.progress = ProgressMode::Quiet;
            context.ui = context.ui.with_quiet(true);
        }
        context
    }

    pub(super) fn block_on<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(Error::internal)?;
        let result = runtime.block_on(async {
            tokio::spawn(stop::on_signals(Arc::clone(&self.interrupter)));
            if let Some(socket) = self.environment.os(config::DOCKER_CLI_PLUGIN_SOCKET) {
                let interrupter = Arc::clone(&self.interrupter);
                tokio::task::spawn_blocking(move || stop::on_hang_up(&socket, &interrupter));
            }
            tokio::select! {
                result = work => result,
                () = self.out_of_patience() => Err(pull::Error::Interrupted.into()),
            }
        });
        // A download that is still waiting for the network must not hold up the end.
        runtime.shutdown_background();
        match result {
            // What an interrupted download was read by fails in its own words: an upload, an engine's answer.
            Err(error) if self.is_interrupted() => {
                tracing::debug!(%error, "interrupted");
                Err(pull::Error::Interrupted.into())
            }
            result => result,
        }
    }

    fn is_interrupted(&self) -> bool {
        self.interrupt.heard().now_or_never().is_some()
    }

    /// Returns some time after the user asked to stop: long enough to put things in order, where there are any.
    async fn out_of_patience(&self) {
        self.interrupt.heard().await;
        tokio::time::sleep(PATIENCE).await;
    }

    pub(super) fn store(&self) -> Result<Store> {
        let root = self.global.store.clone().unwrap_or_else(|| self.environment.store());
        Ok(Store::open(&std::path::absolute(&root).map_err(|error| Error::io(&root, error))?)?)
    }

    pub(super) fn client(&self) -> Result<Client> {
        self.client_with(Access::Pull, self.credentials(self.explicit_credentials()?)?)
    }

    /// A client that may write, and read `others` of a registry's repositories.
    pub(super) fn client_to_push(&self, others: Vec<String>) -> Result<Client> {
        self.client_with(Access::Push(others), self.credentials(self.explicit_credentials()?)?)
    }

    /// Where credentials come from that are not typed.
    pub(super) fn credentials(&self, explicit: Option<(String, String)>) -> Result<Credentials> {
        let required_file = self.global.registry.authfile.clone().or_else(|| self.environment.authfile());
        let helpers = self.registries_conf()?.credential_helpers().to_vec();
        Ok(Credentials { explicit, required_file, files: self.environment.credential_files(), helpers })
    }

    pub(super) fn client_with(&self, access: Access, credentials: Credentials) -> Result<Client> {
        let registry = &self.global.registry;
        let user_agent = concat!("artishim/", env!("CARGO_PKG_VERSION")).to_owned();
        let ui = self.ui.clone();
        let waiting = Waiting::new(move |text| ui.note(text));
        let tls_verify = registry.tls_verify;
        let (patience, registries) = (registry.patience(), self.registries_conf()?);
        let directories = self.environment.certificate_directories();
        let certificates = Certificates::new(directories, registry.cert_dir.clone(), registries.docker());
        Ok(Client::new(Settings {
            credentials,
            tls_verify,
            user_agent,
            certificates,
            proxies: self.environment.proxy_hosts(),
            registries,
            access,
            patience,
            waiting,
        })?)
    }

    /// `--creds`, else `ARTISHIM_CREDS`.
    pub(super) fn explicit_credentials(&self) -> Result<Option<(String, String)>> {
        let variable = self.environment.text(config::CREDS);
        self.typed.once(|| secret::credentials(self.global.registry.creds.as_ref(), variable.as_deref()))
    }

    pub(super) fn session(&self) -> Result<Session> {
        Ok(Session {
            client: self.client()?,
            store: self.store()?,
            progress: self.ui.progress(self.global.progress, Way::Here),
            settings: self.pull_settings(),
            platform: self.global.registry.platform.clone(),
            part: Part::default(),
            names: true,
            short_names: self.short_names()?,
            gate: Arc::new(self.gate()?),
            typed: None,
            interrupt: self.interrupt.clone(),
        })
    }

    fn pull_settings(&self) -> pull::Settings {
        let default = pull::Settings::default();
        let connections = self.global.registry.connections.or(self.environment.connections());
        let Patience { pause, failures } = self.global.registry.patience();
        pull::Settings { connections: connections.unwrap_or(default.connections), pause, failures, ..default }
    }

    /// The session that a volume is pulled in.
    pub(super) fn volume_session(
        &self,
        options: &driver::Options,
        progress: Arc<dyn Progress>,
    ) -> driver::Result<Session> {
        let mut context = self.clone();
        let registry = &mut context.global.registry;
        registry.authfile = options.authfile.clone().or(registry.authfile.take());
        registry.tls_verify = options.tls_verify.or(registry.tls_verify);
        let session = context.session().map_err(|error| driver::Error::Failed(one_line(&error)))?;
        Ok(Session { progress, names: false, ..session })
    }

    /// The user's wish to stop.
    pub(super) fn interrupt(&self) -> Interrupt {
        self.interrupt.clone()
    }

    /// The engine the user chose, or the one that is there.
    pub(super) async fn engine(&self) -> Result<Engine> {
        Ok(engine::detect(&self.choice()?, &self.engine_environment(), &self.endpoint).await?)
    }

    /// The engine that docker's own programs use.
    pub(super) async fn docker(&self) -> Result<Engine> {
        Ok(engine::detect(&Choice::Docker, &self.engine_environment(), &self.endpoint).await?)
    }

    /// Prints a value as podman prints JSON.
    pub(super) fn json(&self, value: &impl Serialize) -> Result<()> {
        let text = ui::to_json(value, JSON_INDENT).map_err(Error::internal)?;
        Ok(self.ui.data(&text)?)
    }

    /// Prints rows in columns, each cell in one line whatever is in it.
    pub(super) fn table(&self, rows: &[Vec<String>]) -> Result<()> {
        let shown = |row: &Vec<String>| row.iter().map(|cell| ui::shortened(cell, ui::NAME).into_owned()).collect();
        let rows: Vec<Vec<String>> = rows.iter().map(shown).collect();
        if !rows.is_empty() {
            self.ui.data(ui::columns(&rows).trim_end())?;
        }
        Ok(())
    }

    pub(super) fn choice(&self) -> Result<Choice> {
        let text = self.global.engine.clone().or_else(|| self.environment.engine());
        Ok(text.as_deref().unwrap_or("auto").parse()?)
    }

    /// The snapshot of an artifact, pulled by us if need be.
    pub(super) async fn snapshot(&self, reference: &Reference, policy: pull::Policy, part: Part) -> Result<Snapshot> {
        let session = Session { part, ..self.session()? };
        let artifact = session.find(reference, policy).await?;
        Ok(fetch_and_check_out(&session, reference, artifact).await?)
    }
}

/// Sends the log to stderr; `level` may name modules too, as for `RUST_LOG`.
fn log(level: &str, format: LogFormat, ui: &Ui) -> Result<()> {
    let filter = EnvFilter::try_new(level).map_err(|error| Error::usage(format!("--log-level {level}: {error}")))?;
    // It logs the error that it returns, which we show.
    let filter = filter.add_directive("rustls_platform_verifier=off".parse().expect("it is a directive"));
    let ui = ui.clone();
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false).with_writer(move || ui.log());
    // A second initialisation, as in a test, keeps the first.
    let _ = match format {
        LogFormat::Text => log.without_time().try_init(),
        LogFormat::Json => log.json().try_init(),
    };
    Ok(())
}
