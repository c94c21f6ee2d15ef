//! Who a program is on the store's network: its key, its certificate and the store's own authority, in a folder that
//! `stroll provision` makes.
//!
//! Both ends of a connection show a certificate that this authority has signed, and no other is taken. What a certificate
//! stands for is written in it as a URI: `stroll:<store>/coordinator` or `stroll:<store>/node/<name>`.

use std::fmt;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};

use crate::edge::wire;
use crate::store::NodeName;

/// The certificate of the store's authority.
pub const AUTHORITY_FILE: &str = "authority.pem";
/// The program's own certificate.
pub const CERTIFICATE_FILE: &str = "certificate.pem";
/// The key to it, which only its owner may read.
pub const KEY_FILE: &str = "key.pem";
/// Certificates that are not to be believed any more; only the coordinator's folder has it.
pub const REVOKED_FILE: &str = "revoked.pem";

const SCHEME: &str = "stroll:";

/// What a certificate stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The store's id.
    pub store: String,
    pub who: Who,
}

/// A member of a store's network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Who {
    Coordinator,
    Node(NodeName),
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Who::Coordinator => write!(f, "coordinator"),
            Who::Node(name) => write!(f, "node/{name}"),
        }
    }
}

/// As it stands in a certificate.
impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}{}/{}", self.store, self.who)
    }
}

impl Identity {
    /// Reads `stroll:<store>/<who>`.
    pub fn from_uri(uri: &str) -> Option<Identity> {
        let (store, who) = uri.strip_prefix(SCHEME)?.split_once('/')?;
        let who = match who.split_once('/') {
            None if who == "coordinator" => Who::Coordinator,
            Some(("node", name)) if wire::is_level(name) => Who::Node(name.into()),
            None | Some(_) => return None,
        };
        wire::is_level(store).then(|| Identity {
            store: store.to_owned(),
            who,
        })
    }

    /// Whom a certificate names, if it is one of a store's.
    pub fn of(certificate: &CertificateDer<'_>) -> Option<Identity> {
        let certificate = webpki::EndEntityCert::try_from(certificate).ok()?;
        certificate.valid_uri_names().find_map(Identity::from_uri)
    }
}

/// A folder that was read: everything that a connection needs.
pub struct Credentials {
    folder: PathBuf,
    pub identity: Identity,
    authority: CertificateDer<'static>,
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
}

/// Without the key.
impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Credentials({} of {})",
            self.identity,
            self.folder.display()
        )
    }
}

/// How a client connects with TLS.
#[derive(Clone)]
pub struct ClientTls(Arc<ClientConfig>);

impl ClientTls {
    /// For the client library.
    pub(super) fn config(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.0)
    }
}

impl fmt::Debug for ClientTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientTls")
    }
}

/// Why a folder does not serve.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    #[error("{} cannot be read: {source}; `stroll provision` makes such a folder", path.display())]
    Read {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("{} can be read by others (mode {mode:03o}): chmod 600 it", path.display())]
    Exposed { path: PathBuf, mode: u32 },
    #[error("{}: {why}; make the folder anew with `stroll provision`", path.display())]
    Broken { path: PathBuf, why: String },
}

impl Credentials {
    /// Reads a folder: `authority.pem`, `certificate.pem` and `key.pem`, which nobody else may read.
    pub fn load(folder: &Path) -> Result<Self, CredentialsError> {
        let key_path = folder.join(KEY_FILE);
        let meta = std::fs::metadata(&key_path).map_err(|source| CredentialsError::Read {
            path: key_path.clone(),
            source,
        })?;
        let mode = meta.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            let path = key_path;
            return Err(CredentialsError::Exposed { path, mode });
        }
        let broken = |path: &Path, why: String| CredentialsError::Broken {
            path: path.to_owned(),
            why,
        };
        let key = PrivateKeyDer::from_pem_slice(&read(&key_path)?)
            .map_err(|error| broken(&key_path, format!("no private key: {error}")))?;
        let certificate_path = folder.join(CERTIFICATE_FILE);
        let certificate = one_certificate(&certificate_path)?;
        let identity = Identity::of(&certificate).ok_or_else(|| {
            broken(
                &certificate_path,
                "it names no member of a store".to_owned(),
            )
        })?;
        Ok(Credentials {
            folder: folder.to_owned(),
            identity,
            authority: one_certificate(&folder.join(AUTHORITY_FILE))?,
            certificate,
            key,
        })
    }

    /// Where what is revoked stands, if anything is.
    pub fn revoked_file(&self) -> PathBuf {
        self.folder.join(REVOKED_FILE)
    }

    /// How this program connects to others of its store.
    pub fn client(&self) -> Result<ClientTls, CredentialsError> {
        let config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(|error| self.broken(error.to_string()))?
            .with_root_certificates(self.roots()?)
            .with_client_auth_cert(vec![self.certificate.clone()], self.key.clone_key())
            .map_err(|error| self.broken(error.to_string()))?;
        Ok(ClientTls(Arc::new(config)))
    }

    /// How others of its store connect to this program: with a certificate that is not revoked.
    pub fn server(&self) -> Result<Arc<ServerConfig>, CredentialsError> {
        let roots = Arc::new(self.roots()?);
        let mut verifier = WebPkiClientVerifier::builder_with_provider(roots, provider());
        if let Some(revoked) = self.revoked()? {
            verifier = verifier.with_crls([revoked]);
        }
        let verifier = (verifier.build()).map_err(|error| CredentialsError::Broken {
            path: self.revoked_file(),
            why: error.to_string(),
        })?;
        let config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(|error| self.broken(error.to_string()))?
            .with_client_cert_verifier(verifier)
            .with_single_cert(vec![self.certificate.clone()], self.key.clone_key())
            .map_err(|error| self.broken(error.to_string()))?;
        Ok(Arc::new(config))
    }

    fn revoked(&self) -> Result<Option<CertificateRevocationListDer<'static>>, CredentialsError> {
        let path = self.revoked_file();
        let pem = match std::fs::read(&path) {
            Ok(pem) => pem,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(CredentialsError::Read { path, source }),
        };
        match CertificateRevocationListDer::from_pem_slice(&pem) {
            Ok(list) => Ok(Some(list)),
            Err(error) => Err(CredentialsError::Broken {
                path,
                why: format!("no list of revoked certificates: {error}"),
            }),
        }
    }

    fn roots(&self) -> Result<RootCertStore, CredentialsError> {
        let mut roots = RootCertStore::empty();
        (roots.add(self.authority.clone())).map_err(|error| CredentialsError::Broken {
            path: self.folder.join(AUTHORITY_FILE),
            why: error.to_string(),
        })?;
        Ok(roots)
    }

    fn broken(&self, why: String) -> CredentialsError {
        let path = self.folder.join(CERTIFICATE_FILE);
        CredentialsError::Broken { path, why }
    }
}

/// The one that is built in: with two of them in a program rustls takes neither by itself.
pub(super) fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

fn read(path: &Path) -> Result<Vec<u8>, CredentialsError> {
    std::fs::read(path).map_err(|source| CredentialsError::Read {
        path: path.to_owned(),
        source,
    })
}

/// The first certificate of a PEM file.
pub(super) fn one_certificate(path: &Path) -> Result<CertificateDer<'static>, CredentialsError> {
    let pem = read(path)?;
    CertificateDer::from_pem_slice(&pem).map_err(|error| CredentialsError::Broken {
        path: path.to_owned(),
        why: format!("no certificate: {error}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_certificate_stands_for_is_a_uri() {
        let identity = |who| Identity {
            store: "corner".to_owned(),
            who,
        };
        for (uri, named) in [
            (
                "stroll:corner/coordinator",
                Some(identity(Who::Coordinator)),
            ),
            (
                "stroll:corner/node/shelf-1",
                Some(identity(Who::Node("shelf-1".into()))),
            ),
            ("stroll:corner/node/", None),
            ("stroll:corner/node/a/b", None),
            ("stroll:corner/node/+", None),
            ("stroll:/coordinator", None),
            ("stroll:corner/owner", None),
            ("https://corner/coordinator", None),
        ] {
            assert_eq!(Identity::from_uri(uri), named, "{uri}");
            if let Some(named) = named {
                assert_eq!(named.to_string(), uri);
            }
        }
    }
}
