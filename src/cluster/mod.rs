//! What the proxy itself says to Kafka: dialling a broker, the topology, the producer of the audit.

pub mod batch;
