//! `kordon demo`: everything at once on one machine, without Kafka. Nothing of the product imports this.
//!
//! An embedded [`broker`], the proxy before it with the example policy, a few clients, and the audit topic as it fills.
//! No decision is made here: what is shown is what the proxy wrote, and it changes with the policy file.

pub mod broker;

mod actors;
mod client;
mod events;
mod files;
mod next;
mod show;
mod story;

pub use events::Event;
pub use files::Layout;
pub use next::{Line, lines};
pub use show::Show;

use crate::app::{App, AppError};
use crate::config;
use crate::yaml::Problem;
use broker::{Broker, Settings};
use files::Directory;
use std::io;
use std::path::PathBuf;
use std::time::Duration;
use story::Story;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// How long the proxy may take until it serves.
const START: Duration = Duration::from_secs(30);
/// How long the story may take beside the life of the grant.
const STORY: Duration = Duration::from_secs(60);
/// Lines and events that wait to be shown.
const WAITING: usize = 1000;

/// How the demo is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// The first of its ports; none: 19092, or another if that is taken.
    pub port: Option<u16>,
    /// Where its files are kept; none: in a temporary directory, deleted at the end.
    pub dir: Option<PathBuf>,
    /// How long the temporary grant lasts.
    pub grant: Duration,
    /// Whether to end when everything was seen.
    pub once: bool,
}

/// Why the demo ended before its time.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// Its files cannot be written.
    #[error("cannot write `{}`: {cause}", path.display())]
    Files {
        /// Which.
        path: PathBuf,
        /// What the system says.
        cause: io::Error,
    },
    /// Somebody's files would be overwritten.
    #[error("`{}` exists already: remove it, or choose another directory with `--dir`", .0.display())]
    Exists(PathBuf),
    /// No ports.
    #[error("port {0} or one of the {count} after it is taken: choose another with `--port`", count = files::PORTS - 1)]
    Ports(u16),
    /// The files that were just written do not load.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Config(Vec<Problem>),
    /// The embedded broker cannot start.
    #[error("cannot start the embedded broker: {0}")]
    Broker(io::Error),
    /// The proxy cannot start.
    #[error(transparent)]
    App(#[from] AppError),
    /// The proxy does not get ready.
    #[error("the proxy did not get ready within {} s: {}", START.as_secs(), .0.join("; "))]
    NotReady(Vec<String>),
    /// With `once`: something was not seen.
    #[error("not seen in the audit topic in time: {0}")]
    NotSeen(String),
    /// What it shows cannot be written.
    #[error("cannot write to standard output: {0}")]
    Show(io::Error),
}

/// Something to show.
enum News {
    /// What a client met.
    Client(actors::Met),
    /// An event of the audit topic.
    Audit(Box<Event>),
}

/// A demo that runs.
pub struct Demo {
    layout: Layout,
    broker: Broker,
    app: App,
    clients: JoinSet<()>,
    news: mpsc::Receiver<News>,
    options: Options,
    /// Deleted with this value, if it is temporary.
    _directory: Directory,
}

impl Demo {
    /// Writes the files and starts everything.
    ///
    /// # Errors
    /// What cannot be written, bound or started.
    pub async fn start(options: Options) -> Result<Self, DemoError> {
        let base = files::base_port(options.port)?;
        let directory = Directory::make(options.dir.as_deref())?;
        let broker = Broker::start(Settings::default()).await.map_err(DemoError::Broker)?;
        actors::make_topics(broker.addr()).await.map_err(DemoError::Broker)?;
        let layout = Layout { base, dir: directory.path().to_owned() };
        files::write(&layout, broker.addr().port(), options.grant)?;
        let config = config::load(&layout.config()).map_err(DemoError::Config)?;
        let app = App::start(config).await?;
        app.ready(START).await.map_err(DemoError::NotReady)?;
        let (sender, news) = mpsc::channel(WAITING);
        let mut clients = JoinSet::new();
        clients.spawn(events::follow(broker.addr(), sender.clone()));
        for actor in actors::cast(&layout) {
            clients.spawn(actors::act(actor, sender.clone()));
        }
        Ok(Self { layout, broker, app, clients, news, options, _directory: directory })
    }

    /// Where things are.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Shows what happens: without end, or, if it is to be told once, until everything was seen.
    ///
    /// # Errors
    /// What was not seen in time; standard output that cannot be written.
    pub async fn run(&mut self, show: &mut Show<'_>) -> Result<(), DemoError> {
        show.welcome(&self.layout, self.options.grant).map_err(DemoError::Show)?;
        let mut story = Story::default();
        let deadline = tokio::time::Instant::now() + self.options.grant + STORY;
        loop {
            // A receive that is dropped has taken nothing.
            let news = tokio::select! {
                news = self.news.recv() => news,
                () = tokio::time::sleep_until(deadline), if self.options.once => {
                    return Err(DemoError::NotSeen(story.missing().join(", ")));
                }
            };
            match news {
                // The senders are the clients, which end with this demo.
                None => return Ok(()),
                Some(News::Client(met)) => {
                    show.client(&met).map_err(DemoError::Show)?;
                    story.meet(&met);
                }
                Some(News::Audit(event)) => {
                    show.event(&event).map_err(DemoError::Show)?;
                    if let Some(chapter) = story.hear(&event) {
                        show.chapter(chapter).map_err(DemoError::Show)?;
                    }
                }
            }
            if self.options.once && story.missing().is_empty() {
                show.chapter("everything was seen").map_err(DemoError::Show)?;
                return Ok(());
            }
        }
    }

    /// Stops clients, proxy and broker, in this order.
    pub async fn stop(mut self) {
        self.clients.shutdown().await;
        self.app.stop().await;
        self.broker.stop().await;
    }
}
