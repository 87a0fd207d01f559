//! What stands between a client and a server: a wire that breaks, and TLS.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

/// Breaks each connection once the server has said so many bytes.
pub struct Breaking {
    pub url: String,
    broke: Arc<AtomicUsize>,
    heard: Arc<Mutex<Vec<u8>>>,
}

impl Breaking {
    pub async fn start(server: &str, after: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("rethinkdb://{}", listener.local_addr().unwrap());
        let broke = Arc::new(AtomicUsize::new(0));
        let (server, counter) = (server.to_owned(), Arc::clone(&broke));
        let heard = Arc::new(Mutex::new(Vec::new()));
        let ear = Arc::clone(&heard);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(&server).await.unwrap();
                let (counter, ear) = (Arc::clone(&counter), Arc::clone(&ear));
                tokio::spawn(async move {
                    if carry(client, server, after, ear).await {
                        counter.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
        });
        Self { url, broke, heard }
    }

    /// All that clients said.
    pub fn heard(&self) -> String {
        String::from_utf8_lossy(&self.heard.lock().unwrap()).into_owned()
    }

    pub fn broke(&self) -> usize {
        self.broke.load(Ordering::Relaxed)
    }
}

/// True where it broke.
async fn carry(
    client: TcpStream,
    server: TcpStream,
    after: usize,
    ear: Arc<Mutex<Vec<u8>>>,
) -> bool {
    let (mut client_in, mut client_out) = client.into_split();
    let (mut server_in, mut server_out) = server.into_split();
    let there = tokio::spawn(async move {
        let mut piece = vec![0; 16 * 1024];
        while let Ok(read @ 1..) = client_in.read(&mut piece).await {
            ear.lock().unwrap().extend_from_slice(&piece[..read]);
            if server_out.write_all(&piece[..read]).await.is_err() {
                break;
            }
        }
    });
    let (mut left, mut piece) = (after, vec![0; 16 * 1024]);
    let broke = loop {
        match server_in.read(&mut piece).await {
            Ok(read @ 1..) => {
                let some = read.min(left);
                left -= some;
                if client_out.write_all(&piece[..some]).await.is_err() {
                    break false;
                }
                // At once: a client that waits for the rest would wait for ever.
                if left == 0 {
                    break true;
                }
            }
            _ => break false,
        }
    };
    there.abort();
    broke
}

/// Speaks TLS to clients.
pub struct Tls {
    pub url: String,
    /// The certificate to trust.
    pub ca: tempfile::NamedTempFile,
}

impl Tls {
    pub async fn start(server: &str) -> Self {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let ca = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(ca.path(), made.cert.pem()).unwrap();
        let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
        let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], PrivateKeyDer::from(key))
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = server.to_owned();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let mut server = TcpStream::connect(&server).await.unwrap();
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    if let Ok(mut client) = acceptor.accept(client).await {
                        let _ = copy_bidirectional(&mut client, &mut server).await;
                    }
                });
            }
        });
        Self {
            url: format!("rethinkdbs://localhost:{port}"),
            ca,
        }
    }
}
