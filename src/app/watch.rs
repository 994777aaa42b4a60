//! Notices that a file holds something else, however it was replaced: saved in place, renamed over, or by
//! Kubernetes' swap of a ConfigMap's `..data` link.
//!
//! The *directories* are watched, since a watch on the file dies with its inode: the one that the path names and
//! the one where its links end. What was noticed is only a reason to look. A look counts when the next one, 200 ms later,
//! agrees in size, time of modification and bytes, so a file that is being written is never taken for a whole one
//! (threat 37). SIGHUP forces a look; a slow look without a reason serves file systems that tell nothing (NFS).

use super::notices::Notices;
use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// How far apart two looks must agree.
const SETTLE: Duration = Duration::from_millis(200);
/// How often to look without a reason.
pub(super) const SLOW: Duration = Duration::from_secs(10);

/// What a file holds, once it has settled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Contents {
    /// New bytes.
    Bytes(Vec<u8>),
    /// It cannot be read, and why.
    Unreadable(String),
}

/// Follows one file. The task that does so ends when this is dropped.
#[derive(Debug)]
pub struct FileWatch {
    contents: mpsc::Receiver<Contents>,
    reasons: mpsc::Sender<()>,
    task: JoinHandle<()>,
}

/// Files cannot be followed: SIGHUP cannot be received.
#[derive(Debug, thiserror::Error)]
#[error("cannot receive SIGHUP: {0}")]
pub struct WatchError(io::Error);

impl FileWatch {
    /// Follows a file of which `known` is already in force. Must be called within a runtime.
    ///
    /// # Errors
    /// SIGHUP cannot be received.
    pub fn start(notices: &Notices, file: &Path, known: Vec<u8>) -> Result<Self, WatchError> {
        Self::start_with(file, known, Some(notices), SLOW)
    }

    /// `notices`: who tells of changes; `slow`: how often to look without a reason.
    fn start_with(file: &Path, known: Vec<u8>, notices: Option<&Notices>, slow: Duration) -> Result<Self, WatchError> {
        let (reasons, mut due) = mpsc::channel(1);
        let (yields, contents) = mpsc::channel(1);
        let mut hangups = signal(SignalKind::hangup()).map_err(WatchError)?;
        let following = notices.map(|notices| notices.follow(file, reasons.clone()));
        let file = file.to_owned();
        // The first look finds what changed between reading the file and watching it.
        let _ = reasons.try_send(());
        let task = tokio::spawn(async move {
            let mut settling = Settling::new(Contents::Bytes(known));
            loop {
                // Every branch may be dropped: a reason that is not taken stays in its channel.
                tokio::select! {
                    reason = due.recv() => if reason.is_none() { return },
                    _ = hangups.recv() => {}
                    () = tokio::time::sleep(slow) => {}
                }
                let settled = loop {
                    // What is noticed from here on is a reason for one more round.
                    while due.try_recv().is_ok() {}
                    match settling.take(look(&file).await) {
                        Step::Again => tokio::time::sleep(SETTLE).await,
                        Step::Settled(contents) => break contents,
                    }
                };
                if let Some(following) = &following {
                    following.again(&file);
                }
                if let Some(contents) = settled
                    && yields.send(contents).await.is_err()
                {
                    return;
                }
            }
        });
        Ok(Self { contents, reasons, task })
    }

    /// Waits until the file holds something else. May be dropped without losing anything.
    /// `None` if the task has ended, which only a runtime that stops brings about.
    pub async fn changed(&mut self) -> Option<Contents> {
        self.contents.recv().await
    }

    /// Looks at once.
    pub fn look(&self) {
        // A reason that waits already is as good as this one.
        let _ = self.reasons.try_send(());
    }
}

impl Drop for FileWatch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// One look at a file.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Look {
    modified: Option<SystemTime>,
    contents: Contents,
}

async fn look(file: &Path) -> Look {
    let read = async {
        let modified = tokio::fs::metadata(file).await?.modified()?;
        Ok::<_, io::Error>((modified, tokio::fs::read(file).await?))
    };
    match read.await {
        Ok((modified, bytes)) => Look { modified: Some(modified), contents: Contents::Bytes(bytes) },
        Err(cause) => Look { modified: None, contents: Contents::Unreadable(cause.to_string()) },
    }
}

/// Decides from looks alone when a file has settled, and whether it holds something new.
#[derive(Debug)]
struct Settling {
    /// What was yielded last.
    known: Contents,
    /// The look before, if it has not settled.
    before: Option<Look>,
}

/// What to do after a look.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    /// Look again in a while.
    Again,
    /// It has settled; `Some` if it holds something new.
    Settled(Option<Contents>),
}

impl Settling {
    const fn new(known: Contents) -> Self {
        Self { known, before: None }
    }

    fn take(&mut self, look: Look) -> Step {
        if self.before.as_ref() != Some(&look) {
            self.before = Some(look);
            return Step::Again;
        }
        self.before = None;
        if look.contents == self.known {
            return Step::Settled(None);
        }
        self.known = look.contents.clone();
        Step::Settled(Some(look.contents))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    /// Longer than any wait that is meant to end.
    const PATIENCE: Duration = Duration::from_secs(20);
    const NEVER: Duration = Duration::from_secs(86_400);

    async fn next(watch: &mut FileWatch) -> Contents {
        tokio::time::timeout(PATIENCE, watch.changed()).await.expect("no change was noticed").unwrap()
    }

    fn bytes(text: &str) -> Contents {
        Contents::Bytes(text.into())
    }

    fn follow(file: &Path, known: &str) -> FileWatch {
        // Without slow looks: what is noticed was told.
        FileWatch::start_with(file, known.into(), Some(&Notices::of_system()), NEVER).unwrap()
    }

    fn rename_over(file: &Path, text: &str) {
        let new = file.with_extension("new");
        fs::write(&new, text).unwrap();
        fs::rename(&new, file).unwrap();
    }

    #[tokio::test]
    async fn a_save_in_place_is_noticed_again_and_again() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("policy.yaml");
        fs::write(&file, "0").unwrap();
        let mut watch = follow(&file, "0");
        for text in ["1", "2", "3"] {
            fs::write(&file, text).unwrap();
            assert_eq!(next(&mut watch).await, bytes(text));
        }
    }

    #[tokio::test]
    async fn a_rename_over_the_file_is_noticed_again_and_again() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("policy.yaml");
        fs::write(&file, "0").unwrap();
        let mut watch = follow(&file, "0");
        for text in ["1", "2", "3"] {
            rename_over(&file, text);
            assert_eq!(next(&mut watch).await, bytes(text));
        }
    }

    /// As the kubelet does it (`AtomicWriter`): the file is a link into `..data`, a link that is renamed over.
    #[tokio::test]
    async fn a_swap_of_a_config_map_is_noticed_again_and_again() {
        let dir = tempfile::tempdir().unwrap();
        let publish = |version: &str, text: &str| {
            fs::create_dir(dir.path().join(version)).unwrap();
            fs::write(dir.path().join(version).join("policy.yaml"), text).unwrap();
            symlink(version, dir.path().join("..data_tmp")).unwrap();
            fs::rename(dir.path().join("..data_tmp"), dir.path().join("..data")).unwrap();
        };
        publish("..v0", "0");
        let file = dir.path().join("policy.yaml");
        symlink("..data/policy.yaml", &file).unwrap();
        let mut watch = follow(&file, "0");
        for text in ["1", "2", "3"] {
            let old = dir.path().join("..data").canonicalize().unwrap();
            publish(&format!("..v{text}"), text);
            fs::remove_dir_all(old).unwrap();
            assert_eq!(next(&mut watch).await, bytes(text));
        }
    }

    #[tokio::test]
    async fn a_change_behind_a_link_into_another_directory_is_noticed() {
        let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (file, end) = (here.path().join("policy.yaml"), there.path().join("real.yaml"));
        fs::write(&end, "0").unwrap();
        symlink(&end, &file).unwrap();
        let mut watch = follow(&file, "0");
        rename_over(&end, "1");
        assert_eq!(next(&mut watch).await, bytes("1"));
    }

    #[tokio::test]
    async fn a_file_that_goes_and_comes_back_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("policy.yaml");
        fs::write(&file, "0").unwrap();
        let mut watch = follow(&file, "0");
        fs::remove_file(&file).unwrap();
        assert!(matches!(next(&mut watch).await, Contents::Unreadable(cause) if cause.contains("No such file")));
        fs::write(&file, "1").unwrap();
        assert_eq!(next(&mut watch).await, bytes("1"));
    }

    #[tokio::test]
    async fn what_changed_before_the_watch_began_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("policy.yaml");
        fs::write(&file, "1").unwrap();
        assert_eq!(next(&mut follow(&file, "0")).await, bytes("1"));
    }

    #[tokio::test]
    async fn a_look_can_be_forced_where_the_system_tells_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("policy.yaml");
        fs::write(&file, "1").unwrap();
        let mut watch = FileWatch::start_with(&file, b"0".to_vec(), None, NEVER).unwrap();
        assert_eq!(next(&mut watch).await, bytes("1"));
        rename_over(&file, "2");
        watch.look();
        assert_eq!(next(&mut watch).await, bytes("2"));
    }

    #[tokio::test]
    async fn sighup_forces_a_look() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("policy.yaml");
        fs::write(&file, "1").unwrap();
        let mut watch = FileWatch::start_with(&file, b"0".to_vec(), None, NEVER).unwrap();
        assert_eq!(next(&mut watch).await, bytes("1"));
        rename_over(&file, "2");
        let this = std::process::id().to_string();
        assert!(std::process::Command::new("kill").args(["-HUP", &this]).status().unwrap().success());
        assert_eq!(next(&mut watch).await, bytes("2"));
    }

    #[tokio::test]
    async fn a_slow_look_needs_no_reason() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("policy.yaml");
        fs::write(&file, "1").unwrap();
        let mut watch = FileWatch::start_with(&file, b"0".to_vec(), None, Duration::from_millis(10)).unwrap();
        assert_eq!(next(&mut watch).await, bytes("1"));
        rename_over(&file, "2");
        assert_eq!(next(&mut watch).await, bytes("2"));
    }

    fn seen(at: u64, text: &str) -> Look {
        Look { modified: Some(SystemTime::UNIX_EPOCH + Duration::from_secs(at)), contents: bytes(text) }
    }

    /// Threat 37: a file that is being written is never taken for a whole one.
    #[test]
    fn two_looks_in_a_row_must_agree_in_time_and_bytes() {
        let mut settling = Settling::new(bytes("0"));
        for look in
            [seen(1, "allow"), seen(2, "allow deny"), seen(3, "allow deny"), seen(3, "allow"), seen(3, "allow deny")]
        {
            assert_eq!(settling.take(look), Step::Again);
        }
        assert_eq!(settling.take(seen(3, "allow deny")), Step::Settled(Some(bytes("allow deny"))));
    }

    #[test]
    fn the_same_bytes_are_told_once() {
        let mut settling = Settling::new(bytes("0"));
        let mut settle = |look: Look| {
            assert_eq!(settling.take(look.clone()), Step::Again);
            settling.take(look)
        };
        assert_eq!(settle(seen(1, "0")), Step::Settled(None));
        assert_eq!(settle(seen(2, "1")), Step::Settled(Some(bytes("1"))));
        assert_eq!(settle(seen(3, "1")), Step::Settled(None), "only its time is new");
        let gone = Look { modified: None, contents: Contents::Unreadable("gone".into()) };
        assert_eq!(settle(gone.clone()), Step::Settled(Some(gone.contents.clone())));
        assert_eq!(settle(gone), Step::Settled(None));
        assert_eq!(settle(seen(4, "1")), Step::Settled(Some(bytes("1"))), "back again");
    }
}
