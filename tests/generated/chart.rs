//! The definitions as templates of the Helm chart.

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
