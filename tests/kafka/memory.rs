//! Answers stream: what a client fetches does not pass through the proxy's memory.

use std::time::Duration;

use kordon::wire::{ApiKey, ErrorCode};

use crate::support::cluster::Cluster;
use crate::support::java::Java;
use crate::support::proxy::{Kordon, Upstream};
use crate::support::raw::{FetchSpec, Raw, fetched};
use crate::support::{needs, process, say, throughout};

const RECORDS: usize = 54;
const SIZE: usize = 1_000_000;
const LIMIT: u64 = 4 * 1024 * 1024;

#[test]
fn a_fetch_of_50_megabytes_raises_memory_by_less_than_4() {
    needs!(Java);
    let cluster = Cluster::shared();
    let topic = cluster.topic("large", 1);
    let producer = Java::newest().producer(&cluster.direct(), &[("buffer.memory", "134217728")]);
    assert_eq!(producer.send_bulk(&topic, RECORDS, SIZE).ok, RECORDS as u64);
    let kordon = Kordon::before(cluster).person("alice").upstream(Upstream::Direct).start();
    let (id, leader) = Raw::connect(kordon.at("alice")).topic(&topic, 0);
    let at = kordon.broker("alice", leader);
    let pid = kordon.pid();
    let fetch = |version: i16, slowly: bool| {
        let mut raw = Raw::connect(&at);
        raw.patience(Duration::from_secs(60));
        let mut spec = FetchSpec::of(&topic, id, 0);
        spec.max_bytes = 1024;
        // the connection stands and has fetched once
        assert_eq!(fetched(&raw.ask(ApiKey::FETCH, version, &spec.request())).error, ErrorCode::NONE);
        let before = process::resident(pid);
        process::reset_peak(pid);
        spec.max_bytes = i32::MAX;
        raw.send(ApiKey::FETCH, version, &spec.request());
        if slowly {
            throughout("nobody reads, and little is held", Duration::from_secs(1), || {
                let held = process::resident(pid).saturating_sub(before);
                if held < LIMIT { Ok(()) } else { Err(format!("{held} bytes")) }
            });
        }
        let told = fetched(&raw.receive());
        let (bytes, grown) = (told.partitions[0].4, process::peak(pid).saturating_sub(before));
        say(format!(
            "fetch v{version} of {:.1} MB{}: peak memory of the proxy +{:.2} MB",
            bytes as f64 / 1e6,
            if slowly { ", read late" } else { "" },
            grown as f64 / 1_048_576.0
        ));
        assert!(bytes > 50_000_000, "the answer has only {bytes} bytes");
        assert!(grown < LIMIT, "memory rose by {grown} bytes");
    };
    for (version, slowly) in [(12, false), (17, false), (17, true), (4, false)] {
        fetch(version, slowly);
    }
}
