//! What the transaction and its target share: the session that writes, and what is known of tables.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::task::JoinSet;
use whimbrel_endpoint::{EndpointError, ErrorClass};

use super::catalogue::{self, Facts};
use super::lease::{DEFINER, WRITER};
use super::session::{Link, Place, Session};
use crate::codes;

/// How long the end of a session that was left behind is waited for.
const LEFT_SECONDS: u64 = 30;

#[derive(Debug)]
pub(crate) struct Lane {
    pub(crate) place: Arc<Place>,
    /// Reads what is committed, also whether the fence is still ours once the writer is lost.
    pub(crate) read: Link,
    resting: Mutex<Option<Session>>,
    open: AtomicBool,
    /// Sessions that were left to the server to end: one of them may still hold the writer's lock.
    left: Mutex<Vec<u64>>,
    facts: Mutex<BTreeMap<String, Arc<Facts>>>,
    /// A commit was acknowledged on the resting session. Where the server does not flush each commit
    /// it may fall and lose it; only in the same session is that ruled out.
    has_committed: AtomicBool,
}

impl Lane {
    pub(crate) fn new(place: Arc<Place>) -> Self {
        Self {
            read: Link::new(Arc::clone(&place)),
            place,
            resting: Mutex::new(None),
            open: AtomicBool::new(false),
            left: Mutex::default(),
            facts: Mutex::default(),
            has_committed: AtomicBool::new(false),
        }
    }

    /// A transaction ended well, or it failed: then whoever sees that reads the marks again.
    pub(crate) fn ended(&self, has_committed: bool) {
        self.has_committed.store(has_committed, Ordering::SeqCst);
    }

    pub(crate) fn is_open(&self) -> bool {
        self.open.load(Ordering::SeqCst)
    }

    /// A session in a new transaction, which nobody else on this database has.
    pub(crate) async fn begin(self: &Arc<Self>) -> Result<Out, EndpointError> {
        if self.open.swap(true, Ordering::SeqCst) {
            return Err(EndpointError::new(
                ErrorClass::Configuration,
                whimbrel_endpoint::codes::TRANSACTION,
                "a transaction is open already",
            ));
        }
        let mut out = Out { lane: Arc::clone(self), session: None, apart: None };
        let rested = self.rest().take();
        let session = match rested {
            Some(mut session) => session.is_there().await.then_some(session),
            None => None,
        };
        let session = match session {
            Some(session) => session,
            None => {
                let session = self.place.open().await?;
                if self.has_committed.swap(false, Ordering::SeqCst) {
                    out.rest(Some(session));
                    return Err(EndpointError::new(
                        ErrorClass::Transient,
                        codes::CONNECTION_LOST,
                        format!(
                            "the connection was lost between two transactions, and the server may \
                             have fallen: what it still has is looked up: `{}`",
                            self.place.shown
                        ),
                    ));
                }
                session
            }
        };
        let session = out.session.insert(session);
        let failed = |error| self.place.failed("begin a transaction", error);
        let lock = session.server.lock(WRITER);
        let left = self.left().clone();
        let patience = if left.is_empty() {
            self.place.busy_seconds()
        } else {
            // Sessions are numbered anew when the server starts: the number may be another's.
            let holder = session.holder(&lock).await.map_err(failed)?;
            if let Some(holder) = holder.filter(|holder| left.contains(holder)) {
                session.kill(holder).await.map_err(failed)?;
            }
            LEFT_SECONDS
        };
        if !session.lock(&lock, patience).await.map_err(failed)? {
            let session = out.session.take();
            out.rest(session);
            return Err(EndpointError::new(
                ErrorClass::Transient,
                codes::LOCKED,
                format!("begin a transaction: another run has one open: `{}`", self.place.shown),
            ));
        }
        self.left().clear();
        session.begin().await.map_err(failed)?;
        Ok(out)
    }

    /// A session for definitions, which nobody else on this database has.
    pub(crate) async fn define(&self) -> Result<Session, EndpointError> {
        let mut session = self.place.open().await?;
        let lock = session.server.lock(DEFINER);
        let locked = session.lock(&lock, LEFT_SECONDS).await;
        if locked.map_err(|error| self.place.failed("begin definitions", error))? {
            return Ok(session);
        }
        Err(EndpointError::new(
            ErrorClass::Transient,
            codes::LOCKED,
            format!("begin definitions: another run is at them: `{}`", self.place.shown),
        ))
    }

    /// What the catalogue says of a table, looked up once.
    pub(crate) async fn facts(
        &self,
        session: &mut Session,
        table: &str,
    ) -> Result<Arc<Facts>, EndpointError> {
        let known = self.known().get(table).map(Arc::clone);
        if let Some(facts) = known {
            return Ok(facts);
        }
        let facts = Arc::new(catalogue::facts(session, table, &self.place.shown).await?);
        self.known().insert(table.to_owned(), Arc::clone(&facts));
        Ok(facts)
    }

    /// Definitions have changed, or may have.
    pub(crate) fn forget(&self) {
        self.known().clear();
    }

    fn known(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Arc<Facts>>> {
        self.facts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn left(&self) -> std::sync::MutexGuard<'_, Vec<u64>> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn rest(&self) -> std::sync::MutexGuard<'_, Option<Session>> {
        self.resting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The writing session while a transaction has it.
#[derive(Debug)]
pub(crate) struct Out {
    pub(crate) lane: Arc<Lane>,
    /// `None` once it was given back, or was lost, and while a task has it.
    pub(crate) session: Option<Session>,
    /// The session that a task has, or had when it ended.
    apart: Option<u64>,
}

impl Out {
    /// Has a task of its own carry out an exchange of many statements, on a thread that hears the
    /// server itself: any other would have to be woken for each answer. It ends when it is not waited
    /// for any more.
    pub(crate) async fn apart<T, F>(
        &mut self,
        exchange: impl FnOnce(Session) -> F,
    ) -> Result<T, EndpointError>
    where
        T: Send + 'static,
        F: Future<Output = (Session, T)> + Send + 'static,
    {
        let mut tasks = JoinSet::new();
        if let Some(session) = self.lent() {
            tasks.spawn(exchange(session));
        }
        match tasks.join_next().await {
            Some(Ok((session, done))) => {
                self.back(session);
                Ok(done)
            }
            Some(Err(error)) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Some(Err(_)) | None => Err(self.lane.place.lost()),
        }
    }

    /// The session, for a task of its own.
    pub(crate) fn lent(&mut self) -> Option<Session> {
        let session = self.session.take()?;
        self.apart = Some(session.server.id);
        Some(session)
    }

    /// The session that a task had.
    pub(crate) fn back(&mut self, session: Session) {
        self.session = Some(session);
        self.apart = None;
    }

    /// The transaction has ended: others may begin one.
    pub(crate) async fn give_back(mut self) {
        let Some(mut session) = self.session.take() else { return };
        let id = session.server.id;
        // Until it answers, also where nobody waits for that any more.
        self.lane.left().push(id);
        let lock = session.server.lock(WRITER);
        if session.unlock(&lock).await.is_ok() {
            self.lane.left().retain(|left| *left != id);
            self.rest(Some(session));
        }
    }

    fn rest(&self, session: Option<Session>) {
        *self.lane.rest() = session.filter(Session::is_sound);
    }
}

/// Dropped with its session, that is left to the server, which undoes the transaction.
impl Drop for Out {
    fn drop(&mut self) {
        let own = self.session.take().map(|session| session.server.id);
        if let Some(id) = own.or(self.apart) {
            self.lane.left().push(id);
            self.lane.ended(false);
        }
        self.lane.open.store(false, Ordering::SeqCst);
    }
}
