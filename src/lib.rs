//! Kordon: an authorizing proxy for Apache Kafka.
//!
//! Read it in the order the bytes flow:
//!
//! ```text
//! client ─▶ accept ─▶ identity ─▶ Subject                                   net, identity
//!   │ bytes
//!   ▼
//! frame ─▶ peek header ─▶ row of the API table ─ no row ─▶ closed here       wire, enforce
//!   │
//!   ▼
//! scan: walk the body once ─▶ names asked for ─▶ decisions with evidence    wire, policy
//!   │ all allowed: the same bytes go on     │ some denied: decode, cut, remember what to add
//!   ▼                                       ▼
//! in-flight FIFO ─▶ broker ─▶ response: streamed, or filtered, merged, addresses rewritten    session
//!   ├─▶ audit event for every decision ─▶ producer ─▶ audit topic            audit, cluster
//!   └─▶ change of ACLs ─▶ state topic ─▶ follower ─▶ policy in force         access, cluster
//! ```

pub mod access;
pub mod admin;
pub mod app;
pub mod audit;
pub mod cli;
pub mod clock;
pub mod cluster;
pub mod config;
pub mod demo;
pub mod enforce;
pub mod http;
pub mod identity;
pub mod model;
pub mod net;
pub mod policy;
pub mod session;
pub mod telemetry;
pub mod tls;
pub mod wire;
pub mod yaml;
