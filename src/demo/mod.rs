//! What `kordon demo` runs on, and what unit tests talk to: an in-memory broker. No part of the product imports it.

pub mod broker;
