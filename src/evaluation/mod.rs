//! How good a store is: what it decided, held against what really happened.
//!
//! [`score`] counts units that are right, wrongly charged and missed, as the AutoCheckout competition did; [`interval`]
//! says how far chance may have moved such a figure; [`changes`] folds a journal into what became of each change of a
//! shelf; [`confusion`] says for every wrong unit how it came about; [`trade_off`] shows what doubt costs. All of it is
//! pure, and only [`interval`] draws randomness, from a seed of its own.

pub mod changes;
pub mod confusion;
pub mod interval;
pub mod multi_object;
pub mod recognition;
pub mod score;
pub mod trade_off;
