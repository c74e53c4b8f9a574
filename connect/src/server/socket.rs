use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// A TCP connection that acknowledges at once what it has read.
///
/// Deno's client leaves Nagle's algorithm on, and sends a request's head and body in two segments: the body waits for
/// the acknowledgement of the head, which Linux delays by 40 ms.
pub(super) struct QuickSocket(TcpStream);

impl QuickSocket {
  pub(super) fn new(stream: TcpStream) -> io::Result<Self> {
    stream.set_nodelay(true)?;
    Ok(Self(stream))
  }

  fn acknowledge(&self) {
    // The option lasts until the next read only. Without it, answers are late and nothing else.
    #[cfg(target_os = "linux")]
    let _ = socket2::SockRef::from(&self.0).set_tcp_quickack(true);
  }
}

impl AsyncRead for QuickSocket {
  fn poll_read(
    mut self: Pin<&mut Self>,
    context: &mut Context<'_>,
    buffer: &mut ReadBuf<'_>,
  ) -> Poll<io::Result<()>> {
    let polled = Pin::new(&mut self.0).poll_read(context, buffer);
    if polled.is_ready() {
      self.acknowledge();
    }
    polled
  }
}

impl AsyncWrite for QuickSocket {
  fn poll_write(
    mut self: Pin<&mut Self>,
    context: &mut Context<'_>,
    bytes: &[u8],
  ) -> Poll<io::Result<usize>> {
    Pin::new(&mut self.0).poll_write(context, bytes)
  }

  fn poll_write_vectored(
    mut self: Pin<&mut Self>,
    context: &mut Context<'_>,
    slices: &[io::IoSlice<'_>],
  ) -> Poll<io::Result<usize>> {
    Pin::new(&mut self.0).poll_write_vectored(context, slices)
  }

  fn is_write_vectored(&self) -> bool {
    self.0.is_write_vectored()
  }

  fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
    Pin::new(&mut self.0).poll_flush(context)
  }

  fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
    Pin::new(&mut self.0).poll_shutdown(context)
  }
}
