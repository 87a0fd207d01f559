//! Schemas of strings, lists and maps, each with its bounds and the rules that the API server
//! enforces.
//!
//! A rule's message is what a person reads after `kubectl apply`, so it says what to write. That is
//! why these are CEL rules and not `pattern`, whose message is a regular expression.

mod pod;

use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

pub(super) use pod::{
    annotations, env_name, env_value, labels, mount_path, node_selector, open_list, open_object,
    storage_size, volume_name,
};

/// A rule and its message.
type Rule = (&'static str, &'static str);

const NO_CONTROL: Rule = (
    r"!self.matches(r'\p{Cc}')",
    "take the control characters (line breaks, tabs, NUL) out of the text",
);

const OBJECT_NAME: Rule = (
    "self.matches('^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$')",
    "write the name of a Kubernetes object: lower-case letters, digits, dashes and dots",
);

const LABEL_NAME: Rule = (
    "self.matches('^[a-z0-9]([a-z0-9-]*[a-z0-9])?$')",
    "write lower-case letters, digits and dashes",
);

fn string(min: u32, max: u32, rules: &[Rule]) -> Schema {
    let mut schema = json_schema!({ "type": "string", "maxLength": max });
    if min > 0 {
        schema.insert("minLength".to_owned(), min.into());
    }
    with(schema, rules)
}

fn with(mut schema: Schema, rules: &[Rule]) -> Schema {
    let rules: Vec<Value> = rules
        .iter()
        .map(|(rule, message)| json!({ "rule": rule, "message": message }))
        .collect();
    if !rules.is_empty() {
        schema.insert("x-kubernetes-validations".to_owned(), rules.into());
    }
    schema
}

/// A span of time longer than zero.
pub(super) fn span(_: &mut SchemaGenerator) -> Schema {
    string(
        2,
        24,
        &[
            SPAN,
            (
                "self.matches('[1-9]')",
                "write a span of time longer than zero, at least 1s",
            ),
        ],
    )
}

/// A span of time that may be zero.
pub(super) fn span_or_zero(_: &mut SchemaGenerator) -> Schema {
    string(2, 24, &[SPAN])
}

const SPAN: Rule = (
    "self.matches('^[0-9]+[smhd]') && self.matches('^([0-9]{1,4}d)?([0-9]{1,5}h)?([0-9]{1,6}m)?([0-9]{1,7}s)?$')",
    "write a span of time such as 90s, 15m, 1h30m or 2d: whole numbers, each unit once, the larger first",
);

/// The name of an object of the same namespace.
pub(super) fn object_name(_: &mut SchemaGenerator) -> Schema {
    string(1, 253, &[OBJECT_NAME])
}

/// A name as a cluster, a namespace or a label has it.
pub(super) fn label_name(_: &mut SchemaGenerator) -> Schema {
    string(1, 63, &[LABEL_NAME])
}

/// The name of a schedule.
pub(super) fn schedule_name(_: &mut SchemaGenerator) -> Schema {
    string(1, 40, &[OBJECT_NAME])
}

/// A key of a ConfigMap.
pub(super) fn config_key(_: &mut SchemaGenerator) -> Schema {
    string(
        1,
        253,
        &[(
            "self.matches('^[A-Za-z0-9_-][A-Za-z0-9._-]*$')",
            "write a key of the ConfigMap: letters, digits, dashes, underscores and dots, and no dot at the start",
        )],
    )
}

/// The URL of a server.
pub(super) fn url(_: &mut SchemaGenerator) -> Schema {
    string(
        8,
        512,
        &[
            (
                "self.matches('^https?://')",
                "begin the url with http:// or https://",
            ),
            (
                "!self.contains('@')",
                "take user and password out of the url and put them into credentials",
            ),
            (
                "!self.contains('?') && !self.contains('#')",
                "take the query and the fragment (? or # and what follows) out of the url",
            ),
            (
                concat!(
                    r"!self.matches('^https?://[^@?#]*$') || ",
                    r"self.matches('^https?://([A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?[.]?|\\[[0-9A-Fa-f:]+\\])(:[0-9]{1,5})?(/[A-Za-z0-9._~/-]*)?$')",
                ),
                "write the url as scheme, host, port and path, such as http://influxdb:8086, without escapes, blanks or control characters",
            ),
            (
                concat!(
                    "!self.matches('^https?://([^/:]*[.])?([0-9]+|0[xX][0-9A-Fa-f]*)[.]?(:|/|$)') || ",
                    "self.matches('^https?://(0|[1-9][0-9]{0,2})([.](0|[1-9][0-9]{0,2})){3}(:|/|$)')",
                ),
                "write an IPv4 address as four decimal numbers, such as 10.0.0.7",
            ),
            (
                concat!(
                    r"!self.matches('(?i)^https?://(169[.]254[.]|\\[fe[89ab]|\\[fd00:ec2:|\\[[0-9a-f:]*:ffff:|",
                    r"100[.]100[.]100[.]200(:|/|$)|metadata([.]google[.]internal)?[.]?(:|/|$))')",
                ),
                "the url names a link-local address or a cloud's metadata service; write the address of the server itself",
            ),
        ],
    )
}

/// A database, a retention policy: what InfluxDB takes as a name.
pub(super) fn database_name(_: &mut SchemaGenerator) -> Schema {
    string(1, 255, &DATABASE_NAME)
}

const DATABASE_NAME: [Rule; 2] = [
    NO_CONTROL,
    (
        r"!self.contains('/') && !self.contains('\\') && self != '.' && self != '..'",
        "InfluxDB takes no slash or backslash in the name of a database or retention policy, and neither . nor ..",
    ),
];

/// Names of retention policies.
pub(super) fn retention_policies(_: &mut SchemaGenerator) -> Schema {
    set(64, &string(1, 255, &DATABASE_NAME))
}

/// Numbers of shards.
pub(super) fn shards(_: &mut SchemaGenerator) -> Schema {
    set(
        256,
        &json_schema!({ "type": "integer", "format": "int64", "minimum": 1 }),
    )
}

/// Where a service is that is no URL's.
pub(super) fn host_and_port(_: &mut SchemaGenerator) -> Schema {
    string(
        3,
        256,
        &[
            (
                r"self.matches('^([A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?[.]?|\\[[0-9A-Fa-f:]+\\]):[0-9]{1,5}$')",
                "write host and port, such as influxdb:8088",
            ),
            (
                concat!(
                    "!self.matches('^([^:]*[.])?([0-9]+|0[xX][0-9A-Fa-f]*)[.]?:') || ",
                    "self.matches('^(0|[1-9][0-9]{0,2})([.](0|[1-9][0-9]{0,2})){3}:')",
                ),
                "write an IPv4 address as four decimal numbers, such as 10.0.0.7",
            ),
            (
                concat!(
                    r"!self.matches('(?i)^(169[.]254[.]|\\[fe[89ab]|\\[fd00:ec2:|\\[[0-9a-f:]*:ffff:|",
                    r"100[.]100[.]100[.]200:|metadata([.]google[.]internal)?[.]?:)')",
                ),
                "this names a link-local address or a cloud's metadata service; write the address of the server itself",
            ),
        ],
    )
}

/// Names of measurements, which may hold anything but control characters.
pub(super) fn measurements(_: &mut SchemaGenerator) -> Schema {
    set(256, &string(1, 512, &[NO_CONTROL]))
}

/// Regular expressions on names.
pub(super) fn patterns(_: &mut SchemaGenerator) -> Schema {
    set(32, &string(1, 256, &[NO_CONTROL]))
}

/// Where the driver port of a RethinkDB is.
pub(super) fn rethinkdb_url(_: &mut SchemaGenerator) -> Schema {
    string(
        8,
        512,
        &[
            (
                "self.matches('^rethinkdbs?://')",
                "begin the url with rethinkdb:// or, with TLS, rethinkdbs://",
            ),
            (
                "!self.contains('@')",
                "take user and password out of the url and put them into credentials",
            ),
            (
                concat!(
                    "!self.matches('^rethinkdbs?://[^@]*$') || ",
                    r"self.matches('^rethinkdbs?://([a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?[.]?|\\[[0-9a-f:]+\\]):[0-9]{1,5}/?$')",
                ),
                "write the url as scheme, host in lower case and port, such as rethinkdb://rethinkdb:28015",
            ),
            (
                concat!(
                    "!self.matches('^rethinkdbs?://([^/:]*[.])?([0-9]+|0[xX][0-9A-Fa-f]*)[.]?(:|/|$)') || ",
                    "self.matches('^rethinkdbs?://(0|[1-9][0-9]{0,2})([.](0|[1-9][0-9]{0,2})){3}(:|/|$)')",
                ),
                "write an IPv4 address as four decimal numbers, such as 10.0.0.7",
            ),
            (
                concat!(
                    r"!self.matches('(?i)^rethinkdbs?://(169[.]254[.]|\\[fe[89ab]|\\[fd00:ec2:|\\[[0-9a-f:]*:ffff:|",
                    r"100[.]100[.]100[.]200(:|/|$)|metadata([.]google[.]internal)?[.]?(:|/|$))')",
                ),
                "the url names a link-local address or a cloud's metadata service; write the address of the server itself",
            ),
        ],
    )
}

/// A database or a table: what RethinkDB takes as a name.
pub(super) fn rethinkdb_name(_: &mut SchemaGenerator) -> Schema {
    string(1, 255, &RETHINKDB_NAME)
}

const RETHINKDB_NAME: [Rule; 1] = [(
    "self.matches('^[A-Za-z0-9_-]+$')",
    "write the name as RethinkDB takes it: letters, digits, underscores and dashes",
)];

/// Names of tables.
pub(super) fn rethinkdb_tables(_: &mut SchemaGenerator) -> Schema {
    set(256, &string(1, 255, &RETHINKDB_NAME))
}

fn set(max: u32, items: &Schema) -> Schema {
    json_schema!({
        "type": "array",
        "maxItems": max,
        "items": items,
        "x-kubernetes-list-type": "set",
    })
}

/// Names of EMQX's table sets or configuration roots.
pub(super) fn emqx_words(_: &mut SchemaGenerator) -> Schema {
    set(
        64,
        &string(
            1,
            64,
            &[(
                "self.matches('^[a-z][a-z0-9_]*$')",
                "write a name as EMQX has it, such as builtin_authn or rule_engine: lower-case letters, digits and underscores",
            )],
        ),
    )
}

/// A name within some data system.
pub(super) fn data_name(_: &mut SchemaGenerator) -> Schema {
    string(1, 255, &[NO_CONTROL])
}

/// Names within some data system.
pub(super) fn data_names(_: &mut SchemaGenerator) -> Schema {
    set(128, &string(1, 255, &[NO_CONTROL]))
}

/// Words of a person: one line that no tool takes for an option or a variable.
pub(super) fn line(_: &mut SchemaGenerator) -> Schema {
    string(1, 128, &LINE)
}

/// What `confirm` says: a URL, or `source` and a URL.
pub(super) fn confirm(_: &mut SchemaGenerator) -> Schema {
    string(1, 600, &LINE)
}

const LINE: [Rule; 2] = [
    NO_CONTROL,
    (
        "!self.startsWith('-') && !self.contains('$(')",
        "write a text that does not begin with a dash and holds no $(",
    ),
];

/// A cron expression. Its fields are read by the controller, which says what is wrong in `Ready`.
pub(super) fn cron(_: &mut SchemaGenerator) -> Schema {
    string(
        1,
        128,
        &[(
            "self.matches('^ *(@(hourly|daily|midnight|weekly|monthly|yearly|annually)|[0-9A-Za-z*,/?-]+( +[0-9A-Za-z*,/?-]+){4}) *$')",
            "write five fields: minute, hour, day of month, month, day of week, such as */15 * * * *, or @hourly, @daily, @weekly, @monthly or @yearly",
        )],
    )
}

/// The name of a time zone.
pub(super) fn time_zone(_: &mut SchemaGenerator) -> Schema {
    string(
        1,
        64,
        &[(
            "self.matches('^[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*$')",
            "write an IANA zone such as Etc/UTC or Europe/Berlin",
        )],
    )
}

/// A path below which everything lies.
pub(super) fn prefix(_: &mut SchemaGenerator) -> Schema {
    string(
        0,
        256,
        &[(
            "self.matches('^([A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*)?$')",
            "write the prefix as names of letters, digits, dots, dashes and underscores with one slash between, such as backups/prod; none begins with a dot",
        )],
    )
}

/// A directory on the nodes of a data system.
pub(super) fn node_path(_: &mut SchemaGenerator) -> Schema {
    string(
        2,
        256,
        &[(
            "self.matches('^(/[A-Za-z0-9_-][A-Za-z0-9._-]*)+$')",
            "write an absolute path of letters, digits, dots, dashes and underscores, such as /var/lib/backups, without a slash at its end",
        )],
    )
}

/// What stands between two values of a line.
pub(super) fn delimiter(_: &mut SchemaGenerator) -> Schema {
    string(
        1,
        1,
        &[(
            r#"self.matches(r'^[\t -~]$') && !(self in ['"', "'", '\\'])"#,
            "write one character, such as , ; | or a tab, and no quote or backslash",
        )],
    )
}

/// The name of an S3 bucket.
pub(super) fn bucket(_: &mut SchemaGenerator) -> Schema {
    string(
        3,
        63,
        &[(
            "self.matches('^[a-z0-9][a-z0-9.-]*[a-z0-9]$') && !self.contains('..')",
            "write the bucket's name: lower-case letters, digits, dashes and single dots, with a letter or digit at both ends",
        )],
    )
}

/// The name of a GCS bucket.
pub(super) fn gcs_bucket(_: &mut SchemaGenerator) -> Schema {
    string(
        3,
        222,
        &[(
            "self.matches('^[a-z0-9][a-z0-9._-]*[a-z0-9]$') && !self.contains('..')",
            "write the bucket's name: lower-case letters, digits, dashes, underscores and single dots, with a letter or digit at both ends",
        )],
    )
}

/// The name of an Azure storage account.
pub(super) fn azure_account(_: &mut SchemaGenerator) -> Schema {
    string(
        3,
        24,
        &[(
            "self.matches('^[a-z0-9]+$')",
            "write the storage account's name: lower-case letters and digits",
        )],
    )
}

/// The name of an Azure container.
pub(super) fn azure_container(_: &mut SchemaGenerator) -> Schema {
    string(
        3,
        63,
        &[(
            "self.matches('^[a-z0-9]+(-[a-z0-9]+)*$')",
            "write the container's name: lower-case letters, digits and single dashes, with a letter or digit at both ends",
        )],
    )
}

/// A region of an object store.
pub(super) fn region(_: &mut SchemaGenerator) -> Schema {
    string(
        1,
        64,
        &[(
            "self.matches('^[A-Za-z0-9][A-Za-z0-9_-]*$')",
            "write the region's name, such as eu-west-1",
        )],
    )
}

/// A uid of a Kubernetes object.
pub(super) fn uid(_: &mut SchemaGenerator) -> Schema {
    string(
        1,
        64,
        &[(
            "self.matches('^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$')",
            "write the uid of the lost cluster's kube-system namespace; the location's Ready condition names it",
        )],
    )
}

/// Bytes as a quantity.
pub(super) fn bytes(_: &mut SchemaGenerator) -> Schema {
    string(
        1,
        16,
        &[(
            "self.matches('^[1-9][0-9]{0,9}(Ki|Mi|Gi|k|M|G)?$')",
            "write bytes as a whole number with Ki, Mi, Gi, k, M or G, such as 50Mi",
        )],
    )
}

/// The reference of an image.
pub(super) fn image(_: &mut SchemaGenerator) -> Schema {
    string(
        1,
        500,
        &[(
            "self.matches('^[A-Za-z0-9][A-Za-z0-9._:/@-]*$')",
            "write an image such as registry.example.com/lifeboat:1.0",
        )],
    )
}

/// The key of a manifest.
pub(super) fn manifest_path(_: &mut SchemaGenerator) -> Schema {
    string(
        1,
        1024,
        &[(
            "self.matches('^lifeboat/v1/([A-Za-z0-9_-][A-Za-z0-9._-]*/)+[A-Za-z0-9_-][A-Za-z0-9._-]*[.]json$')",
            "write the manifest's key as `lifeboat list` shows it: lifeboat/v1/..., ending in .json",
        )],
    )
}

/// Where a vendor's dump lies.
pub(super) fn dump_path(_: &mut SchemaGenerator) -> Schema {
    string(
        1,
        512,
        &[
            NO_CONTROL,
            (
                r"self.matches(r'^[^/\\]+(/[^/\\]+)*$') && !self.matches('(^|/)[.][.]?(/|$)')",
                "write the path below the location's prefix as names with one slash between, such as dumps/kuzzle/2026-11-20; none is . or ..",
            ),
            (
                "!self.matches('^lifeboat(/|$)')",
                "below lifeboat/ lie Lifeboat's own backups: restore those with backup, latest, asOf or manifest",
            ),
        ],
    )
}

/// A SHA-256 digest in hex.
pub(super) fn sha256(_: &mut SchemaGenerator) -> Schema {
    string(
        64,
        64,
        &[(
            "self.matches('^[0-9a-f]{64}$')",
            "write the SHA-256 as 64 lower-case hex digits",
        )],
    )
}

/// A program and its arguments.
pub(super) fn argv(_: &mut SchemaGenerator) -> Schema {
    let word = string(
        0,
        8192,
        &[(
            r"!self.matches(r'\x00')",
            "a program's argument holds no NUL; take it out",
        )],
    );
    with(
        json_schema!({
            "type": "array",
            "minItems": 1,
            "maxItems": 64,
            "items": word,
        }),
        &[(
            "self[0] != ''",
            "begin the command with the name of a program",
        )],
    )
}

/// What a person calls a system: a URL without a login, or words.
pub(super) fn system_name(_: &mut SchemaGenerator) -> Schema {
    string(
        1,
        256,
        &[
            LINE[0],
            LINE[1],
            (
                "!self.contains('@') && !self.startsWith('source ') && self.trim() == self",
                "write a name without a login (no @), blanks around it or the word source at its start; confirm repeats it",
            ),
        ],
    )
}

/// Conditions, with the bounds that Kubernetes' own type has in Go.
pub(super) fn conditions(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "maxItems": 16,
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["type"],
        "items": {
            "type": "object",
            "required": ["type", "status", "reason", "message", "lastTransitionTime"],
            "properties": {
                "type": {
                    "type": "string", "minLength": 1, "maxLength": 316,
                    "description": "What is told of, for example Ready.",
                },
                "status": {
                    "type": "string", "enum": ["True", "False", "Unknown"],
                    "description": "Whether it holds.",
                },
                "reason": {
                    "type": "string", "minLength": 1, "maxLength": 1024,
                    "description": "Why, in one word; docs/conditions.md has them all.",
                },
                "message": {
                    "type": "string", "maxLength": 32768,
                    "description": "Why, for people, and what to do.",
                },
                "lastTransitionTime": {
                    "type": "string", "format": "date-time",
                    "description": "When the status last flipped.",
                },
                "observedGeneration": {
                    "type": "integer", "format": "int64", "minimum": 0,
                    "description": "The generation that this speaks of.",
                },
            },
        },
    })
}
