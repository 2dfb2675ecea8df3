//! `artishim ls`.

use clap::Args;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

use super::{Context, Result};
use crate::manifest::{Manifest, total};
use crate::media;
use crate::packaging::{self, Packaging};
use crate::pull;
use crate::reference::Reference;
use crate::store::{Entry, Store};
use crate::{template, ui};

/// List the artifacts in the store, and those Podman 5.7 and newer keeps itself
///
/// Where a name stands for a part of an artifact, the size is that of the part, and the JSON has its patterns.
#[derive(Args, Debug)]
pub struct LsArgs {
    /// Print digests only
    #[arg(short, long, conflicts_with = "format")]
    pub quiet: bool,
    /// Print the table without its heading
    #[arg(short, long)]
    pub noheading: bool,
    /// Print digests in full
    #[arg(long)]
    pub no_trunc: bool,
    /// Print as `json`, or each artifact by a Go template: Repository, Tag, Digest, Created, CreatedAt, Size, VirtualSize, Kind
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<String>,
}

/// One line, with the field names of podman's JSON.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Line {
    #[serde(skip_serializing_if = "String::is_empty")]
    repository: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    tag: String,
    digest: String,
    created_at: String,
    size: u64,
    /// The packaging, empty for what is no model; `podman` for what podman keeps.
    kind: &'static str,
    /// The files the name stands for, where they are not all.
    #[serde(skip_serializing_if = "Option::is_none")]
    selection: Option<Value>,
}

impl From<[String; 5]> for Line {
    fn from([repository, tag, digest, created_at, size]: [String; 5]) -> Self {
        let (created_at, size) = (rfc3339(&created_at), size.parse().unwrap_or(0));
        Self { repository, tag, digest, created_at, size, kind: "podman", selection: None }
    }
}

/// podman prints Go's `2026-11-23 16:10:54.410585281 +0000 UTC`.
fn rfc3339(go: &str) -> String {
    match go.trim_end_matches(" UTC").trim_end_matches(" +0000").split_once(' ') {
        Some((date, time)) => format!("{date}T{time}Z"),
        None => go.to_owned(),
    }
}

pub(super) async fn run(context: &Context, args: &LsArgs) -> Result<()> {
    let store = context.store()?;
    let mut lines: Vec<Line> = store.list()?.iter().map(|entry| line(&store, entry)).collect();
    lines.extend(context.podman_artifacts().await?.into_iter().map(Line::from));
    if !args.no_trunc {
        lines.iter_mut().for_each(|line| line.digest.truncate(12));
    }
    if args.quiet {
        return lines.iter().try_for_each(|line| Ok(context.ui.data(&line.digest)?));
    }
    let now = Timestamp::now();
    match args.format.as_deref() {
        None | Some("table") => {}
        Some("json") => return context.json(&lines),
        Some(template) => return fill(context, args, template, &lines, now),
    }
    let mut rows = Vec::new();
    if !args.noheading {
        rows.push(["REPOSITORY", "TAG", "DIGEST", "CREATED", "SIZE", "KIND"].map(str::to_owned).to_vec());
    }
    rows.extend(lines.into_iter().map(|line| row(line, now)));
    context.table(&rows)
}

/// The lines by a template; with a heading where it says `table`.
fn fill(context: &Context, args: &LsArgs, template: &str, lines: &[Line], now: Timestamp) -> Result<()> {
    let values: Vec<Value> = lines.iter().map(|line| fields(line, now)).collect();
    let filled = template::render_list(template, &values)?;
    let Some(heading) = template::heading(template)? else {
        return filled.iter().try_for_each(|line| Ok(context.ui.data(line)?));
    };
    let heading = Some(heading).filter(|_| !args.noheading);
    let cells = |line: String| line.split('\t').map(str::to_owned).collect();
    context.table(&heading.into_iter().chain(filled).map(cells).collect::<Vec<_>>())
}

/// What a template finds, under podman's names: sizes and times are for people, but for `VirtualSize`, which is exact.
fn fields(line: &Line, now: Timestamp) -> Value {
    json!({
        "Repository": line.repository, "Tag": line.tag, "Digest": line.digest, "Kind": line.kind,
        "Created": ui::ago(&line.created_at, now), "CreatedAt": ui::created_at(&line.created_at),
        "Size": ui::size(line.size), "VirtualSize": line.size.to_string(),
    })
}

fn row(line: Line, now: Timestamp) -> Vec<String> {
    let part = if line.selection.is_some() { " (part)" } else { "" };
    let (created, size) = (ui::ago(&line.created_at, now), format!("{}{part}", ui::size(line.size)));
    vec![line.repository, line.tag, line.digest, created, size, line.kind.to_owned()]
}

fn line(store: &Store, entry: &Entry) -> Line {
    let reference = entry.name.as_deref().and_then(|name| name.parse::<Reference>().ok());
    let digest = &entry.descriptor.digest;
    // A manifest that cannot be read leaves its columns empty: one bad entry must not hide the others.
    let manifest = store.manifest(&entry.descriptor.digest).ok().map(|(_, manifest)| manifest);
    let created = manifest.as_ref().and_then(|manifest| manifest.annotations.get(media::CREATED)).cloned();
    Line {
        repository: reference.as_ref().map_or_else(|| String::from("<none>"), Reference::name),
        tag: reference.as_ref().and_then(Reference::tag).unwrap_or("<none>").to_owned(),
        digest: digest.hex().to_owned(),
        created_at: created.unwrap_or_default(),
        kind: manifest.as_ref().and_then(|manifest| kind(store, manifest)).map_or("", |kind| kind.as_str()),
        size: match part_size(store, entry) {
            Some(size) => size,
            None => manifest.map_or(0, |manifest| total(&manifest.layers)),
        },
        selection: entry.selection().and_then(|text| serde_json::from_str(text).ok()),
    }
}

/// The packaging; a config is read only where it decides.
fn kind(store: &Store, manifest: &Manifest) -> Option<Packaging> {
    let told = manifest.config.as_ref().filter(|_| packaging::is_told_by_config(manifest));
    let config = told.map(|config| store.read_blob(config)).transpose().ok()?;
    packaging::recognise(manifest, &config.unwrap_or_default()).ok()
}

/// The size of the files that a name stands for which does not stand for all.
fn part_size(store: &Store, entry: &Entry) -> Option<u64> {
    entry.selection()?;
    let artifact = pull::load(store, entry).ok()??;
    Some(total(artifact.plan.blobs()))
}
