//! Snapshots: text that is compared with a file beside the tests, and written to it by `UPDATE_EXPECT=1`.

use std::path::Path;

/// Compares `actual` with `tests/it/<name>`, or rewrites that file if `UPDATE_EXPECT` is set.
#[track_caller]
pub fn file(name: &str, actual: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/it")
        .join(name);
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(&path, actual).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        return;
    }
    let expected = std::fs::read_to_string(&path)
        .unwrap_or_else(|e| panic!("{}: {e}; UPDATE_EXPECT=1 writes it", path.display()));
    if let Some((line, (expected, actual))) = (expected.lines().chain(["(end)"]))
        .zip(actual.lines().chain(["(end)"]))
        .enumerate()
        .find(|(_, (expected, actual))| expected != actual)
    {
        panic!(
            "{name}:{}: the text has changed; UPDATE_EXPECT=1 accepts it\n  was: {expected}\n  now: {actual}",
            line + 1
        );
    }
    assert_eq!(
        expected, actual,
        "{name}: the ends of the lines have changed"
    );
}
