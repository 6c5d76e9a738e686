//! The one thread that writes. Requests reach it through a channel and run in the order they were made;
//! appends that wait together share a transaction, and so one sync of the disk.

use super::{Steps, failed, file, schema};
use crate::store::{Error, Kind, Position, Result};
use rusqlite::{Connection, params};
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::oneshot;

/// At most so many appends share a transaction.
const SHARED: usize = 256;

/// Up to this size, in bytes, a database is written anew by way of memory; a larger one by way of a file that
/// has no name and goes with the connection.
const IN_MEMORY: i64 = 64 << 20;

const WIPE: &str = "could not wipe what was deleted";

enum Job {
    Append {
        flush: Vec<u8>,
        answer: oneshot::Sender<Result<Position>>,
    },
    /// Anything else; the closure answers by itself.
    Work(Box<dyn FnOnce(&mut Writer) + Send>),
    Close(oneshot::Sender<Result<()>>),
}

/// The way to the thread. Dropped, it waits until the thread has done what was asked and tidied up.
pub(super) struct Handle {
    jobs: Option<Sender<Job>>,
    /// Guards nothing but the joining, which happens once.
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Handle {
    pub(super) fn start(conn: Connection, file: PathBuf, steps: Steps) -> std::io::Result<Handle> {
        let (jobs, queue) = channel();
        let writer = Writer { conn, file, steps };
        let thread =
            std::thread::Builder::new().name("store-writer".into()).spawn(move || writer.run(&queue))?;
        Ok(Handle { jobs: Some(jobs), thread: Mutex::new(Some(thread)) })
    }

    pub(super) async fn append(&self, flush: Vec<u8>) -> Result<Position> {
        let (answer, wait) = oneshot::channel();
        self.send(Job::Append { flush, answer })?;
        wait.await.unwrap_or_else(|_| Err(closed()))
    }

    /// Runs `work` in a transaction of its own.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        what: &'static str,
        work: impl FnOnce(&Connection) -> std::result::Result<T, Failure> + Send + 'static,
    ) -> Result<T> {
        self.run(move |writer| writer.transaction(what, work)).await
    }

    /// Runs `work` on the thread, outside of any transaction.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Writer) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (answer, wait) = oneshot::channel();
        self.send(Job::Work(Box::new(move |writer| {
            // Nobody waits any more when the request was cancelled; the work is done all the same.
            let _ = answer.send(work(writer));
        })))?;
        wait.await.unwrap_or_else(|_| Err(closed()))
    }

    pub(super) async fn close(&self) -> Result<()> {
        let (answer, wait) = oneshot::channel();
        match self.send(Job::Close(answer)) {
            Ok(()) => wait.await.unwrap_or(Ok(())),
            Err(_) => Ok(()),
        }
    }

    fn send(&self, job: Job) -> Result<()> {
        let jobs = self.jobs.as_ref().ok_or_else(closed)?;
        jobs.send(job).map_err(|_| closed())
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.jobs = None;
        let thread = self.thread.get_mut().map(Option::take).unwrap_or_default();
        if let Some(thread) = thread {
            // A thread that panicked has nothing to tidy up with; the write-ahead log keeps what was answered.
            let _ = thread.join();
        }
    }
}

fn closed() -> Error {
    Error::new(Kind::Unavailable, "the store is closed")
}

/// What the thread owns.
pub(super) struct Writer {
    pub(super) conn: Connection,
    file: PathBuf,
    steps: Steps,
}

impl Writer {
    fn run(mut self, queue: &Receiver<Job>) {
        let mut next = queue.recv().ok();
        while let Some(job) = next.take() {
            match job {
                Job::Append { flush, answer } => next = self.append(flush, answer, queue),
                Job::Work(work) => work(&mut self),
                Job::Close(answer) => {
                    let done = self.tidy();
                    drop(self);
                    let _ = answer.send(done);
                    return;
                }
            }
            next = next.or_else(|| queue.recv().ok());
        }
        let _ = self.tidy();
    }

    /// Appends one flush and all that wait directly behind it; gives back what came next instead.
    fn append(
        &mut self,
        flush: Vec<u8>,
        answer: oneshot::Sender<Result<Position>>,
        queue: &Receiver<Job>,
    ) -> Option<Job> {
        let (mut flushes, mut answers, mut next) = (vec![flush], vec![answer], None);
        while flushes.len() < SHARED && next.is_none() {
            match queue.try_recv() {
                Ok(Job::Append { flush, answer }) => {
                    flushes.push(flush);
                    answers.push(answer);
                }
                Ok(job) => next = Some(job),
                Err(_) => break,
            }
        }
        let done = self.transaction("could not append", |conn| {
            // A position is never given twice, even when the log was trimmed to nothing.
            let mut insert = conn.prepare_cached(
                "INSERT INTO tail (position, bytes)
                 SELECT 1 + max(watermark, trimmed, coalesce((SELECT max(position) FROM tail), 0)), ?1 FROM meta
                 RETURNING position",
            )?;
            let position = |flush: &Vec<u8>| insert.query_row(params![flush], |row| row.get(0));
            flushes.iter().map(position).collect::<rusqlite::Result<Vec<i64>>>()
        });
        match done {
            Ok(positions) => {
                for (position, answer) in positions.into_iter().zip(answers) {
                    let _ = answer.send(Ok(position as Position));
                }
            }
            Err(e) => {
                for answer in answers {
                    let _ = answer.send(Err(e.clone()));
                }
            }
        }
        next
    }

    /// All of `work` or nothing of it. `what` says in an error what could not be done.
    pub(super) fn transaction<T, E: Into<Failure>>(
        &mut self,
        what: &'static str,
        work: impl FnOnce(&Connection) -> std::result::Result<T, E>,
    ) -> Result<T> {
        let step = |sql: &str| {
            let run = || self.conn.prepare_cached(sql)?.execute([]);
            run().map(|_| ()).map_err(|e| failed(what, e))
        };
        let done = step("BEGIN IMMEDIATE")
            .and_then(|()| schema::still_ours(&self.conn, self.steps.len()))
            .and_then(|()| {
                work(&self.conn).map_err(|e| match e.into() {
                    Failure::Sqlite(e) => failed(what, e),
                    Failure::Said(e) => e,
                })
            })
            .and_then(|value| step("COMMIT").map(|()| value));
        if done.is_err() {
            self.recover();
        }
        done
    }

    /// After an error: the connection is free for the next request, or another one takes its place.
    fn recover(&mut self) {
        if self.conn.is_autocommit() || self.conn.execute_batch("ROLLBACK").is_ok() {
            return;
        }
        if let Ok(conn) = file::connect(&self.file) {
            self.conn = conn;
        }
    }

    /// Gives all free pages back and empties the write-ahead log. What was deleted is then in no page of its
    /// own; a piece of a row may still lie in the unused part of a page that is in use.
    pub(super) fn wipe(&mut self) -> Result<()> {
        // Stepped to its end: each step frees a page.
        let vacuum = || -> rusqlite::Result<()> {
            let mut vacuum = self.conn.prepare("PRAGMA incremental_vacuum")?;
            let mut rows = vacuum.query([])?;
            while rows.next()?.is_some() {}
            Ok(())
        };
        vacuum().map_err(|e| failed(WIPE, e))?;
        self.empty_log()
    }

    /// Writes the whole database anew and empties the write-ahead log: of what was deleted nothing is left.
    ///
    /// `secure_delete` alone does not do that, measured: it overwrites what is deleted, but when rows move
    /// between neighbouring pages, copies of them stay in the unused part of the page they left. Writing
    /// all anew takes about as long as copying the file twice, and other writers wait for it.
    pub(super) fn rebuild(&mut self) -> Result<()> {
        let rebuild = || -> rusqlite::Result<()> {
            let size = "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size";
            let size: i64 = self.conn.query_row(size, [], |row| row.get(0))?;
            if size > IN_MEMORY {
                self.conn.pragma_update(None, "temp_store", "FILE")?;
            }
            self.conn.execute_batch("VACUUM")
        };
        let done = rebuild().map_err(|e| failed(WIPE, e));
        let back = self.conn.pragma_update(None, "temp_store", "MEMORY").map_err(|e| failed(WIPE, e));
        done.and(back)?;
        self.empty_log()
    }

    fn empty_log(&self) -> Result<()> {
        if self.truncate().map_err(|e| failed(WIPE, e))? {
            return Ok(());
        }
        let text = "the store is being read elsewhere: what was deleted is still in the write-ahead log";
        Err(Error::new(Kind::Unavailable, text))
    }

    /// Moves the write-ahead log into the database and empties it; false if readers were in the way.
    fn truncate(&self) -> rusqlite::Result<bool> {
        let sql = "PRAGMA wal_checkpoint(TRUNCATE)";
        self.conn.query_row(sql, [], |row| row.get::<_, i64>(0)).map(|busy| busy == 0)
    }

    /// At the end: the log is emptied if nobody is in the way. Whoever still reads keeps it, and all is well too.
    fn tidy(&mut self) -> Result<()> {
        let tidy = || -> rusqlite::Result<bool> {
            self.conn.busy_timeout(Duration::from_millis(500))?;
            self.truncate()
        };
        tidy().map(|_| ()).map_err(|e| failed("could not be closed tidily", e))
    }
}

/// What can go wrong within a transaction: SQLite's word, or ours.
pub(super) enum Failure {
    Sqlite(rusqlite::Error),
    Said(Error),
}

impl From<rusqlite::Error> for Failure {
    fn from(e: rusqlite::Error) -> Failure {
        Failure::Sqlite(e)
    }
}

impl From<Error> for Failure {
    fn from(e: Error) -> Failure {
        Failure::Said(e)
    }
}
