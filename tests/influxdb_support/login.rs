//! Servers of the tests' own: one that asks for logins, one that speaks TLS.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};

use lifeboat::api::conditions::Reason;
use lifeboat::api::engines::{InfluxDbSource, InfluxDbTarget, SourceSpec, TargetSpec};
use lifeboat::engine::{Access, Engine, EngineError, ImportPlan, connect_source, connect_target};

use super::harness::{Lab, now, whole};

struct Locked {
    url: String,
    http: reqwest::Client,
    server: Child,
    directory: tempfile::TempDir,
}

impl Drop for Locked {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// An address that nobody has. It lies below the ports that the kernel gives to connections: one of
/// those may be taken by another test's connection before the server binds it.
fn free_address() -> String {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = 20_000 + u16::try_from(std::process::id() % 8_000).unwrap();
    loop {
        let port = first + NEXT.fetch_add(1, Ordering::Relaxed);
        if std::net::TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return format!("127.0.0.1:{port}");
        }
    }
}

impl Locked {
    async fn start(settings: &[(&str, &Path)]) -> Option<Self> {
        let Ok(binary) = std::env::var("LIFEBOAT_TEST_INFLUXD") else {
            eprintln!("skipped: LIFEBOAT_TEST_INFLUXD names no server");
            return None;
        };
        let directory = tempfile::tempdir().unwrap();
        let address = free_address();
        let at = |name: &str| directory.path().join(name);
        let server = Command::new(binary)
            .env("INFLUXDB_META_DIR", at("meta"))
            .env("INFLUXDB_DATA_DIR", at("data"))
            .env("INFLUXDB_DATA_WAL_DIR", at("wal"))
            .env("INFLUXDB_HTTP_BIND_ADDRESS", &address)
            .env("INFLUXDB_BIND_ADDRESS", free_address())
            .envs(settings.iter().copied())
            .env("INFLUXDB_MONITOR_STORE_ENABLED", "false")
            .env("INFLUXDB_REPORTING_DISABLED", "true")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let client = reqwest::Client::builder().no_proxy();
        let http = client
            .tls_danger_accept_invalid_certs(true)
            .build()
            .unwrap();
        let with_tls = settings.iter().any(|(name, _)| name.contains("HTTPS"));
        let scheme = if with_tls { "https" } else { "http" };
        let locked = Self {
            url: format!("{scheme}://{address}"),
            http,
            server,
            directory,
        };
        let ready = async {
            while locked
                .http
                .get(format!("{}/ping", locked.url))
                .send()
                .await
                .is_err()
            {
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(30), ready)
            .await
            .unwrap();
        Some(locked)
    }

    async fn ask(&self, query: &str) {
        let request = self
            .http
            .post(format!("{}/query", self.url))
            .form(&[("q", query)]);
        let answer = request
            .basic_auth("root", Some("toor"))
            .send()
            .await
            .unwrap();
        let text = answer.text().await.unwrap();
        assert!(!text.contains("\"error\""), "{query}: {text}");
    }

    fn access(&self, user: &str, password: &str) -> Access {
        let credentials = self.directory.path().join(format!("{user}-{password}"));
        std::fs::create_dir_all(&credentials).unwrap();
        std::fs::write(credentials.join("username"), user).unwrap();
        std::fs::write(credentials.join("password"), password).unwrap();
        Access {
            credentials: Some(credentials),
            ..Access::default()
        }
    }

    fn source(&self, access: &Access) -> Box<dyn Engine> {
        let influxdb = Some(InfluxDbSource {
            url: self.url.clone(),
            databases: vec![whole("d".into())],
            ..InfluxDbSource::default()
        });
        connect_source(
            &SourceSpec {
                influxdb,
                ..SourceSpec::default()
            },
            access,
        )
        .unwrap()
    }

    fn target(&self, access: &Access) -> Box<dyn Engine> {
        let influxdb = Some(InfluxDbTarget {
            url: self.url.clone(),
            ..InfluxDbTarget::default()
        });
        let spec = TargetSpec {
            influxdb,
            ..TargetSpec::default()
        };
        connect_target(&spec, access, &ImportPlan::default()).unwrap()
    }
}

#[tokio::test]
async fn logins_and_rights() {
    let Some(lab) = Lab::take("login").await else {
        return;
    };
    let Some(locked) = Locked::start(&[("INFLUXDB_HTTP_AUTH_ENABLED", Path::new("true"))]).await
    else {
        return;
    };
    let create = "CREATE USER root WITH PASSWORD 'toor' WITH ALL PRIVILEGES";
    let first = locked
        .http
        .post(format!("{}/query", locked.url))
        .form(&[("q", create)]);
    assert!(first.send().await.unwrap().status().is_success());
    for statement in [
        "CREATE DATABASE d",
        "CREATE DATABASE \"lb_login_db\"",
        "CREATE USER reader WITH PASSWORD 'r'",
        "GRANT READ ON d TO reader",
        "GRANT READ ON \"lb_login_db\" TO reader",
        "CREATE USER writer WITH PASSWORD 'w'",
        "GRANT ALL ON \"lb_login_db\" TO writer",
        "CREATE USER nobody WITH PASSWORD 'n'",
    ] {
        locked.ask(statement).await;
    }

    // As a source.
    for (user, password, want) in [
        ("root", "wrong", Some(Reason::DatabaseLoginFailed)),
        ("absent", "x", Some(Reason::DatabaseLoginFailed)),
        ("root", "toor", None),
        ("reader", "r", None),
    ] {
        let engine = locked.source(&locked.access(user, password));
        let found = engine.probe().await.err().as_ref().map(EngineError::reason);
        assert_eq!(found, want, "{user}");
        if want.is_none() {
            let plan = engine.plan_export(&now()).await.unwrap();
            engine.finish_export(&plan).await.unwrap();
        }
    }
    let without = locked.source(&Access::default()).probe().await.unwrap_err();
    assert_eq!(without.reason(), Reason::DatabaseLoginFailed);
    let hidden = locked.source(&locked.access("nobody", "n"));
    let error = hidden.plan_export(&now()).await.unwrap_err();
    assert!(
        matches!(
            error.reason(),
            Reason::DatabaseNotFound | Reason::DatabasePermissionDenied
        ),
        "{error}"
    );

    // As a target: the right to write is known before anything is touched.
    lab.clean().await;
    lab.a.ask("CREATE DATABASE lb_login_db").await;
    lab.a
        .write("lb_login_db", "autogen", "m v=1 1\n".into())
        .await;
    let spec = InfluxDbSource {
        databases: lab.all().await,
        ..InfluxDbSource::default()
    };
    let there = lab.export(spec, &now()).await.plan.structure;
    lab.a.ask("CREATE DATABASE lb_login_more").await;
    let spec = InfluxDbSource {
        databases: lab.all().await,
        ..InfluxDbSource::default()
    };
    let more = lab.export(spec, &now()).await.plan.structure;
    lab.clean().await;
    let plan = ImportPlan::default();
    for (user, password, structure, want) in [
        ("reader", "r", &there, Some("not authorized to write")),
        ("writer", "w", &there, None),
        (
            "writer",
            "w",
            &more,
            Some("may not make the database \"lb_login_more\""),
        ),
        ("root", "toor", &more, None),
    ] {
        let engine = locked.target(&locked.access(user, password));
        let found = engine.prepare_import(&plan, structure).await;
        match want {
            None => found.unwrap(),
            Some(words) => {
                let error = found.unwrap_err();
                assert_eq!(error.reason(), Reason::DatabasePermissionDenied, "{error}");
                assert!(error.to_string().contains(words), "{error}");
            }
        }
    }
}

#[tokio::test]
async fn certificates_are_checked() {
    let names = vec!["127.0.0.1".to_owned()];
    let own = rcgen::generate_simple_self_signed(names.clone()).unwrap();
    let other = rcgen::generate_simple_self_signed(names).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, text: String| {
        let path = directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let certificate = file("cert.pem", own.cert.pem());
    let key = file("key.pem", own.signing_key.serialize_pem());
    let settings = [
        ("INFLUXDB_HTTP_HTTPS_ENABLED", Path::new("true")),
        ("INFLUXDB_HTTP_HTTPS_CERTIFICATE", &certificate),
        ("INFLUXDB_HTTP_HTTPS_PRIVATE_KEY", &key),
    ];
    let Some(server) = Locked::start(&settings).await else {
        return;
    };
    for (bundle, want) in [
        (None, Some(Reason::TlsFailed)),
        (
            Some(file("other.pem", other.cert.pem())),
            Some(Reason::TlsFailed),
        ),
        (
            Some(file("empty.pem", String::new())),
            Some(Reason::SecretKeyMissing),
        ),
        (
            Some(directory.path().join("absent.pem")),
            Some(Reason::SecretKeyMissing),
        ),
        (Some(certificate.clone()), None),
    ] {
        let access = Access {
            ca_bundle: bundle,
            ..Access::default()
        };
        let influxdb = Some(InfluxDbSource {
            url: server.url.clone(),
            ..InfluxDbSource::default()
        });
        let spec = SourceSpec {
            influxdb,
            ..SourceSpec::default()
        };
        let found = match connect_source(&spec, &access) {
            Ok(engine) => engine.probe().await.err(),
            Err(error) => Some(error),
        };
        assert_eq!(found.as_ref().map(EngineError::reason), want, "{found:?}");
    }
    // Plain HTTP to a port that speaks TLS, and the other way round.
    let plain = Locked::start(&[]).await.unwrap();
    for (url, want) in [
        (server.url.replace("https", "http"), Reason::DatabaseError),
        (plain.url.replace("http", "https"), Reason::TlsFailed),
    ] {
        let influxdb = Some(InfluxDbSource {
            url,
            ..InfluxDbSource::default()
        });
        let spec = SourceSpec {
            influxdb,
            ..SourceSpec::default()
        };
        let engine = connect_source(&spec, &Access::default()).unwrap();
        let error = engine.probe().await.unwrap_err();
        assert_eq!(error.reason(), want, "{error}");
    }
}
