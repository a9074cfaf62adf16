//! TLS to PostgreSQL: what sslmode asks to be verified, and client certificates.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime};

use crate::connect::{ConnectSettings, SslMode};
use crate::error::{Error, Result};
use crate::sqlstate::ErrorClass;

/// The client's side of TLS as the settings want it.
pub(crate) fn client_config(settings: &ConnectSettings) -> Result<ClientConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = verifier(settings, &provider)?;
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| unusable("TLS", error))?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let mut config = match (&settings.ssl_cert, &settings.ssl_key) {
        (Some(cert), Some(key)) => {
            let chain = certificates(cert)?;
            let key = private_key(key, settings.ssl_password.as_deref())?;
            let key = provider.key_provider.load_private_key(key);
            let key = key.map_err(|error| unusable("client key", error))?;
            // Not `with_client_auth_cert`: it reads the certificate and refuses those of version 1, which openssl
            // makes when nobody asks for extensions. Whether they are good is the server's business.
            let certified = CertifiedKey::new(chain, key);
            builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(certified)))
        }
        (None, None) => builder.with_no_client_auth(),
        _ => {
            return Err(Error::new(
                ErrorClass::Settings,
                "a client certificate needs both sslcert and sslkey",
            ));
        }
    };
    // What `sslnegotiation=direct` would need; harmless otherwise.
    config.alpn_protocols = vec![b"postgresql".to_vec()];
    Ok(config)
}

fn verifier(
    settings: &ConnectSettings,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ServerCertVerifier>> {
    let check_name = match settings.ssl_mode {
        SslMode::VerifyFull => true,
        SslMode::VerifyCa => false,
        // pgjdbc and libpq encrypt without verifying here.
        _ => return Ok(Arc::new(Unverified(provider.clone()))),
    };
    let roots = roots(settings.ssl_root_cert.as_deref())?;
    let webpki = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone())
        .build()
        .map_err(|error| unusable("root certificates", error))?;
    if check_name { Ok(webpki) } else { Ok(Arc::new(AnyName(webpki))) }
}

fn roots(file: Option<&Path>) -> Result<RootCertStore> {
    let mut store = RootCertStore::empty();
    let default_file = std::env::var_os("HOME")
        .map(|home| PathBuf::from(home).join(".postgresql/root.crt"))
        .filter(|path| path.exists());
    if let Some(path) = file.or(default_file.as_deref()) {
        for certificate in certificates(path)? {
            store.add(certificate).map_err(|error| unusable(&path.display().to_string(), error))?;
        }
    } else {
        let native = rustls_native_certs::load_native_certs();
        store.add_parsable_certificates(native.certs);
    }
    if store.is_empty() {
        return Err(Error::new(ErrorClass::Settings, "no root certificate to verify the server with")
            .with_hint("set sslrootcert to the file with the certificate of the authority"));
    }
    Ok(store)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let bytes = read(path)?;
    if !bytes.starts_with(b"\x30") {
        let list = CertificateDer::pem_slice_iter(&bytes)
            .collect::<std::result::Result<Vec<_>, _>>()
            .map_err(|error| unusable(&path.display().to_string(), error))?;
        if list.is_empty() {
            return Err(Error::new(ErrorClass::Settings, format!("no certificate in {}", path.display())));
        }
        return Ok(list);
    }
    Ok(vec![CertificateDer::from(bytes)])
}

/// PEM, or the DER form of PKCS #8 that pgjdbc wants.
fn private_key(path: &Path, password: Option<&str>) -> Result<PrivateKeyDer<'static>> {
    let bytes = read(path)?;
    if bytes.starts_with(b"\x30") {
        return Ok(PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(bytes)));
    }
    let key = PrivateKeyDer::from_pem_slice(&bytes);
    key.map_err(|error| {
        let error = unusable(&path.display().to_string(), error);
        if password.is_some() {
            error.with_hint("encrypted keys are not read: decrypt it with \"openssl pkcs8 -in KEY -out NEW\"")
        } else {
            error
        }
    })
}

fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|error| {
        Error::new(ErrorClass::Settings, format!("could not read {}: {error}", path.display()))
    })
}

fn unusable(what: &str, error: impl std::fmt::Display) -> Error {
    Error::new(ErrorClass::Settings, format!("{what} cannot be used: {error}"))
}

/// Encryption without knowing to whom (`require`, `prefer`, `allow`).
#[derive(Debug)]
struct Unverified(Arc<CryptoProvider>);

impl ServerCertVerifier for Unverified {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> std::result::Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// `verify-ca`: the chain must hold, the name may be any.
#[derive(Debug)]
struct AnyName(Arc<WebPkiServerVerifier>);

impl ServerCertVerifier for AnyName {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> std::result::Result<ServerCertVerified, rustls::Error> {
        let verdict = self.0.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        match verdict {
            // webpki looks at the name only after the chain was found good.
            Err(rustls::Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            verdict => verdict,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}
