//! The eyes on data from outside, and through the executable.

use std::collections::BTreeMap;
use std::path::Path;

use stroll::edge::camera::calibration;
use stroll::edge::pictures;
use stroll::evaluation::multi_object::{self, MotScore, Tracks};
use stroll::units::Point;
use stroll::vision::bounding_box::Detection;
use stroll::vision::codes;
use stroll::vision::picture::Picture;
use stroll::vision::tracking::{Tracker, TrackerSettings};

use crate::program::{arg, stroll, text};
use crate::recording::folder::shared;

#[test]
fn the_tracker_is_no_worse_than_sort() {
    let Some(shared) = shared() else { return };
    let read = |name: &str| {
        let text = std::fs::read_to_string(shared.join("tracking").join(name)).unwrap();
        multi_object::parse(&text).unwrap()
    };
    let mut by_frame: BTreeMap<u32, Vec<Detection>> = BTreeMap::new();
    for (frame, _, found) in read("TUD-Campus.det.txt") {
        by_frame.entry(frame).or_default().push(found);
    }
    let truth = multi_object::by_frame(&read("TUD-Campus.gt.txt"));
    let mut tracker = Tracker::new(TrackerSettings::default());
    let mut tracks = Tracks::new();
    for frame in truth.keys() {
        let found = by_frame.get(frame).map_or(&[][..], Vec::as_slice);
        let shown = tracker.step(found).into_iter();
        tracks.insert(*frame, shown.map(|b| (b.track, b.bounds)).collect());
    }
    let score: MotScore = multi_object::score(&truth, &tracks);
    let floor = crate::floors::floors().vision;
    assert!(
        score.mota() >= floor.mota_min && score.id_switches as u64 <= floor.id_switches_max,
        "{score:?}"
    );
}

/// The shipped network through the shipped engine, by the command: each fifth picture, so that an unoptimised build is done soon.
#[cfg(feature = "vision")]
#[test]
fn groceries_are_recognised() {
    let Some(shared) = shared() else { return };
    let groceries = shared.join("groceries");
    let all = std::fs::read_to_string(groceries.join("test.txt")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let list = folder.path().join("fifth.txt");
    let fifth: Vec<&str> = all.lines().step_by(5).collect();
    std::fs::write(&list, fifth.join("\n")).unwrap();
    let eval = ["vision", "eval", arg(&groceries), "--json", "--list"];
    let output = stroll(&[&eval[..], &[arg(&list)]].concat());
    assert!(output.status.success(), "{}", text(&output.stderr));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let share = |name: &str| report[name].as_f64().expect(name);
    let floor = crate::floors::floors().vision;
    assert!(
        share("fine_top1") >= floor.groceries_fine_min
            && share("coarse_top1") >= floor.groceries_coarse_min,
        "{report}"
    );
}

/// The competition's cameras look at a place on the floor that is known: it is in the middle of what they see.
#[test]
fn cameras_see_what_they_look_at() {
    let Some(shared) = shared() else { return };
    let path = shared.join("nanostore/store/calibration.json");
    let cameras = calibration::read(&path).unwrap();
    let raw: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    assert!(cameras.len() >= 12);
    for (name, camera) in &cameras {
        let look_at: Vec<f64> =
            serde_json::from_value(raw["cameras"][name]["look_at"].clone()).unwrap();
        let metres: Vec<f64> = look_at.iter().map(|inches| inches * 0.0254).collect();
        let point = Point {
            x: metres[0],
            y: metres[1],
            z: metres[2],
        };
        let [u, v] = camera.project(&point).expect("it is before the camera");
        assert!(
            (u - 0.5).abs() < 0.1 && (v - 0.5).abs() < 0.15,
            "{name}: {u} {v}"
        );
        let back = camera.at_height([u, v], metres[2]).expect("it is seen");
        assert!(
            back.distance(&point) < 1e-3,
            "{name}: {back:?}, not {point:?}"
        );
    }
}

#[test]
fn codes_in_photographs_are_read() {
    let Some(shared) = shared() else { return };
    let files = pictures::files_in(&shared.join("qr/qrcode-1")).unwrap();
    let right = |file: &Path| {
        let wanted = std::fs::read_to_string(file.with_extension("txt")).unwrap();
        let found = codes::read(&pictures::read(file).unwrap());
        found
            .iter()
            .any(|text| text.trim_end() == wanted.trim_end())
    };
    let read = files.iter().filter(|file| right(file)).count();
    let wanted = crate::floors::floors().vision.codes_read_min;
    assert!(read >= wanted, "{read} of {}", files.len());
}

/// Shares of what was charged that is wrong, and of what was taken that is missed, as `stroll evaluate` says them last.
fn errors(args: &[&str]) -> f64 {
    let output = stroll(&[&["evaluate", "--brief"], args].concat());
    assert!(output.status.success(), "{}", text(&output.stderr));
    let last = text(&output.stdout).lines().last().unwrap().to_owned();
    let words: Vec<&str> = last.split_whitespace().collect();
    let after = |name: &str| -> f64 {
        let at = words.iter().position(|w| *w == name).unwrap();
        words[at + 1].parse().unwrap()
    };
    (1.0 - after("precision")) + (1.0 - after("recall"))
}

/// Products of equal weight on one shelf, mixed up by shoppers: what the scales can't tell, cameras can.
#[test]
fn cameras_tell_twins_apart() {
    let folder = tempfile::tempdir().unwrap();
    let cases = folder.path().join("twins");
    std::fs::create_dir(&cases).unwrap();
    let out = cases.join("101.mcap");
    let situation = [
        "--situation",
        "misplaced-twin",
        "--seed",
        "101",
        "--shoppers",
        "5",
    ];
    let made = stroll(&[&["simulate"], &situation[..], &["-o", arg(&out)]].concat());
    assert!(made.status.success(), "{}", text(&made.stderr));
    let alone = errors(&[arg(&cases)]);
    let seen = errors(&[arg(&cases), "--eyes", "0.97"]);
    assert!(alone > 0.1, "there is something to tell apart: {alone}");
    assert!(seen < alone / 3.0, "{seen} with eyes, {alone} without");
}

/// A picture of 8 bits that is no picture of anything.
fn grey(path: &Path) {
    let bytes = pictures::jpeg(&Picture::filled(64, 48, [90; 3]), 90).unwrap();
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn commands_say_what_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("grey.jpg");
    grey(&file);
    let output = stroll(&[
        "vision",
        "detect",
        arg(&file),
        "--models",
        arg(folder.path()),
    ]);
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stderr);
    assert!(
        said.contains("people.toml: there is no such file"),
        "{said}"
    );
    let output = stroll(&["vision", "qr", arg(&file)]);
    assert!(output.status.success());
    assert_eq!(text(&output.stdout), "");
    std::fs::write(&file, b"\xFF\xD8\xFF\xE0 cut").unwrap();
    let said = stroll(&["vision", "qr", arg(&file)]);
    assert!(
        text(&said.stderr).contains("grey.jpg: it is cut off"),
        "{said:?}"
    );
    let said = stroll(&["enroll", "--gtin", "4006381333932", arg(&file)]);
    assert!(
        text(&said.stderr).contains("its last digit should be 1"),
        "{said:?}"
    );
}
