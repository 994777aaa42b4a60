//! One thread on which policies are compiled: away from the tasks that serve clients, one after the other, and always in
//! the same part of the allocator, so that reloads do not spread their memory over a pool of threads.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc;
use tokio::sync::oneshot;

type Job = Box<dyn FnOnce() + Send>;

/// The thread; it ends with this value.
#[derive(Debug)]
pub(super) struct Compiler {
    jobs: mpsc::Sender<Job>,
}

impl Compiler {
    /// Starts it.
    ///
    /// # Errors
    /// The system has no thread left.
    pub(super) fn start() -> io::Result<Self> {
        let (jobs, queue) = mpsc::channel::<Job>();
        std::thread::Builder::new().name("policy".to_owned()).spawn(move || {
            while let Ok(job) = queue.recv() {
                // What it has told nobody is told by the sender that it drops; what it shares is behind locks that stand a
                // panic.
                if catch_unwind(AssertUnwindSafe(job)).is_err() {
                    tracing::error!("compiling a policy failed");
                }
            }
        })?;
        Ok(Self { jobs })
    }

    /// Does something there, behind what was asked for before; `None`: it panicked. What comes after it is done.
    pub(super) async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        let (done, result) = oneshot::channel();
        // Who asked may be gone; the work is done all the same.
        self.jobs.send(Box::new(move || drop(done.send(work())))).ok()?;
        result.await.ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_is_done_in_the_order_in_which_it_was_asked_for() {
        let compiler = Compiler::start().unwrap();
        let (sender, done) = mpsc::channel();
        let works: Vec<_> = (0..10)
            .map(|i| {
                let sender = sender.clone();
                compiler.run(move || sender.send(i))
            })
            .collect();
        for work in works {
            assert_eq!(work.await, Some(Ok(())));
        }
        assert!(done.try_iter().eq(0..10));
        assert_eq!(
            compiler.run(|| std::thread::current().name().map(str::to_owned)).await.flatten().as_deref(),
            Some("policy")
        );
    }

    #[tokio::test]
    async fn work_that_panics_is_told_and_work_behind_it_is_done() {
        let compiler = Compiler::start().unwrap();
        assert_eq!(compiler.run(|| assert_eq!(1, 2, "as a test")).await, None);
        assert_eq!(compiler.run(|| 1).await, Some(1));
    }
}
