//! Orders that are carried out as a job pod does, with its files below a directory.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

/// Where a pod has its local store, below its root.
pub const STORE: &str = "var/lib/lifeboat/store";

/// Carries an order out as a job pod does; how it ended, and whether it succeeded.
pub fn pod(root: &Path, mut order: Value) -> (Value, bool) {
    let log = root.join("dev/termination-log");
    for directory in [root.join(STORE), root.join("dev")] {
        std::fs::create_dir_all(directory).unwrap();
    }
    std::fs::write(&log, "").unwrap();
    let soon = jiff::Timestamp::now() + jiff::SignedDuration::from_mins(5);
    order["bounds"] = json!({"timeoutSeconds": 120, "notAfter": soon.to_string()});
    let file = root.join("order.json");
    std::fs::write(&file, order.to_string()).unwrap();
    let done = Command::new(env!("CARGO_BIN_EXE_lifeboat"))
        .arg(order["task"].as_str().unwrap())
        .arg("--order")
        .arg(file)
        .arg("--root")
        .arg(root)
        .env("LIFEBOAT_RUN_ID", "run-1")
        .output()
        .unwrap();
    let outcome = std::fs::read_to_string(log).unwrap();
    let outcome = serde_json::from_str(&outcome).unwrap();
    (outcome, done.status.success())
}

/// Restores the vendor's dump at a path of the store, with these fields of the order besides; how it
/// ended, and whether it succeeded.
pub fn restore_dump(root: &Path, path: &str, target: &Value, more: &Value) -> (Value, bool) {
    let mut order = json!({
        "task": "import",
        "restore": "iot/from-dump",
        "storage": {"local": {"claimName": "store"}, "accessMode": "ReadOnly"},
        "manifests": [],
        "vendorDump": path,
        "target": target,
        "remap": [],
        "conflictPolicy": "Fail",
        "confirm": null,
        "dryRun": false,
        "preflight": "Digests",
        "verify": "Equal",
        "drillPrefix": null,
        "limits": {},
    });
    let more = more.as_object().unwrap().clone();
    order.as_object_mut().unwrap().extend(more);
    pod(root, order)
}
