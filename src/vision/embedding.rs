//! Where a picture of a product lies among all pictures: a direction in a space that a network was trained to make.

/// A vector of length 1; pictures of one product lie close together.
#[derive(Clone, Debug, PartialEq)]
pub struct Embedding(Vec<f32>);

impl Embedding {
    /// The direction of a vector; `None` if it has none (empty, zero, or what is no number).
    pub fn new(mut values: Vec<f32>) -> Option<Self> {
        let length = values
            .iter()
            .map(|v| f64::from(*v).powi(2))
            .sum::<f64>()
            .sqrt();
        if !length.is_finite() || length <= f64::EPSILON {
            return None;
        }
        for value in &mut values {
            *value = (f64::from(*value) / length) as f32;
        }
        Some(Embedding(values))
    }

    /// The direction between several; `None` if they cancel out or differ in dimension.
    pub fn mean(of: &[Embedding]) -> Option<Self> {
        let first = of.first()?;
        if of.iter().any(|e| e.dimension() != first.dimension()) {
            return None;
        }
        let sum = |at: usize| of.iter().map(|e| e.0[at]).sum::<f32>();
        Embedding::new((0..first.dimension()).map(sum).collect())
    }

    pub fn dimension(&self) -> usize {
        self.0.len()
    }

    pub fn values(&self) -> &[f32] {
        &self.0
    }

    /// Cosine of the angle between two, -1 to 1; 0 where the dimensions differ.
    pub fn cosine(&self, other: &Embedding) -> f64 {
        if self.dimension() != other.dimension() {
            return 0.0;
        }
        let products = self.0.iter().zip(&other.0);
        let sum: f64 = products.map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
        sum.clamp(-1.0, 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directions() {
        let e = |v: &[f32]| Embedding::new(v.to_vec());
        for nowhere in [
            &[][..],
            &[0.0, 0.0],
            &[f32::NAN, 1.0],
            &[f32::INFINITY, 1.0],
        ] {
            assert_eq!(e(nowhere), None, "{nowhere:?}");
        }
        let (east, north) = (e(&[2.0, 0.0]).unwrap(), e(&[0.0, 0.5]).unwrap());
        assert_eq!(east.values(), [1.0, 0.0]);
        assert_eq!(east.cosine(&north), 0.0);
        let between = Embedding::mean(&[east.clone(), north]).unwrap();
        assert!((between.cosine(&east) - 0.5_f64.sqrt()).abs() < 1e-6);
        let west = e(&[-1.0, 0.0]).unwrap();
        assert_eq!(Embedding::mean(&[east.clone(), west]), None);
        assert_eq!(Embedding::mean(&[east, e(&[1.0]).unwrap()]), None);
    }
}
