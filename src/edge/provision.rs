//! The store's own authority: makes keys and certificates for the members of its network, and takes them back.
//!
//! Its folder has `authority.key`, which never leaves the machine it was made on, `authority.pem`, `issued.jsonl` (whom it
//! has signed, a line each) and, once somebody was revoked, `revoked.pem`. Keys are ECDSA on P-256.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DistinguishedName,
    DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose,
    RevokedCertParams, SanType, SerialNumber,
};
use serde::{Deserialize, Serialize};

use super::credentials::{AUTHORITY_FILE, CERTIFICATE_FILE, Identity, KEY_FILE, REVOKED_FILE, Who};

const AUTHORITY_KEY_FILE: &str = "authority.key";
const ISSUED_FILE: &str = "issued.jsonl";

/// Certificates are valid from here on: a Pi without a clock chip starts in the past, and has to get to the network before
/// it can learn the time.
const VALID_FROM: (i32, u8, u8) = (2020, 1, 1);
/// How long the authority lasts, years.
const AUTHORITY_YEARS: i32 = 30;
/// How long a certificate lasts, years; who is not to be believed any more is revoked.
const YEARS: i32 = 10;

/// A day, as year, month and day.
pub type Day = (i32, u8, u8);

/// A store's authority, opened.
#[derive(Debug)]
pub struct Authority {
    folder: PathBuf,
    store: String,
    issuer: Issuer<'static, KeyPair>,
}

/// A line of `issued.jsonl`.
#[derive(Debug, Serialize, Deserialize)]
struct Issued {
    who: String,
    /// In hexadecimal digits.
    serial: String,
    on: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    revoked_on: Option<Day>,
}

/// Why nothing was made.
#[derive(Debug, thiserror::Error)]
pub enum ProvisionError {
    #[error("{} is there already: nothing was changed; name another folder, or move it away", path.display())]
    Exists { path: PathBuf },
    #[error("{}: {source}", path.display())]
    File {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("{} is the authority of another store than `{store}`", folder.display())]
    OtherStore { folder: PathBuf, store: String },
    #[error("{} is no authority: {why}; `stroll provision authority` makes one", folder.display())]
    NoAuthority { folder: PathBuf, why: String },
    #[error("`{host}` can be no name of a machine: {why}")]
    Host { host: String, why: String },
    #[error("nothing that is valid was issued to {who}: {} says to whom it was", issued.display())]
    NotIssued { who: String, issued: PathBuf },
    #[error("{} line {line}: {why}", path.display())]
    Issued {
        path: PathBuf,
        line: usize,
        why: String,
    },
    #[error("a certificate cannot be made: {0}")]
    Make(#[from] rcgen::Error),
    #[error("the system gives no random numbers: {0}")]
    Random(getrandom::Error),
}

impl Authority {
    /// Makes a store's authority in a folder that has none.
    pub fn make(folder: &Path, store: &str, today: Day) -> Result<Self, ProvisionError> {
        let key = KeyPair::generate()?;
        let params = authority_params(store, today.0 + AUTHORITY_YEARS)?;
        let certificate = params.self_signed(&key)?;
        make_folder(folder)?;
        write_new(
            &folder.join(AUTHORITY_KEY_FILE),
            key.serialize_pem().as_bytes(),
        )?;
        write_new(&folder.join(AUTHORITY_FILE), certificate.pem().as_bytes())?;
        Ok(Authority {
            folder: folder.to_owned(),
            store: store.to_owned(),
            issuer: Issuer::new(params, key),
        })
    }

    /// Opens the authority of that store.
    pub fn open(folder: &Path, store: &str) -> Result<Self, ProvisionError> {
        let no = |why: String| ProvisionError::NoAuthority {
            folder: folder.to_owned(),
            why,
        };
        let certificate = super::credentials::one_certificate(&folder.join(AUTHORITY_FILE))
            .map_err(|error| no(error.to_string()))?;
        let named = webpki::EndEntityCert::try_from(&certificate)
            .map_err(|error| no(error.to_string()))?
            .valid_uri_names()
            .any(|uri| uri == authority_uri(store));
        if !named {
            return Err(ProvisionError::OtherStore {
                folder: folder.to_owned(),
                store: store.to_owned(),
            });
        }
        let key = read(&folder.join(AUTHORITY_KEY_FILE))?;
        let key = KeyPair::from_pem(&key).map_err(|error| no(error.to_string()))?;
        // How long it lasts makes no difference to what it signs.
        let params = authority_params(store, VALID_FROM.0 + AUTHORITY_YEARS)?;
        Ok(Authority {
            folder: folder.to_owned(),
            store: store.to_owned(),
            issuer: Issuer::new(params, key),
        })
    }

    /// Makes a folder with a new key and certificate for a member of the store; `hosts` are the names and addresses by
    /// which others connect to it.
    pub fn issue(
        &self,
        who: &Who,
        hosts: &[String],
        today: Day,
        to: &Path,
    ) -> Result<(), ProvisionError> {
        let identity = Identity {
            store: self.store.clone(),
            who: who.clone(),
        };
        let mut params = member_params(&identity, hosts, today.0 + YEARS)?;
        let mut serial = [0; 16];
        getrandom::fill(&mut serial).map_err(ProvisionError::Random)?;
        // As a number it has to be positive.
        serial[0] &= 0x7f;
        params.serial_number = Some(SerialNumber::from_slice(&serial));
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        let authority = read(&self.folder.join(AUTHORITY_FILE))?;
        make_folder(to)?;
        write_new(&to.join(KEY_FILE), key.serialize_pem().as_bytes())?;
        // What is issued stands in the list before anybody can use it.
        let mut issued = self.issued()?;
        issued.push(Issued {
            who: who.to_string(),
            serial: serial.iter().map(|byte| format!("{byte:02x}")).collect(),
            on: format!("{:04}-{:02}-{:02}", today.0, today.1, today.2),
            revoked_on: None,
        });
        self.keep_issued(&issued)?;
        write_new(&to.join(AUTHORITY_FILE), authority.as_bytes())?;
        write_new(&to.join(CERTIFICATE_FILE), certificate.pem().as_bytes())
    }

    /// Takes back every certificate of a member: writes `revoked.pem` here and into the coordinator's folder. How many
    /// certificates that was.
    pub fn revoke(
        &self,
        who: &Who,
        today: Day,
        coordinator: &Path,
    ) -> Result<usize, ProvisionError> {
        let mut issued = self.issued()?;
        let mut taken = 0;
        for one in &mut issued {
            if one.who == who.to_string() && one.revoked_on.is_none() {
                one.revoked_on = Some(today);
                taken += 1;
            }
        }
        if taken == 0 {
            return Err(ProvisionError::NotIssued {
                who: who.to_string(),
                issued: self.folder.join(ISSUED_FILE),
            });
        }
        self.keep_issued(&issued)?;
        let list = self.revocation_list(&issued, today)?;
        for folder in [self.folder.as_path(), coordinator] {
            replace(&folder.join(REVOKED_FILE), list.as_bytes())?;
        }
        Ok(taken)
    }

    fn revocation_list(&self, issued: &[Issued], today: Day) -> Result<String, ProvisionError> {
        let date = |(year, month, day): Day| rcgen::date_time_ymd(year, month, day);
        let revoked: Vec<RevokedCertParams> = (issued.iter())
            .filter_map(|one| {
                Some(RevokedCertParams {
                    serial_number: SerialNumber::from_slice(&bytes(&one.serial)?),
                    revocation_time: date(one.revoked_on?),
                    reason_code: None,
                    invalidity_date: None,
                })
            })
            .collect();
        let params = CertificateRevocationListParams {
            this_update: date(today),
            // A store may never revoke anybody again.
            next_update: date((today.0 + AUTHORITY_YEARS, today.1, 1)),
            crl_number: SerialNumber::from(revoked.len() as u64),
            issuing_distribution_point: None,
            revoked_certs: revoked,
            key_identifier_method: KeyIdMethod::Sha256,
        };
        Ok(params.signed_by(&self.issuer)?.pem()?)
    }

    fn issued(&self) -> Result<Vec<Issued>, ProvisionError> {
        let path = self.folder.join(ISSUED_FILE);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => return Err(ProvisionError::File { path, source }),
        };
        let line = |(number, line): (usize, &str)| {
            serde_json::from_str(line).map_err(|error| ProvisionError::Issued {
                path: path.clone(),
                line: number + 1,
                why: error.to_string(),
            })
        };
        text.lines().enumerate().map(line).collect()
    }

    fn keep_issued(&self, issued: &[Issued]) -> Result<(), ProvisionError> {
        let lines: Vec<String> = (issued.iter())
            .filter_map(|one| serde_json::to_string(one).ok())
            .collect();
        let text = lines.join("\n") + "\n";
        replace(&self.folder.join(ISSUED_FILE), text.as_bytes())
    }
}

fn authority_uri(store: &str) -> String {
    format!("stroll:{store}/authority")
}

fn authority_params(store: &str, until_year: i32) -> Result<CertificateParams, ProvisionError> {
    let mut params = named(&format!("Stroll store {store}"), until_year);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.subject_alt_names = vec![SanType::URI(authority_uri(store).try_into()?)];
    Ok(params)
}

fn member_params(
    identity: &Identity,
    hosts: &[String],
    until_year: i32,
) -> Result<CertificateParams, ProvisionError> {
    // Mosquitto takes the common name for the user.
    let name = match &identity.who {
        Who::Coordinator => COORDINATOR_USER,
        Who::Node(name) => name.as_str(),
    };
    let mut params = named(name, until_year);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params.use_authority_key_identifier_extension = true;
    params.subject_alt_names = vec![SanType::URI(identity.to_string().try_into()?)];
    if !hosts.is_empty() {
        let server = ExtendedKeyUsagePurpose::ServerAuth;
        params.extended_key_usages.push(server);
    }
    for host in hosts {
        let name = match host.parse() {
            Ok(address) => SanType::IpAddress(address),
            Err(_) => {
                SanType::DnsName(host.as_str().try_into().map_err(|error: rcgen::Error| {
                    ProvisionError::Host {
                        host: host.clone(),
                        why: error.to_string(),
                    }
                })?)
            }
        };
        params.subject_alt_names.push(name);
    }
    Ok(params)
}

fn named(common_name: &str, until_year: i32) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::CommonName, common_name);
    let (year, month, day) = VALID_FROM;
    params.not_before = rcgen::date_time_ymd(year, month, day);
    params.not_after = rcgen::date_time_ymd(until_year, 12, 31);
    params
}

/// The coordinator, as Mosquitto knows it. No node may be called so.
pub const COORDINATOR_USER: &str = "coordinator";

/// What Mosquitto needs to keep the same rules as the broker inside the program: its configuration, which expects the
/// coordinator's folder as `credentials`, and its access list.
pub fn mosquitto(store: &str, port: u16, credentials: &Path, acl: &Path) -> (String, String) {
    let file = |name: &str| credentials.join(name).display().to_string();
    let mut configuration = format!(
        "# Made by `stroll provision mosquitto` for the store `{store}`.\n\
         listener {port}\n\
         cafile {}\n\
         certfile {}\n\
         keyfile {}\n\
         require_certificate true\n\
         use_identity_as_username true\n\
         allow_anonymous false\n\
         acl_file {}\n\
         persistence true\n",
        file(AUTHORITY_FILE),
        file(CERTIFICATE_FILE),
        file(KEY_FILE),
        acl.display(),
    );
    if credentials.join(REVOKED_FILE).exists() {
        configuration += &format!("crlfile {}\n", file(REVOKED_FILE));
    }
    let acl = format!(
        "# Made by `stroll provision mosquitto` for the store `{store}`: a node writes under its own name only.\n\
         user {COORDINATOR_USER}\n\
         topic readwrite stroll/v1/{store}/#\n\
         \n\
         pattern write stroll/v1/{store}/%u/observation/#\n\
         pattern write stroll/v1/{store}/%u/watermark\n\
         pattern readwrite stroll/v1/{store}/%u/status\n\
         pattern write stroll/v1/{store}/%u/loads\n\
         pattern read stroll/v1/{store}/%u/committed\n\
         pattern read stroll/v1/{store}/%u/order\n\
         pattern write {prefix}/device/stroll_{store}_%u/config\n\
         pattern read {prefix}/status\n",
        prefix = crate::edge::home_assistant::PREFIX,
    );
    (configuration, acl)
}

fn bytes(hex: &str) -> Option<Vec<u8>> {
    let digits = |at: usize| u8::from_str_radix(hex.get(at..at + 2)?, 16).ok();
    (0..hex.len()).step_by(2).map(digits).collect()
}

fn read(path: &Path) -> Result<String, ProvisionError> {
    fs::read_to_string(path).map_err(file_error(path))
}

fn file_error(path: &Path) -> impl FnOnce(std::io::Error) -> ProvisionError {
    let path = path.to_owned();
    move |source| {
        if source.kind() == ErrorKind::AlreadyExists {
            ProvisionError::Exists { path }
        } else {
            ProvisionError::File { path, source }
        }
    }
}

fn make_folder(folder: &Path) -> Result<(), ProvisionError> {
    fs::create_dir_all(folder).map_err(file_error(folder))
}

/// Writes a file that is not there yet; only its owner may read it.
fn write_new(path: &Path, content: &[u8]) -> Result<(), ProvisionError> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    let written = options
        .open(path)
        .and_then(|mut file| file.write_all(content).and_then(|()| file.sync_all()));
    written.map_err(file_error(path))
}

/// Writes a file in one step: whoever reads it meanwhile sees the old one or the new one.
fn replace(path: &Path, content: &[u8]) -> Result<(), ProvisionError> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let replaced = tempfile::NamedTempFile::new_in(folder).and_then(|mut file| {
        file.write_all(content)?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|error| error.error)?;
        Ok(())
    });
    replaced.map_err(file_error(path))
}
