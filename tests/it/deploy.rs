//! What is shipped beside the program fits it: the package's files, the units and the first boot.

use std::path::Path;

use serde_json::Value;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

#[test]
fn the_package_holds_what_it_names_and_keeps_what_an_owner_changes() {
    let manifest: toml::Table = read("Cargo.toml").parse().expect("Cargo.toml");
    let deb = &manifest["package"]["metadata"]["deb"];
    let mut installed = Vec::new();
    for asset in deb["assets"].as_array().expect("assets") {
        let [from, to, mode] = [0, 1, 2].map(|part| asset[part].as_str().expect("a text"));
        let folder = from.split('*').next().unwrap_or_default();
        let is_built = from.starts_with("target/");
        assert!(is_built || root().join(folder).exists(), "{from}");
        installed.push((format!("/{to}"), mode));
    }
    for kept in deb["conf-files"].as_array().expect("conf-files") {
        let kept = kept.as_str().expect("a path");
        assert!(installed.iter().any(|(to, _)| to == kept), "{kept}");
    }
    let secret = installed
        .iter()
        .find(|(to, _)| to == "/etc/stroll/node.toml");
    assert_eq!(
        secret.map(|(_, mode)| *mode),
        Some("640"),
        "a password may be in it"
    );
    for script in ["postinst", "prerm", "postrm"] {
        let text = read(&format!("deploy/debian/{script}"));
        assert!(
            text.starts_with("#!/bin/sh\n") && text.contains("set -e\n"),
            "{script}"
        );
    }
}

#[test]
fn the_first_boot_installs_the_package_and_starts_the_unit_that_is_in_it() {
    let text = read("deploy/cloud-init/user-data");
    assert!(text.starts_with("#cloud-config\n"));
    let user_data: Value = serde_yaml_ng::from_str(&text).expect("YAML");
    let files = user_data["write_files"].as_array().expect("files");
    let content = |path: &str| {
        let file = files.iter().find(|file| file["path"] == path);
        let file = file.unwrap_or_else(|| panic!("{path} is not written"));
        (
            file["content"].as_str().expect("a text"),
            file["permissions"].as_str(),
        )
    };
    let (env, mode) = content("/etc/stroll/node.env");
    assert_eq!(mode, Some("0600"));
    assert!(env.contains("STROLL_NODE_NAME=") && env.contains("STROLL_CREDENTIALS="));
    let unit = read("deploy/systemd/stroll-node.service");
    assert!(unit.contains("EnvironmentFile=-/etc/stroll/node.env"));
    let (script, _) = content("/usr/local/sbin/stroll-first-boot");
    assert_eq!(
        user_data["runcmd"][0][0],
        "/usr/local/sbin/stroll-first-boot"
    );
    for needed in [
        "stroll_*_arm64.deb",
        "--force-confold",
        "enable --now stroll-node.service",
    ] {
        assert!(script.contains(needed), "{needed}");
    }
    let network: Value =
        serde_yaml_ng::from_str(&read("deploy/cloud-init/network-config")).expect("YAML");
    assert_eq!(network["network"]["version"], 2);
}
