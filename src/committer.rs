//! Yes means durable: one loop that makes a flush of all that waits, appends it, and answers each request.
//!
//! While an append is under way the next flush gathers by itself, so load makes flushes bigger, not more
//! numerous. When the last one was large the loop may also wait up to 2 ms for the next to fill: requests
//! that were answered together come back together. When it was small it never waits, so a quiet site's
//! answer takes one append and nothing more.
//!
//! The loop knows nothing of the store but its promises. A failed append answers all its requests with the
//! error and is not tried again here: nobody knows whether it happened, and only the sender, who repeats
//! the batch id, can repeat it without harm.

use crate::store::{Error, Kind, Position, Result, Store};
use passerby_engine::block::{self, Dropped, Flush};
use passerby_engine::event::{Batch, Day, Event, Reason, SiteId, Text};
use std::collections::BTreeMap;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, oneshot, watch};
use tokio::time::{Instant, sleep_until, timeout_at};

/// A flush of more requests than this was large.
const LARGE: usize = 64;
/// How long the next flush may gather after a large one.
const GATHER: Duration = Duration::from_millis(2);
/// How long counts of drops may wait for a flush to ride along with.
const DROPS_WAIT: Duration = Duration::from_secs(10);
/// More requests than this do not wait: they are told to come again.
const ROOM_REQUESTS: usize = 10_000;
/// The same for the memory that waiting requests hold. As much again may be under way.
const ROOM_BYTES: usize = 16 << 20;

/// A handle on the loop; all clones are of one.
#[derive(Clone)]
pub struct Committer {
    desk: Arc<Desk>,
}

/// What handles and loop share.
struct Desk {
    /// Guards what waits. Held for moments, never across an await.
    room: Mutex<Room>,
    /// Wakes the loop: something waits, enough waits, or it is time to close.
    knock: Notify,
    /// Up to where the log is known to have grown.
    appended: watch::Sender<Position>,
    /// Whether the loop has ended.
    ended: watch::Sender<bool>,
}

struct Room {
    open: bool,
    waiting: Vec<Request>,
    /// What `waiting` holds in memory, roughly.
    bytes: usize,
    /// With how many requests the loop stops gathering.
    enough: usize,
    /// Merged, so that a flood of refusals holds no more than its sites, days and reasons.
    dropped: BTreeMap<(SiteId, Day, Reason), u32>,
    /// When the first of `dropped` must have gone.
    drops_due: Option<Instant>,
}

struct Request {
    batches: Vec<Batch>,
    answer: oneshot::Sender<Result<()>>,
}

impl Committer {
    /// Starts the loop on the current tokio runtime.
    pub fn start(store: Arc<dyn Store>) -> Committer {
        let room = Room {
            open: true,
            waiting: Vec::new(),
            bytes: 0,
            enough: 1,
            dropped: BTreeMap::new(),
            drops_due: None,
        };
        let desk = Arc::new(Desk {
            room: Mutex::new(room),
            knock: Notify::new(),
            appended: watch::Sender::new(0),
            ended: watch::Sender::new(false),
        });
        tokio::spawn(run(End(desk.clone()), store));
        Committer { desk }
    }

    /// Makes a request's batches durable, in one append. Whoever stops waiting stops nothing.
    ///
    /// # Errors
    /// [`Kind::Unavailable`] at once when too much waits or the committer is closed; else the store's error,
    /// after which the batches may or may not be in the log: the sender keeps them and repeats their ids.
    pub async fn append(&self, batches: Vec<Batch>) -> Result<()> {
        if batches.is_empty() {
            return Ok(());
        }
        let wait = self.desk.room().enter(batches, &self.desk.knock)?;
        wait.await.unwrap_or_else(|_| Err(closed()))
    }

    /// Counts what was not taken. The count rides along with the next flush, or goes alone after 10 s; it is
    /// in the log some time after this returns, and a crash may lose it. After closing it is lost.
    pub fn dropped(&self, dropped: Dropped) {
        let mut room = self.desk.room();
        let first = room.dropped.is_empty();
        if room.open {
            room.count([dropped]);
        }
        if first {
            self.desk.knock.notify_one();
        }
    }

    /// The log's end as far as this committer has moved it (0 before its first append). The folder waits for it.
    pub fn subscribe(&self) -> watch::Receiver<Position> {
        self.desk.appended.subscribe()
    }

    /// Refuses what comes from now on, appends and answers what waits, and returns when that is done.
    pub async fn close(&self) {
        self.desk.room().open = false;
        self.desk.knock.notify_one();
        // An error means that the sender is gone, and with it the loop.
        let _ = self.desk.ended.subscribe().wait_for(|ended| *ended).await;
    }
}

fn closed() -> Error {
    Error::new(Kind::Unavailable, "shutting down")
}

impl Desk {
    fn room(&self) -> MutexGuard<'_, Room> {
        self.room.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Room {
    fn enter(&mut self, batches: Vec<Batch>, knock: &Notify) -> Result<oneshot::Receiver<Result<()>>> {
        if !self.open {
            return Err(closed());
        }
        let bytes = batches.iter().map(weight).sum::<usize>();
        if self.waiting.len() >= ROOM_REQUESTS || self.bytes.saturating_add(bytes) > ROOM_BYTES {
            let text = "too many requests wait for the store";
            return Err(Error::new(Kind::Unavailable, text));
        }
        let (answer, wait) = oneshot::channel();
        self.bytes += bytes;
        self.waiting.push(Request { batches, answer });
        if self.waiting.len() == 1 || self.waiting.len() == self.enough {
            knock.notify_one();
        }
        Ok(wait)
    }

    fn count(&mut self, dropped: impl IntoIterator<Item = Dropped>) {
        for Dropped { site, day, reason, count } in dropped {
            let so_far = self.dropped.entry((site, day, reason)).or_default();
            *so_far = so_far.saturating_add(count);
            self.drops_due.get_or_insert_with(|| Instant::now() + DROPS_WAIT);
        }
    }

    /// Everything that waits, as one flush and those who wait for it. The room is empty then.
    fn take(&mut self) -> (Vec<Request>, Vec<Dropped>) {
        self.bytes = 0;
        self.drops_due = None;
        let dropped = mem::take(&mut self.dropped).into_iter();
        let dropped = dropped.map(|((site, day, reason), count)| Dropped { site, day, reason, count });
        (mem::take(&mut self.waiting), dropped.collect())
    }
}

/// What a batch holds in memory, roughly.
fn weight(batch: &Batch) -> usize {
    let heap = |text: &Text| {
        if text.is_heap_allocated() { text.capacity() } else { 0 }
    };
    let event = |event: &Event| {
        let props = event.props.iter().map(|(key, value)| heap(key) + heap(value) + 2 * size_of::<Text>());
        let origin = &event.origin;
        let texts = [
            &event.page,
            &event.hostname,
            &event.name,
            &origin.source,
            &origin.referrer,
            &origin.utm_source,
            &origin.utm_medium,
            &origin.utm_campaign,
            &origin.utm_content,
            &origin.utm_term,
        ];
        size_of::<Event>() + texts.into_iter().map(heap).sum::<usize>() + props.sum::<usize>()
    };
    size_of::<Batch>() + batch.events.iter().map(event).sum::<usize>()
}

/// The loop.
async fn run(end: End, store: Arc<dyn Store>) {
    let desk = &*end.0;
    let mut last = 0;
    while desk.something().await {
        if last > LARGE {
            desk.gather(last).await;
        }
        let (requests, dropped) = desk.room().take();
        last = requests.len();
        let mut answers = Vec::with_capacity(requests.len());
        let mut batches = Vec::with_capacity(requests.len());
        for request in requests {
            answers.push(request.answer);
            batches.extend(request.batches);
        }
        let flush = Flush { blocks: block::blocks(batches), dropped };
        let done = store.append(block::encode_flush(&flush)).await;
        // Nobody listens where a browser has gone away; its batch is in the log all the same.
        for answer in answers {
            let _ = answer.send(done.as_ref().map(|_| ()).map_err(Error::clone));
        }
        match done {
            Ok(position) => drop(desk.appended.send_replace(position)),
            // Counts have no sender who would repeat them. Should the append have happened after all, they
            // are counted twice: better than losing them with every full disk.
            Err(_) => {
                let mut room = desk.room();
                if room.open {
                    room.count(flush.dropped);
                }
            }
        }
    }
}

impl Desk {
    /// Waits until there is something to append; false when there will be nothing any more.
    async fn something(&self) -> bool {
        loop {
            let due = {
                let room = self.room();
                if !room.waiting.is_empty() {
                    return true;
                }
                if !room.open {
                    return !room.dropped.is_empty();
                }
                room.drops_due
            };
            match due {
                None => self.knock.notified().await,
                Some(due) if due <= Instant::now() => return true,
                Some(due) => {
                    tokio::select! {
                        () = self.knock.notified() => {}
                        () = sleep_until(due) => {}
                    }
                }
            }
        }
    }

    /// Waits up to 2 ms until as many wait as were in the last flush.
    async fn gather(&self, last: usize) {
        let until = Instant::now() + GATHER;
        self.room().enough = last;
        let full = async {
            while {
                let room = self.room();
                room.open && room.waiting.len() < last
            } {
                self.knock.notified().await;
            }
        };
        // Time's up is as good as full.
        let _ = timeout_at(until, full).await;
        self.room().enough = 1;
    }
}

/// However the loop ends, nobody waits for it any more.
struct End(Arc<Desk>);

impl Drop for End {
    fn drop(&mut self) {
        let mut room = self.0.room();
        room.open = false;
        room.waiting.clear();
        drop(room);
        self.0.ended.send_replace(true);
    }
}

#[cfg(test)]
mod tests;
