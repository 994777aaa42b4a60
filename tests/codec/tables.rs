//! The generated tables are those of the jar.

use crate::fetch::{Jars, Tool, run, wanted};
use std::path::{Path, PathBuf};
use std::process::Command;

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap_or_else(|e| panic!("`{}`: {e}", dir.display())) {
        files.push(PathBuf::from(entry.unwrap().file_name()));
    }
    files.sort();
    files
}

#[test]
fn generated_files_are_what_the_generator_writes() {
    if !wanted(Tool::Java) || !wanted(Tool::Python) {
        return;
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let fresh = tempfile::tempdir().unwrap();
    let jar = Jars::Clients440.home().join("libs/kafka-clients-4.4.0.jar");
    let mut python = Command::new("python3");
    python.arg(root.join("tools/schema/generate.py")).arg(jar).arg(fresh.path());
    run(python, "python3", "python3");
    let committed = root.join("src/wire");
    let tables = Path::new("schema/generated");
    assert_eq!(files(&fresh.path().join(tables)), files(&committed.join(tables)));
    let names = files(&fresh.path().join(tables)).into_iter().map(|name| tables.join(name));
    for name in names.chain([PathBuf::from("error_code/generated.rs")]) {
        let read = |dir: &Path| std::fs::read_to_string(dir.join(&name)).unwrap();
        assert!(
            read(fresh.path()) == read(&committed),
            "`src/wire/{}` is not what the generator writes: run `python3 tools/schema/generate.py` with the jar",
            name.display()
        );
    }
}
