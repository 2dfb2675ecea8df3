//! `artishim login` and `logout`.

use std::path::PathBuf;

use clap::Args;

use super::secret::{self, Secret};
use super::{Context, Error, Result};
use crate::cause::one_line;
use crate::process::run_blocking;
use crate::pull;
use crate::registry::{self, Access, Credential, Credentials, CredentialsError, Kept, Key, Keyring};
use crate::ui::Silence;

/// Keep the user and the password for a registry
///
/// The registry is asked first, and a wrong password is not kept. It is written to the file of --authfile, else of
/// REGISTRY_AUTH_FILE, else podman's own, and podman, skopeo and oras find it there. Where that file or registries.conf
/// names a credential helper, the helper keeps it. Without --username, what is kept already is tried first.
#[derive(Args, Debug)]
pub struct LoginArgs {
    /// Registry, or a part of it: HOST[:PORT][/NAMESPACE[/REPOSITORY]]
    pub registry: String,
    /// User name
    #[arg(short, long, value_name = "USER")]
    pub username: Option<String>,
    /// Password; everybody sees it in the list of processes, so better use --password-stdin
    #[arg(short, long, value_name = "PASSWORD", conflicts_with = "password_stdin")]
    pub password: Option<Secret>,
    /// Take the first line of stdin for the password
    #[arg(long, requires = "username")]
    pub password_stdin: bool,
    /// Print the user that is logged in, and do nothing else
    #[arg(long)]
    pub get_login: bool,
    /// Say where the password is kept
    #[arg(short, long)]
    pub verbose: bool,
}

/// Forget the user and the password for a registry
#[derive(Args, Debug)]
pub struct LogoutArgs {
    /// Registry, or a part of it, as for login
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    pub registry: Option<String>,
    /// Forget all of them
    #[arg(short, long)]
    pub all: bool,
}

pub(super) async fn login(context: &Context, args: LoginArgs) -> Result<()> {
    let key = parse(&args.registry)?;
    if context.global.registry.creds.is_some() {
        return Err(Error::usage(String::from("--creds is not for login: use --username and --password-stdin")));
    }
    let kept = context.kept_credentials()?;
    let is_bare = args.username.is_none() && args.password.is_none();
    let known = if is_bare || args.get_login { find(&kept, &key).await? } else { None };
    if args.get_login {
        let user = known.as_ref().and_then(user_of).ok_or_else(|| not_logged_in(&key, None))?;
        return Ok(context.ui.data(&user)?);
    }
    if is_bare && known.is_some() && is_logged_in(context, &key, kept).await? {
        let text = format!("Existing credentials are valid. Already logged in to {key}");
        return Ok(context.ui.data(&text)?);
    }
    let (user, password) = context.user_and_password(&args, known.as_ref()).await?;
    check(context, &key, &user, &password).await?;
    let keyring = context.keyring()?;
    let kept = run_blocking(move || keyring.store(&key, &user, &password)).await.map_err(registry::Error::from)?;
    if args.verbose {
        context.ui.data(&match kept {
            Kept::File(path) => format!("Used: {}", path.display()),
            Kept::Helper(name) => format!("Used: docker-credential-{name}"),
        })?;
    }
    Ok(context.ui.data("Login Succeeded!")?)
}

pub(super) async fn logout(context: &Context, args: LogoutArgs) -> Result<()> {
    let keyring = context.keyring()?;
    let Some(name) = args.registry else {
        run_blocking(move || keyring.erase_all()).await.map_err(registry::Error::from)?;
        return Ok(context.ui.data("Removed login credentials for all registries")?);
    };
    let key = parse(&name)?;
    let (file, erased) = (keyring.file.clone(), key.clone());
    let had_some = run_blocking(move || keyring.erase(&erased)).await.map_err(registry::Error::from)?;
    let other = other_file(context, &key, file).await;
    if !had_some {
        return Err(not_logged_in(&key, other));
    }
    context.ui.data(&format!("Removed login credentials for {key}"))?;
    if let Some(other) = other {
        context.ui.note(&format!("{} has credentials for {key}, too, and they are used", other.display()));
    }
    Ok(())
}

impl Context {
    /// Where credentials are kept: a file that is named and does not exist has none.
    fn kept_credentials(&self) -> Result<Credentials> {
        let credentials = self.credentials(None)?;
        Ok(match credentials.required_file {
            Some(file) => Credentials { files: vec![file], required_file: None, ..credentials },
            None => credentials,
        })
    }

    fn keyring(&self) -> Result<Keyring> {
        let named = self.global.registry.authfile.clone();
        let helpers = self.registries_conf()?.credential_helpers().to_vec();
        Ok(Keyring { file: named.unwrap_or_else(|| self.environment.login_file()), helpers })
    }

    /// What the arguments say, and for the rest the person at the terminal.
    async fn user_and_password(&self, args: &LoginArgs, known: Option<&Credential>) -> Result<(String, String)> {
        let user = match &args.username {
            Some(user) => user.clone(),
            None => self.ask_for_user(known.and_then(user_of)).await?,
        };
        if user.is_empty() || user.contains(':') {
            return Err(Error::usage(String::from("a user name is not empty and has no colon")));
        }
        let password = match &args.password {
            Some(password) => password.reveal().to_owned(),
            None if args.password_stdin => secret::line_of_stdin("--password-stdin")?,
            None => self.ask("the password", "--password-stdin", "Password: ", true).await?,
        };
        if password.is_empty() {
            return Err(Error::usage(String::from("the password is empty")));
        }
        Ok((user, password))
    }

    async fn ask_for_user(&self, usual: Option<String>) -> Result<String> {
        let question =
            usual.as_ref().map_or_else(|| String::from("Username: "), |usual| format!("Username ({usual}): "));
        let typed = self.ask("the user name", "--username", &question, false).await?;
        Ok(usual.filter(|_| typed.is_empty()).unwrap_or(typed))
    }

    /// Asks at the terminal, until there is an answer or the wish to stop.
    async fn ask(&self, what: &str, option: &str, question: &str, is_secret: bool) -> Result<String> {
        if !self.ui.can_ask() {
            return Err(Error::usage(format!("no terminal to ask for {what} on: give it with {option}")));
        }
        let broken = |source| Error::Io { path: String::from("the terminal"), source };
        let _silence = is_secret.then(Silence::begin).transpose().map_err(broken)?;
        self.ui.ask(question).map_err(broken)?;
        let (ui, interrupt) = (self.ui.clone(), self.interrupt());
        tokio::select! {
            typed = run_blocking(move || ui.answer()) => typed.map_err(broken),
            () = interrupt.heard() => Err(pull::Error::Interrupted.into()),
        }
    }
}

fn parse(text: &str) -> Result<Key> {
    text.parse().map_err(|error: registry::KeyError| Error::usage(error.to_string()))
}

async fn find(credentials: &Credentials, key: &Key) -> Result<Option<Credential>> {
    let (credentials, key) = (credentials.clone(), key.clone());
    let found = run_blocking(move || credentials.find(key.registry(), key.path())).await;
    Ok(found.map_err(registry::Error::from)?)
}

/// A token stands for a user without a name.
fn user_of(credential: &Credential) -> Option<String> {
    match credential {
        Credential::Password { user, .. } => Some(user.clone()),
        Credential::IdentityToken(_) => None,
    }
}

/// Whether what is kept is good; who can type something else is told and asked.
async fn is_logged_in(context: &Context, key: &Key, kept: Credentials) -> Result<bool> {
    match context.client_with(Access::Login, kept)?.check_credentials(key).await {
        Ok(_) => Ok(true),
        Err(error @ registry::Error::Login { .. }) if context.ui.can_ask() => {
            tracing::debug!(error = one_line(&error), "what is kept is refused");
            context.ui.status("Existing credentials are invalid, please enter valid username and password");
            Ok(false)
        }
        Err(error) => Err(error.into()),
    }
}

async fn check(context: &Context, key: &Key, user: &str, password: &str) -> Result<()> {
    let credentials = Credentials { explicit: Some((user.to_owned(), password.to_owned())), ..Credentials::default() };
    if !context.client_with(Access::Login, credentials)?.check_credentials(key).await? {
        context.ui.note(&format!("{} asks nobody who he is: the password was not checked", key.registry()));
    }
    Ok(())
}

/// Another file than `file` that has credentials for the key, where others are asked.
async fn other_file(context: &Context, key: &Key, file: PathBuf) -> Option<PathBuf> {
    if context.credentials(None).ok()?.required_file.is_some() {
        return None;
    }
    let (paths, key) = (context.environment.credential_files(), key.clone());
    let has_some = move |path: &PathBuf| {
        let credentials = Credentials { files: vec![path.clone()], ..Credentials::default() };
        matches!(credentials.find(key.registry(), key.path()), Ok(Some(_)) | Err(CredentialsError::Helper(_)))
    };
    run_blocking(move || paths.into_iter().find(|path| *path != file && has_some(path))).await
}

fn not_logged_in(key: &Key, other: Option<PathBuf>) -> Error {
    let other = other.map_or_else(String::new, |path| format!("; {} has credentials for it", path.display()));
    Error::usage(format!("not logged into {key}{other}"))
}
