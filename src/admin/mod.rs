//! What the process says of itself over HTTP: `/metrics`, `/healthz`, `/readyz`. No login, nothing secret.

use crate::telemetry::Metrics;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use std::io;
use std::sync::Arc;
use tokio::net::TcpListener;

/// Something that says whether the process can serve clients.
pub trait Health: Send + Sync + 'static {
    /// What stands in the way, one line each; empty = ready.
    fn obstacles(&self) -> Vec<String>;
}

#[derive(Clone)]
struct Pages {
    metrics: Arc<Metrics>,
    health: Arc<dyn Health>,
}

/// Serves the pages for as long as the process lives: who watches it wants to know that it is stopping.
///
/// # Errors
/// The listener breaks.
pub async fn serve(listener: TcpListener, metrics: Arc<Metrics>, health: Arc<dyn Health>) -> io::Result<()> {
    let pages = Router::new()
        .route("/metrics", get(metrics_page))
        .route("/healthz", get(alive))
        .route("/readyz", get(ready))
        .with_state(Pages { metrics, health });
    axum::serve(listener, pages).await
}

async fn metrics_page(State(pages): State<Pages>) -> impl IntoResponse {
    match pages.metrics.render() {
        Ok(text) => (StatusCode::OK, [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text),
        Err(error) => {
            let plain = [(header::CONTENT_TYPE, "text/plain; charset=utf-8")];
            (StatusCode::INTERNAL_SERVER_ERROR, plain, error.to_string())
        }
    }
}

/// Alive is whoever answers; what is wrong is told all the same.
async fn alive(State(pages): State<Pages>) -> String {
    let obstacles = pages.health.obstacles();
    if obstacles.is_empty() { "ok\n".to_owned() } else { lines(&obstacles) }
}

async fn ready(State(pages): State<Pages>) -> (StatusCode, String) {
    let obstacles = pages.health.obstacles();
    if obstacles.is_empty() {
        (StatusCode::OK, "ready\n".to_owned())
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, lines(&obstacles))
    }
}

fn lines(obstacles: &[String]) -> String {
    obstacles.iter().map(|line| format!("{line}\n")).collect()
}
