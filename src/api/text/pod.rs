//! Schemas of what a job pod is made of.

use schemars::{Schema, SchemaGenerator, json_schema};

use super::{LABEL_NAME, Rule, string, with};

/// The name of an environment variable.
pub(in crate::api) fn env_name(_: &mut SchemaGenerator) -> Schema {
    string(
        1,
        128,
        &[
            (
                "self.matches('^[A-Za-z_][A-Za-z0-9_]*$')",
                "write the variable's name with letters, digits and underscores, and no digit at the start",
            ),
            (
                "!self.startsWith('LIFEBOAT_')",
                "variables that begin with LIFEBOAT_ are Lifeboat's own; take another name",
            ),
        ],
    )
}

/// The value of an environment variable.
pub(in crate::api) fn env_value(_: &mut SchemaGenerator) -> Schema {
    string(0, 4096, &[])
}

/// The name of a volume. Lifeboat puts four letters before it.
pub(in crate::api) fn volume_name(_: &mut SchemaGenerator) -> Schema {
    string(1, 59, &[LABEL_NAME])
}

/// Where a volume is mounted.
pub(in crate::api) fn mount_path(_: &mut SchemaGenerator) -> Schema {
    string(
        2,
        256,
        &[
            (
                "self.matches('^(/[A-Za-z0-9._-]+)+$') && !self.matches('/[.]{1,2}(/|$)')",
                "write an absolute path such as /data: names of letters, digits, dots, dashes and underscores, none of them . or ..",
            ),
            (
                "!self.matches('^/(((var/)?run|var/lib|usr/local/bin)/lifeboat|dev|proc|sys)(/|$)') && !self.matches('^/(run|var|var/run|var/lib|usr|usr/local|usr/local/bin)$')",
                "Lifeboat's own files, /dev, /proc or /sys lie at that path or below it; mount the volume elsewhere, such as /data",
            ),
        ],
    )
}

/// The size of a volume.
pub(in crate::api) fn storage_size(_: &mut SchemaGenerator) -> Schema {
    string(
        1,
        16,
        &[(
            "self.matches('^[1-9][0-9]{0,9}(Ki|Mi|Gi|Ti|k|M|G|T)?$')",
            "write bytes as a whole number with Ki, Mi, Gi, Ti, k, M, G or T, such as 10Gi",
        )],
    )
}

/// Labels of a made object.
pub(in crate::api) fn labels(_: &mut SchemaGenerator) -> Schema {
    map(
        63,
        &[
            (
                "self.all(k, k.matches('^([a-z0-9.-]{1,253}/)?[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$') && self[k].matches('^([A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?)?$'))",
                "write keys and values as Kubernetes takes them for labels: letters, digits, dashes, underscores and dots",
            ),
            OWN_KEYS,
        ],
    )
}

/// Annotations of a made object.
pub(in crate::api) fn annotations(_: &mut SchemaGenerator) -> Schema {
    map(
        4096,
        &[
            (
                "self.all(k, k.matches('^([a-z0-9.-]{1,253}/)?[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$'))",
                "write keys as Kubernetes takes them: an optional domain and a slash, then letters, digits, dashes, underscores and dots",
            ),
            OWN_KEYS,
        ],
    )
}

const OWN_KEYS: Rule = (
    "!self.exists(k, k.startsWith('lifeboat.dev/') || k == 'app.kubernetes.io/managed-by')",
    "Lifeboat sets lifeboat.dev/... and app.kubernetes.io/managed-by itself; remove them",
);

/// Labels of the nodes that a pod may run on.
pub(in crate::api) fn node_selector(_: &mut SchemaGenerator) -> Schema {
    map(63, &[])
}

fn map(max: u32, rules: &[Rule]) -> Schema {
    with(
        json_schema!({
            "type": "object",
            "maxProperties": 32,
            "additionalProperties": { "type": "string", "maxLength": max },
        }),
        rules,
    )
}

/// An object of Kubernetes that is handed on as it is.
pub(in crate::api) fn open_object(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "x-kubernetes-preserve-unknown-fields": true,
    })
}

/// A list of such objects.
pub(in crate::api) fn open_list(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "maxItems": 32,
        "items": { "type": "object", "x-kubernetes-preserve-unknown-fields": true },
    })
}
