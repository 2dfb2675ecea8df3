//! What operators are told of a driver, in Prometheus' text format.

use axum::Router;
use axum::http::header;
use axum::response::IntoResponse as _;
use axum::routing::get;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;

use super::Driver;

/// The media type of the format (OpenMetrics 1.0).
const MEDIA_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// How something ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Ended {
    result: &'static str,
}

/// Counts what a driver does.
#[derive(Debug)]
pub(super) struct Metrics {
    registry: Registry,
    pulls: Family<Ended, Counter>,
    mounts: Family<Ended, Counter>,
    bytes: Counter,
    volumes: Gauge,
    store_bytes: Gauge,
}

impl Default for Metrics {
    fn default() -> Self {
        let (pulls, mounts) = (Family::default(), Family::default());
        let (bytes, volumes, store_bytes) = (Counter::default(), Gauge::default(), Gauge::default());
        let mut registry = Registry::with_prefix("artishim");
        registry.register("pulls", "Pulls that ended", Family::clone(&pulls));
        registry.register("mounts", "Mounts that engines asked for", Family::clone(&mounts));
        registry.register("received_bytes", "Bytes that came from registries", bytes.clone());
        registry.register("volumes", "Volumes that exist", volumes.clone());
        registry.register("store_bytes", "Bytes of the blobs in the store", store_bytes.clone());
        Self { registry, pulls, mounts, bytes, volumes, store_bytes }
    }
}

impl Metrics {
    pub(super) fn pulled(&self, is_ready: bool, bytes: u64) {
        self.pulls.get_or_create(&ended(is_ready)).inc();
        self.bytes.inc_by(bytes);
    }

    pub(super) fn mounted(&self, is_shown: bool) {
        self.mounts.get_or_create(&ended(is_shown)).inc();
    }

    fn to_text(&self, volumes: usize, store_bytes: u64) -> String {
        self.volumes.set(i64::try_from(volumes).unwrap_or(i64::MAX));
        self.store_bytes.set(i64::try_from(store_bytes).unwrap_or(i64::MAX));
        let mut text = String::new();
        // A string takes everything.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

const fn ended(is_well: bool) -> Ended {
    Ended { result: if is_well { "success" } else { "error" } }
}

/// Answers `GET /metrics` on `listener` for as long as it is polled.
pub async fn serve_metrics(driver: Driver, listener: TcpListener) -> std::io::Result<()> {
    let tell = move || {
        let driver = driver.clone();
        async move {
            let text = tokio::task::spawn_blocking(move || driver.metrics()).await.unwrap_or_default();
            ([(header::CONTENT_TYPE, MEDIA_TYPE)], text).into_response()
        }
    };
    axum::serve(listener, Router::new().route("/metrics", get(tell))).await
}

impl Driver {
    fn metrics(&self) -> String {
        let store_bytes = self.0.store.blob_bytes().unwrap_or_default();
        self.0.metrics.to_text(self.all().len(), store_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_happened_is_counted() {
        let metrics = Metrics::default();
        metrics.pulled(true, 40);
        metrics.pulled(false, 2);
        metrics.mounted(true);
        let text = metrics.to_text(3, 99);
        for line in [
            "artishim_pulls_total{result=\"success\"} 1",
            "artishim_pulls_total{result=\"error\"} 1",
            "artishim_mounts_total{result=\"success\"} 1",
            "artishim_received_bytes_total 42",
            "artishim_volumes 3",
            "artishim_store_bytes 99",
        ] {
            assert!(text.lines().any(|told| told == line), "{line} in {text}");
        }
    }
}
