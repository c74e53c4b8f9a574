use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// A certificate with its key, from files, which can be read again.
#[derive(Clone)]
pub struct Tls(Arc<Inner>);

struct Inner {
  certificate: PathBuf,
  key: PathBuf,
  config: RwLock<Arc<ServerConfig>>,
}

impl fmt::Debug for Tls {
  fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.debug_struct("Tls")
      .field("certificate", &self.0.certificate)
      .field("key", &self.0.key)
      .finish_non_exhaustive()
  }
}

/// Why a certificate and a key can't be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
  /// A file can't be read, or holds no PEM of that kind.
  #[error("{path}: {error}", path = .0.display(), error = .1)]
  File(PathBuf, rustls::pki_types::pem::Error),
  /// The file of the certificate holds none.
  #[error("{}: no certificate in it", .0.display())]
  NoCertificate(PathBuf),
  /// They don't fit each other, or are of a kind that is not supported.
  #[error("the certificate {certificate} with the key {key}: {error}", certificate = .0.display(), key = .1.display(), error = .2)]
  Config(PathBuf, PathBuf, rustls::Error),
}

impl Tls {
  /// Reads a certificate chain and its private key, in PEM.
  ///
  /// # Errors
  /// The files can't be read, or don't fit each other.
  pub fn from_files(certificate: &Path, key: &Path) -> Result<Self, TlsError> {
    let config = config(certificate, key)?;
    Ok(Self(Arc::new(Inner {
      certificate: certificate.to_path_buf(),
      key: key.to_path_buf(),
      config: RwLock::new(config),
    })))
  }

  /// Reads the files again, for connections from now on.
  ///
  /// # Errors
  /// As [`from_files`](Self::from_files); then what was read before stays in use.
  pub fn reload(&self) -> Result<(), TlsError> {
    let new = config(&self.0.certificate, &self.0.key)?;
    *self
      .0
      .config
      .write()
      .unwrap_or_else(PoisonError::into_inner) = new;
    Ok(())
  }

  pub(super) async fn accept<S: AsyncRead + AsyncWrite + Unpin>(
    &self,
    socket: S,
  ) -> io::Result<TlsStream<S>> {
    let config = {
      let config = self.0.config.read();
      config.unwrap_or_else(PoisonError::into_inner).clone()
    };
    TlsAcceptor::from(config).accept(socket).await
  }
}

fn config(certificate: &Path, key: &Path) -> Result<Arc<ServerConfig>, TlsError> {
  let file = |path: &Path, error| TlsError::File(path.to_path_buf(), error);
  let chain = CertificateDer::pem_file_iter(certificate)
    .and_then(Iterator::collect::<Result<Vec<_>, _>>)
    .map_err(|error| file(certificate, error))?;
  if chain.is_empty() {
    return Err(TlsError::NoCertificate(certificate.to_path_buf()));
  }
  let private = PrivateKeyDer::from_pem_file(key).map_err(|error| file(key, error))?;
  let provider = Arc::new(rustls::crypto::ring::default_provider());
  let failed = |error| TlsError::Config(certificate.to_path_buf(), key.to_path_buf(), error);
  let mut config = ServerConfig::builder_with_provider(provider)
    .with_safe_default_protocol_versions()
    .map_err(failed)?
    .with_no_client_auth()
    .with_single_cert(chain, private)
    .map_err(failed)?;
  // Deno offers h2 only, Node http/1.1 only.
  config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
  Ok(Arc::new(config))
}
