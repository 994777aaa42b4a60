//! The only way to a broker for those who learned its address from a broker: a relay that knows who connects.
//!
//! Brokers tell the gate's ports as their own. Every connection to them is accepted here, its owner is looked up in
//! the kernel's tables, and only then its bytes go on. So "no client ever connects to a broker" is a fact about a list,
//! not an absence in a sample. The gate also shows the frames that pass, holds them back, and cuts connections.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::{Buf as _, Bytes, BytesMut};
use kordon::wire::message::{decode_request, decode_response};
use kordon::wire::{ApiKey, Node};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::watch;

/// Bytes of a frame that a tap keeps; of a longer frame it keeps the beginning.
const KEPT: usize = 64 * 1024;

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("gate")
        .enable_all()
        .build()
        .expect("runtime of the gate")
});

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// From the proxy to a broker: requests.
    ToBroker,
    /// From a broker to the proxy: answers.
    FromBroker,
}

/// One connection that came through.
#[derive(Clone, Debug)]
pub struct Passage {
    /// The broker it went to.
    pub node: i32,
    /// The process that connected; none when its socket was closed before it could be looked up.
    pub owner: Option<u32>,
    /// Command line of that process.
    pub program: String,
}

/// A frame that passed.
#[derive(Clone, Debug)]
pub struct Frame {
    /// Number of the connection.
    pub connection: u64,
    /// The broker.
    pub node: i32,
    /// Request or answer.
    pub way: Way,
    /// API key; of an answer, that of its request.
    pub api: i16,
    /// Version; of an answer, that of its request.
    pub version: i16,
    /// Correlation id on this connection.
    pub correlation: i32,
    /// Length of the frame, without the four bytes that tell it.
    pub length: usize,
    /// The frame from its header on, at most its first 64 KiB.
    pub bytes: Bytes,
    /// When its last byte passed.
    pub at: Instant,
}

impl Frame {
    /// The request, decoded.
    #[track_caller]
    pub fn request(&self) -> Node {
        assert_eq!(self.length, self.bytes.len(), "the tap kept only the beginning of this frame");
        decode_request(&self.bytes).unwrap_or_else(|e| panic!("malformed request: {e}")).1
    }

    /// The answer, decoded.
    #[track_caller]
    pub fn answer(&self) -> Node {
        assert_eq!(self.length, self.bytes.len(), "the tap kept only the beginning of this frame");
        let decoded = decode_response(ApiKey(self.api), self.version, &self.bytes);
        decoded.unwrap_or_else(|e| panic!("malformed answer: {e}")).1
    }
}

#[derive(Clone, Copy)]
struct Flow {
    to_broker: bool,
    from_broker: bool,
    accept: bool,
    /// Connections made before this number are cut.
    cut: u64,
}

#[derive(Default)]
struct State {
    passages: Vec<Passage>,
    taps: Vec<(u32, Arc<Mutex<Vec<Frame>>>)>,
    recordings: Vec<(Option<u32>, Arc<Mutex<Streams>>)>,
    connections: u64,
    /// Processes that came through, the last one last.
    owners: Vec<u32>,
}

/// What passed, by connection and way.
type Streams = BTreeMap<(u64, bool), Vec<u8>>;

/// The gate of one cluster.
pub struct Gate {
    state: Arc<Mutex<State>>,
    flows: HashMap<i32, watch::Sender<Flow>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Gate {
    /// Listens on every `(node, port told, port bound by the broker)`.
    pub fn open(ways: Vec<(i32, u16, u16)>) -> Gate {
        let state = Arc::new(Mutex::new(State::default()));
        let mut flows: HashMap<i32, watch::Sender<Flow>> = HashMap::new();
        for (node, told, bound) in ways {
            let flow = flows
                .entry(node)
                .or_insert_with(|| {
                    watch::Sender::new(Flow { to_broker: true, from_broker: true, accept: true, cut: 0 })
                })
                .subscribe();
            let state = Arc::clone(&state);
            let listener = RUNTIME
                .block_on(TcpListener::bind(("127.0.0.1", told)))
                .unwrap_or_else(|e| panic!("the gate cannot listen on port {told}: {e}"));
            RUNTIME.spawn(accept(listener, node, told, bound, flow, state));
        }
        Gate { state, flows }
    }

    /// Every connection so far.
    pub fn passages(&self) -> Vec<Passage> {
        lock(&self.state).passages.clone()
    }

    /// Connections that came from another program than the proxy. Must stay empty.
    pub fn strangers(&self) -> Vec<Passage> {
        let mut strangers = self.passages();
        strangers.retain(|p| p.owner.is_some() && Path::new(p.program.split('\0').next().unwrap_or("")) != proxy());
        strangers
    }

    /// Shows the frames of connections of process `pid` from now on.
    pub fn tap(&self, pid: u32) -> Tap {
        let frames = Arc::new(Mutex::new(Vec::new()));
        lock(&self.state).taps.push((pid, Arc::clone(&frames)));
        Tap { frames }
    }

    /// Keeps every byte that passes from now on, of connections of process `pid` or of all.
    pub fn record(&self, pid: Option<u32>) -> Recording {
        let streams = Arc::default();
        lock(&self.state).recordings.push((pid, Arc::clone(&streams)));
        Recording { streams }
    }

    /// Holds back bytes to or from a broker until [`Gate::release`].
    pub fn hold(&self, node: i32, way: Way) {
        self.flow(node).send_modify(|flow| match way {
            Way::ToBroker => flow.to_broker = false,
            Way::FromBroker => flow.from_broker = false,
        });
    }

    /// Leaves new connections to a broker unanswered (the handshake of TCP succeeds) until [`Gate::release`].
    pub fn hold_connections(&self, node: i32) {
        self.flow(node).send_modify(|flow| flow.accept = false);
    }

    /// Lets everything pass again.
    pub fn release(&self, node: i32) {
        self.flow(node).send_modify(|flow| {
            *flow = Flow { to_broker: true, from_broker: true, accept: true, cut: flow.cut };
        });
    }

    /// Cuts all connections to a broker that are open now.
    pub fn cut(&self, node: i32) {
        let next = lock(&self.state).connections + 1;
        self.flow(node).send_modify(|flow| flow.cut = next);
    }

    fn flow(&self, node: i32) -> &watch::Sender<Flow> {
        self.flows.get(&node).unwrap_or_else(|| panic!("no broker {node}"))
    }
}

/// The program under test.
pub fn proxy() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_kordon"))
}

/// Frames seen since the tap was set.
pub struct Tap {
    frames: Arc<Mutex<Vec<Frame>>>,
}

impl Tap {
    /// All frames so far.
    pub fn frames(&self) -> Vec<Frame> {
        lock(&self.frames).clone()
    }

    /// Requests of one API so far.
    pub fn requests(&self, api: ApiKey) -> Vec<Frame> {
        lock(&self.frames).iter().filter(|f| f.way == Way::ToBroker && f.api == api.0).cloned().collect()
    }

    /// Answers of one API so far.
    pub fn answers(&self, api: ApiKey) -> Vec<Frame> {
        lock(&self.frames).iter().filter(|f| f.way == Way::FromBroker && f.api == api.0).cloned().collect()
    }

    /// Forgets what was seen so far.
    pub fn clear(&self) {
        lock(&self.frames).clear();
    }

    /// Waits for a frame such as `wanted` says, and gives the first.
    #[track_caller]
    pub fn wait(&self, what: &str, wanted: impl Fn(&Frame) -> bool) -> Frame {
        super::eventually(what, Duration::from_secs(20), || lock(&self.frames).iter().find(|f| wanted(f)).cloned())
    }
}

/// All bytes that passed since it began.
pub struct Recording {
    streams: Arc<Mutex<Streams>>,
}

impl Recording {
    /// Whether these bytes passed in this order, in however many pieces.
    pub fn holds(&self, wanted: &[u8]) -> bool {
        // As characters: the search in text is fast, also where nothing is optimised.
        let wanted: String = wanted.iter().map(|byte| char::from(*byte)).collect();
        self.text().contains(&wanted)
    }

    /// All of it, each byte as the character of its number.
    pub fn text(&self) -> String {
        lock(&self.streams)
            .values()
            .flat_map(|stream| stream.iter().map(|byte| char::from(*byte)).chain(['\n']))
            .collect()
    }

    /// How many bytes passed.
    pub fn size(&self) -> usize {
        lock(&self.streams).values().map(Vec::len).sum()
    }
}

async fn accept(
    listener: TcpListener,
    node: i32,
    told: u16,
    bound: u16,
    mut flow: watch::Receiver<Flow>,
    state: Arc<Mutex<State>>,
) {
    loop {
        if flow.wait_for(|f| f.accept).await.is_err() {
            return;
        }
        let (client, peer) = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(_) => continue,
            },
            changed = flow.changed() => match changed {
                Ok(()) => continue,
                Err(_) => return, // the cluster is gone
            },
        };
        let number = {
            let mut state = lock(&state);
            state.connections += 1;
            state.connections
        };
        let (mut flow, state) = (flow.clone(), Arc::clone(&state));
        tokio::spawn(async move {
            // Beside the relays: with many processes and sockets it takes its time.
            let asked = Arc::clone(&state);
            let known = move || {
                let usual = lock(&asked).owners.clone();
                let owner = owner(peer, told, &usual);
                (owner, owner.map(command_line).unwrap_or_default())
            };
            let Ok((owner, program)) = tokio::task::spawn_blocking(known).await else { return };
            {
                let mut state = lock(&state);
                state.owners.retain(|pid| Some(*pid) != owner);
                state.owners.extend(owner);
                state.passages.push(Passage { node, owner, program });
            }
            // One that was accepted at the moment connections began to be held is held with them.
            if flow.wait_for(|f| f.accept).await.is_err() {
                return;
            }
            let Ok(broker) = TcpStream::connect(("127.0.0.1", bound)).await else { return };
            let _ = (client.set_nodelay(true), broker.set_nodelay(true));
            let shared = Arc::new(Mutex::new(HashMap::new()));
            let watcher = |way| Watcher {
                connection: number,
                node,
                owner: owner.unwrap_or(0),
                way,
                asked: Arc::clone(&shared),
                state: Arc::clone(&state),
                head: BytesMut::new(),
                left: 0,
                length: 0,
                kept: None,
            };
            let (client_in, client_out) = client.into_split();
            let (broker_in, broker_out) = broker.into_split();
            let mut cut = flow.clone();
            tokio::select! {
                () = relay(client_in, broker_out, flow.clone(), watcher(Way::ToBroker)) => {}
                () = relay(broker_in, client_out, flow, watcher(Way::FromBroker)) => {}
                _ = cut.wait_for(|f| number < f.cut) => {}
            }
        });
    }
}

/// Moves bytes until one side closes. A client that closes takes the connection down: Kafka has no half-open ones.
async fn relay(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut flow: watch::Receiver<Flow>,
    mut watcher: Watcher,
) {
    let mut buffer = vec![0_u8; 64 * 1024];
    loop {
        let Ok(count @ 1..) = from.read(&mut buffer).await else { return };
        let way = watcher.way;
        let open = flow.wait_for(|f| if way == Way::ToBroker { f.to_broker } else { f.from_broker }).await.is_ok();
        if !open || to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
        watcher.see(&buffer[..count]);
    }
}

type Asked = Arc<Mutex<HashMap<i32, (i16, i16)>>>;

/// Finds the frames in a stream of bytes; keeps what a tap wants.
struct Watcher {
    connection: u64,
    node: i32,
    owner: u32,
    way: Way,
    /// What the answers of this connection answer.
    asked: Asked,
    state: Arc<Mutex<State>>,
    /// The first bytes of a frame: its length and what tells the API.
    head: BytesMut,
    left: usize,
    length: usize,
    kept: Option<BytesMut>,
}

impl Watcher {
    fn see(&mut self, mut bytes: &[u8]) {
        for (_, streams) in
            lock(&self.state).recordings.iter().filter(|(pid, _)| pid.is_none_or(|pid| pid == self.owner))
        {
            let key = (self.connection, self.way == Way::ToBroker);
            lock(streams).entry(key).or_default().extend_from_slice(bytes);
        }
        while !bytes.is_empty() {
            if self.left == 0 {
                let need = 4 - self.head.len();
                let take = need.min(bytes.len());
                self.head.extend_from_slice(&bytes[..take]);
                bytes.advance(take);
                if self.head.len() < 4 {
                    return;
                }
                self.length = usize::try_from(self.head.get_i32()).unwrap_or(0);
                self.head.clear();
                self.left = self.length;
                self.kept = Some(BytesMut::new());
            }
            let take = self.left.min(bytes.len());
            if let Some(kept) = &mut self.kept {
                let keep = take.min(KEPT.saturating_sub(kept.len()));
                kept.extend_from_slice(&bytes[..keep]);
            }
            bytes.advance(take);
            self.left -= take;
            if self.left == 0 {
                self.end();
            }
        }
    }

    fn end(&mut self) {
        let Some(kept) = self.kept.take() else { return };
        let mut head = &kept[..];
        let (api, version, correlation) = match self.way {
            Way::ToBroker if head.len() >= 8 => {
                let (api, version, correlation) = (head.get_i16(), head.get_i16(), head.get_i32());
                lock(&self.asked).insert(correlation, (api, version));
                (api, version, correlation)
            }
            Way::FromBroker if head.len() >= 4 => {
                let correlation = head.get_i32();
                let (api, version) = lock(&self.asked).remove(&correlation).unwrap_or((-1, -1));
                (api, version, correlation)
            }
            _ => return,
        };
        let state = lock(&self.state);
        for (_, frames) in state.taps.iter().filter(|(pid, _)| *pid == self.owner) {
            lock(frames).push(Frame {
                connection: self.connection,
                node: self.node,
                way: self.way,
                api,
                version,
                correlation,
                length: self.length,
                bytes: Bytes::copy_from_slice(&kept),
                at: Instant::now(),
            });
        }
    }
}

/// The process that holds the other end of a connection from `peer` to `port`; the `usual` ones are looked at first, the
/// last one foremost.
fn owner(peer: SocketAddr, port: u16, usual: &[u32]) -> Option<u32> {
    let inode = ["/proc/net/tcp", "/proc/net/tcp6"].iter().find_map(|table| {
        let text = std::fs::read_to_string(table).ok()?;
        let (near, far) = (format!(":{:04X}", peer.port()), format!(":{port:04X}"));
        text.lines().skip(1).find_map(|line| {
            let mut columns = line.split_whitespace().skip(1);
            let ends = columns.next()?.ends_with(&near) && columns.next()?.ends_with(&far);
            if !ends {
                return None;
            }
            columns.nth(6).filter(|inode| *inode != "0").map(str::to_owned)
        })
    })?;
    let wanted = format!("socket:[{inode}]");
    let holds = |pid: u32| {
        std::fs::read_dir(format!("/proc/{pid}/fd")).is_ok_and(|fds| {
            fds.flatten().any(|fd| std::fs::read_link(fd.path()).is_ok_and(|to| to.as_os_str() == wanted.as_str()))
        })
    };
    if let Some(pid) = usual.iter().rev().find(|pid| holds(**pid)) {
        return Some(*pid);
    }
    let mut pids: Vec<u32> =
        std::fs::read_dir("/proc").ok()?.flatten().filter_map(|e| e.file_name().to_str()?.parse().ok()).collect();
    pids.sort_unstable_by_key(|pid| std::cmp::Reverse(*pid)); // what a test started is young
    pids.into_iter().find(|pid| holds(*pid))
}

fn command_line(pid: u32) -> String {
    std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default()
}
