//! `artishim doctor`.

use clap::Args;

use super::Context;
use super::error::{Error, Result};
use super::hint::hint;
use crate::cause::one_line;
use crate::doctor::{self, Finding, Severity};
use crate::engine::{Choice, Engine, Kind};
use crate::process;

/// Say what may hurt on this machine, each with the way out
///
/// Looks at the engine, the store and the space around it, the volume driver's socket, SELinux, registries.conf, and
/// policy.json with its keys, and changes nothing. Ends with 125 where something will not work.
#[derive(Args, Debug)]
pub struct DoctorArgs {
    /// Print as JSON
    #[arg(long)]
    pub json: bool,
}

pub(super) async fn run(context: &Context, args: &DoctorArgs) -> Result<()> {
    let (engine, mut findings) = engine(context).await?;
    let root = match context.store() {
        Ok(store) => {
            findings.extend(doctor::store(&store)?);
            store.root().to_owned()
        }
        Err(error) => {
            findings.push(Finding::problem("store", one_line(&error), hint(&error)));
            context.environment.store()
        }
    };
    if let Some(engine) = &engine
        && maps_users(engine).await
    {
        findings.push(doctor::reachable_for_others(&root));
    }
    findings.push(doctor::selinux("/sys/fs/selinux/enforce".as_ref(), &root));
    findings.extend(doctor::socket(&context.environment.plugin_socket()));
    findings.push(registries(context));
    findings.extend(policy(context));
    findings.extend(registries_d(context));
    report(context, args, &findings)
}

/// The engine, if there is one, and what is to be said of it.
async fn engine(context: &Context) -> Result<(Option<Engine>, Vec<Finding>)> {
    if context.choice()? == Choice::None {
        return Ok((None, vec![Finding::ok("engine", "none is wanted")]));
    }
    let engine = match context.engine().await {
        Ok(engine) => engine,
        Err(error) => return Ok((None, vec![Finding::problem("engine", one_line(&error), hint(&error))])),
    };
    let mut findings = vec![Finding::ok("engine", engine.to_string())];
    if engine.kind == Kind::Podman && !engine.mounts_artifacts() {
        findings.push(Finding::ok("podman", "older than 5.7, so artishim keeps the artifacts"));
    }
    Ok((Some(engine), findings))
}

/// Whether containers, or the engine, run as other users than the one who keeps the store.
async fn maps_users(engine: &Engine) -> bool {
    if engine.kind == Kind::Podman {
        return false;
    }
    let Ok(cli) = engine.cli() else { return engine.rootless };
    let call = cli.call().args(["info", "--format", "{{json .SecurityOptions}}"]);
    let said = process::capture(call).await.unwrap_or_default();
    let said = String::from_utf8_lossy(&said);
    engine.rootless || ["name=userns", "name=rootless"].iter().any(|option| said.contains(option))
}

/// registries.conf and its drop-ins: one that cannot be read stops every pull.
fn registries(context: &Context) -> Finding {
    match context.registries_conf() {
        Err(error) => Finding::problem("registries", one_line(&error), hint(&error)),
        Ok(conf) => Finding::ok("registries", conf.to_string()),
    }
}

/// policy.json: one that cannot be read stops every pull, too.
fn policy(context: &Context) -> Vec<Finding> {
    match context.policy() {
        Err(error) => vec![Finding::problem("policy", one_line(&error), hint(&error))],
        Ok(None) => vec![Finding::ok("policy", "none, so anything may be pulled")],
        Ok(Some(policy)) => doctor::policy(&policy),
    }
}

/// registries.d, which is read where there is a policy.
fn registries_d(context: &Context) -> Option<Finding> {
    let error = context.registries_d().err()?;
    Some(Finding::problem("signatures", one_line(&error), hint(&error)))
}

fn report(context: &Context, args: &DoctorArgs, findings: &[Finding]) -> Result<()> {
    if args.json {
        context.json(&findings)?;
    } else {
        for finding in findings {
            let word = match finding.severity {
                Severity::Ok => "ok",
                Severity::Note => "note",
                Severity::Problem => "problem",
            };
            let way_out = finding.way_out.as_ref().map_or_else(String::new, |way_out| format!(" ({way_out})"));
            context.ui.data(&format!("{word:<8} {:<11} {}{way_out}", finding.about, finding.text))?;
        }
    }
    let is_well = findings.iter().all(|finding| finding.severity != Severity::Problem);
    if is_well { Ok(()) } else { Err(Error::Silent) }
}
