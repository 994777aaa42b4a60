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
    /// What is wrong and does not stand in the way, one line each.
    fn remarks(&self) -> Vec<String>;
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
    // It sets `kordon_ready`, which must be true also where nothing asks `/readyz`.
    let _ = pages.health.obstacles();
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
    told("ok", &pages).1
}

async fn ready(State(pages): State<Pages>) -> (StatusCode, String) {
    let (is_well, text) = told("ready", &pages);
    (if is_well { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, text)
}

/// Whether nothing stands in the way, and what is told: the word if so, else the obstacles; behind it the remarks.
fn told(word: &str, pages: &Pages) -> (bool, String) {
    let obstacles = pages.health.obstacles();
    let is_well = obstacles.is_empty();
    let first = if is_well { vec![word.to_owned()] } else { obstacles };
    (is_well, lines(&[first, pages.health.remarks()].concat()))
}

fn lines(obstacles: &[String]) -> String {
    obstacles.iter().map(|line| format!("{line}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    /// Nothing stands in its way, and something is wrong.
    struct Well(Arc<Metrics>);

    impl Health for Well {
        fn obstacles(&self) -> Vec<String> {
            self.0.ready.set(1);
            Vec::new()
        }

        fn remarks(&self) -> Vec<String> {
            vec!["a file was refused".to_owned()]
        }
    }

    async fn page(path: &str) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let metrics = Arc::new(Metrics::new().unwrap());
        let serving = tokio::spawn(serve(listener, Arc::clone(&metrics), Arc::new(Well(metrics))));
        let mut stream = tokio::net::TcpStream::connect(at).await.unwrap();
        stream.write_all(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes()).await.unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        serving.abort();
        text
    }

    #[tokio::test]
    async fn whether_it_is_ready_is_in_the_metrics_although_nobody_asks_for_that_page() {
        assert!(page("/metrics").await.contains("\nkordon_ready 1\n"));
    }

    #[tokio::test]
    async fn what_is_wrong_and_no_obstacle_is_told_behind_the_word() {
        for (path, word) in [("/readyz", "ready"), ("/healthz", "ok")] {
            let page = page(path).await;
            assert!(
                page.starts_with("HTTP/1.0 200 ") && page.ends_with(&format!("{word}\na file was refused\n")),
                "{page}"
            );
        }
    }
}
