//! The few connections that read. A read runs on tokio's threads for blocking work and sees one moment.

use super::{Steps, failed, file, schema};
use crate::store::{Error, Kind, Result};
use rusqlite::Connection;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Semaphore;

/// At most so many reads at once; the rest wait.
const READERS: usize = 4;

pub(super) struct Readers {
    permits: Arc<Semaphore>,
    shared: Arc<Shared>,
}

struct Shared {
    file: PathBuf,
    steps: Steps,
    /// Guards the connections nobody uses just now.
    idle: Mutex<Vec<Connection>>,
}

impl Readers {
    /// Opens nothing yet: the first read does.
    pub(super) fn new(file: PathBuf, steps: Steps) -> Readers {
        let shared = Shared { file, steps, idle: Mutex::default() };
        Readers { permits: Arc::new(Semaphore::new(READERS)), shared: Arc::new(shared) }
    }

    /// Runs `work` in a read transaction: all it reads is of one moment.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        what: &'static str,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T> {
        let closed = |_| Error::new(Kind::Unavailable, "the store is closed");
        let permit = self.permits.clone().acquire_owned().await.map_err(closed)?;
        let shared = self.shared.clone();
        let read = move || {
            let done = shared.read(what, work);
            // Given back only now, so that a request that went away does not let more in than there are.
            drop(permit);
            done
        };
        match tokio::task::spawn_blocking(read).await {
            Ok(done) => done,
            Err(_) => Err(Error::new(Kind::Unavailable, format!("the store {what}"))),
        }
    }

    /// Closes what is idle, and lets no one in any more.
    pub(super) fn close(&self) {
        self.permits.close();
        self.shared.idle().clear();
    }
}

impl Shared {
    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read<T>(
        &self,
        what: &'static str,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T> {
        let idle = self.idle().pop();
        let conn = match idle {
            Some(conn) => conn,
            None => self.connect().map_err(|e| failed(what, e))?,
        };
        let step = |sql: &str| conn.prepare_cached(sql)?.execute([]).map(|_| ());
        step("BEGIN").map_err(|e| failed(what, e))?;
        schema::still_ours(&conn, self.steps.len())?;
        let found = work(&conn).map_err(|e| failed(what, e))?;
        step("COMMIT").map_err(|e| failed(what, e))?;
        // One that met an error is closed instead.
        self.idle().push(conn);
        Ok(found)
    }

    fn connect(&self) -> rusqlite::Result<Connection> {
        let conn = file::connect(&self.file)?;
        conn.pragma_update(None, "query_only", true)?;
        Ok(conn)
    }
}
