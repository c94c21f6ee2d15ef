//! The file of the products that were enrolled by pictures: what `stroll enroll` writes and a shelf's camera reads.
//!
//! It holds directions in the space of one network (see [`crate::vision::prototypes`]), no pictures. Another network has
//! another space, so the file names the one that made it and is refused by any other.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::store::ProductId;
use crate::vision::embedding::Embedding;
use crate::vision::prototypes::Prototypes;

const FORMAT: &str = "stroll-gallery-1";

/// The products that were enrolled, and with which network.
#[derive(Clone, Debug, PartialEq)]
pub struct Gallery {
    /// SHA-256 of the network's file.
    pub model_sha256: String,
    pub products: Prototypes<ProductId>,
}

/// Why a gallery can't be had.
#[derive(Debug, thiserror::Error)]
pub enum GalleryError {
    #[error("{path}: it cannot be read")]
    Unreadable {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("{path}: it cannot be written")]
    Unwritable {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("{path}: it is no gallery of enrolled products: {why}")]
    Damaged { path: PathBuf, why: String },
    #[error(
        "{path}: its products were enrolled with another model ({enrolled:.12}, now {now:.12}); enrol them again"
    )]
    OtherModel {
        path: PathBuf,
        enrolled: String,
        now: String,
    },
}

#[derive(Serialize, Deserialize)]
struct File {
    format: String,
    model_sha256: String,
    /// Rows of little-endian float32 in base64.
    products: BTreeMap<String, Vec<String>>,
}

impl Gallery {
    /// Nobody enrolled yet.
    pub fn new(model_sha256: &str) -> Self {
        Gallery {
            model_sha256: model_sha256.to_ascii_lowercase(),
            products: Prototypes::default(),
        }
    }

    /// Reads the gallery of a network; `None` if there is no such file.
    pub fn read(path: &Path, model_sha256: &str) -> Result<Option<Self>, GalleryError> {
        let bytes = match std::fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(source) => {
                let path = path.to_owned();
                return Err(GalleryError::Unreadable { path, source });
            }
        };
        let gallery = parse(&bytes).map_err(|why| GalleryError::Damaged {
            path: path.to_owned(),
            why,
        })?;
        if !gallery.model_sha256.eq_ignore_ascii_case(model_sha256) {
            return Err(GalleryError::OtherModel {
                path: path.to_owned(),
                enrolled: gallery.model_sha256,
                now: model_sha256.to_ascii_lowercase(),
            });
        }
        Ok(Some(gallery))
    }

    /// Writes it beside its place first, so that a crash leaves the old one or the new one.
    pub fn write(&self, path: &Path) -> Result<(), GalleryError> {
        let cannot = |source: std::io::Error| GalleryError::Unwritable {
            path: path.to_owned(),
            source,
        };
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        let mut file = tempfile::NamedTempFile::new_in(folder).map_err(cannot)?;
        let json = serde_json::to_vec_pretty(&self.file()).map_err(|e| cannot(e.into()))?;
        std::io::Write::write_all(&mut file, &json).map_err(cannot)?;
        file.as_file().sync_all().map_err(cannot)?;
        file.persist(path).map_err(|e| cannot(e.error))?;
        Ok(())
    }

    fn file(&self) -> File {
        let text = |row: &Embedding| {
            let bytes: Vec<u8> = row.values().iter().flat_map(|v| v.to_le_bytes()).collect();
            STANDARD.encode(bytes)
        };
        let products = self.products.iter();
        File {
            format: FORMAT.to_owned(),
            model_sha256: self.model_sha256.clone(),
            products: products
                .map(|(id, rows)| (id.to_string(), rows.iter().map(text).collect()))
                .collect(),
        }
    }
}

fn parse(bytes: &[u8]) -> Result<Gallery, String> {
    let file: File = serde_json::from_slice(bytes).map_err(|e| e.to_string())?;
    if file.format != FORMAT {
        return Err(format!("its format is `{}`", file.format));
    }
    let mut gallery = Gallery::new(&file.model_sha256);
    for (product, rows) in file.products {
        for row in rows {
            let bytes = STANDARD
                .decode(&row)
                .map_err(|e| format!("{product}: {e}"))?;
            let (numbers, rest) = bytes.as_chunks::<4>();
            let numbers = numbers.iter().map(|b| f32::from_le_bytes(*b)).collect();
            let row = Embedding::new(numbers).filter(|_| rest.is_empty());
            let row = row.ok_or_else(|| format!("{product}: a row is no direction"))?;
            gallery.products.add(ProductId::from(product.as_str()), row);
        }
    }
    Ok(gallery)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comes_back_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("gallery.json");
        assert_eq!(Gallery::read(&path, "ab").unwrap(), None);
        let mut gallery = Gallery::new("AB");
        let shot = Embedding::new(vec![0.1, -3.0, 2.5]).unwrap();
        let other = Embedding::new(vec![1.0, 0.0, 0.3]).unwrap();
        gallery
            .products
            .enrol("4006381333931".into(), vec![shot, other]);
        gallery.write(&path).unwrap();
        let back = Gallery::read(&path, "ab").unwrap().unwrap();
        let cosines = |g: &Gallery| -> Vec<f64> {
            let rows = g.products.iter().flat_map(|(_, rows)| rows);
            rows.map(|r| r.cosine(&Embedding::new(vec![1.0, 1.0, 1.0]).unwrap()))
                .collect()
        };
        assert_eq!(cosines(&back).len(), 3);
        assert!((cosines(&back)[0] - cosines(&gallery)[0]).abs() < 1e-6);
        let other = Gallery::read(&path, "cd").unwrap_err();
        assert!(other.to_string().contains("enrol them again"), "{other}");
        for damaged in [
            "",
            "{}",
            "{\"format\":\"x\",\"model_sha256\":\"ab\",\"products\":{}}",
        ] {
            std::fs::write(&path, damaged).unwrap();
            let error = Gallery::read(&path, "ab").unwrap_err();
            assert!(
                error.to_string().contains("no gallery"),
                "{damaged}: {error}"
            );
        }
    }
}
