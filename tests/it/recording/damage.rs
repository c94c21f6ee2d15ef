//! Damaged folders and files: each ends in one clear sentence, and `--partial` keeps what was whole.

use std::fs;
use std::io::Cursor;

use stroll::edge::recording::{RecordingError, open};

use super::folder::Folder;
use super::{PARTIAL, mcap_bytes, strict, stroll, text};

/// What to spoil, what the complaint says, and whether `--partial` helps.
type Spoiled = (&'static str, fn(&Folder), &'static str, bool);

const SPOILED: &[Spoiled] = &[
    (
        "the folder",
        |f| f.remove_all(),
        "there is no such file or folder",
        false,
    ),
    (
        "plate_data.json",
        |f| f.remove("plate_data.json"),
        "has no plate_data.json",
        false,
    ),
    (
        "full_targets.json",
        |f| f.remove("full_targets.json"),
        "has no full_targets.json",
        false,
    ),
    (
        "planogram.json",
        |f| f.remove("planogram.json"),
        "has no planogram.json",
        false,
    ),
    (
        "products.json",
        |f| f.remove("products.json"),
        "has no products.json",
        false,
    ),
    (
        "a cut-off line of plates",
        |f| f.cut("plate_data.json", 9, 100),
        "plate_data.json, line 9, byte {9+100}: the line is cut off",
        true,
    ),
    (
        "a cut-off line of bodies",
        |f| f.cut("full_targets.json", 30, 20),
        "full_targets.json, line 30, byte {30+20}: the line is cut off",
        true,
    ),
    (
        "the shape",
        |f| f.replace("plate_data.json", 5, "[12, 3, 4]", "[12, 3, 5]"),
        "line 5, byte {5+0}: shape [12, 3, 5] takes 720 bytes of samples, but 576 are there",
        true,
    ),
    (
        "the shape of later lines",
        |f| f.replace("plate_data.json", 7, "[12, 3, 4]", "[12, 4, 3]"),
        "line 7, byte {7+0}: gondola 1 changes from 2 shelves × 3 plates at 60 Hz to 3 shelves × 2 plates at 60 Hz",
        true,
    ),
    (
        "base64",
        |f| f.replace("plate_data.json", 8, "AADAfwAA", "AAD-fwAA"),
        "line 8, byte {8+0}: the samples are not base64",
        true,
    ),
    (
        "UTF-8",
        |f| f.put_byte("full_targets.json", 12, 40, 0xff),
        "full_targets.json, line 12, byte {12+40}: the line is not UTF-8 text",
        true,
    ),
    (
        "the time of plates",
        |f| {
            f.replace(
                "plate_data.json",
                3,
                "\"timestamp\":16",
                "\"timestamp\":-16",
            )
        },
        "is an impossible timestamp",
        true,
    ),
    (
        "the time of bodies",
        |f| {
            f.replace(
                "full_targets.json",
                3,
                "\"timestamp\":16",
                "\"timestamp\":NaN, \"t\":16",
            )
        },
        "full_targets.json, line 3, byte {3+13}: the line is not the JSON that belongs here",
        true,
    ),
    (
        "all plates",
        |f| f.write("plate_data.json", ""),
        "plate_data.json, byte 0: the file is empty",
        true,
    ),
    (
        "the truth",
        |f| f.write("truth.json", "{\n\"receipts\": ["),
        "truth.json, line 2, byte",
        true,
    ),
    (
        "a facing",
        |f| f.replace("planogram.json", 2, "0120850", "0999999"),
        "planogram.json, line 2: the planogram has product 0999999, which products.json does not know",
        false,
    ),
    (
        "the planogram",
        |f| f.cut("planogram.json", 2, 30),
        "planogram.json, line 2, byte {2+30}: the line is cut off; the store cannot be understood without it",
        false,
    ),
    (
        "the products",
        |f| f.cut("products.json", 1, 10),
        "products.json, line 1, byte 10: the line is cut off",
        false,
    ),
];

#[test]
fn every_bad_folder_ends_in_one_clear_sentence() {
    for (what, spoil, complaint, partial_helps) in SPOILED {
        let folder = Folder::new();
        let whole = open(folder.path(), &strict()).unwrap();
        let complaint = folder.fill_in_offset(complaint);
        spoil(&folder);

        let error = open(folder.path(), &strict()).expect_err(what).to_string();
        assert!(
            error.contains(&complaint),
            "{what}: {error}\nshould say {complaint}"
        );
        assert!(!error.contains('\n'), "{what}: one sentence: {error}");
        assert_eq!(
            error.contains("--partial"),
            *partial_helps,
            "{what}: {error}"
        );
        match open(folder.path(), &PARTIAL) {
            Ok(part) => {
                assert!(partial_helps, "{what} is not read partially");
                let damage = part.damage.expect(what);
                assert!(damage.contains(&complaint), "{what}: {damage}");
                assert!(part.records.len() < whole.records.len() || part.truth.is_none());
            }
            Err(error) => {
                assert!(!partial_helps, "{what}: {error}");
                assert!(error.to_string().contains(&complaint), "{what}: {error}");
            }
        }
    }
}

#[test]
fn import_says_what_is_wrong_and_imports_the_rest_when_asked() {
    let folder = Folder::new();
    let output = folder.path().join("trip.mcap");
    let whole = open(folder.path(), &strict()).unwrap();
    folder.cut("plate_data.json", 21, 50);
    let args = [
        "import",
        "nanostore",
        text(folder.path()),
        "-o",
        text(&output),
    ];

    let refused = stroll(&args);
    assert_eq!(refused.status.code(), Some(1));
    let complaint = String::from_utf8(refused.stderr).unwrap();
    assert!(
        complaint.starts_with("stroll: ") && complaint.lines().count() == 1,
        "{complaint}"
    );
    assert!(
        complaint.contains("plate_data.json, line 21, byte "),
        "{complaint}"
    );
    assert!(complaint.contains("--partial"), "{complaint}");
    assert!(!output.exists());

    let run = stroll(&[&args[..], &["--partial"]].concat());
    assert!(run.status.success());
    let said = String::from_utf8(run.stdout).unwrap();
    assert!(
        said.contains("Not whole: ") && said.contains("line 21"),
        "{said}"
    );
    let part = open(&output, &strict()).unwrap();
    assert_eq!(part.damage, None, "the import itself is whole");
    // The first 20 of 50 lines of plates and every frame of bodies.
    assert_eq!(part.records.len(), whole.records.len() - 30);
    assert!(
        part.records
            .iter()
            .all(|record| whole.records.contains(record))
    );

    let usage = stroll(&["import", "nanostore", text(folder.path())]);
    assert_eq!(usage.status.code(), Some(2), "no output is wrong usage");
}

#[test]
fn a_cut_off_mcap_gives_its_whole_seconds() {
    let folder = Folder::new();
    let whole = open(folder.path(), &strict()).unwrap();
    let bytes = mcap_bytes(&whole);
    let path = folder.path().join("cut.mcap");
    let mut seen = Vec::new();
    // Every 97th length and all of the last ones, where the summary and the end mark are.
    let lengths = (0..bytes.len()).filter(|n| n % 97 == 0 || n + 40 > bytes.len());
    for length in lengths {
        fs::write(&path, &bytes[..length]).unwrap();
        let error = open(&path, &strict())
            .expect_err("it is cut off")
            .to_string();
        assert!(error.contains("cut.mcap, byte "), "{error}");
        match open(&path, &PARTIAL) {
            Ok(part) => {
                assert!(error.contains("--partial"), "{error}");
                assert!(part.damage.unwrap().contains("cut.mcap, byte "));
                assert_eq!(part.records[..], whole.records[..part.records.len()]);
                seen.push(part.records.len());
            }
            Err(error) => assert!(
                matches!(error, RecordingError::DamagedDefinition(_)),
                "only without a store there is nothing to be had: {error}"
            ),
        }
    }
    seen.dedup();
    assert!(seen.is_sorted());
    // Five seconds in chunks of one.
    assert!(seen.len() >= 6, "{seen:?}");
    assert_eq!(seen.last(), Some(&whole.records.len()));
}

#[test]
fn other_files_are_no_recordings() {
    let folder = Folder::new();
    for (name, content, complaint) in [
        (
            "empty.mcap",
            &b""[..],
            "empty.mcap, byte 0: the file is empty",
        ),
        (
            "text.mcap",
            b"hello",
            "text.mcap, byte 0: the file does not begin as an MCAP file",
        ),
    ] {
        let path = folder.path().join(name);
        fs::write(&path, content).unwrap();
        let error = open(&path, &strict()).unwrap_err().to_string();
        assert!(error.contains(complaint), "{error}");
    }
    // A good file of somebody else.
    let mut other = mcap::Writer::new(Cursor::new(Vec::new())).unwrap();
    other.finish().unwrap();
    let path = folder.path().join("other.mcap");
    fs::write(&path, other.into_inner().into_inner()).unwrap();
    let error = open(&path, &strict()).unwrap_err();
    assert!(
        matches!(error, RecordingError::NoDefinition { .. }),
        "{error}"
    );
}
