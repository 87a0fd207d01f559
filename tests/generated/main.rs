//! What is made from the types is in the repository, so that people and tools can read it there.
//! These tests fail where it differs; `LIFEBOAT_GENERATE=1 cargo test --test generated` (or
//! `make generate`) writes it anew.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod admission;
mod bounds;
mod chart;
mod reference;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use lifeboat::api::conditions::Reason;
use lifeboat::api::generate::{crds, to_yaml};
use serde_json::Value;

/// Sits in each folder whose files are all generated.
const NOTICE: &str = "Made from src/api by `make generate`; edits are lost.";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Compares a folder with what it should hold, or writes it where that was asked for.
fn in_step(folder: &str, extension: &str, wanted: &[(String, String)]) {
    let folder = root().join(folder);
    if std::env::var_os("LIFEBOAT_GENERATE").is_some() {
        write(&folder, extension, wanted);
    }
    let names: BTreeSet<String> = wanted.iter().map(|(name, _)| name.clone()).collect();
    assert_eq!(
        present(&folder, extension),
        names,
        "{}: run `make generate`",
        folder.display()
    );
    for (name, text) in wanted {
        let path = folder.join(name);
        let found = std::fs::read_to_string(&path).unwrap();
        assert!(
            found == *text,
            "{} differs from src/api: run `make generate`",
            path.display()
        );
    }
}

fn present(folder: &Path, extension: &str) -> BTreeSet<String> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return BTreeSet::new();
    };
    entries
        .map(|entry| PathBuf::from(entry.unwrap().file_name()))
        .filter(|name| name.extension().is_some_and(|e| e == extension))
        .map(|name| name.to_str().unwrap().to_owned())
        .collect()
}

fn write(folder: &Path, extension: &str, wanted: &[(String, String)]) {
    std::fs::create_dir_all(folder).unwrap();
    for stale in present(folder, extension) {
        std::fs::remove_file(folder.join(stale)).unwrap();
    }
    for (name, text) in wanted {
        std::fs::write(folder.join(name), text).unwrap();
    }
}

/// Each kind's file name without ending, and its YAML.
fn definitions() -> Vec<(String, String)> {
    crds()
        .unwrap()
        .iter()
        .map(|crd| (crd.spec.names.kind.to_lowercase(), to_yaml(crd).unwrap()))
        .collect()
}

#[test]
fn crds_are_in_step() {
    let wanted: Vec<_> = definitions()
        .into_iter()
        .map(|(kind, yaml)| (format!("{kind}.yaml"), format!("# {NOTICE}\n{yaml}")))
        .collect();
    in_step("crds", "yaml", &wanted);
}

#[test]
fn chart_templates_are_in_step() {
    let wanted: Vec<_> = definitions()
        .into_iter()
        .map(|(kind, yaml)| {
            let template = chart::template(&yaml);
            (
                format!("{kind}.yaml"),
                format!("{{{{- /* {NOTICE} */}}}}\n{template}"),
            )
        })
        .collect();
    in_step("charts/lifeboat/templates/crds", "yaml", &wanted);
}

#[test]
fn reference_pages_are_in_step() {
    let wanted: Vec<_> = crds()
        .unwrap()
        .iter()
        .map(|crd| {
            let page = reference::page(crd);
            (
                format!("{}.md", crd.spec.names.kind.to_lowercase()),
                format!("<!-- {NOTICE} -->\n{page}"),
            )
        })
        .collect();
    in_step("docs/reference", "md", &wanted);
}

/// Written by hand, since what to do is nowhere in the code; but none may be missing.
#[test]
fn every_reason_is_explained() {
    let reasons = schemars::schema_for!(Reason).to_value();
    let reasons: BTreeSet<&str> = reasons["oneOf"]
        .as_array()
        .unwrap()
        .iter()
        .map(|variant| variant["const"].as_str().unwrap())
        .collect();
    let page = std::fs::read_to_string(root().join("docs/conditions.md")).unwrap();
    let (_, page) = page.split_once("## Reasons").unwrap();
    let mut explained = BTreeSet::new();
    for row in page.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        assert_eq!(cells.len(), 3, "{row}");
        assert!(cells.iter().all(|cell| !cell.is_empty()), "{row}");
        assert!(explained.insert(cells[0].trim_matches('`')), "twice: {row}");
    }
    assert_eq!(explained, reasons);
}

#[test]
fn yaml_reads_back_as_the_definition() {
    for crd in crds().unwrap() {
        let read: Value = serde_saphyr::from_str(&to_yaml(&crd).unwrap()).unwrap();
        let read: CustomResourceDefinition = serde_json::from_value(read).unwrap();
        assert_eq!(read, crd);
    }
}

#[test]
fn everything_is_bounded() {
    for crd in crds().unwrap() {
        let crd = serde_json::to_value(crd).unwrap();
        let schema = crd
            .pointer("/spec/versions/0/schema/openAPIV3Schema")
            .unwrap();
        assert_eq!(bounds::faults("", schema), Vec::<String>::new());
    }
}

#[test]
fn every_rule_is_tried_on_a_real_api_server() {
    let mut messages = BTreeSet::new();
    for crd in crds().unwrap() {
        admission::messages(&serde_json::to_value(crd).unwrap(), &mut messages);
    }
    let expected = admission::expected(&root().join("e2e/admission/testdata"));
    let untried: Vec<_> = messages.difference(&expected).collect();
    assert_eq!(untried, Vec::<&String>::new());
}

#[test]
fn every_rule_is_one_that_cel_reads() {
    let mut unreadable = Vec::new();
    for crd in crds().unwrap() {
        bounds::unreadable_rules(&serde_json::to_value(crd).unwrap(), &mut unreadable);
    }
    assert_eq!(unreadable, Vec::<String>::new());
}

#[test]
fn each_definition_is_small() {
    for (kind, yaml) in definitions() {
        assert!(yaml.len() < 200 * 1024, "{kind} has {} bytes", yaml.len());
    }
}
