//! A Backup as it is observed, in the states that it can be in.

use super::*;

/// The Backup is made at T0; its timeout is ten minutes.
pub(super) const T0: &str = "2026-11-20T10:00:00Z";

pub(super) fn at(seconds: i64) -> Timestamp {
    T0.parse::<Timestamp>().unwrap() + SignedDuration::from_secs(seconds)
}

pub(super) fn fresh() -> Observed {
    let backup: Backup = serde_json::from_value(json!({
        "apiVersion": "lifeboat.dev/v1alpha1", "kind": "Backup",
        "metadata": {
            "name": "telemetry-20261120t100000z", "namespace": "iot", "uid": "b-1", "generation": 1,
            "creationTimestamp": T0,
            "labels": {labels::BACKUP_SCHEDULE: "telemetry"},
            "annotations": {labels::SLOT: T0},
        },
        "spec": {
            "source": {"influxdb": {"url": "http://influxdb:8086"}},
            "storage": {"name": "dr-bucket"},
            "timeout": "10m",
            "retry": {"limit": 1},
        },
    }))
    .unwrap();
    Observed {
        backup,
        image: "lifeboat:test".to_owned(),
        identity: samples::full(0).identity,
        job: None,
        attempt: 0,
        run: RunState::NoJob,
        storage: ready(),
        commit: Commit::Absent,
        missing_secret: None,
    }
}

pub(super) fn ready() -> Storage {
    Storage::Ready(Box::default())
}

pub(super) fn read_only() -> Storage {
    let spec = serde_json::from_value(json!({"accessMode": "ReadOnly"})).unwrap();
    Storage::Ready(Box::new(spec))
}

pub(super) fn fault() -> Commit {
    Commit::Fault(StoreFault {
        reason: Reason::Unreachable,
        message: "no answer".to_owned(),
        retryable: true,
    })
}

pub(super) fn committed() -> Commit {
    let manifest = samples::full(0);
    Commit::Committed {
        reference: crate::api::common::ManifestRef {
            path: manifest.identity.manifest_key(),
            sha256: sha256_hex(&manifest.to_bytes().unwrap()),
        },
        manifest: Box::new(manifest),
    }
}

pub(super) fn void() -> Commit {
    Commit::Void(VoidMarker::new(
        samples::full(0).identity,
        "it was lost",
        at(0),
    ))
}

/// A run of this attempt, begun at T0 and seen in this state.
pub(super) fn with_run(attempt: u32, run: RunState) -> Observed {
    let job: Job = serde_json::from_value(json!({
        "metadata": {"name": "j", "uid": "j-1", "creationTimestamp": T0},
    }))
    .unwrap();
    let mut seen = fresh();
    seen.status_mut().attempt = attempt;
    seen.status_mut().phase = Phase::Running;
    seen.status_mut().start_time = Some(at(0));
    Observed {
        job: Some(job),
        attempt,
        run,
        ..seen
    }
}

pub(super) fn word(result: RunResult) -> RunState {
    RunState::EndedByWord(Box::new(Outcome {
        run_id: "run-1".to_owned(),
        result,
        phases: Vec::new(),
        warnings: Vec::new(),
    }))
}

pub(super) fn failure(reason: Reason, retryable: bool) -> RunState {
    word(RunResult::Failed(Failure {
        reason,
        message: "do this".to_owned(),
        retryable,
        applied_parts: 0,
    }))
}

pub(super) fn exported() -> RunState {
    let Commit::Committed { reference, .. } = committed() else {
        panic!("committed");
    };
    word(RunResult::Exported(Exported {
        manifest: reference,
        adopted: false,
    }))
}

pub(super) fn silent(reason: Reason, known_dead: bool) -> RunState {
    RunState::EndedSilently(SilentEnd {
        reason,
        message: "it went".to_owned(),
        known_dead,
        never_ran: false,
    })
}

impl Observed {
    pub(super) fn status_mut(&mut self) -> &mut BackupStatus {
        self.backup.status.get_or_insert_default()
    }

    pub(super) fn and(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }
}
