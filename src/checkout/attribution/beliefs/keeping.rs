//! Beliefs as they are kept over a restart.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Beliefs;
use crate::checkout::attribution::cluster::Cluster;
use crate::checkout::attribution::weights::Weights;
use crate::checkout::attribution::world::{Holding, Lying};
use crate::checkout::session::SessionId;
use crate::store::{Definition, ShelfId};

/// All of [`Beliefs`] but the store's definition.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeptBeliefs {
    weights: Weights,
    holdings: BTreeMap<SessionId, Arc<Holding>>,
    lying: BTreeMap<ShelfId, Arc<Vec<Lying>>>,
    clusters: Vec<Cluster>,
}

impl Beliefs {
    /// What is to be kept.
    pub fn keep(&self) -> KeptBeliefs {
        let Beliefs {
            definition: _,
            weights,
            holdings,
            lying,
            clusters,
        } = self.clone();
        KeptBeliefs {
            weights,
            holdings,
            lying,
            clusters,
        }
    }

    /// The beliefs of before a restart.
    pub fn kept(definition: Arc<Definition>, kept: KeptBeliefs) -> Self {
        let KeptBeliefs {
            weights,
            holdings,
            lying,
            clusters,
        } = kept;
        Beliefs {
            definition,
            weights,
            holdings,
            lying,
            clusters,
        }
    }
}
