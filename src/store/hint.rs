//! What the owner most likely meant: the neighbour of a misspelt word, and a line to write a field like.

/// A line that shows how a field is written.
pub fn example(field: &str) -> Option<&'static str> {
    const EXAMPLES: &[&str] = &[
        "id = \"1.5\"",
        "name = \"Sparkling water 0.5 l\"",
        "currency = \"EUR\"",
        "hold_minor = 5000",
        "confidence_min = 0.9",
        "review_deadline_s = 3600",
        "node_silent_s = 5",
        "track_lost_s = 30",
        "visit_lost_s = 600",
        "admission_s = 60",
        "closing_s = 900",
        "clock_error_max_s = 1",
        "reach_m = 1.5",
        "x_m = 0.25",
        "y_m = 0.0",
        "z_m = 1.2",
        "plate_width_m = 0.1",
        "plates = [11, 12]",
        "shelves = [\"1.1\", \"1.2\"]",
        "tracks_bodies = true",
        "watches_gate = true",
        "gtin = \"4006381333931\"",
        "sku = \"apple-loose\"",
        "weight_g = 520.5",
        "price_minor = 199",
        "tax_percent = 7",
        "age_min_years = 18",
        "sold_by = \"unit\"",
        "product = \"4006381333931\"",
        "shelf = \"1.5\"",
        "store = \"store.toml\"",
        "broker = \"mqtt://127.0.0.1:1883\"",
        "outbox = \"/var/lib/stroll/shelf.sqlite\"",
        "calibration = \"/var/lib/stroll/calibration.json\"",
        "rate_hz = 80",
        "realtime_priority = 50",
        "queue_s = 2",
        "folder = \"/var/lib/stroll/recordings\"",
        "rotate_min = 60",
        "disk_max_mb = 2000",
        "clock_gpio = 5",
        "gain = 128",
        "data = [{ plate = \"1.1.1\", gpio = 6 }]",
        "bus = 1",
        "multiplexer = 0x70",
        "channel = 0",
        "plate = \"1.1.1\"",
        "gpio = 6",
        "at_s = 10.0",
        "for_s = 2.5",
        "grams = -528.5",
        "kind = \"cable-off\"",
        "swap_with = \"1.1.2\"",
        "seed = 7",
    ];
    EXAMPLES
        .iter()
        .find(|line| line.split(" =").next() == Some(field))
        .copied()
}

/// The word of `words` that `word` most likely meant: it shares a beginning, or is at most two letters off.
pub fn nearest<'w>(word: &str, words: impl IntoIterator<Item = &'w str>) -> Option<&'w str> {
    (words.into_iter())
        .map(|known| (distance(word, known), known))
        .filter(|(off, known)| {
            let begins_alike = word.get(..4).is_some_and(|start| known.starts_with(start));
            begins_alike || *off <= 2.min(word.len() / 2)
        })
        .min_by_key(|(off, _)| *off)
        .map(|(_, known)| known)
}

/// Letters to insert, remove or change between two words (Levenshtein); words above 32 letters count as far apart.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    if a.len().max(b.len()) > 32 {
        return usize::MAX;
    }
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.iter().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (cell, cb) in row.iter_mut().skip(1).zip(&b) {
            let next = (diagonal + usize::from(ca != cb))
                .min(*cell + 1)
                .min(left + 1);
            diagonal = std::mem::replace(cell, next);
            left = next;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or(a.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_word_finds_its_neighbour() {
        let fields = ["name", "weight_g", "price_minor", "tax_percent"];
        for (word, near) in [
            ("pricee", Some("price_minor")),
            ("wieght_g", Some("weight_g")),
            ("weight", Some("weight_g")),
            ("nam", Some("name")),
            ("colour", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, fields), near, "{word}");
        }
        assert_eq!(distance("kitten", "sitting"), 3);
    }

    #[test]
    fn every_example_is_toml() {
        for field in ["id", "plates", "sold_by", "shelf"] {
            let line = example(field).unwrap();
            assert!(toml::from_str::<toml::Table>(line).is_ok(), "{line}");
        }
        assert_eq!(example("no such field"), None);
    }
}
