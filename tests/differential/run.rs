//! A run: worlds one after the other, each request on both sides at once, both answers compared.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use kordon::wire::schema::{api_versions, metadata, streams_group_heartbeat};
use kordon::wire::{ApiKey, ErrorCode, Node, Versions};

use crate::acls;
use crate::clusters::{self, tell};
use crate::effects;
use crate::names::{Names, PEOPLE};
use crate::normal::{self, Delta};
use crate::requests::Maker;
use crate::rng::Rng;
use crate::scripts::{self, Until};
use crate::side::{BACK, Outcome, Side};
use crate::support::log_file;
use crate::support::proxy::Kordon;
use crate::tally::{self, Tally};
use crate::waivers::{self, Look};
use crate::world;

/// Requests of `cargo test`.
const FEW: usize = 1_500;
/// From here on a run is full.
const FULL: usize = 20_000;
/// A step that took longer is told at the end: what blocks makes the run long.
const SLOW: Duration = Duration::from_millis(900);
/// Requests of a world.
const STEPS: usize = 80;
/// Differences that are printed; all are in the log.
const PRINTED: usize = 12;

/// What is asked for by the environment.
struct Plan {
    seed: u64,
    count: usize,
    /// One world, and up to which step.
    case: Option<(u64, usize)>,
    apis: Option<Vec<String>>,
}

impl Plan {
    fn from_environment() -> Self {
        let number = |name: &str| std::env::var(name).ok().map(|text| text.parse().expect("a number"));
        let case = std::env::var("KORDON_CASE").ok().map(|text| {
            let (world, step) = text.split_once(':').unwrap_or((&text, "1000000"));
            (world.parse().expect("a world"), step.parse().expect("a step"))
        });
        let apis = std::env::var("KORDON_DIFF_APIS").ok().map(|text| text.split(',').map(str::to_owned).collect());
        Self {
            seed: number("KORDON_SEED").unwrap_or(1),
            count: number("KORDON_DIFF").map_or(FEW, |n| n as usize),
            case,
            apis,
        }
    }

    fn full(&self) -> bool {
        self.count >= FULL && self.case.is_none() && self.apis.is_none()
    }
}

/// A request that was asked on both sides.
struct Case<'a> {
    world: u64,
    step: usize,
    who: &'a str,
    key: ApiKey,
    version: i16,
    body: &'a Node,
}

struct Run {
    plan: Plan,
    strict: Option<Side>,
    lenient: Option<Side>,
    proxied: Side,
    kordon: Kordon<'static>,
    /// Whether what no ACL is about is allowed at present.
    everyone: bool,
    tally: Tally,
    served: BTreeMap<ApiKey, Versions>,
    failed: Vec<String>,
    classes: BTreeMap<String, usize>,
}

/// Runs what the environment asks for, and fails at differences that nobody means.
pub fn run() {
    let begin = Instant::now();
    let plan = Plan::from_environment();
    let (strict, (proxied, kordon)) = std::thread::scope(|scope| {
        let strict = scope.spawn(|| clusters::reference(false));
        (clusters::proxied(), strict.join().expect("a reference")).into_swapped()
    });
    let mut run = Run {
        plan,
        strict: Some(strict),
        lenient: None,
        proxied,
        kordon,
        everyone: false,
        tally: Tally::default(),
        served: BTreeMap::new(),
        failed: Vec::new(),
        classes: BTreeMap::new(),
    };
    let names = Names::of(0);
    world::own_topics(run.strict.as_mut().expect("a reference"), &names);
    world::own_topics(&mut run.proxied, &names);
    run.compare_versions();
    let started = begin.elapsed();
    let worlds: Vec<u64> = match run.plan.case {
        Some((world, _)) => vec![world],
        None => (0..run.plan.count.div_ceil(STEPS) as u64).collect(),
    };
    for world in worlds {
        run.world(world);
    }
    run.finish(started, begin.elapsed());
}

trait Swapped<A, B> {
    fn into_swapped(self) -> (B, A);
}

impl<A, B> Swapped<A, B> for (A, B) {
    fn into_swapped(self) -> (B, A) {
        (self.1, self.0)
    }
}

impl Run {
    /// What both advertise; what only one does is a difference.
    fn compare_versions(&mut self) {
        let names = Names::of(0);
        let ranges = |side: &mut Side| {
            use api_versions::response::{API_KEYS, api_version as v};
            let request = Node::request(ApiKey::API_VERSIONS)
                .with(api_versions::request::CLIENT_SOFTWARE_NAME, "test")
                .with(api_versions::request::CLIENT_SOFTWARE_VERSION, "1");
            let Outcome::Answer(answer) = side.ask("alice", ApiKey::API_VERSIONS, 3, &request, &names) else {
                panic!("{}: ApiVersions is not answered", side.name)
            };
            let range = |e: &Node| {
                (ApiKey(e.i16(v::API_KEY)), Versions { min: e.i16(v::MIN_VERSION), max: e.i16(v::MAX_VERSION) })
            };
            answer.nodes(API_KEYS).iter().map(range).collect::<BTreeMap<_, _>>()
        };
        let theirs = ranges(self.strict.as_mut().expect("a reference"));
        let ours = ranges(&mut self.proxied);
        for (key, range) in &theirs {
            let own = ours.get(key).copied().unwrap_or(Versions::NONE);
            if own != *range {
                tell(&format!("ApiVersions: {} is advertised {range} by the broker, {own} by the proxy", key.name()));
            }
            let mut both = own.intersect(*range);
            if *key == ApiKey::PRODUCE {
                // Advertised from 0 on for librdkafka's sake, and closed on.
                both.min = 3;
            }
            if !both.is_empty() && ![ApiKey::SASL_HANDSHAKE, ApiKey::SASL_AUTHENTICATE].contains(key) {
                self.served.insert(*key, both);
            }
        }
        if let Some(wanted) = &self.plan.apis {
            self.served.retain(|key, _| wanted.iter().any(|name| name == key.name()));
        }
    }

    fn world(&mut self, number: u64) {
        let mut rng = Rng::new(self.plan.seed, number);
        let names = Names::of(number);
        let everyone = number % 5 == 4;
        let mut reference = match if everyone { self.lenient.take() } else { self.strict.take() } {
            Some(side) => side,
            None => {
                let mut side = clusters::reference(everyone);
                world::own_topics(&mut side, &names);
                side
            }
        };
        world::prepare(&mut reference, &names);
        world::prepare(&mut self.proxied, &names);
        let acls = acls::generate(&names, &mut rng);
        if self.everyone != everyone {
            self.kordon.write_policy(&acls::policy(everyone));
            self.everyone = everyone;
        }
        let verbose = self.plan.case.is_some();
        if verbose {
            acls.iter().for_each(|acl| tell(&acl.to_string()));
        }
        let own = |step, key, body| Case { world: number, step, who: "super", key, version: 3, body };
        let (creation, deletion) = (acls::creation(&acls), acls::deletion());
        self.step(&mut reference, &names, &own(0, ApiKey::CREATE_ACLS, &creation));
        if number < 3 && (self.plan.full() || self.plan.case.is_some()) {
            // What chance meets too seldom to be sure of.
            for (who, key, version, body) in scripts::rare(&names) {
                self.step(&mut reference, &names, &Case { world: number, step: 0, who, key, version, body: &body });
            }
        }
        let deck = self.deck(number);
        let mut intact = true;
        let steps = self.plan.case.map_or(STEPS, |(_, last)| STEPS.min(last + 1));
        for step in 0..steps {
            let (key, version) = deck[step % deck.len()];
            let who = rng.weighted(&[(14, PEOPLE[0]), (30, PEOPLE[1]), (29, PEOPLE[2]), (27, PEOPLE[3])]);
            let body = Maker::request(&mut rng, &names, key, version);
            let case = Case { world: number, step, who, key, version, body: &body };
            if verbose {
                tell(&format!("{step}: {who} {} v{version} {body:?}", key.name()));
            }
            if !self.step(&mut reference, &names, &case) {
                // From here on the two have nothing in common.
                intact = false;
                break;
            }
        }
        if intact && self.plan.case.is_none_or(|(_, last)| last >= STEPS) {
            intact = self.script(&mut reference, &names, number, &mut rng);
        }
        if intact {
            self.effects(&mut reference, &names, number);
            self.step(&mut reference, &names, &own(2 * STEPS, ApiKey::DELETE_ACLS, &deletion));
        }
        world::clear(&mut reference, &names);
        world::clear(&mut self.proxied, &names);
        *(if everyone { &mut self.lenient } else { &mut self.strict }) = Some(reference);
    }

    /// Scripts of two people; whether the world may go on.
    fn script(&mut self, reference: &mut Side, names: &Names, world: u64, rng: &mut Rng) -> bool {
        let mut step = STEPS;
        for _ in 0..2 {
            let who = rng.pick(&PEOPLE);
            for one in scripts::pick(names, rng, who) {
                if !self.served.get(&one.key).is_some_and(|range| range.contains(one.version)) {
                    continue;
                }
                let who = if one.by_super { "super" } else { who };
                let case = Case { world, step, who, key: one.key, version: one.version, body: &one.body };
                if self.plan.case.is_some() {
                    tell(&format!("{step}: {who} {} v{} {:?}", one.key.name(), one.version, one.body));
                }
                self.wait_until(reference, names, &case, one.until);
                let (intact, theirs, ours) = self.asked(reference, names, &case);
                if self.plan.case.is_some() {
                    tell(&format!("    {theirs:?}\n    {ours:?}"));
                }
                reference.take(&one.take, &theirs);
                self.proxied.take(&one.take, &ours);
                step += 1;
                if !intact {
                    return false;
                }
                // A session on one side alone, an error that may differ, or a broker that failed: nothing to go on with.
                let (theirs, ours) = (codes(&theirs), codes(&ours));
                let failed = theirs.contains(&i64::from(ErrorCode::UNKNOWN_SERVER_ERROR.0));
                if failed || theirs != ours || !self.proxied.goes_on_like(reference, &one.take) {
                    break;
                }
            }
        }
        true
    }

    /// Asks until both answers show it, or one is an error. What was asked counts once, when it is compared.
    fn wait_until(&mut self, reference: &mut Side, names: &Names, case: &Case<'_>, until: Option<Until>) {
        let Some((count, wanted)) = until else { return };
        for side in [reference, &mut self.proxied] {
            let begin = Instant::now();
            while begin.elapsed() < Duration::from_secs(3) {
                let outcome = side.ask(case.who, case.key, case.version, case.body, names);
                let Outcome::Answer(answer) = &outcome else { break };
                let codes = codes(&outcome);
                if count(answer) >= wanted || codes.iter().any(|code| *code != 0) {
                    break;
                }
                std::thread::sleep(Duration::from_millis(20));
            }
        }
    }

    /// What the world has done, compared behind everybody's back.
    fn effects(&mut self, reference: &mut Side, names: &Names, world: u64) {
        let topics = reference.topics(names);
        self.proxied.topics(names);
        let groups = world::groups(reference, names);
        for (key, version, body) in effects::questions(names, &topics, &groups) {
            let case = Case { world, step: 2 * STEPS, who: BACK, key, version, body: &body };
            let begin = Instant::now();
            loop {
                let theirs = reference.ask(BACK, key, version, &body, names);
                let ours = self.proxied.ask(BACK, key, version, &body, names);
                let deltas = self.compare(reference, &case, &theirs, &ours);
                if deltas.is_empty() {
                    break;
                }
                // Transactions end behind the answer.
                if begin.elapsed() > Duration::from_secs(2) {
                    self.failed_case(&case, &deltas, &theirs, &ours);
                    break;
                }
                std::thread::sleep(Duration::from_millis(20));
            }
        }
    }

    /// What a world asks: its share of all versions in turn, so that none is left out, and as much again by chance.
    fn deck(&self, world: u64) -> Vec<(ApiKey, i16)> {
        let mut all: Vec<(ApiKey, i16)> =
            self.served.iter().flat_map(|(key, range)| range.iter().map(|v| (*key, v))).collect();
        Rng::new(self.plan.seed, u64::MAX).shuffle(&mut all);
        let mut rng = Rng::new(self.plan.seed, world ^ 0xdec0);
        let from = world as usize * (STEPS / 2);
        let mut deck: Vec<_> = (0..STEPS / 2).map(|i| all[(from + i) % all.len()]).collect();
        let keys: Vec<ApiKey> = self.served.keys().copied().collect();
        while deck.len() < STEPS {
            let key = rng.pick(&keys);
            let range = self.served[&key];
            deck.push((key, rng.between(range.min as usize, range.max as usize) as i16));
        }
        rng.shuffle(&mut deck);
        deck
    }

    /// One request on both sides; whether the world may go on.
    fn step(&mut self, reference: &mut Side, names: &Names, case: &Case<'_>) -> bool {
        self.asked(reference, names, case).0
    }

    /// As [`Run::step`], with both outcomes.
    fn asked(&mut self, reference: &mut Side, names: &Names, case: &Case<'_>) -> (bool, Outcome, Outcome) {
        let Case { who, key, version, body, .. } = *case;
        reference.begin_step(case.step + 1);
        self.proxied.begin_step(case.step + 1);
        let asked = Instant::now();
        reference.send(who, key, version, body, names);
        self.proxied.send(who, key, version, body, names);
        let mut theirs = reference.receive(who, key, version);
        let mut ours = self.proxied.receive(who, key, version);
        // A transaction ends behind its answer: who comes too early is asked to come again.
        while asked.elapsed() < Duration::from_secs(3) && (too_early(&theirs) || too_early(&ours)) {
            std::thread::sleep(Duration::from_millis(10));
            if too_early(&theirs) {
                theirs = reference.ask(who, key, version, body, names);
            }
            if too_early(&ours) {
                ours = self.proxied.ask(who, key, version, body, names);
            }
        }
        self.tally.note(key, version, tally::end(&theirs));
        if asked.elapsed() > SLOW {
            self.tally.slow.push(format!(
                "{}:{} {} v{version} {:.1?}",
                case.world,
                case.step,
                key.name(),
                asked.elapsed()
            ));
        }
        let mut deltas = Vec::new();
        if [ApiKey::CREATE_ACLS, ApiKey::DELETE_ACLS].contains(&key) {
            deltas.extend(self.settle_acls(reference, names));
        }
        if [ApiKey::END_TXN, ApiKey::INIT_PRODUCER_ID].contains(&key) {
            world::transactions_ended(reference, names);
            world::transactions_ended(&mut self.proxied, names);
        }
        if changes_metadata(key, body, &theirs) {
            deltas.extend(self.settle(reference, names, expected(key, &theirs)));
        }
        let mut compared = self.compare(reference, case, &theirs, &ours);
        // Brokers settle: what only reads may be asked again.
        let mut again = 0;
        while !compared.is_empty() && only_reads(key, body) && again < 10 {
            again += 1;
            std::thread::sleep(Duration::from_millis(20));
            theirs = reference.ask(who, key, version, body, names);
            ours = self.proxied.ask(who, key, version, body, names);
            compared = self.compare(reference, case, &theirs, &ours);
            if compared.is_empty() {
                self.tally.late += 1;
            }
        }
        deltas.extend(compared);
        if !deltas.is_empty() {
            self.failed_case(case, &deltas, &theirs, &ours);
        }
        (!deltas.iter().any(|delta| delta.path.starts_with("(effects")), theirs, ours)
    }

    /// Where both answers differ and nobody means it.
    fn compare(&mut self, reference: &mut Side, case: &Case<'_>, theirs: &Outcome, ours: &Outcome) -> Vec<Delta> {
        let theirs = normal::tree(reference, case.key, case.version, theirs);
        let ours = normal::tree(&mut self.proxied, case.key, case.version, ours);
        let all = normal::differences(&theirs, &ours);
        let mut deltas = Vec::new();
        for delta in &all {
            match waivers::of(case.key, case.version, &Look { body: case.body, delta, all: &all }) {
                Some(waiver) => {
                    *self.tally.waived.entry(waiver.name).or_default() += 1;
                    if KINDS.contains(&case.key) {
                        let group = case.body.str(case.body.def().find("GroupId").expect("the group of a heartbeat"));
                        reference.apart.insert(group.to_owned());
                        self.proxied.apart.insert(group.to_owned());
                    }
                }
                None => deltas.push(delta.clone()),
            }
        }
        deltas
    }

    /// Waits until both sides show the same ACLs.
    fn settle_acls(&mut self, reference: &mut Side, names: &Names) -> Option<Delta> {
        let begin = Instant::now();
        loop {
            let (theirs, ours) = (world::acls(reference, names), world::acls(&mut self.proxied, names));
            if theirs == ours {
                world::caught_up(reference, names);
                return None;
            }
            if begin.elapsed() > Duration::from_secs(3) {
                return Some(Delta {
                    path: "(effects: ACLs)".to_owned(),
                    reference: normal::show(&theirs),
                    proxied: normal::show(&ours),
                });
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits until both sides show the same topics.
    fn settle(&mut self, reference: &mut Side, names: &Names, created: Vec<String>) -> Option<Delta> {
        let begin = Instant::now();
        let before: BTreeSet<(String, usize)> = BTreeSet::new();
        loop {
            world::caught_up(reference, names);
            world::caught_up(&mut self.proxied, names);
            let (theirs, ours) = (reference.topics(names), self.proxied.topics(names));
            let still = |all: &BTreeMap<String, usize>| created.iter().any(|name| !all.contains_key(name));
            let wait = still(&theirs) && begin.elapsed() < Duration::from_millis(400);
            if theirs == ours && !wait {
                let fresh: BTreeMap<String, usize> =
                    theirs.into_iter().filter(|(name, n)| !before.contains(&(name.clone(), *n))).collect();
                world::led(reference, names, &fresh);
                world::led(&mut self.proxied, names, &fresh);
                return None;
            }
            if begin.elapsed() > Duration::from_secs(3) {
                return Some(Delta {
                    path: "(effects: topics)".to_owned(),
                    reference: format!("{theirs:?}"),
                    proxied: format!("{ours:?}"),
                });
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn failed_case(&mut self, case: &Case<'_>, deltas: &[Delta], theirs: &Outcome, ours: &Outcome) {
        let mut text = format!(
            "KORDON_SEED={} KORDON_CASE={}:{}  {} asks {} v{}: {:?}\n",
            self.plan.seed,
            case.world,
            case.step,
            case.who,
            case.key.name(),
            case.version,
            case.body
        );
        for delta in deltas {
            text.push_str(&format!(
                "    {}\n      reference {}\n      proxied   {}\n",
                delta.path, delta.reference, delta.proxied
            ));
        }
        text.push_str(&format!("    reference {theirs:?}\n    proxied   {ours:?}\n"));
        let class = format!(
            "{} {}: {} | {}",
            case.key.name(),
            deltas[0].path,
            short(&deltas[0].reference),
            short(&deltas[0].proxied)
        );
        self.difference(&text, class);
    }

    fn difference(&mut self, text: &str, class: String) {
        if self.failed.len() < PRINTED {
            tell(text);
        }
        self.failed.push(text.to_owned());
        *self.classes.entry(class).or_default() += 1;
    }

    fn finish(&mut self, started: Duration, took: Duration) {
        self.tally.print(&self.served);
        let log = log_file("differential.log");
        std::fs::write(&log, self.failed.join("\n")).expect("the log of differences");
        tell(&format!("seed {}, started in {started:.1?}, {took:.1?} in all; {}", self.plan.seed, log.display()));
        for (class, count) in &self.classes {
            tell(&format!("{count:>5} × {class}"));
        }
        if self.plan.full() {
            let missing = self.tally.missing(&self.served);
            assert!(missing.is_empty(), "advertised, and never asked: {missing:?}");
            let stale: Vec<&str> =
                waivers::WAIVERS.iter().map(|w| w.name).filter(|name| !self.tally.waived.contains_key(name)).collect();
            assert!(stale.is_empty(), "waived, and never met: {stale:?}");
        }
        assert!(self.failed.is_empty(), "{} answers differ", self.failed.len());
    }
}

/// Whether every error of an answer says that a transaction is still ending.
fn too_early(outcome: &Outcome) -> bool {
    let early = i64::from(ErrorCode::CONCURRENT_TRANSACTIONS.0);
    let codes = codes(outcome);
    codes.contains(&early) && codes.iter().all(|code| [0, early].contains(code))
}

/// The error codes of an answer.
fn codes(outcome: &Outcome) -> Vec<i64> {
    if let Outcome::Answer(answer) = outcome { tally::codes(answer) } else { Vec::new() }
}

fn short(text: &str) -> String {
    text.chars().take(60).collect()
}

/// What makes a group one of its kind, and has differences that are meant.
const KINDS: [ApiKey; 2] = [ApiKey::CONSUMER_GROUP_HEARTBEAT, ApiKey::STREAMS_GROUP_HEARTBEAT];

/// What may be asked again without doing anything.
const READS: &[ApiKey] = &[
    ApiKey::LIST_OFFSETS,
    ApiKey::METADATA,
    ApiKey::OFFSET_FETCH,
    ApiKey::FIND_COORDINATOR,
    ApiKey::DESCRIBE_GROUPS,
    ApiKey::LIST_GROUPS,
    ApiKey::API_VERSIONS,
    ApiKey::OFFSET_FOR_LEADER_EPOCH,
    ApiKey::DESCRIBE_ACLS,
    ApiKey::DESCRIBE_CONFIGS,
    ApiKey::DESCRIBE_LOG_DIRS,
    ApiKey::LIST_PARTITION_REASSIGNMENTS,
    ApiKey::DESCRIBE_CLIENT_QUOTAS,
    ApiKey::DESCRIBE_USER_SCRAM_CREDENTIALS,
    ApiKey::DESCRIBE_QUORUM,
    ApiKey::DESCRIBE_CLUSTER,
    ApiKey::DESCRIBE_PRODUCERS,
    ApiKey::DESCRIBE_TRANSACTIONS,
    ApiKey::LIST_TRANSACTIONS,
    ApiKey::CONSUMER_GROUP_DESCRIBE,
    ApiKey::LIST_CONFIG_RESOURCES,
    ApiKey::DESCRIBE_TOPIC_PARTITIONS,
    ApiKey::SHARE_GROUP_DESCRIBE,
    ApiKey::STREAMS_GROUP_DESCRIBE,
    ApiKey::DESCRIBE_SHARE_GROUP_OFFSETS,
    // Asked twice they come to the same; a share coordinator hears of new topics later than its broker does.
    ApiKey::INITIALIZE_SHARE_GROUP_STATE,
    ApiKey::DELETE_SHARE_GROUP_STATE,
    ApiKey::READ_SHARE_GROUP_STATE,
    ApiKey::READ_SHARE_GROUP_STATE_SUMMARY,
];

/// Whether a request may be asked again without doing anything: those, and fetches without a session.
fn only_reads(key: ApiKey, body: &Node) -> bool {
    use kordon::wire::schema::fetch::request::{SESSION_EPOCH, SESSION_ID};
    let sessionless = key == ApiKey::FETCH && body.int(SESSION_ID) == 0 && body.int(SESSION_EPOCH) == -1;
    sessionless || READS.contains(&key)
}

/// Whether a request may have changed what brokers know of topics and configs.
fn changes_metadata(key: ApiKey, body: &Node, answer: &Outcome) -> bool {
    match key {
        ApiKey::METADATA => {
            body.bool(metadata::request::ALLOW_AUTO_TOPIC_CREATION) && !expected(key, answer).is_empty()
        }
        ApiKey::CREATE_TOPICS
        | ApiKey::DELETE_TOPICS
        | ApiKey::CREATE_PARTITIONS
        | ApiKey::ALTER_CONFIGS
        | ApiKey::INCREMENTAL_ALTER_CONFIGS
        | ApiKey::STREAMS_GROUP_HEARTBEAT
        | ApiKey::UPDATE_FEATURES
        | ApiKey::ALTER_CLIENT_QUOTAS
        | ApiKey::ALTER_USER_SCRAM_CREDENTIALS => true,
        _ => false,
    }
}

/// Topics that a broker is about to create on its own.
fn expected(key: ApiKey, answer: &Outcome) -> Vec<String> {
    use metadata::response::{TOPICS, metadata_response_topic as t};
    use streams_group_heartbeat::response::{STATUS, status};
    // `StreamsGroupHeartbeatResponse.Status.MISSING_INTERNAL_TOPICS`, whose text names them.
    const MISSING: &str = "Internal topics are missing: ";
    let Outcome::Answer(answer) = answer else { return Vec::new() };
    match key {
        ApiKey::METADATA => {
            let missing = answer.nodes(TOPICS).iter().filter(|topic| [3, 5].contains(&topic.int(t::ERROR_CODE)));
            missing.filter_map(|topic| topic.opt_str(t::NAME)).map(str::to_owned).collect()
        }
        ApiKey::STREAMS_GROUP_HEARTBEAT => {
            let details =
                answer.nodes(STATUS).iter().filter_map(|one| one.str(status::STATUS_DETAIL).strip_prefix(MISSING));
            details.flat_map(|names| names.split(", ")).map(str::to_owned).collect()
        }
        _ => Vec::new(),
    }
}
