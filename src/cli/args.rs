//! What can be typed.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::api::order::paths;

/// Scheduled backups and disaster recovery of clustered data systems, on Kubernetes.
#[derive(Debug, Parser)]
#[command(
    name = "lifeboat",
    version,
    propagate_version = true,
    after_help = "Exit codes: 0 done, 1 failed, 2 wrong arguments, 3 a backup is not whole.\n\
                  Log lines are filtered by LIFEBOAT_LOG, for example LIFEBOAT_LOG=debug."
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show the backups in a bucket
    #[command(after_help = LIST_EXAMPLES)]
    List(ListArgs),
    /// Check that backups are whole: read every file and compare its digests
    #[command(after_help = VERIFY_EXAMPLES)]
    Verify(VerifyArgs),
    /// Lay a backup out as files that the vendor's own tool reads
    #[command(after_help = FETCH_EXAMPLES)]
    Fetch(FetchArgs),
    /// Move data from one server to another, with no bucket in between
    #[command(after_help = MIGRATE_EXAMPLES)]
    Migrate(MigrateArgs),
    /// Print the custom resource definitions as YAML
    #[command(after_help = "Example:\n  lifeboat crds | kubectl apply --server-side -f -")]
    Crds,
    /// Run the controllers, in a cluster
    Controller(ControllerArgs),
    /// Run in a job pod: export a source as the order says
    Export(OrderArgs),
    /// Run in a job pod: import backups as the order says
    Import(OrderArgs),
    /// Run in a job pod: delete what retention does not keep, as the order says
    Prune(OrderArgs),
    /// Run in a job pod: copy this binary to where a container of another image runs it
    #[command(hide = true)]
    Inject(InjectArgs),
    /// Run in a job pod: copy backups into another location, as the order says
    Replicate(OrderArgs),
}

const LIST_EXAMPLES: &str = "\
Examples:
  lifeboat list --bucket dr-exports --prefix prod
  lifeboat list --bucket dr-exports --endpoint https://s3.example.com --path-style -o json
  lifeboat list --local /mnt/backups --schedule telemetry

Keys are read from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, for Azure from AZURE_STORAGE_KEY, for
Google from the file that GOOGLE_APPLICATION_CREDENTIALS names, or from --credentials-dir.";

const VERIFY_EXAMPLES: &str = "\
Examples:
  lifeboat verify --bucket dr-exports --all
  lifeboat verify --local /mnt/backups \\
    lifeboat/v1/prod/iot/schedules/telemetry/manifests/20261120t101500z.json

Ends with 3 where a backup is not whole, and names the file.
In a job pod: lifeboat verify --order FILE";

const FETCH_EXAMPLES: &str = "\
Examples:
  lifeboat fetch --bucket dr-exports --to ./telemetry \\
    lifeboat/v1/prod/iot/schedules/telemetry/manifests/20261120t101500z.json

An incremental backup comes with the full one and the windows that it builds on. Each file of an
InfluxDB backup can then be read by the stock tool, in the order of their names:
  for file in telemetry/*.gz; do influx -import -path \"$file\" -compressed -precision ns; done";

const MIGRATE_EXAMPLES: &str = "\
Examples:
  cat > plan.yaml <<'END'
  source: {cnosdb: {url: http://old:8902}}        # as a Backup's spec.source
  target: {cnosdb: {url: http://new:8902}}        # as a Restore's spec.target
  remap: [{from: telemetry, to: telemetry_old}]   # new names
  conflictPolicy: Fail                            # or Overwrite, Replace with confirm: http://new:8902
  verify: Equal                                   # or Counts, None
  END
  lifeboat migrate plan.yaml --dry-run
  lifeboat migrate plan.yaml --source-credentials-dir ./old --target-credentials-dir ./new

The source may be in use; what is written while it is read is not all there afterwards. Nothing is
kept: a migration that broke off begins anew, and what it wrote is written again.";

/// How the controllers run. In a pod all of it comes from the environment.
#[derive(Debug, Args)]
pub struct ControllerArgs {
    /// Name of this cluster in the bucket; no other cluster that writes there may have it
    #[arg(long, env = "LIFEBOAT_CLUSTER_NAME", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub cluster_name: String,
    /// Image of job pods: the controller's own
    #[arg(long, env = "LIFEBOAT_IMAGE", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub image: String,
    /// Namespace of the controller itself
    #[arg(long, env = "POD_NAMESPACE", default_value = "lifeboat")]
    pub own_namespace: String,
    /// Name of this process in events
    #[arg(long, env = "POD_NAME")]
    pub instance: Option<String>,
    /// Look at this namespace only
    #[arg(long, env = "LIFEBOAT_NAMESPACE")]
    pub namespace: Option<String>,
    /// Where /healthz, /readyz and /metrics are served
    #[arg(long, env = "LIFEBOAT_LISTEN", default_value = "0.0.0.0:8080")]
    pub listen: std::net::SocketAddr,
}

/// Where the order of a job pod is.
#[derive(Debug, Args)]
pub struct OrderArgs {
    /// The order: a JSON document that the controller wrote
    #[arg(long, value_name = "FILE", default_value = paths::ORDER)]
    pub order: PathBuf,
    /// Directory below which the pod's Secrets, volume and termination message lie
    #[arg(long, value_name = "DIR", default_value = "/")]
    pub root: PathBuf,
}

/// Where the binary is copied to.
#[derive(Debug, Args)]
pub struct InjectArgs {
    /// The file to make, in a directory that is there
    #[arg(long, value_name = "FILE")]
    pub to: PathBuf,
}

/// The bucket or directory that is looked into.
#[derive(Debug, Default, Args)]
#[group(skip)]
pub struct StoreArgs {
    /// Name of the S3 bucket
    #[arg(
        long,
        value_name = "NAME",
        required_unless_present_any = ["local", "gcs_bucket", "azure_container"],
        conflicts_with_all = ["local", "gcs_bucket", "azure_container"]
    )]
    pub bucket: Option<String>,
    /// Name of the Google Cloud Storage bucket
    #[arg(long, value_name = "NAME", conflicts_with_all = ["local", "azure_container"])]
    pub gcs_bucket: Option<String>,
    /// Name of the Azure container
    #[arg(
        long,
        value_name = "NAME",
        conflicts_with = "local",
        requires = "azure_account"
    )]
    pub azure_container: Option<String>,
    /// Name of the Azure storage account
    #[arg(long, value_name = "NAME", requires = "azure_container")]
    pub azure_account: Option<String>,
    /// Path in the bucket or directory below which everything lies
    #[arg(long, value_name = "PATH", default_value = "")]
    pub prefix: String,
    /// URL of the server, where it is not the cloud's own
    #[arg(long, value_name = "URL", conflicts_with = "local")]
    pub endpoint: Option<String>,
    /// Region of the bucket; else AWS_REGION, else us-east-1
    #[arg(long, value_name = "NAME", conflicts_with = "local")]
    pub region: Option<String>,
    /// Put the bucket's name into the path and not into the host
    #[arg(long, conflicts_with = "local")]
    pub path_style: bool,
    /// PEM file with certificates to trust beside those of the system
    #[arg(long, value_name = "FILE", conflicts_with = "local")]
    pub ca_file: Option<PathBuf>,
    /// Directory with the files of the location's Secret: accessKeyId and secretAccessKey,
    /// serviceAccountKey, or accountKey
    #[arg(long, value_name = "DIR", conflicts_with = "local")]
    pub credentials_dir: Option<PathBuf>,
    /// A directory in place of a bucket
    #[arg(long, value_name = "DIR")]
    pub local: Option<PathBuf>,
}

/// How a table is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// A table for people
    #[default]
    Table,
    /// A JSON array
    Json,
}

/// What `list` shows.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// Where the backups are.
    #[command(flatten)]
    pub store: StoreArgs,
    /// Only those of this cluster
    #[arg(long, value_name = "NAME")]
    pub cluster: Option<String>,
    /// Only those of this namespace
    #[arg(long, value_name = "NAME")]
    pub namespace: Option<String>,
    /// Only those of this schedule
    #[arg(long, value_name = "NAME")]
    pub schedule: Option<String>,
    /// How to print them
    #[arg(short, long, value_enum, default_value_t)]
    pub output: Output,
}

/// What `verify` checks.
#[derive(Debug, Args)]
#[command(mut_arg("bucket", |bucket| bucket.required_unless_present_any(["local", "order"])))]
pub struct VerifyArgs {
    /// Run in a job pod: the order, a JSON document that the controller wrote
    #[arg(long, value_name = "FILE", conflicts_with_all = ["paths", "all", "bucket", "local"])]
    pub order: Option<PathBuf>,
    /// With --order: directory below which the pod's Secrets, volume and termination message lie
    #[arg(long, value_name = "DIR", default_value = "/")]
    pub root: PathBuf,
    /// Where the backups are.
    #[command(flatten)]
    pub store: StoreArgs,
    /// Manifests to check, as `lifeboat list` prints them
    #[arg(value_name = "PATH", required_unless_present_any = ["all", "order"])]
    pub paths: Vec<String>,
    /// Check every backup that is there
    #[arg(long, conflicts_with = "paths")]
    pub all: bool,
}

/// How fetched files look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Gzip files that the vendor's tool reads
    #[default]
    Vendor,
    /// Plain files
    Plain,
}

/// What `fetch` gets.
#[derive(Debug, Args)]
pub struct FetchArgs {
    /// Where the backups are.
    #[command(flatten)]
    pub store: StoreArgs,
    /// The manifest of the backup, as `lifeboat list` prints it
    #[arg(value_name = "PATH")]
    pub path: String,
    /// Directory to write to; it must be empty, and is made where it is not there
    #[arg(long, value_name = "DIR")]
    pub to: PathBuf,
    /// How the files look
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
    /// This backup alone, without what it builds on
    #[arg(long)]
    pub only: bool,
}

/// What `migrate` moves.
#[derive(Debug, Args)]
pub struct MigrateArgs {
    /// The plan, as YAML or JSON: source, target, remap, conflictPolicy, confirm, verify, limits
    #[arg(value_name = "PLAN")]
    pub plan: PathBuf,
    /// Directory with the files of the source's Secret, such as username and password
    #[arg(long, value_name = "DIR", env = "LIFEBOAT_SOURCE_CREDENTIALS_DIR")]
    pub source_credentials_dir: Option<PathBuf>,
    /// Directory with the files of the target's Secret
    #[arg(long, value_name = "DIR", env = "LIFEBOAT_TARGET_CREDENTIALS_DIR")]
    pub target_credentials_dir: Option<PathBuf>,
    /// PEM file with certificates to trust for the source
    #[arg(long, value_name = "FILE")]
    pub source_ca_file: Option<PathBuf>,
    /// PEM file with certificates to trust for the target
    #[arg(long, value_name = "FILE")]
    pub target_ca_file: Option<PathBuf>,
    /// Look at both sides and say what would happen, and change nothing
    #[arg(long)]
    pub dry_run: bool,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_arguments_fit_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn what_is_taken_and_what_is_refused() {
        let cases = [
            ("list --bucket b", true),
            ("list --local /d", true),
            ("list", false),
            ("list --bucket b --local /d", false),
            ("list --local /d --endpoint http://x", false),
            ("verify --bucket b --all", true),
            ("verify --bucket b a.json b.json", true),
            ("verify --bucket b", false),
            ("verify --bucket b --all a.json", false),
            ("verify --order /o.json", true),
            ("verify --order /o.json --bucket b", false),
            ("fetch --local /d --to /x a.json", true),
            ("fetch --local /d a.json", false),
            ("migrate plan.yaml --dry-run", true),
            ("migrate", false),
            ("migrate plan.yaml --password x", false),
            ("export", true),
            ("import --order /o.json", true),
            ("list --bucket b --secret-key x", false),
            ("inject --to /x", true),
            ("inject", false),
        ];
        for (line, taken) in cases {
            let words = std::iter::once("lifeboat").chain(line.split(' '));
            let result = Cli::try_parse_from(words);
            assert_eq!(result.is_ok(), taken, "{line}: {:?}", result.err());
        }
    }
}
