//! Where cameras hang and what their lenses do: the AutoCheckout competition's `calibration.json`, in inches.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use super::{CameraError, cannot_read};
use crate::units::Point;
use crate::vision::camera_geometry::CameraGeometry;

const METRES_PER_INCH: f64 = 0.0254;

#[derive(Deserialize)]
struct File {
    cameras: BTreeMap<String, Camera>,
}

#[derive(Deserialize)]
struct Camera {
    /// Focal lengths and centre, as shares of the picture.
    #[serde(rename = "K")]
    intrinsic: [[f64; 3]; 3],
    /// From the camera's axes (right, down, ahead) to the store's, and the camera's place.
    #[serde(rename = "Tw")]
    pose: [[f64; 4]; 4],
    dist_coeffs: Vec<f64>,
}

/// The cameras of a calibration file by their names.
pub fn read(path: &Path) -> Result<BTreeMap<String, CameraGeometry>, CameraError> {
    let text = std::fs::read(path).map_err(|source| cannot_read(path, source))?;
    let damaged = |why: String| CameraError::Calibration {
        path: path.to_owned(),
        why,
    };
    let file: File = serde_json::from_slice(&text).map_err(|e| damaged(e.to_string()))?;
    let cameras = file.cameras.into_iter().map(|(name, camera)| {
        let geometry = geometry(&camera).map_err(|why| damaged(format!("camera {name}: {why}")))?;
        Ok((name, geometry))
    });
    cameras.collect()
}

/// The cameras of those names, in that order.
pub fn of_named<'n>(
    path: &Path,
    names: impl IntoIterator<Item = &'n String>,
) -> Result<Vec<(String, CameraGeometry)>, CameraError> {
    let known = read(path)?;
    let named = names.into_iter().map(|name| match known.get(name) {
        Some(geometry) => Ok((name.clone(), geometry.clone())),
        None => Err(CameraError::NotCalibrated {
            path: path.to_owned(),
            name: name.clone(),
            known: known.keys().cloned().collect::<Vec<_>>().join(", "),
        }),
    });
    named.collect()
}

fn geometry(camera: &Camera) -> Result<CameraGeometry, &'static str> {
    let (k, pose) = (&camera.intrinsic, &camera.pose);
    let axis = |column: usize| [pose[0][column], pose[1][column], pose[2][column]];
    let axes = [axis(0), axis(1), axis(2)];
    let dot = |a: [f64; 3], b: [f64; 3]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    for (i, a) in axes.into_iter().enumerate() {
        for (j, b) in axes.into_iter().enumerate() {
            let wanted = if i == j { 1.0 } else { 0.0 };
            if (dot(a, b) - wanted).abs() > 0.01 || !dot(a, b).is_finite() {
                return Err("the directions in `Tw` are not at right angles and of length 1");
            }
        }
    }
    let focal = [k[0][0], k[1][1]];
    if !focal.iter().all(|f| (0.05..50.0).contains(f)) {
        return Err("the focal lengths in `K` are no shares of the picture's sides");
    }
    let mut distortion = [0.0; 5];
    if camera.dist_coeffs.len() > distortion.len() {
        return Err("`dist_coeffs` takes at most k1, k2, p1, p2, k3");
    }
    distortion[..camera.dist_coeffs.len()].copy_from_slice(&camera.dist_coeffs);
    Ok(CameraGeometry {
        place: Point {
            x: pose[0][3] * METRES_PER_INCH,
            y: pose[1][3] * METRES_PER_INCH,
            z: pose[2][3] * METRES_PER_INCH,
        },
        axes,
        focal,
        centre: [k[0][2], k[1][2]],
        distortion,
    })
}
