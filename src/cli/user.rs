//! `kordon user`: changes the users file, which a running proxy takes over by itself.

use super::{ConfigFile, Failure};
use crate::identity::users::{HEADER, ITERATIONS, User as Entry, Users, check_name};
use crate::model::Timestamp;
use clap::{Args, Subcommand};
use rand::RngCore;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

/// Arguments of `kordon user`.
#[derive(Debug, Args)]
pub(super) struct User {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Add a user, with a password from a prompt or standard input.
    Add {
        #[command(flatten)]
        who: Who,
        /// A group of the user; repeatable.
        #[arg(long = "group", value_name = "GROUP")]
        groups: Vec<String>,
        /// When logins begin to fail, RFC 3339 with an offset.
        #[arg(long, value_name = "INSTANT")]
        expires: Option<Timestamp>,
        #[command(flatten)]
        password: Password,
    },
    /// Set a new password.
    Passwd {
        #[command(flatten)]
        who: Who,
        #[command(flatten)]
        password: Password,
    },
    /// Remove a user.
    Remove {
        #[command(flatten)]
        who: Who,
    },
    /// List the users.
    List {
        #[command(flatten)]
        file: UsersFile,
    },
}

#[derive(Debug, Args)]
struct Who {
    /// The user's name, without `User:`.
    name: String,
    #[command(flatten)]
    file: UsersFile,
}

#[derive(Debug, Args)]
struct UsersFile {
    /// The users file, in place of the one that the configuration names.
    #[arg(long, value_name = "FILE")]
    users: Option<PathBuf>,
    #[command(flatten)]
    config: ConfigFile,
}

#[derive(Debug, Args)]
struct Password {
    /// Read the password from the first line of standard input.
    #[arg(long)]
    password_stdin: bool,
}

/// Where a password comes from.
type Ask<'a> = &'a mut dyn FnMut() -> Result<String, Failure>;

impl User {
    pub(super) fn run(&self, out: &mut dyn Write, err: &mut dyn Write) -> Result<(), Failure> {
        let stdin = match &self.command {
            Command::Add { password, .. } | Command::Passwd { password, .. } => password.password_stdin,
            Command::Remove { .. } | Command::List { .. } => false,
        };
        let ask: Ask<'_> = if stdin { &mut || first_line(&mut io::stdin().lock()) } else { &mut prompt };
        self.run_with(out, err, ask)
    }

    fn run_with(&self, out: &mut dyn Write, err: &mut dyn Write, ask: Ask<'_>) -> Result<(), Failure> {
        match &self.command {
            Command::Add { who, groups, expires, .. } => {
                check_name(&who.name, "User:").map_err(|fault| Failure::Bad(format!("the name {fault}")))?;
                for group in groups {
                    check_name(group, "Group:").map_err(|fault| Failure::Bad(format!("group {fault}")))?;
                }
                let mut file = Edit::open(who.file.path()?, true)?;
                if file.users.get(&who.name).is_some() {
                    return Err(file.bad(&format!("has `{}` already: use `kordon user passwd`", who.name)));
                }
                let mut user = Entry::with_password(&who.name, &ask()?, &salt(), ITERATIONS);
                user.set_groups(groups.iter().map(String::as_str));
                user.expires = *expires;
                file.users.put(user);
                file.save(err)
            }
            Command::Passwd { who, .. } => {
                let mut file = Edit::open(who.file.path()?, false)?;
                let Some(mut user) = file.users.get(&who.name).cloned() else {
                    return Err(file.bad(&format!("has no `{}`: use `kordon user add`", who.name)));
                };
                user.set_password(&ask()?, &salt(), ITERATIONS);
                file.users.put(user);
                file.save(err)
            }
            Command::Remove { who } => {
                let mut file = Edit::open(who.file.path()?, false)?;
                if !file.users.remove(&who.name) {
                    return Err(file.bad(&format!("has no `{}`: see `kordon user list`", who.name)));
                }
                file.save(err)
            }
            Command::List { file } => {
                for user in Edit::open(file.path()?, false)?.users.iter() {
                    let groups: Vec<&str> = user.groups.iter().map(AsRef::as_ref).collect();
                    let groups = if groups.is_empty() { String::new() } else { format!(" [{}]", groups.join(", ")) };
                    let ends = user.expires.map(|end| format!(", until {end}")).unwrap_or_default();
                    let disabled = if user.disabled { ", disabled" } else { "" };
                    writeln!(out, "{}{groups}{ends}{disabled}", user.name)?;
                }
                Ok(())
            }
        }
    }
}

impl UsersFile {
    fn path(&self) -> Result<PathBuf, Failure> {
        if let Some(path) = &self.users {
            return Ok(path.clone());
        }
        let config = self.config.load()?;
        config.users.ok_or_else(|| {
            Failure::Bad(format!("{}: has no `users`: add it, or name a file with --users", config.file.display()))
        })
    }
}

/// A users file that is being changed. While the new file exists nobody else changes it.
struct Edit {
    /// The file itself, not a link to it.
    path: PathBuf,
    users: Users,
    /// Whether the file has comments that are not ours.
    comments: bool,
}

impl Edit {
    fn open(path: PathBuf, may_be_new: bool) -> Result<Self, Failure> {
        // A rename over a link would leave the file that it points to as it was.
        let path = path.canonicalize().unwrap_or(path);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(cause) if may_be_new && cause.kind() == io::ErrorKind::NotFound => Users::default().render(),
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => {
                return Err(Failure::Bad(format!(
                    "{}: cannot be read: {cause}; make it with `kordon user add`",
                    path.display()
                )));
            }
            Err(cause) => return Err(Failure::Bad(format!("{}: cannot be read: {cause}", path.display()))),
        };
        let users = Users::parse(&text, &path.display().to_string())?;
        let comments = text.lines().any(|line| line.trim_start().starts_with('#') && !HEADER.contains(line));
        Ok(Self { path, users, comments })
    }

    fn bad(&self, text: &str) -> Failure {
        Failure::Bad(format!("{}: {text}", self.path.display()))
    }

    /// Gives the new file to whom the old one belongs, and lets its group read it as before: an administrator must not take
    /// it away from the proxy, which may run as another user.
    fn keep_owner(&self, new: &File) -> io::Result<()> {
        let old = match std::fs::metadata(&self.path) {
            Ok(old) => old,
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(cause) => return Err(cause),
        };
        let own = new.metadata()?;
        if (own.uid(), own.gid()) != (old.uid(), old.gid()) {
            fchown(new, Some(old.uid()), Some(old.gid())).map_err(|cause| {
                let text =
                    format!("it belongs to user {} and group {}, run this as that user: {cause}", old.uid(), old.gid());
                io::Error::new(cause.kind(), text)
            })?;
        }
        new.set_permissions(std::fs::Permissions::from_mode(0o600 | (old.mode() & 0o060)))
    }

    /// Replaces the file in one step: whoever reads it sees the old or the new one.
    fn save(&self, err: &mut dyn Write) -> Result<(), Failure> {
        let mut name = self.path.file_name().unwrap_or_default().to_owned();
        name.push(".new");
        let new = self.path.with_file_name(name);
        let failed = |cause: io::Error| Failure::Failed(format!("{}: cannot be written: {cause}", new.display()));
        let mut file = match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new) {
            Ok(file) => file,
            Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists => {
                return Err(Failure::Failed(format!(
                    "{}: exists, so another `kordon user` is at work, or one was interrupted: remove it if not",
                    new.display()
                )));
            }
            Err(cause) => return Err(failed(cause)),
        };
        let kept = self.keep_owner(&file);
        let written = kept.and_then(|()| file.write_all(self.users.render().as_bytes())).and_then(|()| file.sync_all());
        if let Err(cause) = written.and_then(|()| std::fs::rename(&new, &self.path)) {
            // The half-written file must not stop the next try.
            let _ = std::fs::remove_file(&new);
            return Err(failed(cause));
        }
        sync_folder(&self.path).map_err(failed)?;
        if self.comments {
            writeln!(err, "{}: written; its comments were not kept", self.path.display())?;
        }
        Ok(())
    }
}

/// Makes a rename last.
fn sync_folder(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => File::open(folder)?.sync_all(),
        Some(_) | None => File::open(".")?.sync_all(),
    }
}

fn salt() -> [u8; 16] {
    let mut salt = [0; 16];
    rand::rng().fill_bytes(&mut salt);
    salt
}

fn prompt() -> Result<String, Failure> {
    let ask = |text: &str| rpassword::prompt_password(text).map_err(|e| Failure::Failed(format!("no password: {e}")));
    let password = ask("password: ")?;
    if ask("again: ")? != password {
        return Err(Failure::Bad("the passwords differ: try again".to_owned()));
    }
    usable(password)
}

fn first_line(input: &mut dyn BufRead) -> Result<String, Failure> {
    let mut line = String::new();
    input.read_line(&mut line)?;
    let line = line.strip_suffix('\n').unwrap_or(&line);
    usable(line.strip_suffix('\r').unwrap_or(line).to_owned())
}

/// PLAIN cannot carry an empty password, nor one with a NUL.
fn usable(password: String) -> Result<String, Failure> {
    if password.is_empty() || password.contains('\0') {
        return Err(Failure::Bad("the password is empty, or holds a NUL: choose another".to_owned()));
    }
    Ok(password)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        user: User,
    }

    struct Folder(tempfile::TempDir);

    impl Folder {
        fn new() -> Self {
            Self(tempfile::tempdir().unwrap())
        }

        fn file(&self) -> PathBuf {
            self.0.path().join("users.yaml")
        }

        fn users(&self) -> Users {
            Users::parse(&std::fs::read_to_string(self.file()).unwrap(), "f").unwrap()
        }

        /// Standard output and standard error.
        fn run(&self, arguments: &[&str], password: &str) -> Result<(String, String), Failure> {
            let file = self.file();
            let line = ["kordon"].iter().chain(arguments).copied().chain(["--users", file.to_str().unwrap()]);
            let user = Line::try_parse_from(line).unwrap().user;
            let (mut out, mut err) = (Vec::new(), Vec::new());
            user.run_with(&mut out, &mut err, &mut || usable(password.to_owned()))?;
            Ok((String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap()))
        }

        fn bad(&self, arguments: &[&str]) -> String {
            match self.run(arguments, "x") {
                Err(Failure::Bad(text)) => text.replace(self.0.path().to_str().unwrap(), "DIR"),
                other => panic!("{other:?}"),
            }
        }

        fn may(&self, name: &str, password: &str) -> bool {
            self.users().verify_password(name, password, Timestamp(0)).is_some()
        }
    }

    #[test]
    fn a_user_is_added_listed_changed_and_removed() {
        let folder = Folder::new();
        folder
            .run(&["add", "alice", "--group", "devs", "--group", "ops", "--expires", "2030-01-01T00:00:00Z"], "one")
            .unwrap();
        folder.run(&["add", "bob"], "two").unwrap();
        assert!(folder.may("alice", "one") && folder.may("bob", "two") && !folder.may("alice", "two"));
        let (out, _) = folder.run(&["list"], "").unwrap();
        assert_eq!(out, "alice [devs, ops], until 2030-01-01T00:00:00.000Z\nbob\n");
        folder.run(&["passwd", "alice"], "three").unwrap();
        assert!(folder.may("alice", "three") && !folder.may("alice", "one"));
        assert_eq!(folder.users().get("alice").unwrap().groups.len(), 2, "a new password keeps the rest");
        folder.run(&["remove", "alice"], "").unwrap();
        assert!(folder.users().get("alice").is_none());
    }

    #[test]
    fn only_the_owner_can_read_the_file_and_no_other_file_is_left() {
        let folder = Folder::new();
        folder.run(&["add", "alice"], "one").unwrap();
        assert_eq!(folder.file().metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(folder.0.path()).unwrap().count(), 1);
    }

    #[test]
    fn the_file_stays_with_its_owner_and_its_group() {
        let folder = Folder::new();
        folder.run(&["add", "alice"], "one").unwrap();
        std::fs::set_permissions(folder.file(), std::fs::Permissions::from_mode(0o644)).unwrap();
        // Only root gives files away.
        let given = std::os::unix::fs::chown(folder.file(), Some(4711), Some(4712)).is_ok();
        folder.run(&["passwd", "alice"], "two").unwrap();
        let after = folder.file().metadata().unwrap();
        assert_eq!(after.mode() & 0o777, 0o640, "what others may read is nobody's secret");
        assert!(!given || (after.uid(), after.gid()) == (4711, 4712));
    }

    #[test]
    fn who_changes_a_file_that_is_not_there_is_told_how_to_make_it() {
        let told = Folder::new().bad(&["list"]);
        assert!(told.starts_with("DIR/users.yaml: cannot be read: "), "{told}");
        assert!(told.ends_with("; make it with `kordon user add`"), "{told}");
    }

    #[test]
    fn a_link_stays_a_link() {
        let folder = Folder::new();
        let target = folder.0.path().join("target.yaml");
        std::fs::write(&target, Users::default().render()).unwrap();
        std::os::unix::fs::symlink(&target, folder.file()).unwrap();
        folder.run(&["add", "alice"], "one").unwrap();
        assert!(folder.file().is_symlink());
        assert!(std::fs::read_to_string(target).unwrap().contains("alice"));
    }

    #[test]
    fn lost_comments_are_told() {
        let folder = Folder::new();
        std::fs::write(folder.file(), "version: 1\n# my people\nusers: []\n").unwrap();
        let (_, err) = folder.run(&["add", "alice"], "one").unwrap();
        assert!(err.ends_with("users.yaml: written; its comments were not kept\n"), "{err}");
        let (_, err) = folder.run(&["add", "bob"], "one").unwrap();
        assert_eq!(err, "");
    }

    #[test]
    fn two_at_once_do_not_overwrite_each_other() {
        let folder = Folder::new();
        std::fs::write(folder.0.path().join("users.yaml.new"), "").unwrap();
        let failure = folder.run(&["add", "alice"], "one").unwrap_err();
        assert!(
            matches!(&failure, Failure::Failed(text) if text.contains("another `kordon user` is at work")),
            "{failure:?}"
        );
        assert!(!folder.file().exists());
    }

    #[test]
    fn faults_say_what_to_do() {
        let folder = Folder::new();
        assert!(folder.bad(&["list"]).starts_with("DIR/users.yaml: cannot be read: "));
        folder.run(&["add", "alice"], "one").unwrap();
        assert_eq!(folder.bad(&["add", "alice"]), "DIR/users.yaml: has `alice` already: use `kordon user passwd`");
        assert_eq!(folder.bad(&["passwd", "bob"]), "DIR/users.yaml: has no `bob`: use `kordon user add`");
        assert_eq!(folder.bad(&["remove", "bob"]), "DIR/users.yaml: has no `bob`: see `kordon user list`");
        assert_eq!(folder.bad(&["add", "User:x"]), "the name is `User:x`: write it without `User:`");
        assert_eq!(folder.bad(&["add", "x", "--group", "Group:g"]), "group is `Group:g`: write it without `Group:`");
        let empty = folder.run(&["passwd", "alice"], "").unwrap_err();
        assert_eq!(empty, Failure::Bad("the password is empty, or holds a NUL: choose another".into()));
        std::fs::write(folder.file(), "users: []").unwrap();
        assert!(folder.bad(&["list"]).ends_with("users.yaml:1:1: `version` is missing: write `version: 1`"));
    }

    #[test]
    fn a_configuration_without_users_is_told() {
        let folder = Folder::new();
        let config = folder.0.path().join("kordon.yaml");
        let text = include_str!("../../config/kordon.yaml");
        std::fs::write(&config, text).unwrap();
        let line = Line::try_parse_from(["kordon", "list", "--config", config.to_str().unwrap()]).unwrap();
        let failure = line.user.run(&mut Vec::new(), &mut Vec::new()).unwrap_err();
        assert!(
            matches!(&failure, Failure::Bad(text) if text.ends_with("has no `users`: add it, or name a file with --users")),
            "{failure:?}"
        );
    }

    #[test]
    fn a_password_is_the_first_line_without_its_end() {
        assert_eq!(first_line(&mut &b"secret \r\nmore\n"[..]).unwrap(), "secret ");
        assert_eq!(first_line(&mut &b"secret"[..]).unwrap(), "secret");
        assert!(first_line(&mut &b""[..]).is_err());
    }
}
