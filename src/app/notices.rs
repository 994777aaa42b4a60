//! The system tells of changes in directories, by one inotify instance for all files of the process: a user has few of
//! them (`fs.inotify.max_user_instances`, 128 by default) and shares them with all that runs as the same user. Where it
//! refuses, who follows a file looks at it now and then all the same.

use super::watch::SLOW;
use notify::event::{AccessKind, AccessMode, EventKind};
use notify::{ErrorKind, RecommendedWatcher, RecursiveMode, Watcher};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::mpsc;

/// Tells whoever follows a file that something happened where it is.
#[derive(Clone)]
pub struct Notices(Arc<Inner>);

struct Inner {
    /// Who is told. The thread that tells takes this lock: it is never held while that thread is asked for something.
    followers: Arc<Mutex<Followers>>,
    watched: Mutex<Watched>,
    open: Box<dyn Fn(Tell) -> notify::Result<Box<dyn Watcher + Send>> + Send + Sync>,
}

type Tell = Box<dyn FnMut(notify::Result<notify::Event>) + Send>;
type Followers = BTreeMap<u64, Follower>;

/// Who follows a file.
struct Follower {
    reasons: mpsc::Sender<()>,
    folders: BTreeSet<PathBuf>,
}

#[derive(Default)]
struct Watched {
    /// None where the system gave none; it is asked again.
    watcher: Option<Box<dyn Watcher + Send>>,
    /// By device and inode: one directory may have many paths, and the system watches it once.
    folders: BTreeMap<(u64, u64), Folder>,
    next: u64,
    warned: bool,
}

struct Folder {
    /// As it is watched.
    path: PathBuf,
    followers: BTreeSet<u64>,
}

impl fmt::Debug for Notices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Notices").finish_non_exhaustive()
    }
}

/// The directories of one file are watched until this is dropped.
#[derive(Debug)]
pub(super) struct Following {
    notices: Notices,
    id: u64,
}

impl Notices {
    /// Of the system this runs on.
    pub fn of_system() -> Self {
        Self::by(|tell| Ok(Box::new(RecommendedWatcher::new(tell, notify::Config::default())?)))
    }

    /// Of what this opens.
    pub(super) fn by(open: impl Fn(Tell) -> notify::Result<Box<dyn Watcher + Send>> + Send + Sync + 'static) -> Self {
        Self(Arc::new(Inner { followers: Arc::default(), watched: Mutex::default(), open: Box::new(open) }))
    }

    /// Begins to watch the directories that matter for a file; `reasons` is told.
    pub(super) fn follow(&self, file: &Path, reasons: mpsc::Sender<()>) -> Following {
        let mut watched = lock(&self.0.watched);
        let id = watched.next;
        watched.next += 1;
        drop(watched);
        lock(&self.0.followers).insert(id, Follower { reasons, folders: BTreeSet::new() });
        let following = Following { notices: self.clone(), id };
        following.again(file);
        following
    }

    /// Has those directories watched for this follower, and no others.
    fn watch(&self, id: u64, file: &Path, wanted: BTreeMap<(u64, u64), PathBuf>) {
        let mut watched = lock(&self.0.watched);
        watched.leave(id, &wanted);
        let mut told = BTreeSet::new();
        if !wanted.is_empty()
            && let Err(error) = watched.open(&self.0)
        {
            watched.refused(&error, file);
        }
        for (inode, path) in wanted {
            watched.moved(inode, &path, &self.0.followers);
            let Watched { watcher: Some(watcher), folders, .. } = &mut *watched else { break };
            let folder = folders.entry(inode).or_insert(Folder { path, followers: BTreeSet::new() });
            // Watching again what is watched already changes nothing, and finds a directory that was replaced.
            match watcher.watch(&folder.path, RecursiveMode::NonRecursive) {
                Ok(()) => {
                    folder.followers.insert(id);
                    told.insert(folder.path.clone());
                }
                Err(error) => {
                    folder.followers.remove(&id);
                    if folder.followers.is_empty() {
                        folders.remove(&inode);
                    }
                    watched.refused(&error, file);
                }
            }
        }
        if let Some(follower) = lock(&self.0.followers).get_mut(&id) {
            follower.folders = told;
        }
    }
}

impl Following {
    /// Watches the directories that matter for the file now.
    pub(super) fn again(&self, file: &Path) {
        let end = file.canonicalize().ok();
        let folders = [Some(file), end.as_deref()].into_iter().flatten().map(folder_of);
        let inode = |folder: PathBuf| {
            let path = folder.canonicalize().ok()?;
            let known = fs::metadata(&path).ok()?;
            Some(((known.dev(), known.ino()), path))
        };
        self.notices.watch(self.id, file, folders.filter_map(inode).collect());
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        lock(&self.notices.0.followers).remove(&self.id);
        lock(&self.notices.0.watched).leave(self.id, &BTreeMap::new());
    }
}

impl Watched {
    fn open(&mut self, inner: &Inner) -> notify::Result<()> {
        if self.watcher.is_none() {
            let followers = Arc::clone(&inner.followers);
            self.watcher = Some((inner.open)(Box::new(move |told| tell(&followers, told)))?);
        }
        Ok(())
    }

    /// Watches no longer for this follower what it does not want.
    fn leave(&mut self, id: u64, wanted: &BTreeMap<(u64, u64), PathBuf>) {
        let gone = |(inode, folder): (&(u64, u64), &mut Folder)| {
            (!wanted.contains_key(inode) && folder.followers.remove(&id) && folder.followers.is_empty())
                .then_some(*inode)
        };
        let gone: Vec<_> = self.folders.iter_mut().filter_map(gone).collect();
        for folder in gone.iter().filter_map(|inode| self.folders.remove(inode)).collect::<Vec<_>>() {
            self.unwatch(&folder.path);
        }
    }

    /// Unless another directory is there by now, and is watched.
    fn unwatch(&mut self, path: &Path) {
        let is_other = self.folders.values().any(|other| other.path == path);
        if let (false, Some(watcher)) = (is_other, &mut self.watcher) {
            // The watch of a deleted directory is gone already.
            let _ = watcher.unwatch(path);
        }
    }

    /// A directory that was moved is to be watched where it is now: by its old path the system would be asked for what does not
    /// exist, or for another one. Who else follows it is to look for itself.
    fn moved(&mut self, inode: (u64, u64), path: &Path, followers: &Mutex<Followers>) {
        let Some(folder) = self.folders.get_mut(&inode).filter(|folder| folder.path != path) else { return };
        let old = std::mem::replace(&mut folder.path, path.to_owned());
        let mut all = lock(followers);
        for id in &folder.followers {
            if let Some(follower) = all.get_mut(id) {
                follower.folders.remove(&old);
                follower.folders.insert(path.to_owned());
                let _ = follower.reasons.try_send(());
            }
        }
        drop(all);
        self.unwatch(&old);
    }

    /// Says once that changes are noticed late.
    fn refused(&mut self, error: &notify::Error, file: &Path) {
        if !std::mem::replace(&mut self.warned, true) {
            let (file, cause, within) = (file.display(), advice(error), SLOW.as_secs());
            tracing::warn!(%file, cause, "the system tells of no changes of files: they are looked at every {within} s");
        }
    }
}

/// Why the system tells nothing, and what is to be done about it.
fn advice(error: &notify::Error) -> String {
    /// The user, or the process, has as many as it may.
    const EMFILE: i32 = 24;
    match &error.kind {
        ErrorKind::MaxFilesWatch => {
            "no more directories may be watched: raise `fs.inotify.max_user_watches`".to_owned()
        }
        ErrorKind::Io(cause) if cause.raw_os_error() == Some(EMFILE) => {
            "no more of it for this user: raise `fs.inotify.max_user_instances`, or the limit of open files".to_owned()
        }
        _ => error.to_string(),
    }
}

fn tell(followers: &Mutex<Followers>, told: notify::Result<notify::Event>) {
    let paths = match told {
        // Reading a file is told too, and must not be a reason to read it.
        Ok(event) if is_read(event.kind) => return,
        Ok(event) => event.paths,
        // Something may have been missed.
        Err(_) => Vec::new(),
    };
    for follower in lock(followers).values() {
        let is_in = |path: &PathBuf| {
            let folder = path.parent().is_some_and(|folder| follower.folders.contains(folder));
            folder || follower.folders.contains(path)
        };
        if paths.is_empty() || paths.iter().any(is_in) {
            // A reason that waits already is as good as this one.
            let _ = follower.reasons.try_send(());
        }
    }
}

fn is_read(kind: EventKind) -> bool {
    match kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => false,
        EventKind::Access(_) => true,
        EventKind::Any | EventKind::Create(_) | EventKind::Modify(_) | EventKind::Remove(_) | EventKind::Other => false,
    }
}

fn folder_of(file: &Path) -> PathBuf {
    match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        Some(_) | None => PathBuf::from("."),
    }
}

fn lock<T>(one: &Mutex<T>) -> MutexGuard<'_, T> {
    one.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use notify::{Config, Error, EventHandler, WatcherKind};
    use std::io;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// A system whose user watches as much as may be.
    struct Full;

    impl Watcher for Full {
        fn new<F: EventHandler>(_: F, _: Config) -> notify::Result<Self> {
            Ok(Self)
        }
        fn watch(&mut self, _: &Path, _: RecursiveMode) -> notify::Result<()> {
            Err(Error::new(ErrorKind::MaxFilesWatch))
        }
        fn unwatch(&mut self, _: &Path) -> notify::Result<()> {
            panic!("nothing is watched")
        }
        fn kind() -> WatcherKind {
            WatcherKind::NullWatcher
        }
    }

    fn no_instance() -> Error {
        Error::io(io::Error::from_raw_os_error(24))
    }

    fn is_warned(notices: &Notices) -> bool {
        lock(&notices.0.watched).warned
    }

    #[test]
    fn many_files_take_one_instance_and_each_directory_is_watched_once() {
        let opened = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&opened);
        let notices = Notices::by(move |tell| {
            count.fetch_add(1, Ordering::Relaxed);
            Ok(Box::new(RecommendedWatcher::new(tell, Config::default())?))
        });
        let dir = tempfile::tempdir().unwrap();
        let (here, there) = (dir.path().join("here"), dir.path().join("there"));
        fs::create_dir(&here).unwrap();
        std::os::unix::fs::symlink(&here, &there).unwrap();
        let (reasons, mut due) = mpsc::channel(1);
        let (other_reasons, mut other_due) = mpsc::channel(1);
        let files = (0..50).map(|i| if i % 2 == 0 { here.join(i.to_string()) } else { there.join(i.to_string()) });
        let all: Vec<Following> = files.map(|file| notices.follow(&file, reasons.clone())).collect();
        let other = notices.follow(&dir.path().join("other"), other_reasons);
        assert_eq!(opened.load(Ordering::Relaxed), 1);
        assert_eq!(lock(&notices.0.watched).folders.len(), 2);
        fs::write(here.join("a"), "").unwrap();
        assert_eq!(due.blocking_recv(), Some(()));
        drop(all);
        assert_eq!(lock(&notices.0.watched).folders.len(), 1, "the other's");
        fs::write(dir.path().join("b"), "").unwrap();
        assert_eq!(other_due.blocking_recv(), Some(()), "it is still told");
        drop(other);
        assert!(lock(&notices.0.watched).folders.is_empty() && lock(&notices.0.followers).is_empty());
    }

    #[test]
    fn where_the_system_refuses_it_is_said_once_with_what_to_raise_and_it_is_asked_again() {
        let dir = tempfile::tempdir().unwrap();
        let full = Notices::by(|_| Ok(Box::new(Full)));
        let opened = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&opened);
        let none = Notices::by(move |_| {
            count.fetch_add(1, Ordering::Relaxed);
            Err(no_instance())
        });
        for notices in [&full, &none] {
            let following = notices.follow(&dir.path().join("a"), mpsc::channel(1).0);
            following.again(&dir.path().join("a"));
            assert!(is_warned(notices) && lock(&notices.0.watched).folders.is_empty());
        }
        assert_eq!(opened.load(Ordering::Relaxed), 2);
        let words = advice(&Error::new(ErrorKind::MaxFilesWatch));
        assert_eq!(words, "no more directories may be watched: raise `fs.inotify.max_user_watches`");
        let words = advice(&no_instance());
        assert!(words.contains("raise `fs.inotify.max_user_instances`"), "{words}");
    }

    #[test]
    fn a_directory_that_was_moved_is_watched_where_it_is_now_also_if_another_took_its_place() {
        for is_replaced in [false, true] {
            let dir = tempfile::tempdir().unwrap();
            let [old, new, link] = ["old", "new", "link"].map(|name| dir.path().canonicalize().unwrap().join(name));
            fs::create_dir(&old).unwrap();
            std::os::unix::fs::symlink(&old, &link).unwrap();
            let notices = Notices::of_system();
            let (reasons, mut due) = mpsc::channel(1);
            let (other_reasons, mut other_due) = mpsc::channel(1);
            let following = notices.follow(&link.join("a"), reasons);
            let _other = notices.follow(&link.join("b"), other_reasons);
            fs::rename(&old, &new).unwrap();
            if is_replaced {
                fs::create_dir(&old).unwrap();
            }
            fs::remove_file(&link).unwrap();
            std::os::unix::fs::symlink(&new, &link).unwrap();
            following.again(&link.join("a"));
            assert!(!is_warned(&notices));
            for follower in lock(&notices.0.followers).values() {
                assert_eq!(follower.folders, BTreeSet::from([new.clone()]));
            }
            // Once this is told, all before it was.
            let (last_reasons, mut last_due) = mpsc::channel(1);
            let _last = notices.follow(&dir.path().join("last"), last_reasons);
            fs::write(dir.path().join("last"), "").unwrap();
            assert_eq!(last_due.blocking_recv(), Some(()));
            for due in [&mut due, &mut other_due] {
                while due.try_recv().is_ok() {}
            }
            fs::write(new.join("c"), "").unwrap();
            assert_eq!((due.blocking_recv(), other_due.blocking_recv()), (Some(()), Some(())));
        }
    }

    #[test]
    fn a_directory_that_is_not_there_is_no_reason_to_warn() {
        let notices = Notices::of_system();
        let following = notices.follow(Path::new("no/such/file"), mpsc::channel(1).0);
        assert!(!is_warned(&notices));
        drop(following);
    }
}
