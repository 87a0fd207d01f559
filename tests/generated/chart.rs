//! The definitions as templates of the Helm chart, and what of its own files must agree with the
//! code.

use lifeboat::api::order::paths;
use serde_json::Value;

/// Wraps a definition: `crds.enabled` installs it, `crds.keep` leaves it when the chart goes.
pub(crate) fn template(yaml: &str) -> String {
    assert!(
        !yaml.contains("{{"),
        "Helm would read braces of the definition as its own"
    );
    let mut out = String::from("{{- if .Values.crds.enabled }}\n");
    let mut named = false;
    for line in yaml.lines() {
        out.push_str(line);
        out.push('\n');
        if !named && line.starts_with("  name: ") {
            named = true;
            out.push_str(concat!(
                "  {{- if .Values.crds.keep }}\n",
                "  annotations:\n",
                "    helm.sh/resource-policy: keep\n",
                "  {{- end }}\n",
            ));
        }
    }
    assert!(named, "the definition has no metadata.name");
    out.push_str("{{- end }}\n");
    out
}

/// The controller looks for the volumes of local locations where the chart mounts them.
#[test]
fn local_stores_are_mounted_where_the_controller_looks() {
    let read = |path: &str| std::fs::read_to_string(super::root().join(path)).unwrap();
    let mounted = format!(
        "mountPath: {}/{{{{ $store.namespace }}}}/{{{{ $store.claimName }}}}\n",
        paths::LOCAL_STORES
    );
    let deployment = read("charts/lifeboat/templates/deployment.yaml");
    assert_eq!(deployment.matches(&mounted).count(), 1);
    let example = format!("mountPath: {}/iot/backups", paths::LOCAL_STORES);
    assert!(read("docs/storage.md").contains(&example));
}

/// Names become paths: what the schema lets through has no slash and no dots beside one another.
#[test]
fn names_of_local_stores_are_checked() {
    let schema = std::fs::read_to_string(super::root().join("charts/lifeboat/values.schema.json"));
    let schema: Value = serde_json::from_str(&schema.unwrap()).unwrap();
    let entry = &schema["properties"]["localStores"]["items"];
    assert_eq!(entry["additionalProperties"], false);
    let label = "[a-z0-9]([a-z0-9-]*[a-z0-9])?";
    let claim = format!("^{label}([.]{label})*$");
    assert_eq!(entry["properties"]["claimName"]["pattern"], claim);
    let namespace = "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$";
    assert_eq!(entry["properties"]["namespace"]["pattern"], namespace);
    assert_eq!(entry["properties"]["volume"]["maxProperties"], 1);
}
