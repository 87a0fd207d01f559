//! Which node does the work. Pure: it looks at what `/nodes` answered.

use super::api::Node;
use super::meta::{Edition, FIRST, Version};
use crate::engine::EngineError;

/// What a cluster is, as its running core nodes say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cluster {
    /// Version of the oldest core node that runs: an import may come to any of them.
    pub(super) version: String,
    /// Its edition.
    pub(super) edition: Edition,
    /// Names of the core nodes that run.
    pub(super) cores: Vec<String>,
    /// Names of nodes that don't run. Their files are in no list.
    pub(super) down: Vec<String>,
}

impl Cluster {
    /// The version and edition, for people.
    pub(super) fn words(&self) -> String {
        let edition = match self.edition {
            Edition::Community => "Opensource",
            Edition::Enterprise => "Enterprise",
        };
        format!("{} ({edition})", self.version)
    }

    /// The version as a number.
    pub(super) fn number(&self) -> Version {
        Version::parse(&self.version).unwrap_or(FIRST)
    }

    /// Whether a node is one of the running core nodes.
    pub(super) fn is_core(&self, node: &str) -> bool {
        self.cores.iter().any(|core| core == node)
    }
}

/// Reads `/nodes`. Refuses clusters whose API has no export, and those without a core node.
pub(super) fn cluster(server: &str, nodes: &[Node]) -> Result<Cluster, EngineError> {
    let runs = |node: &&Node| node.status == "running";
    let is_core = |node: &&Node| runs(node) && node.role != "replicant";
    let cores: Vec<&Node> = nodes.iter().filter(is_core).collect();
    let oldest = cores
        .iter()
        .filter_map(|node| Some((Version::parse(&node.version)?, *node)))
        .min_by_key(|(version, _)| *version);
    let Some((version, node)) = oldest else {
        return Err(EngineError::Server {
            server: server.to_owned(),
            problem: "no core node of a known version runs; exports and imports need one"
                .to_owned(),
            retryable: true,
        });
    };
    if version < FIRST {
        return Err(EngineError::Version {
            server: server.to_owned(),
            version: super::word(&node.version),
            problem: format!(
                "its REST API has no export and import, which came with {FIRST}; upgrade EMQX, or use `emqx ctl data export` by hand"
            ),
        });
    }
    let Some(edition) = Edition::parse(&node.edition) else {
        return Err(EngineError::Version {
            server: server.to_owned(),
            version: super::word(&node.version),
            problem: format!("its edition {:?} is not known", super::word(&node.edition)),
        });
    };
    let names = |nodes: Vec<&Node>| nodes.iter().map(|node| node.name.clone()).collect();
    Ok(Cluster {
        version: super::word(&node.version),
        edition,
        cores: names(cores),
        down: names(nodes.iter().filter(|node| !runs(node)).collect()),
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::api::conditions::Reason;

    fn node(name: &str, status: &str, role: &str, version: &str) -> Node {
        Node {
            name: name.to_owned(),
            status: status.to_owned(),
            role: role.to_owned(),
            edition: "Opensource".to_owned(),
            version: version.to_owned(),
        }
    }

    #[test]
    fn running_core_nodes() {
        let nodes = [
            node("r@1", "running", "replicant", "5.4.1"),
            node("c@1", "stopped", "core", "5.4.1"),
            node("c@2", "running", "core", "5.5.0"),
            node("c@3", "running", "core", "5.4.1"),
        ];
        let found = cluster("h:1", &nodes).unwrap();
        assert_eq!(found.cores, ["c@2", "c@3"]);
        assert_eq!(found.down, ["c@1"]);
        assert_eq!(found.words(), "5.4.1 (Opensource)");
        assert!(found.is_core("c@3") && !found.is_core("r@1"));
        let error = cluster("h:1", &nodes[..2]).unwrap_err();
        assert!(error.retryable(), "{error}");
        assert!(error.to_string().contains("no core node"), "{error}");
    }

    #[test]
    fn versions_without_an_export() {
        for (version, good) in [
            ("5.3.2", false),
            ("5.0.0", false),
            ("5.4.0", true),
            ("6.1.0", true),
        ] {
            let found = cluster("h:1", &[node("c@1", "running", "core", version)]);
            assert_eq!(found.is_ok(), good, "{version}");
            if let Err(error) = found {
                assert_eq!(error.reason(), Reason::VersionUnsupported);
                assert!(
                    error
                        .to_string()
                        .contains("no export and import, which came with 5.4"),
                    "{error}"
                );
            }
        }
        let mut odd = node("c@1", "running", "core", "5.4.1");
        odd.edition = "Cloud\n".to_owned();
        assert!(cluster("h:1", &[odd]).is_err());
    }
}
