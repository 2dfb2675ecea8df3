//! The protocol: JSON by POST on a unix socket (docs.docker.com/engine/extend/plugins_volume).
//!
//! Errors are status 500 with an `Err`, as Podman takes a 200 for success whatever is in it. Docker's clients send an
//! empty Host header or `plugin.moby.localhost`, Podman's `plugin`.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::net::UnixListener;

use super::{Description, Driver, Error, Result};
use crate::cause::one_line;

/// The media type of the protocol.
const MEDIA_TYPE: &str = "application/vnd.docker.plugins.v1.2+json";
/// How Podman calls whom it speaks to.
const PODMAN: &str = "plugin";
/// Podman hangs up after 5 s.
const PODMANS_PATIENCE: Duration = Duration::from_secs(4);

/// How long engines are kept waiting.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// For a mount whose artifact is not here yet; Docker hangs up after 120 s.
    pub mount_timeout: Duration,
}

#[derive(Clone)]
struct Service {
    driver: Driver,
    settings: Settings,
}

/// The body of every request.
#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Request {
    name: String,
    /// Docker says null where there are none.
    opts: Option<BTreeMap<String, String>>,
}

/// A volume, as engines want it.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    name: String,
    mountpoint: String,
    created_at: String,
    status: Value,
}

/// Answers on `listener` until `stop`; then answers what is under way and returns.
pub async fn serve(
    driver: Driver,
    settings: Settings,
    listener: UnixListener,
    stop: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let router = Router::new()
        .route("/Plugin.Activate", post(async || answer(&json!({ "Implements": ["VolumeDriver"] }))))
        .route("/VolumeDriver.Capabilities", post(async || answer(&json!({ "Capabilities": { "Scope": "local" } }))))
        .route("/VolumeDriver.Create", post(create))
        .route("/VolumeDriver.Remove", post(remove))
        .route("/VolumeDriver.Mount", post(mount))
        .route("/VolumeDriver.Unmount", post(async || answer(&json!({}))))
        .route("/VolumeDriver.Path", post(path))
        .route("/VolumeDriver.Get", post(get))
        .route("/VolumeDriver.List", post(list))
        .with_state(Service { driver, settings });
    axum::serve(listener, router).with_graceful_shutdown(stop).await
}

async fn create(State(service): State<Service>, body: Bytes) -> Response {
    reply(async {
        let request = read(&body)?;
        blocking(move || service.driver.create(&request.name, &request.opts.unwrap_or_default())).await?;
        Ok(json!({}))
    })
    .await
}

async fn remove(State(service): State<Service>, body: Bytes) -> Response {
    reply(async {
        let request = read(&body)?;
        blocking(move || service.driver.remove(&request.name)).await?;
        Ok(json!({}))
    })
    .await
}

async fn mount(State(service): State<Service>, headers: HeaderMap, body: Bytes) -> Response {
    reply(async {
        let is_podman = headers.get(header::HOST).is_some_and(|host| host == PODMAN);
        let patience = service.settings.mount_timeout;
        let patience = if is_podman { patience.min(PODMANS_PATIENCE) } else { patience };
        let place = service.driver.mount(&read(&body)?.name, patience).await?;
        Ok(json!({ "Mountpoint": place }))
    })
    .await
}

async fn path(State(service): State<Service>, body: Bytes) -> Response {
    reply(async {
        let request = read(&body)?;
        let found = blocking(move || service.driver.get(&request.name)).await?;
        Ok(json!({ "Mountpoint": found.place.unwrap_or_default() }))
    })
    .await
}

async fn get(State(service): State<Service>, body: Bytes) -> Response {
    reply(async {
        let request = read(&body)?;
        let found = blocking(move || service.driver.get(&request.name)).await?;
        Ok(json!({ "Volume": Answer::from(found) }))
    })
    .await
}

async fn list(State(service): State<Service>) -> Response {
    reply(async {
        let found = blocking(move || Ok(service.driver.list())).await?;
        Ok(json!({ "Volumes": found.into_iter().map(Answer::from).collect::<Vec<_>>() }))
    })
    .await
}

impl From<Description> for Answer {
    fn from(volume: Description) -> Self {
        let mountpoint = volume.place.unwrap_or_default().display().to_string();
        Self { name: volume.name, mountpoint, created_at: volume.created, status: volume.status }
    }
}

fn read(body: &Bytes) -> Result<Request> {
    if body.is_empty() { Ok(Request::default()) } else { serde_json::from_slice(body).map_err(Error::Request) }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or(Err(Error::Stopping))
}

async fn reply(work: impl Future<Output = Result<Value>>) -> Response {
    match work.await {
        Ok(value) => answer(&value),
        Err(error) => {
            let text = one_line(&error);
            tracing::warn!(error = text, "refused");
            (StatusCode::INTERNAL_SERVER_ERROR, answer(&json!({ "Err": text }))).into_response()
        }
    }
}

fn answer(value: &Value) -> Response {
    ([(header::CONTENT_TYPE, MEDIA_TYPE)], value.to_string()).into_response()
}
