//! How well products are recognised: lists of labelled pictures, and what was answered.
//!
//! The lists are those of the Grocery Store Dataset (Klasson, Zhang and Kjellström, "A hierarchical grocery store image
//! dataset with visual and semantic labels", 2019): `classes.csv` with fine and coarse classes, and files of `path, fine, coarse`.

use std::collections::BTreeMap;

use crate::vision::reliability::{self, Bin};

/// The classes, by their number.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Classes {
    by_id: BTreeMap<u32, Class>,
}

/// A class and the coarser one that it is of.
#[derive(Clone, Debug, PartialEq)]
pub struct Class {
    pub name: String,
    pub coarse: u32,
    pub coarse_name: String,
}

/// A picture of a list, its path relative to the list.
#[derive(Clone, Debug, PartialEq)]
pub struct Labelled {
    pub path: String,
    pub fine: u32,
}

/// A line that can't be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {wanted}")]
pub struct BadLine {
    /// From 1.
    pub line: usize,
    pub wanted: &'static str,
}

impl Classes {
    /// Reads `classes.csv`: a heading, then name, number, coarse name, coarse number, and more of no matter.
    pub fn parse(text: &str) -> Result<Self, BadLine> {
        let wanted = "a line is `name,number,coarse name,coarse number,...`";
        let mut by_id = BTreeMap::new();
        for (line, text) in (1..).zip(text.lines()).skip(1) {
            if text.trim().is_empty() {
                continue;
            }
            let fields: Vec<&str> = text.split(',').map(str::trim).collect();
            let read = || {
                let class = Class {
                    name: (*fields.first()?).to_owned(),
                    coarse: fields.get(3)?.parse().ok()?,
                    coarse_name: (*fields.get(2)?).to_owned(),
                };
                Some((fields.get(1)?.parse().ok()?, class))
            };
            let (id, class) = read().ok_or(BadLine { line, wanted })?;
            by_id.insert(id, class);
        }
        Ok(Classes { by_id })
    }

    pub fn get(&self, id: u32) -> Option<&Class> {
        self.by_id.get(&id)
    }

    /// The numbers in order.
    pub fn ids(&self) -> impl Iterator<Item = u32> + '_ {
        self.by_id.keys().copied()
    }
}

/// Reads a list of pictures: `path, fine class, coarse class` on each line.
pub fn parse_list(text: &str) -> Result<Vec<Labelled>, BadLine> {
    let wanted = "a line is `path, class, coarse class`";
    let lines = (1..).zip(text.lines());
    let filled = lines.filter(|(_, text)| !text.trim().is_empty());
    let read = |text: &str| {
        let mut fields = text.split(',').map(str::trim);
        let path = fields.next()?.to_owned();
        let fine = fields.next()?.parse().ok()?;
        Some(Labelled { path, fine })
    };
    filled
        .map(|(line, text)| read(text).ok_or(BadLine { line, wanted }))
        .collect()
}

/// What was answered to one picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    pub truth: u32,
    pub fine: u32,
    /// The stated probability of `fine`.
    pub probability: f64,
    pub coarse: u32,
}

/// The answer that class probabilities amount to: the best class, and the coarse class whose classes are together best.
pub fn answer(truth: u32, probabilities: &[(u32, f64)], classes: &Classes) -> Option<Answer> {
    let best = probabilities.iter().max_by(|a, b| a.1.total_cmp(&b.1))?;
    let mut coarse: BTreeMap<u32, f64> = BTreeMap::new();
    for (fine, probability) in probabilities {
        let class = classes.get(*fine)?;
        *coarse.entry(class.coarse).or_default() += probability;
    }
    let best_coarse = coarse.into_iter().max_by(|a, b| a.1.total_cmp(&b.1))?;
    Some(Answer {
        truth,
        fine: best.0,
        probability: best.1,
        coarse: best_coarse.0,
    })
}

/// What was counted over all pictures.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    pub pictures: usize,
    /// Shares of the pictures that are right.
    pub fine_right: f64,
    pub coarse_right: f64,
    /// Ten bins of stated probability.
    pub reliability: Vec<Bin>,
    pub calibration_error: f64,
    /// (truth, answer, how often), most often first; only those that differ.
    pub confused: Vec<(u32, u32, usize)>,
}

/// Counts answers.
pub fn report(answers: &[Answer], classes: &Classes) -> Report {
    let share = |right: usize| right as f64 / answers.len().max(1) as f64;
    let coarse_of = |id: u32| classes.get(id).map(|c| c.coarse);
    let right = answers.iter().filter(|a| a.fine == a.truth).count();
    let coarse = answers
        .iter()
        .filter(|a| coarse_of(a.truth) == Some(a.coarse))
        .count();
    let stated: Vec<(f64, bool)> = (answers.iter())
        .map(|a| (a.probability, a.fine == a.truth))
        .collect();
    let reliability = reliability::table(&stated, 10);
    let mut confused: BTreeMap<(u32, u32), usize> = BTreeMap::new();
    for answer in answers.iter().filter(|a| a.fine != a.truth) {
        *confused.entry((answer.truth, answer.fine)).or_default() += 1;
    }
    let mut confused: Vec<_> = confused.into_iter().map(|((t, a), n)| (t, a, n)).collect();
    confused.sort_by_key(|(truth, answer, times)| (std::cmp::Reverse(*times), *truth, *answer));
    Report {
        pictures: answers.len(),
        fine_right: share(right),
        coarse_right: share(coarse),
        calibration_error: reliability::expected_error(&reliability),
        reliability,
        confused,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLASSES: &str = "Class Name (str),Class ID (int),Coarse Class Name (str),Coarse Class ID (int),Icon\n\
        Pink-Lady,0,Apple,5,/a.jpg\nGala,1,Apple,5,/b.jpg\nKiwi,2,Kiwi,7,/c.jpg\n";

    #[test]
    fn reads_lists() {
        let classes = Classes::parse(CLASSES).unwrap();
        assert_eq!(classes.ids().collect::<Vec<_>>(), [0, 1, 2]);
        assert_eq!(classes.get(1).unwrap().coarse, 5);
        assert_eq!(Classes::parse("x\nA,zero,B,1").unwrap_err().line, 2);
        let list = parse_list("test/a.jpg, 2, 7\n\ntest/b.jpg, 0, 5\n").unwrap();
        assert_eq!((list.len(), list[1].fine), (2, 0));
        assert_eq!(parse_list("\ntest/a.jpg").unwrap_err().line, 2);
    }

    #[test]
    fn counts_answers() {
        let classes = Classes::parse(CLASSES).unwrap();
        let say = |truth, shares: [f64; 3]| {
            let shares: Vec<(u32, f64)> = (0..).zip(shares).collect();
            answer(truth, &shares, &classes).unwrap()
        };
        // Neither apple is best, but the apples together are.
        let split = say(0, [0.3, 0.3, 0.4]);
        assert_eq!((split.fine, split.coarse), (2, 5));
        let answers = [split, say(1, [0.8, 0.1, 0.1]), say(2, [0.0, 0.1, 0.9])];
        let report = report(&answers, &classes);
        assert_eq!(report.confused, [(0, 2, 1), (1, 0, 1)]);
        assert!((report.fine_right - 1.0 / 3.0).abs() < 1e-12);
        assert_eq!(report.coarse_right, 1.0);
        assert_eq!(
            report.reliability.iter().map(|b| b.answers).sum::<usize>(),
            3
        );
        assert_eq!(answer(0, &[(9, 1.0)], &classes), None);
    }
}
