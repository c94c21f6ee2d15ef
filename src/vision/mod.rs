//! Eyes: pictures to products and people.
//!
//! Pure, as the rest of the domain: pictures come in, what is seen goes out. [`picture`] and [`bounding_box`] are the words;
//! [`preprocess`] makes a network's input by its [`model_card`], [`engine`] runs it, [`recognition`] and [`people`] read what it
//! says. [`prototypes`] knows products by a few [`embedding`]s each, and [`reliability`] tells whether a stated probability
//! holds. [`tracking`] makes tracks of boxes ([`kalman`], [`assignment`]); [`ceiling`] brings those of all cameras to the floor.
//!
//! Cameras, files and models are read in [`crate::edge`]. Nobody's face or looks are kept: a track is boxes.

pub mod assignment;
pub mod bounding_box;
pub mod camera_geometry;
pub mod camera_health;
pub mod ceiling;
pub mod codes;
pub mod embedding;
pub mod engine;
pub mod floor_tracking;
pub mod frame_ring;
pub mod kalman;
pub mod model_card;
pub mod overlay;
pub mod people;
pub mod picture;
pub mod preprocess;
pub mod prototypes;
pub mod recognition;
pub mod reliability;
pub mod shelf_eyes;
pub mod shelf_view;
#[cfg(test)]
pub(crate) mod testing;
pub mod tracking;
