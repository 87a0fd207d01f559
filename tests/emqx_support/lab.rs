//! Two stand-ins, a bucket in a directory, and whole runs between them.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex as StdMutex};

use lifeboat::api::common::{Codec, Compression, Limits, ManifestRef};
use lifeboat::api::engines::{EmqxLogin, EmqxSource, EmqxTarget, SourceSpec, TargetSpec};
use lifeboat::api::order::{Bounds, ExportOrder, ImportOrder, Order};
use lifeboat::api::outcome::{Imported, RunResult};
use lifeboat::api::restore::{ConflictPolicy, Deletions, Preflight, Verify};
use lifeboat::api::storage_location::{LocalLocation, StorageLocationSpec};
use lifeboat::engine::{Access, Engine, ImportPlan, connect_source, connect_target};
use lifeboat::job::{JobError, Run, execute};
use lifeboat::manifest::{Identity, Part};
use lifeboat::storage::{self, Location};
use lifeboat::transfer::{IndexReader, catalog};
use serde_json::Value;
use tokio::sync::{Mutex, MutexGuard};

/// Rows of the recorded archive's tables.
pub const RECORDED_ROWS: [(&str, u64); 7] = [
    ("emqx_acl", 1),
    ("emqx_admin", 1),
    ("emqx_app", 2),
    ("emqx_authn_mnesia", 5),
    ("emqx_authn_scram_mnesia", 0),
    ("emqx_banned", 1),
    ("emqx_psk", 0),
];

/// Stand-ins are shared by all tests, so one test at a time.
static SERVERS: Mutex<()> = Mutex::const_new(());

/// A stand-in, spoken to without the engine.
pub struct Server {
    pub url: String,
    http: reqwest::Client,
}

impl Server {
    fn new(url: &str) -> Self {
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        Self {
            url: url.to_owned(),
            http,
        }
    }

    /// Has the stand-in do something.
    pub async fn post(&self, what: &str, body: &str) {
        let url = format!("{}/standin/{what}", self.url);
        let answer = self
            .http
            .post(url)
            .body(body.to_owned())
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 204, "{what}");
    }

    pub async fn faults(&self, faults: Value) {
        self.post("faults", &faults.to_string()).await;
    }

    async fn state(&self) -> Value {
        let url = format!("{}/standin/state", self.url);
        self.http
            .get(url)
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap()
    }

    /// Rows of each table.
    pub async fn rows(&self) -> BTreeMap<String, u64> {
        serde_json::from_value(self.state().await["rows"].take()).unwrap()
    }

    /// Archives on any node.
    pub async fn files(&self) -> Vec<String> {
        let mut files: Vec<String> =
            serde_json::from_value(self.state().await["files"].take()).unwrap();
        files.sort();
        files
    }

    pub async fn calls(&self) -> Vec<String> {
        serde_json::from_value(self.state().await["calls"].take()).unwrap()
    }

    /// Whether a call that begins so has come.
    pub async fn called(&self, begin: &str) -> bool {
        let calls = self.calls().await;
        calls.iter().any(|call| call.starts_with(begin))
    }

    pub async fn download(&self, name: &str) -> Vec<u8> {
        let url = format!("{}/api/v5/data/files/{name}", self.url);
        let request = self.http.get(url).basic_auth(KEY, Some(SECRET));
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 200);
        answer.bytes().await.unwrap().to_vec()
    }
}

const KEY: &str = "lifeboat-key";
const SECRET: &str = "lifeboat-secret-key";

struct Settings {
    login: EmqxLogin,
    keep_remote: bool,
    full_copy: bool,
    table_sets: Vec<String>,
    slot: u32,
    warnings: Vec<String>,
}

/// Both stand-ins, empty, and a bucket.
pub struct Lab {
    _alone: MutexGuard<'static, ()>,
    pub a: Server,
    pub b: Server,
    directory: tempfile::TempDir,
    secret: tempfile::TempDir,
    settings: StdMutex<Settings>,
}

impl Lab {
    /// None where no stand-ins are named.
    pub async fn take() -> Option<Self> {
        let (Ok(a), Ok(b)) = (
            std::env::var("LIFEBOAT_TEST_EMQX_A"),
            std::env::var("LIFEBOAT_TEST_EMQX_B"),
        ) else {
            eprintln!("skipped: LIFEBOAT_TEST_EMQX_A and _B name no servers");
            return None;
        };
        let lab = Self {
            _alone: SERVERS.lock().await,
            a: Server::new(&a),
            b: Server::new(&b),
            directory: tempfile::tempdir().unwrap(),
            secret: tempfile::tempdir().unwrap(),
            settings: StdMutex::new(Settings {
                login: EmqxLogin::ApiKey,
                keep_remote: false,
                full_copy: false,
                table_sets: vec![],
                slot: 0,
                warnings: vec![],
            }),
        };
        lab.a.post("reset", "").await;
        lab.b.post("reset", "").await;
        lab.login_as(EmqxLogin::ApiKey, KEY, SECRET);
        Some(lab)
    }

    pub fn login_as(&self, login: EmqxLogin, user: &str, password: &str) {
        std::fs::write(self.secret.path().join("username"), user).unwrap();
        std::fs::write(self.secret.path().join("password"), password).unwrap();
        self.set(|settings| settings.login = login);
    }

    pub fn give_login(pod: &super::job::Pod) {
        pod.login(KEY, SECRET);
    }

    pub fn keep_remote(&self) {
        self.set(|settings| settings.keep_remote = true);
    }

    pub fn full_copy(&self) {
        self.set(|settings| settings.full_copy = true);
    }

    pub fn choose(&self, table_sets: &[&str]) {
        let sets = table_sets.iter().map(|set| (*set).to_owned()).collect();
        self.set(|settings| settings.table_sets = sets);
    }

    /// The next export goes into another slot.
    pub fn new_slot(&self) {
        self.set(|settings| settings.slot += 1);
    }

    fn set(&self, change: impl FnOnce(&mut Settings)) {
        change(&mut self.settings.lock().unwrap());
    }

    /// What the last run warned of.
    pub fn warnings(&self) -> Vec<String> {
        self.settings.lock().unwrap().warnings.clone()
    }

    pub fn warned(&self, part: &str) -> bool {
        self.warnings().iter().any(|warning| warning.contains(part))
    }

    /// A configuration whose authenticator has its salt there.
    pub fn configuration(salt: &str) -> String {
        format!(
            "authentication = [\n  {{\n    backend = built_in_database\n    mechanism = password_based\n    password_hash_algorithm {{name = sha256, salt_position = {salt}}}\n  }}\n]\n"
        )
    }

    /// Allows what holds data.
    pub fn overwrite(order: &mut ImportOrder) {
        order.conflict_policy = ConflictPolicy::Overwrite;
        let target = order.target.emqx.as_ref().unwrap();
        order.confirm = Some(target.url.clone());
    }

    fn access(&self) -> Access {
        Access {
            credentials: Some(self.secret.path().to_owned()),
            ..Access::default()
        }
    }

    fn location(&self) -> Location {
        storage::open(&storage(), None, None, self.directory.path()).unwrap()
    }

    fn identity(&self) -> Identity {
        let slot = self.settings.lock().unwrap().slot;
        Identity {
            cluster: "prod".to_owned(),
            cluster_uid: "0c2f".to_owned(),
            namespace: "iot".to_owned(),
            schedule: Some("emqx".to_owned()),
            backup: "emqx-1".to_owned(),
            backup_uid: "77aa".to_owned(),
            slot: format!("20261120t10{slot:02}00z"),
        }
    }

    /// A whole export into the bucket.
    pub async fn export(&self) -> Result<ManifestRef, JobError> {
        let (login, keep, table_sets) = {
            let settings = self.settings.lock().unwrap();
            (
                settings.login,
                settings.keep_remote,
                settings.table_sets.clone(),
            )
        };
        let source = SourceSpec {
            emqx: Some(EmqxSource {
                url: self.a.url.clone(),
                login,
                delete_remote: keep.then_some(false),
                table_sets,
                ..EmqxSource::default()
            }),
            ..SourceSpec::default()
        };
        let engine = connect_source(&source, &self.access())?;
        let order = ExportOrder {
            identity: self.identity(),
            source,
            storage: storage(),
            // EMQX's archives are packed: this is not used.
            compression: Compression {
                codec: Codec::Zstd,
                level: None,
            },
            limits: Limits::default(),
            bounds: bounds(),
        };
        match self.run(Order::Export(Box::new(order)), engine).await? {
            RunResult::Exported(exported) => Ok(exported.manifest),
            other => panic!("{other:?}"),
        }
    }

    /// A whole import into the second stand-in, which has to be empty unless `change` says more.
    pub async fn import(
        &self,
        manifest: &ManifestRef,
        change: impl FnOnce(&mut ImportOrder),
    ) -> Result<Imported, JobError> {
        let (login, full_copy) = {
            let settings = self.settings.lock().unwrap();
            (settings.login, settings.full_copy)
        };
        let mut order = ImportOrder {
            restore: "iot/emqx".to_owned(),
            storage: storage(),
            manifests: vec![manifest.clone()],
            vendor_dump: None,
            target: TargetSpec {
                emqx: Some(EmqxTarget {
                    url: self.b.url.clone(),
                    login,
                    import_credentials: full_copy,
                    ..EmqxTarget::default()
                }),
                ..TargetSpec::default()
            },
            remap: vec![],
            conflict_policy: ConflictPolicy::Fail,
            deletions: Deletions::Keep,
            confirm: None,
            dry_run: false,
            preflight: Preflight::Digests,
            verify: Verify::Counts,
            drill_prefix: None,
            drill_again: false,
            limits: Limits::default(),
            bounds: bounds(),
        };
        change(&mut order);
        let plan = ImportPlan {
            remap: order.remap.clone(),
            conflict_policy: order.conflict_policy,
            deletions: order.deletions,
            verify: order.verify,
            drill_prefix: order.drill_prefix.clone(),
        };
        let engine = connect_target(&order.target, &self.access(), &plan)?;
        match self.run(Order::Import(Box::new(order)), engine).await? {
            RunResult::Imported(imported) => Ok(imported),
            other => panic!("{other:?}"),
        }
    }

    async fn run(&self, order: Order, engine: Box<dyn Engine>) -> Result<RunResult, JobError> {
        let id = uuid::Uuid::new_v4().to_string();
        let run = Arc::new(Run::start(id, &bounds(), jiff::Timestamp::now()).unwrap());
        let result = execute(&run, &order, &self.location(), Some(engine.into())).await;
        self.set(|settings| settings.warnings = run.warnings());
        result
    }

    /// The one part of a backup.
    pub async fn part(&self, manifest: &ManifestRef) -> Part {
        let location = self.location();
        let stored = catalog::read_backup(&location, &manifest.path, None)
            .await
            .unwrap();
        assert_eq!(stored.manifest.codec, Codec::None);
        let mut index = IndexReader::open(location, &stored.manifest).unwrap();
        let part = index.next().await.unwrap().unwrap();
        assert!(index.next().await.unwrap().is_none());
        part
    }

    /// A file of a backup, as it lies in the bucket.
    pub fn stored(&self, manifest: &ManifestRef, path: &str) -> Vec<u8> {
        let data = manifest.path.replace("/manifests/", "/data/");
        let slot = self.directory.path().join(data.trim_end_matches(".json"));
        let run = std::fs::read_dir(slot).unwrap().next().unwrap().unwrap();
        std::fs::read(run.path().join(Path::new(path))).unwrap()
    }
}

fn storage() -> StorageLocationSpec {
    StorageLocationSpec {
        local: Some(LocalLocation {
            claim_name: "test".to_owned(),
            prefix: String::new(),
        }),
        ..StorageLocationSpec::default()
    }
}

fn bounds() -> Bounds {
    Bounds {
        timeout_seconds: 120,
        not_after: jiff::Timestamp::now() + jiff::SignedDuration::from_secs(120),
    }
}
