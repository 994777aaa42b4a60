//! Authorities, certificates and revocation lists, as PEM files for brokers, clients and the proxy.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SanType,
    SerialNumber, date_time_ymd,
};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig, ServerConnection, StreamOwned, SupportedProtocolVersion};

/// Who signs.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
    dir: PathBuf,
}

/// Both versions of TLS that are served.
pub const BOTH: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13, &rustls::version::TLS12];

/// A key, its certificate and where both stand.
#[derive(Clone, Debug)]
pub struct Signed {
    /// The certificate as PEM.
    pub certificate: String,
    /// The key as PEM, PKCS#8.
    pub key: String,
    /// The file of the certificate.
    pub certificate_file: PathBuf,
    /// The file of the key.
    pub key_file: PathBuf,
    serial: u64,
}

/// Settings of a Java client that concern TLS.
#[derive(Clone, Debug)]
pub struct JavaTls(Vec<(&'static str, String)>);

impl JavaTls {
    /// With others behind them.
    pub fn and<'a>(&'a self, more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
        self.0.iter().map(|(key, value)| (*key, value.as_str())).chain(more.iter().copied()).collect()
    }
}

impl Signed {
    /// Key and certificate in one text, as Kafka's `ssl.keystore.type=PEM` wants them.
    pub fn keystore(&self) -> String {
        format!("{}{}", self.key, self.certificate)
    }

    /// A server that shows it.
    pub fn serving(&self) -> Arc<ServerConfig> {
        let chain = CertificateDer::pem_slice_iter(self.certificate.as_bytes());
        let chain = chain.collect::<Result<_, _>>().expect("a chain");
        let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes()).expect("a key");
        Arc::new(ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key).expect("a pair"))
    }

    /// Puts this pair in the place of another's files: each renamed over, the key first.
    pub fn replace(&self, other: &Signed) {
        over(&other.key_file, &self.key);
        over(&other.certificate_file, &self.certificate);
    }
}

/// From 1970 to this much later than now. Certificates count whole seconds.
fn until(later: Duration) -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock") + later
}

/// Writes a file by a rename over it.
pub fn over(file: &Path, text: &str) {
    let fresh = file.with_extension("new");
    std::fs::write(&fresh, text).expect("file");
    std::fs::rename(&fresh, file).expect("file");
}

/// Who can be read and written.
pub trait Duplex: Read + Write {}
impl<T: Read + Write> Duplex for T {}

/// The server's side of a connection: with TLS, which is agreed on with the first byte, or without.
pub fn served(tcp: TcpStream, tls: Option<&Arc<ServerConfig>>) -> Box<dyn Duplex> {
    match tls {
        None => Box::new(tcp),
        Some(config) => {
            let connection = ServerConnection::new(Arc::clone(config)).expect("a server");
            Box::new(StreamOwned::new(connection, tcp))
        }
    }
}

/// What a certificate is made for.
#[derive(Clone, Debug, Default)]
pub struct Wish<'a> {
    /// Names and addresses of a server.
    pub hosts: &'a [&'a str],
    /// Attributes of the subject, in the order of the certificate.
    pub subject: &'a [(DnType, &'a str)],
    /// URIs of the subject.
    pub uris: &'a [&'a str],
    /// It ended years ago.
    pub ended: bool,
    /// For how long it holds, if not for decades.
    pub holds: Option<Duration>,
}

impl Authority {
    /// A new one, whose files go into this directory.
    pub fn new(dir: &Path, name: &str) -> Authority {
        std::fs::create_dir_all(dir).expect("directory of certificates");
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().expect("key of an authority");
        let pem = params.self_signed(&key).expect("authority").pem();
        let authority = Authority { issuer: Issuer::new(params, key), pem, dir: dir.to_owned() };
        std::fs::write(authority.file(), &authority.pem).expect("authority");
        authority
    }

    /// Its own certificate.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// The file of its own certificate.
    pub fn file(&self) -> PathBuf {
        self.dir.join("ca.pem")
    }

    /// What a Java client is told to trust it, and to show this certificate.
    pub fn java(&self, protocol: &str, shown: Option<&Signed>) -> JavaTls {
        let ca = self.file().display().to_string();
        let mut settings = vec![("security.protocol", protocol.to_owned())];
        settings.extend([("ssl.truststore.type", "PEM".to_owned()), ("ssl.truststore.location", ca)]);
        if let Some(pair) = shown {
            let keystore = pair.certificate_file.with_extension("keystore");
            std::fs::write(&keystore, pair.keystore()).expect("keystore");
            let keystore = keystore.display().to_string();
            settings.extend([("ssl.keystore.type", "PEM".to_owned()), ("ssl.keystore.location", keystore)]);
        }
        JavaTls(settings)
    }

    /// A certificate for servers at loopback.
    pub fn server(&self) -> Signed {
        let wish =
            Wish { hosts: &["127.0.0.1", "localhost"], subject: &[(DnType::CommonName, "server")], ..Wish::default() };
        self.sign(&wish)
    }

    /// A certificate for a client.
    pub fn client(&self, common_name: &str) -> Signed {
        self.sign(&Wish { subject: &[(DnType::CommonName, common_name)], ..Wish::default() })
    }

    /// A client that trusts whom this authority has signed, and shows a certificate if it is given one.
    pub fn trusting(&self, pair: Option<&Signed>, versions: &[&'static SupportedProtocolVersion]) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.pem.as_bytes()).expect("a certificate")).expect("an authority");
        let builder = ClientConfig::builder_with_protocol_versions(versions).with_root_certificates(roots);
        Arc::new(match pair {
            None => builder.with_no_client_auth(),
            Some(pair) => {
                let chain = CertificateDer::pem_slice_iter(pair.certificate.as_bytes());
                let chain = chain.collect::<Result<_, _>>().expect("a chain");
                let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).expect("a key");
                builder.with_client_auth_cert(chain, key).expect("a pair")
            }
        })
    }

    /// A certificate.
    pub fn sign(&self, wish: &Wish<'_>) -> Signed {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let serial = NEXT.fetch_add(1, Ordering::Relaxed);
        let hosts: Vec<String> = wish.hosts.iter().map(|host| (*host).to_owned()).collect();
        let mut params = CertificateParams::new(hosts).expect("names");
        params.serial_number = Some(SerialNumber::from(serial));
        params.distinguished_name = DistinguishedName::new();
        for (kind, value) in wish.subject {
            params.distinguished_name.push(kind.clone(), *value);
        }
        params.subject_alt_names.extend(wish.uris.iter().map(|uri| SanType::URI((*uri).try_into().expect("URI"))));
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        params.use_authority_key_identifier_extension = true;
        if wish.ended {
            (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2021, 1, 1));
        }
        if let Some(holds) = wish.holds {
            params.not_after = date_time_ymd(1970, 1, 1) + until(holds);
        }
        let key = KeyPair::generate().expect("key");
        let certificate = params.signed_by(&key, &self.issuer).expect("certificate").pem();
        let key = key.serialize_pem();
        let (certificate_file, key_file) =
            (self.dir.join(format!("{serial}.pem")), self.dir.join(format!("{serial}.key")));
        std::fs::write(&certificate_file, &certificate).expect("certificate");
        std::fs::write(&key_file, &key).expect("key");
        Signed { certificate, key, certificate_file, key_file, serial }
    }

    /// A list that takes these certificates back.
    pub fn revoke(&self, revoked: &[&Signed]) -> String {
        self.revoke_for(revoked, Duration::from_secs(10 * 365 * 24 * 3600))
    }

    /// The same, for as long.
    pub fn revoke_for(&self, revoked: &[&Signed], holds: Duration) -> String {
        let revoked_certs = revoked
            .iter()
            .map(|signed| RevokedCertParams {
                serial_number: SerialNumber::from(signed.serial),
                revocation_time: date_time_ymd(2026, 1, 1),
                reason_code: None,
                invalidity_date: None,
            })
            .collect();
        let list = CertificateRevocationListParams {
            this_update: date_time_ymd(2026, 1, 1),
            next_update: date_time_ymd(1970, 1, 1) + until(holds),
            crl_number: SerialNumber::from(revoked.len() as u64 + 1),
            issuing_distribution_point: None,
            revoked_certs,
            key_identifier_method: KeyIdMethod::Sha256,
        };
        list.signed_by(&self.issuer).expect("revocation list").pem().expect("revocation list")
    }
}
