//! A simulated Polytomic, with faults.
//!
//! A [`World`] holds organizations, their syncs and executions, and the faults
//! that somebody asked for. It does no I/O and has no clock: every call is told
//! what time it is, and the same calls with the same seed give the same world.
//! A [`Server`] puts a world behind HTTP on the loopback interface and carries
//! out the faults that need a socket: HTTP/1.1 in the clear or, as Polytomic is
//! reached, HTTP/2 over TLS. A deterministic simulation leaves the server out and
//! reads each [`Disposition`] itself.
//!
//! What it answers follows Polytomic's reference pages for the API version
//! 2025-09-18 (<https://apidocs.polytomic.com>). Where they are silent it does
//! this:
//!
//! - a model sync that is inactive refuses a manual start with 409, as does
//!   any sync whose execution still runs;
//! - a switch that changes something sets `updated_at` and `updated_by`, so
//!   the sync moves to the front of the list while somebody pages through it;
//! - an inactive sync has no `next_execution_time`, a missed run is not made up
//!   for, and resuming does not start one at once;
//! - a sync id that is no UUID is answered with 404, a bad body with 422.
//!
//! # Control over HTTP
//!
//! A test that runs the simulator in another process steers it with JSON, all
//! of it unauthenticated, and none of it delayed, broken or recorded:
//!
//! | request | what it does |
//! |---|---|
//! | `GET /__simulator/state` | organizations, syncs, rules in force, counters |
//! | `POST /__simulator/faults` | adds a [`Rule`], or a list of them |
//! | `DELETE /__simulator/faults` | removes every rule and the rate limit |
//! | `POST /__simulator/rate_limit` | sets a [`RateLimit`], or none with `null` |
//! | `POST /__simulator/people` | somebody does a [`Deed`] |
//! | `GET /__simulator/history?since=N` | every [`Change`] from the N-th on |
//! | `GET /__simulator/requests?since=N` | every [`Received`] from number N on |
//!
//! ```text
//! curl -d '{"operation":"pause","times":2,"fault":{"apply":"now","reply":"reset"}}' $URL/__simulator/faults
//! curl -d '{"do":"set","id":"…","active":true,"by":"Ada"}' $URL/__simulator/people
//! ```
//!
//! [`World`]: crate::simulator::World
//! [`Server`]: crate::simulator::Server
//! [`Disposition`]: crate::simulator::Disposition
//! [`Rule`]: crate::simulator::Rule
//! [`RateLimit`]: crate::simulator::RateLimit
//! [`Deed`]: crate::simulator::Deed
//! [`Change`]: crate::simulator::Change
//! [`Received`]: crate::simulator::Received

mod answer;
mod api;
mod connection;
mod control;
mod disposition;
mod execution;
mod fault;
mod http1;
mod http2;
mod idempotency;
mod organization;
mod page;
mod record;
mod route;
pub mod scenario;
mod server;
mod sync;
mod wire;
mod world;

pub use connection::{Protocol, Secure, Securing, Stream};
pub use control::Deed;
pub use disposition::{Delivery, Disposition};
pub use execution::{Execution, Status, Trigger};
pub use fault::{Apply, Fault, RateLimit, Reply, Rule};
pub use record::{Change, Received, Who};
pub use route::Operation;
pub use server::{Clock, Counters, Server};
pub use sync::{Actor, Schedule, Sync};
pub use world::{Unknown, World};

/// A request as the simulator takes it: method, path with query, headers, body.
pub type Request = axum::http::Request<Vec<u8>>;

/// An answer as the simulator gives it.
pub type Response = axum::http::Response<Vec<u8>>;

/// The API version that is meant when a request names none.
pub const DEFAULT_VERSION: &str = "2025-09-18";
