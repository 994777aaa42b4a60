//! kafkajs: a client of another lineage, which speaks old versions. One process per step.

use serde_json::Value;

use super::fetch::kafkajs as package;
use super::java::Failure;
use super::python::outcome;
use super::tools::run;
use super::{process, scratch};

/// Runs one step of `node/client.js`: `op` is `produce`, `consume` or `topics`.
///
/// # Errors
/// What kafkajs said, by the type of its error.
#[track_caller]
pub fn kafkajs(command: &Value) -> Result<Value, Failure> {
    let script = scratch("node").join("client.js");
    super::write_once(&script, include_str!("node/client.js"));
    let mut node = process::command("node");
    node.env("NODE_PATH", package().join("node_modules")).arg(&script).arg(command.to_string());
    outcome(run(node, "`node`", ""))
}
