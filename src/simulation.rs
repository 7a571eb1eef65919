//! The daemon in simulated time: its own reconciler, planner and ledger, with an
//! API that loses requests and answers, applies them late or refuses them,
//! people who switch syncs at any instant, crashes between any two steps, a
//! clock that is set, files that are edited and broken, a disk that is full.
//!
//! A [`World`] is made of a [`Scene`] and a seed, and the same two make the same
//! world. Nothing waits and nothing is sent. It is judged by what happened at the
//! API, not by what the daemon says of itself. `simulate` runs a user's own
//! windows in it, and the tests run thousands of invented ones.

mod api;
mod fault;
mod judge;
mod ordered;
mod scene;
mod world;

pub use api::{Switched, Who};
pub use fault::{Fault, On};
pub use scene::{Scene, Unkindness};
pub use world::{Plant, Told, World};
