//! `artishim engines`.

use clap::Args;
use serde::Serialize;

use super::{Context, Result};
use crate::cause::one_line;
use crate::deliver;
use crate::deliver::accelerate::{self, Accelerate};
use crate::engine::decision::{self, ReferenceKind, Wanted};
use crate::engine::{Engine, PathState};

/// Show the engine that was found and how it would be given files, with the reasons
#[derive(Args, Debug)]
pub struct EnginesArgs {
    /// Print as JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Serialize)]
struct Report {
    engine: String,
    endpoint: String,
    client_version: Option<String>,
    server_version: String,
    api_version: Option<String>,
    rootless: bool,
    store: String,
    sees_store: bool,
    /// What would become of `--accelerate`, where it is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    accelerate: Option<String>,
    deliveries: Vec<Way>,
}

/// How one kind of artifact would be delivered.
#[derive(Serialize)]
struct Way {
    of: &'static str,
    delivery: Option<&'static str>,
    who_pulls: Option<String>,
    reason: String,
}

pub(super) async fn run(context: &Context, args: &EnginesArgs) -> Result<()> {
    let engine = context.engine().await?;
    let store = context.store()?;
    let sees_store = engine.sees_path(store.root(), store.root(), &context.cache()).await?;
    let report = Report {
        engine: engine.kind.to_string(),
        endpoint: engine.endpoint.clone(),
        client_version: engine.client_version.as_ref().map(ToString::to_string),
        server_version: engine.server_version.to_string(),
        api_version: engine.api_version.as_ref().map(ToString::to_string),
        rootless: engine.rootless,
        store: store.root().display().to_string(),
        sees_store,
        accelerate: accelerate(context, &engine).await?,
        deliveries: ways(context, &engine, sees_store).await?,
    };
    if args.json { context.json(&report) } else { print(context, &report) }
}

async fn accelerate(context: &Context, engine: &Engine) -> Result<Option<String>> {
    if context.accelerate()? == Accelerate::No {
        return Ok(None);
    }
    match accelerate::find_store(engine, &context.cache()).await {
        Ok(store) => Ok(Some(format!("into {}", store.root().display()))),
        Err(deliver::Error::Accelerate(refusal)) => Ok(Some(format!("no: {refusal}"))),
        Err(error) => Err(error.into()),
    }
}

async fn ways(context: &Context, engine: &Engine, sees_store: bool) -> Result<Vec<Way>> {
    let wish = context.wish()?;
    let plain = Wanted {
        reference: ReferenceKind::Artifact,
        podman_safe: true,
        files: 1,
        destination: PathState::Missing,
        wish,
    };
    let kinds = [
        ("a file at a new path", plain),
        ("files in a new directory", Wanted { files: 2, ..plain }),
        ("files in a directory of the image", Wanted { files: 2, destination: PathState::Directory, ..plain }),
        ("files podman would rename", Wanted { files: 2, podman_safe: false, ..plain }),
        (
            "a model packaged as an image",
            Wanted { files: 2, podman_safe: false, reference: ReferenceKind::Image, ..plain },
        ),
    ];
    let facts = engine.facts(sees_store, wish).await?;
    let way = |(of, wanted): (&'static str, Wanted)| match decision::decide(&facts, &wanted) {
        Ok(decision) => Way {
            of,
            delivery: Some(decision.delivery.as_str()),
            who_pulls: Some(decision.who_pulls.to_string()),
            reason: decision.reason,
        },
        Err(error) => Way { of, delivery: None, who_pulls: None, reason: one_line(&error) },
    };
    Ok(kinds.into_iter().map(way).collect())
}

fn print(context: &Context, report: &Report) -> Result<()> {
    let api = report.api_version.as_ref().map_or_else(String::new, |version| format!(", API {version}"));
    let client = report.client_version.as_ref().map_or_else(String::new, |version| format!(", client {version}"));
    let rootless = if report.rootless { ", rootless" } else { "" };
    context.ui.data(&format!("engine      {} {}{client}{api}{rootless}", report.engine, report.server_version))?;
    context.ui.data(&format!("endpoint    {}", report.endpoint))?;
    let sees = if report.sees_store { "seen by the engine" } else { "not seen by the engine" };
    context.ui.data(&format!("store       {}, {sees}", report.store))?;
    if let Some(accelerate) = &report.accelerate {
        context.ui.data(&format!("accelerate  {accelerate}"))?;
    }
    context.ui.data("")?;
    let rows = report.deliveries.iter().map(|way| {
        let delivery = way.delivery.unwrap_or("none");
        let pulled_by = way.who_pulls.clone().unwrap_or_default();
        vec![way.of.to_owned(), delivery.to_owned(), pulled_by, way.reason.clone()]
    });
    let heading = ["FOR", "DELIVERY", "PULLED BY", "BECAUSE"].map(str::to_owned).to_vec();
    context.table(&std::iter::once(heading).chain(rows).collect::<Vec<_>>())
}
