//! Certificates of the listeners.

use std::path::PathBuf;
use std::sync::Arc;

use serving::tls::ServerTls;

use crate::config::TlsFiles;

/// Why a certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("{path}: cannot be read: {source}")]
    Read {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("{cert} with {key}: {source}")]
    Pair {
        cert: PathBuf,
        key: PathBuf,
        #[source]
        source: serving::tls::Error,
    },
}

fn read(path: &PathBuf) -> Result<Vec<u8>, Error> {
    std::fs::read(path).map_err(|source| Error::Read {
        path: path.clone(),
        source,
    })
}

/// Loads a chain and its key.
pub(crate) fn load(files: &TlsFiles) -> Result<Arc<ServerTls>, Error> {
    let pair = |source| Error::Pair {
        cert: files.cert.clone(),
        key: files.key.clone(),
        source,
    };
    ServerTls::from_pem(&read(&files.cert)?, &read(&files.key)?)
        .map(Arc::new)
        .map_err(pair)
}

/// Loads the files again; connections that come from now on get the new chain.
pub(crate) fn reload(tls: &ServerTls, files: &TlsFiles) -> Result<(), Error> {
    let pair = |source| Error::Pair {
        cert: files.cert.clone(),
        key: files.key.clone(),
        source,
    };
    tls.reload(&read(&files.cert)?, &read(&files.key)?).map_err(pair)
}
