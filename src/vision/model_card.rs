//! What a network takes and gives: the text beside its file.
//!
//! `models/<name>.toml` names the ONNX file, its SHA-256, how a picture becomes its input, and what its outputs mean. A network
//! without its card, or with another's, gives numbers that look right, so unknown keys are refused.

use serde::Deserialize;

/// A model's card.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelCard {
    pub kind: ModelKind,
    /// The ONNX file, beside the card.
    pub file: String,
    /// SHA-256 of the ONNX file, 64 hexadecimal digits.
    pub sha256: String,
    /// Goes with every decision that the model has a part in.
    pub version: String,
    pub input: InputForm,
    pub products: Option<ProductsForm>,
    pub people: Option<PeopleForm>,
}

/// What a model is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ModelKind {
    /// Tells products from one another.
    Products,
    /// Finds people.
    People,
}

impl ModelKind {
    /// The name of the model's files.
    pub fn name(self) -> &'static str {
        match self {
            ModelKind::Products => "products",
            ModelKind::People => "people",
        }
    }
}

/// How a picture becomes the input of a network: 1 picture, 3 channels, float32.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InputForm {
    /// Pixels.
    pub width: u32,
    pub height: u32,
    pub layout: TensorLayout,
    pub colour: ColourOrder,
    /// A value is `(pixel · scale − mean) / std`, by channel in the order of `colour`, for pixels of 0 to 255.
    pub scale: f32,
    pub mean: [f32; 3],
    pub std: [f32; 3],
    pub fit: Fit,
    /// With [`Fit::Crop`]: the picture is resized so that its short side has this many pixels.
    pub short_side: Option<u32>,
    /// With [`Fit::Letterbox`]: grey level of what the picture does not cover.
    #[serde(default = "grey")]
    pub fill: u8,
    #[serde(default)]
    pub filter: Filter,
    /// The answer is the mean of the picture's and of its mirror image's.
    #[serde(default)]
    pub mirrored: bool,
}

fn grey() -> u8 {
    114
}

/// The order of a tensor's axes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TensorLayout {
    /// Picture, channel, row, column.
    Nchw,
    /// Picture, row, column, channel.
    Nhwc,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ColourOrder {
    Rgb,
    Bgr,
}

/// How a picture of another shape is brought to the network's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fit {
    /// The short side is resized to `short_side`, and the centre is cut out.
    Crop,
    /// The whole picture keeps its shape and stands in the middle; the rest is filled.
    Letterbox,
    /// The whole picture, its shape not kept.
    Stretch,
}

/// How pixels are weighed when a picture is resized. When it shrinks, the filter widens with it (antialiasing).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Filter {
    #[default]
    Bilinear,
    CatmullRom,
    Lanczos3,
}

/// What a network for products gives.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProductsForm {
    /// Output with the embedding.
    pub embedding: String,
    /// Output with the scores of the classes that it was trained on, before softmax.
    pub logits: Option<String>,
    /// A class's probability is `softmax(logits / temperature)`.
    #[serde(default = "one")]
    pub temperature: f64,
    /// An enrolled product's probability is `softmax(prototype_scale · cosine)`.
    pub prototype_scale: f64,
    /// A product whose best cosine is below this is unknown.
    pub unknown_below: f64,
    /// Prototypes that come with the model: rows of little-endian float32.
    pub prototypes: Option<String>,
    pub prototypes_sha256: Option<String>,
    /// The class of each row.
    #[serde(default)]
    pub prototype_classes: Vec<u32>,
}

fn one() -> f64 {
    1.0
}

/// What a network for people gives.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PeopleForm {
    /// Output with the boxes.
    pub boxes: String,
    /// A box is reported from this score.
    pub score_min: f64,
    /// Of two boxes that overlap by more (intersection over union), the better stays.
    pub nms_iou: f64,
    /// Of a box whose share inside a better one is above this, the better stays.
    #[serde(default = "one")]
    pub inside_max: f64,
    #[serde(default)]
    pub decode: PeopleDecode,
    /// `sigmoid(logit(score) / temperature)` is the score.
    #[serde(default = "one")]
    pub temperature: f64,
}

/// How boxes are read from the output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PeopleDecode {
    /// Rows of x0, y0, x1, y1 in pixels of the input, and the score.
    #[default]
    Boxes,
    /// The grid of FastestDet (dog-qiuqiu/FastestDet): objectness, box, class scores; class 0 is a person.
    #[serde(rename = "fastestdet")]
    FastestDet,
}

/// Why a card can't be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CardFlaw {
    #[error("{0}")]
    Toml(String),
    #[error("`{key}` is {found}; it takes {wanted}")]
    Value {
        key: &'static str,
        found: String,
        wanted: &'static str,
    },
    #[error("a card of kind `{kind}` takes a table [{kind}]")]
    NoTable { kind: &'static str },
}

/// Sides of a network's input, pixels: more is a mistake, and would take much memory.
const SIDE_MAX: u32 = 2048;

impl ModelCard {
    /// Reads and checks a card.
    pub fn parse(text: &str) -> Result<Self, CardFlaw> {
        let card: ModelCard = toml::from_str(text)
            .map_err(|e| CardFlaw::Toml(e.to_string().trim_end().to_owned()))?;
        match card.flaw() {
            Some(flaw) => Err(flaw),
            None => Ok(card),
        }
    }

    /// The names of the outputs, in the order in which an engine gives them.
    pub fn outputs(&self) -> Vec<&str> {
        let products = self.products.iter();
        let products = products.flat_map(|p| [Some(&p.embedding), p.logits.as_ref()]);
        let people = self.people.iter().map(|p| Some(&p.boxes));
        products
            .chain(people)
            .flatten()
            .map(String::as_str)
            .collect()
    }

    fn flaw(&self) -> Option<CardFlaw> {
        let kind = self.kind.name();
        let there = match self.kind {
            ModelKind::Products => self.products.is_some() && self.people.is_none(),
            ModelKind::People => self.people.is_some() && self.products.is_none(),
        };
        if !there {
            return Some(CardFlaw::NoTable { kind });
        }
        let plain = |name: &str| !name.is_empty() && !name.contains(['/', '\\']) && name != "..";
        let named = (self.products.iter()).filter_map(|p| p.prototypes.as_ref());
        for name in named.chain([&self.file]) {
            if !plain(name) {
                return Some(value("file", name, "a name of a file beside the card"));
            }
        }
        let sums = (self.products.iter()).filter_map(|p| p.prototypes_sha256.as_ref());
        for sum in sums.chain([&self.sha256]) {
            if sum.len() != 64 || !sum.bytes().all(|b| b.is_ascii_hexdigit()) {
                return Some(value("sha256", sum, "64 hexadecimal digits"));
            }
        }
        self.input
            .flaw()
            .or_else(|| self.products.as_ref().and_then(ProductsForm::flaw))
            .or_else(|| self.people.as_ref().and_then(PeopleForm::flaw))
    }
}

fn value(key: &'static str, found: impl ToString, wanted: &'static str) -> CardFlaw {
    CardFlaw::Value {
        key,
        found: found.to_string(),
        wanted,
    }
}

impl InputForm {
    /// Numbers of one input.
    pub fn len(&self) -> usize {
        self.width as usize * self.height as usize * 3
    }

    /// Never: a card with sides of 0 is refused.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The shape of the input tensor.
    pub fn shape(&self) -> [usize; 4] {
        let (width, height) = (self.width as usize, self.height as usize);
        match self.layout {
            TensorLayout::Nchw => [1, 3, height, width],
            TensorLayout::Nhwc => [1, height, width, 3],
        }
    }

    fn flaw(&self) -> Option<CardFlaw> {
        let short = self.short_side.unwrap_or(self.width.min(self.height));
        for (key, side) in [
            ("input.width", self.width),
            ("input.height", self.height),
            ("input.short_side", short),
        ] {
            if !(1..=SIDE_MAX).contains(&side) {
                return Some(value(key, side, "1 to 2048 pixels"));
            }
        }
        if self.fit == Fit::Crop && short < self.width.max(self.height) {
            let wanted = "at least as many pixels as the longer of width and height";
            return Some(value("input.short_side", short, wanted));
        }
        let numbers = self.mean.iter().chain(&self.std).chain([&self.scale]);
        if !numbers.into_iter().all(|n| n.is_finite()) || self.scale == 0.0 {
            return Some(value("input.scale", self.scale, "a number other than 0"));
        }
        (self.std.iter().any(|s| *s <= 0.0))
            .then(|| value("input.std", format!("{:?}", self.std), "numbers above 0"))
    }
}

impl ProductsForm {
    fn flaw(&self) -> Option<CardFlaw> {
        let (scale, temperature) = (self.prototype_scale, self.temperature);
        if !(scale.is_finite() && scale > 0.0) {
            return Some(value("products.prototype_scale", scale, "a number above 0"));
        }
        if !(temperature.is_finite() && temperature > 0.0) {
            return Some(value(
                "products.temperature",
                temperature,
                "a number above 0",
            ));
        }
        if !(-1.0..=1.0).contains(&self.unknown_below) {
            let found = self.unknown_below;
            return Some(value("products.unknown_below", found, "a cosine, -1 to 1"));
        }
        let with = [
            self.prototypes_sha256.is_some(),
            !self.prototype_classes.is_empty(),
        ];
        (with != [self.prototypes.is_some(); 2]).then(|| {
            let wanted = "`prototypes`, `prototypes_sha256` and `prototype_classes` together";
            value(
                "products.prototypes",
                format!("{:?}", self.prototypes),
                wanted,
            )
        })
    }
}

impl PeopleForm {
    fn flaw(&self) -> Option<CardFlaw> {
        for (key, share) in [
            ("people.score_min", self.score_min),
            ("people.nms_iou", self.nms_iou),
            ("people.inside_max", self.inside_max),
        ] {
            if !(0.0..=1.0).contains(&share) {
                return Some(value(key, share, "a share, 0 to 1"));
            }
        }
        let temperature = self.temperature;
        (!(temperature.is_finite() && temperature > 0.0))
            .then(|| value("people.temperature", temperature, "a number above 0"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vision::testing;

    fn text() -> String {
        testing::card_text(ModelKind::Products, 224, testing::NO_SUM, testing::PRODUCTS)
    }

    #[test]
    fn reads_a_card() {
        let card = ModelCard::parse(&text().replace("height = 224", "height = 192")).unwrap();
        assert_eq!(card.outputs(), ["e", "l"]);
        assert_eq!(card.input.shape(), [1, 3, 192, 224]);
        assert_eq!(
            (card.input.fill, card.input.filter),
            (114, Filter::Bilinear)
        );
    }

    #[test]
    fn says_what_is_wrong() {
        for (from, to, said) in [
            ("width = 224", "width = 0", "`input.width` is 0"),
            ("width = 224", "width = 9000", "`input.width` is 9000"),
            (
                "\"stretch\"",
                "\"crop\"\nshort_side = 192",
                "`input.short_side` is 192",
            ),
            ("\nscale = 1.0", "\nscale = 0.0", "`input.scale` is 0"),
            ("std = [1.0", "std = [0.0", "`input.std` is"),
            ("products.onnx", "../products.onnx", "beside the card"),
            ("0123456789abcdef", "0123", "64 hexadecimal digits"),
            ("unknown_below = 0.5", "unknown_below = 2.0", "a cosine"),
            (
                "prototype_scale = 10.0",
                "prototype_scale = -1.0",
                "above 0",
            ),
            (
                "kind = \"products\"",
                "kind = \"people\"",
                "takes a table [people]",
            ),
            ("version", "verzion", "unknown field `verzion`"),
            (
                "unknown_below",
                "prototypes = \"p.f32\"\nunknown_below",
                "together",
            ),
        ] {
            let flaw = ModelCard::parse(&text().replacen(from, to, 1)).unwrap_err();
            assert!(flaw.to_string().contains(said), "{to}: {flaw}");
        }
    }
}
