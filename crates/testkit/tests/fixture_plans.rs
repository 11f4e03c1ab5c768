//! The plans of all fixtures decode; their folders hold what their README promises.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use whimbrel_model::plan::decode;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures")
}

fn folders(below: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(below).expect("the folder of the fixtures is there");
    let mut folders: Vec<PathBuf> = entries
        .map(|entry| entry.expect("it can be listed").path())
        .filter(|path| path.join("whimbrel.toml").is_file())
        .collect();
    folders.sort();
    folders
}

/// What `xtask corrupt` damages: the truth is read off the target before.
const FOR_DAMAGE: &str = "values";

fn check(folder: &Path) {
    let text = fs::read_to_string(folder.join("whimbrel.toml")).expect("a plan is text");
    let unset = |_: &str| None;
    let no_file = |_: &str| Err(io::ErrorKind::NotFound.into());
    if let Err(errors) = decode(&text, &unset, &no_file) {
        let shown: String =
            errors.iter().map(|error| error.render("whimbrel.toml", &text)).collect();
        panic!("{}:\n{shown}", folder.display());
    }
    let expected = ["dump.sql", "expected/rejects.tsv"];
    for name in expected.iter().filter(|_| !folder.ends_with(FOR_DAMAGE)) {
        assert!(folder.join(name).is_file(), "{}/{name}", folder.display());
    }
}

#[test]
fn the_systems_have_plans_that_decode() {
    let systems = folders(&fixtures());
    assert!(systems.len() >= 2);
    for folder in &systems {
        check(folder);
    }
}

#[test]
fn the_eight_silent_corruptions_have_plans_that_decode() {
    let cases = folders(&fixtures().join("exactness"));
    assert_eq!(cases.len(), 8);
    for folder in &cases {
        check(folder);
    }
}
