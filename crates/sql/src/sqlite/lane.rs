//! One thread that owns one connection, and the queue of work for it.

use std::path::PathBuf;
use std::sync::mpsc;
use std::thread::JoinHandle;

use tokio::sync::oneshot;
use whimbrel_endpoint::{EndpointError, ErrorClass};

use super::session::{Role, Session};
use crate::{Options, codes};

type Job = Box<dyn FnOnce(&mut Session) + Send>;

/// A queue into a thread; dropped, it waits until the thread has closed its connection.
#[derive(Debug)]
pub(crate) struct Lane {
    jobs: Option<mpsc::Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl Lane {
    /// Starts the thread; the connection is opened when it is first needed.
    pub(crate) fn start(path: PathBuf, options: Options, role: Role) -> Self {
        let (jobs, queue) = mpsc::channel::<Job>();
        let thread = std::thread::spawn(move || {
            let mut session = Session::new(path, options, role);
            for job in queue {
                job(&mut session);
            }
        });
        Self { jobs: Some(jobs), thread: Some(thread) }
    }

    /// Runs `work` on the connection's thread. A caller that stops waiting does not stop the work.
    pub(crate) async fn run<T, W>(&self, work: W) -> Result<T, EndpointError>
    where
        T: Send + 'static,
        W: FnOnce(&mut Session) -> Result<T, EndpointError> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        self.post(move |session| {
            // Whoever asked may have gone.
            let _ = reply.send(work(session));
        });
        answer.await.unwrap_or_else(|_| Err(gone()))
    }

    /// Runs `work` some time; nobody waits for it.
    pub(crate) fn post(&self, work: impl FnOnce(&mut Session) + Send + 'static) {
        let jobs = self.jobs.as_ref().expect("the queue is open until the lane is dropped");
        // A thread that has ended drops the reply with the job, which the waiter notices.
        let _ = jobs.send(Box::new(work));
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        drop(self.jobs.take());
        if let Some(thread) = self.thread.take() {
            // A panic on the thread was reported to whoever waited for that job.
            let _ = thread.join();
        }
    }
}

fn gone() -> EndpointError {
    EndpointError::new(
        ErrorClass::System,
        codes::CONNECTION_GONE,
        "the thread that owns the database connection has ended",
    )
}
