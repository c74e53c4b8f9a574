//! Accepts connections, and ends them when the server stops.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::activity::Activity;
use super::request::Peer;
use super::respond::keeping;

use super::socket::QuickSocket;
use super::{Encryption, ServerLimits, Shared, route};

/// HTTP/2 streams of one connection. Deno's watches are streams of the connection that its calls use.
const STREAMS: u32 = 1_000;
/// So much of a body may be on its way without the other side's word.
const WINDOW_BYTES: u32 = 1 << 20;
/// Of the head of a request.
const HEAD_BYTES: u32 = 16 << 10;
/// How often a silent HTTP/2 connection is asked for a sign of life, and how long it may take.
const PING: Duration = Duration::from_secs(20);
/// How long a TLS handshake may take.
#[cfg(feature = "tls")]
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How often a connection is looked at.
const LOOK: Duration = Duration::from_millis(100);
/// After an error of the system, too many open files for one, the next try comes so much later.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves until the server stops, and everything that has begun is answered.
pub(super) async fn serve(shared: Arc<Shared>, listener: TcpListener, encryption: Encryption) {
  let room = Arc::new(Semaphore::new(shared.limits.connections));
  let encryption = Arc::new(encryption);
  let mut connections = JoinSet::new();
  let accept = async {
    loop {
      // The semaphore is never closed.
      let permit = room.clone().acquire_owned().await;
      match listener.accept().await {
        Ok((stream, peer)) => {
          let (shared, encryption) = (shared.clone(), encryption.clone());
          connections.spawn(async move {
            connection(shared, stream, peer.ip(), &encryption).await;
            drop(permit);
          });
          while connections.try_join_next().is_some() {}
        }
        Err(error) => {
          tracing::warn!(target: "kv_connect", %error, "a connection could not be accepted");
          tokio::time::sleep(ACCEPT_PAUSE).await;
        }
      }
    }
  };
  tokio::select! {
    () = accept => {}
    () = shared.stopped() => {}
  }
  drop(listener);
  let rest = async { while connections.join_next().await.is_some() {} };
  if tokio::time::timeout(shared.limits.stop_time, rest)
    .await
    .is_err()
  {
    tracing::warn!(target: "kv_connect", "some connections did not end in time");
  }
}

async fn connection(shared: Arc<Shared>, stream: TcpStream, peer: IpAddr, encryption: &Encryption) {
  // A connection that breaks here has asked for nothing yet.
  let Ok(socket) = QuickSocket::new(stream) else {
    return;
  };
  let gauge = shared.metrics.connection();
  let peer = |is_encrypted| Peer {
    address: peer,
    is_encrypted,
  };
  match encryption {
    Encryption::None => http(shared, socket, peer(false)).await,
    #[cfg(feature = "tls")]
    Encryption::Tls(tls) => {
      let accepted = tokio::select! {
        accepted = tokio::time::timeout(HANDSHAKE, tls.accept(socket)) => accepted,
        () = shared.stopped() => return,
      };
      let peer = peer(true);
      match accepted {
        Ok(Ok(socket)) => http(shared, socket, peer).await,
        Ok(Err(error)) => {
          tracing::debug!(target: "kv_connect", peer = %peer.address, %error, "no TLS");
        }
        Err(_) => tracing::debug!(target: "kv_connect", peer = %peer.address, "no TLS in time"),
      }
    }
  }
  drop(gauge);
}

async fn http(
  shared: Arc<Shared>,
  socket: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
  peer: Peer,
) {
  let mut builder = auto::Builder::new(TokioExecutor::new());
  builder
    .http1()
    .timer(TokioTimer::new())
    .header_read_timeout(shared.limits.head_time)
    .max_buf_size(64 << 10);
  builder
    .http2()
    .timer(TokioTimer::new())
    .max_concurrent_streams(STREAMS)
    .initial_stream_window_size(WINDOW_BYTES)
    .initial_connection_window_size(4 * WINDOW_BYTES)
    .max_header_list_size(HEAD_BYTES)
    .keep_alive_interval(PING)
    .keep_alive_timeout(PING);
  let activity = Activity::new();
  let service = {
    let (shared, activity) = (shared.clone(), activity.clone());
    service_fn(move |request: hyper::Request<Incoming>| {
      let (shared, active) = (shared.clone(), activity.begin());
      async move {
        let response = route::handle(&shared, peer, request).await;
        Ok::<_, std::convert::Infallible>(keeping(response, active))
      }
    })
  };
  let connection = builder.serve_connection(TokioIo::new(socket), service);
  let mut connection = std::pin::pin!(connection);
  let result = tokio::select! {
    result = connection.as_mut() => result,
    () = is_of_no_use(&activity, &shared.limits) => {
      tracing::debug!(target: "kv_connect", peer = %peer.address, "an idle connection is closed");
      return;
    }
    () = shared.stopped() => {
      // HTTP/1.1: no further request. HTTP/2: GOAWAY. What has begun is answered.
      connection.as_mut().graceful_shutdown();
      tokio::select! {
        result = connection => result,
        // Half a head, or a client that does not hang up.
        () = stays_idle(&activity) => return,
      }
    }
  };
  if let Err(error) = result {
    // Clients may hang up at any time.
    tracing::debug!(target: "kv_connect", peer = %peer.address, %error, "a connection broke");
  }
}

/// Waits until a connection has asked for nothing for too long.
async fn is_of_no_use(activity: &Activity, limits: &ServerLimits) {
  loop {
    let limit = match activity.has_asked() {
      true => limits.idle_time,
      false => limits.head_time,
    };
    let idle_for = activity.idle_for();
    if idle_for >= limit {
      return;
    }
    tokio::time::sleep((limit - idle_for).max(LOOK)).await;
  }
}

/// Waits until a connection has nothing to answer, and has had time to send what was answered.
async fn stays_idle(activity: &Activity) {
  let mut looks = 0;
  while looks < 3 {
    tokio::time::sleep(LOOK).await;
    looks = if activity.is_idle() { looks + 1 } else { 0 };
  }
}
