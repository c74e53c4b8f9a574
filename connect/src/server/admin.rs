//! Health and figures for operators, on a listener of its own.

use std::convert::Infallible;
use std::sync::Arc;

use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use kv_store::engine::{ReadOptions, ReadRange};
use tokio::net::TcpListener;

use super::Shared;
use super::respond::{Body, Refusal, whole};

/// The format's own content type.
const METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Serves until the server stops.
pub(super) async fn serve(shared: Arc<Shared>, listener: TcpListener) {
  loop {
    let accepted = tokio::select! {
      accepted = listener.accept() => accepted,
      () = shared.stopped() => return,
    };
    let Ok((stream, _)) = accepted else {
      tokio::time::sleep(std::time::Duration::from_millis(100)).await;
      continue;
    };
    let service = {
      let shared = shared.clone();
      service_fn(move |request: Request<Incoming>| {
        let shared = shared.clone();
        async move {
          let response = answer(&shared, &request).await;
          Ok::<_, Infallible>(response.unwrap_or_else(Refusal::into_response))
        }
      })
    };
    let limit = shared.limits.head_time;
    tokio::spawn(async move {
      let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limit)
        .serve_connection(TokioIo::new(stream), service);
      // Clients may hang up at any time.
      let _ = connection.await;
    });
  }
}

async fn answer(shared: &Shared, request: &Request<Incoming>) -> Result<Response<Body>, Refusal> {
  if request.method() != Method::GET {
    return Err(Refusal::new(StatusCode::METHOD_NOT_ALLOWED, ""));
  }
  match request.uri().path() {
    "/healthz" => Ok(whole("text/plain", "ok\n")),
    "/readyz" => {
      if shared.is_stopping() {
        return Err(Refusal::unavailable("stopping\n"));
      }
      for database in shared.databases.open() {
        let point = ReadRange::point(b"\0".to_vec());
        let read = database
          .reads
          .snapshot_read(vec![point], ReadOptions::default());
        read.wait().await?;
      }
      Ok(whole("text/plain", "ok\n"))
    }
    "/metrics" => {
      let text = shared.metrics.text(shared.databases.open()).await;
      let failed = |error| Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, error);
      Ok(whole(METRICS, text.map_err(failed)?))
    }
    _ => Err(Refusal::new(StatusCode::NOT_FOUND, "Resource not found.\n")),
  }
}
