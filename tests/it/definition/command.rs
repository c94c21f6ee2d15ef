//! `stroll config`: what it prints and how it ends.

use std::process::{Command, Output};

use stroll::store::definition::NANOSTORE;

use super::{BASE, changed};
use crate::expect;

fn config(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_stroll"))
        .arg("config")
        .args(args)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn the_command_checks_shows_and_describes() {
    let ok = config(&["check", "deploy/nanostore.toml"]);
    assert_eq!(ok.status.code(), Some(0));
    assert_eq!(
        text(&ok.stdout),
        "ok: 344 products, 99 facings, 278 plates on 6 nodes (2 warnings)\n"
    );
    assert!(
        text(&ok.stderr).starts_with("warning: deploy/nanostore.toml:"),
        "{}",
        text(&ok.stderr)
    );

    let shown = config(&["show", "deploy/corner.toml"]);
    assert_eq!(shown.status.code(), Some(0));
    expect::file("definition/show.txt", text(&shown.stdout));

    let built_in = config(&["show"]);
    assert_eq!(built_in.status.code(), Some(0));
    assert!(text(&built_in.stdout).starts_with("NanoStore (nanostore), 344 products"));

    let json = config(&["show", "--json"]);
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(json["store"]["currency"], "USD");
    assert_eq!(json["products"].as_array().unwrap().len(), 344);
}

#[test]
fn the_schema_accepts_what_ships_and_refuses_a_misspelling() {
    let schema = config(&["schema"]);
    assert_eq!(schema.status.code(), Some(0));
    let schema: serde_json::Value = serde_json::from_slice(&schema.stdout).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let json =
        |text: &str| serde_json::to_value(toml::from_str::<toml::Table>(text).unwrap()).unwrap();
    for shipped in [NANOSTORE, include_str!("../../../deploy/corner.toml"), BASE] {
        let errors: Vec<String> = (validator.iter_errors(&json(shipped)))
            .map(|e| format!("{}: {e}", e.instance_path()))
            .collect();
        assert!(errors.is_empty(), "{errors:?}");
    }
    for (from, to) in [
        ("price_minor", "pricee"),
        ("[policy]", "[polciy]"),
        ("weight_g = 12.5", "weight_g = -1"),
        ("id = \"test\"", "id = \"Test\""),
        (
            "[store]\nid = \"test\"\nname = \"Test Store\"\ncurrency = \"EUR\"\n",
            "",
        ),
    ] {
        assert!(
            !validator.is_valid(&json(&BASE.replace(from, to))),
            "{to} must be refused"
        );
    }
    let described = &schema["$defs"]["Product"]["properties"]["weight_g"]["description"];
    assert!(
        described
            .as_str()
            .is_some_and(|text| text.contains("grams")),
        "{described}"
    );
}

#[test]
fn the_command_fails_with_1_and_is_misused_with_2() {
    let folder = tempfile::tempdir().unwrap();
    let broken = folder.path().join("broken.toml");
    std::fs::write(&broken, changed(&[("price_minor = 199", "pricee = 199")])).unwrap();
    let path = broken.to_str().unwrap();

    for command in ["check", "show"] {
        let failed = config(&[command, path]);
        assert_eq!(failed.status.code(), Some(1));
        assert_eq!(text(&failed.stdout), "");
        let message = text(&failed.stderr);
        assert!(
            message.starts_with(&format!("{path}:42: unknown field `pricee`")),
            "{message}"
        );
        assert!(message.ends_with("\n\n1 mistake\n"), "{message}");
    }

    let missing = config(&["check", "no/such.toml"]);
    assert_eq!(missing.status.code(), Some(1));
    assert_eq!(
        text(&missing.stderr),
        "stroll: cannot read the store definition no/such.toml: No such file or directory (os error 2)\n"
    );

    for misused in [&["check"][..], &["frobnicate"], &[], &["show", "--yaml"]] {
        assert_eq!(config(misused).status.code(), Some(2), "{misused:?}");
    }
}
