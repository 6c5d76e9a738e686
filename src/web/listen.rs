//! The accept loop: HTTP/1.1 connections that may be slow, idle or many, but never for long.
//!
//! Every connection says in one atomic word what it waits for and since when. One sweep, a few times a
//! second, closes those that have waited too long; and when there are as many connections as there may
//! be, the one that has waited longest gives way to the new one. So a request costs a few relaxed stores
//! instead of starting and stopping timers, and ten thousand slow connections cannot keep a visitor out.
//!
//! ```text
//!     Idle ── first byte ──> Head ── request read ──> Body ── body read ──> Answer ── answer ready ──> Write
//!      ^                                                                                                 │
//!      └───────────────────────────────────────── written ───────────────────────────────────────────────┘
//! ```

use http_body_util::Either;
use hyper::body::{Bytes, Incoming};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use std::collections::HashMap;
use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::io::IoSlice;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;

/// The body of an answer: bytes at hand, or what a page's handler made.
pub type Body = Either<http_body_util::Full<Bytes>, axum::body::Body>;

/// Who answers what the loop takes in.
pub trait Answer: Send + Sync + 'static {
    fn answer(
        &self,
        request: Request<Incoming>,
        connection: &Connection,
    ) -> impl Future<Output = Response<Body>> + Send;
}

/// How long a connection may wait for what, and how many there may be.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// From the first byte of a request to the end of its header.
    pub head: Duration,
    /// From then to the end of its body.
    pub body: Duration,
    /// For the answer to be ready. A backstop: what handlers wait for has limits of its own.
    pub answer: Duration,
    /// Between requests, and for the other side to read on.
    pub idle: Duration,
    /// Greatest size of a header, bytes.
    pub head_bytes: usize,
    pub connections: usize,
    /// How long a stop waits for requests in hand.
    pub grace: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            head: Duration::from_secs(5),
            body: Duration::from_secs(10),
            answer: Duration::from_secs(60),
            idle: Duration::from_secs(30),
            head_bytes: 32 * 1024,
            connections: connections_allowed(),
            grace: Duration::from_secs(3),
        }
    }
}

/// As many as the process may have open files, less some for the store and the pages; at most 10,000.
fn connections_allowed() -> usize {
    const KEPT_FREE: u64 = 64;
    let files = rustix::process::getrlimit(rustix::process::Resource::Nofile).current.unwrap_or(u64::MAX);
    usize::try_from(files.saturating_sub(KEPT_FREE).clamp(16, 10_000)).unwrap_or(10_000)
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u64)]
enum Phase {
    Idle = 0,
    Head = 1,
    Body = 2,
    Answer = 3,
    Write = 4,
}

const PHASES: [Phase; 5] = [Phase::Idle, Phase::Head, Phase::Body, Phase::Answer, Phase::Write];

/// A connection as its requests see it.
pub struct Connection {
    pub peer: SocketAddr,
    room: Arc<Room>,
    /// The phase in the upper byte, since when (ms on the room's clock) in the others.
    waits: AtomicU64,
}

impl Connection {
    /// The request's body has been read: from here on the time is ours.
    pub fn body_is_read(&self) {
        self.enter(Phase::Answer);
    }

    fn enter(&self, phase: Phase) {
        self.waits.store((phase as u64) << 56 | self.room.clock_ms.load(Relaxed), Relaxed);
    }

    fn phase(&self) -> Phase {
        PHASES[(self.waits.load(Relaxed) >> 56) as usize % PHASES.len()]
    }

    fn since_ms(&self) -> u64 {
        self.waits.load(Relaxed) & ((1 << 56) - 1)
    }
}

/// All connections of one listener.
struct Room {
    /// Milliseconds since the start, moved on by the sweep.
    clock_ms: AtomicU64,
    stopping: AtomicBool,
    /// Guards who is here; held for a look or a change, never across a wait.
    here: Mutex<HashMap<u64, (Arc<Connection>, AbortHandle)>>,
}

impl Room {
    fn here(&self) -> MutexGuard<'_, HashMap<u64, (Arc<Connection>, AbortHandle)>> {
        self.here.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Closes the connections that `which` picks. (Outside the lock: a closed connection takes itself out.)
    fn close(&self, which: impl Fn(&Connection) -> bool) {
        let closing: Vec<AbortHandle> = self
            .here()
            .values()
            .filter(|(connection, _)| which(connection))
            .map(|(_, task)| task.clone())
            .collect();
        closing.iter().for_each(AbortHandle::abort);
    }

    /// Closes the connection that has waited longest for its other side.
    fn close_longest_waiting(&self) {
        let longest = {
            let here = self.here();
            let waiting = here.values().filter(|(connection, _)| connection.phase() != Phase::Answer);
            waiting.min_by_key(|(connection, _)| connection.since_ms()).map(|(_, task)| task.clone())
        };
        if let Some(task) = longest {
            task.abort();
        }
    }
}

/// Takes itself out of the room when the connection's task ends, however it ends.
struct Place {
    room: Arc<Room>,
    number: u64,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.room.here().remove(&self.number);
    }
}

/// Accepts connections and answers their requests until `stop` is ready; then answers what is in hand,
/// within [`Limits::grace`], and returns.
pub async fn serve<A: Answer>(
    listener: TcpListener,
    limits: Limits,
    stop: impl Future<Output = ()>,
    door: Arc<A>,
) {
    let room = Arc::new(Room {
        clock_ms: AtomicU64::new(0),
        stopping: AtomicBool::new(false),
        here: Mutex::default(),
    });
    let sweeper = tokio::spawn(sweep(room.clone(), limits));
    let mut stop = pin!(stop);
    for number in 0.. {
        let accepted = tokio::select! {
            () = &mut stop => break,
            accepted = accept(&listener, &room, limits.connections) => accepted,
        };
        let (stream, peer) = accepted;
        let connection = Arc::new(Connection { peer, room: room.clone(), waits: AtomicU64::new(0) });
        connection.enter(Phase::Idle);
        let place = Place { room: room.clone(), number };
        // The lock is held over the spawn, so that the task cannot leave before it has come in.
        let mut here = room.here();
        let task = tokio::spawn(converse(stream, connection.clone(), place, limits, door.clone()));
        here.insert(number, (connection, task.abort_handle()));
    }
    drop(listener);
    finish(&room, limits.grace).await;
    sweeper.abort();
}

/// The next connection. Makes room if there are too many; waits a little if the system has no more files.
async fn accept(listener: &TcpListener, room: &Room, most: usize) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                while room.here().len() >= most {
                    room.close_longest_waiting();
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
                // Answers are written whole: waiting for more to send would only delay them.
                let _ = stream.set_nodelay(true);
                return (stream, peer);
            }
            // The other side gave up before we came to it.
            Err(e) if is_of_connection(&e) => {}
            // Out of files or memory: trying at once again would spin.
            Err(_) => {
                room.close_longest_waiting();
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

fn is_of_connection(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

/// One connection: request after request.
async fn converse<A: Answer>(
    stream: TcpStream,
    connection: Arc<Connection>,
    place: Place,
    limits: Limits,
    door: Arc<A>,
) {
    let _place = place;
    let service = service_fn(|request| {
        connection.enter(if hyper::body::Body::is_end_stream(request.body()) {
            Phase::Answer
        } else {
            Phase::Body
        });
        let answering = door.answer(request, &connection);
        let connection = &connection;
        async move {
            let response = answering.await;
            connection.enter(Phase::Write);
            Ok::<_, Infallible>(response)
        }
    });
    let watched = Watched { stream: TokioIo::new(stream), connection: connection.clone() };
    let mut http = http1::Builder::new();
    let mut conversation =
        pin!(http.max_buf_size(limits.head_bytes.max(8192)).serve_connection(watched, service));
    let mut told = false;
    poll_fn(|cx| {
        if !told && connection.room.stopping.load(Relaxed) {
            told = true;
            conversation.as_mut().graceful_shutdown();
        }
        // An error is the other side's: it went away, or spoke no HTTP and has been told so.
        conversation.as_mut().poll(cx).map(|_| ())
    })
    .await;
}

/// Moves the room's clock on and closes connections that have waited too long.
async fn sweep(room: Arc<Room>, limits: Limits) {
    let allowed_ms =
        [limits.idle, limits.head, limits.body, limits.answer, limits.idle].map(|d| d.as_millis() as u64);
    let shortest_ms = allowed_ms.into_iter().min().unwrap_or(1000);
    let period = Duration::from_millis((shortest_ms / 8).clamp(10, 250));
    let start = Instant::now();
    loop {
        tokio::time::sleep(period).await;
        let now_ms = start.elapsed().as_millis() as u64;
        room.clock_ms.store(now_ms, Relaxed);
        room.close(|connection| {
            now_ms.saturating_sub(connection.since_ms()) > allowed_ms[connection.phase() as usize]
        });
    }
}

/// Lets the requests in hand be answered, then closes what is left.
async fn finish(room: &Room, grace: Duration) {
    const LOOK_EVERY: Duration = Duration::from_millis(10);
    room.stopping.store(true, Relaxed);
    let start = Instant::now();
    // A request that has reached the machine but not yet us is in hand too: a moment for it.
    tokio::time::sleep(LOOK_EVERY * 3).await;
    while !room.here().is_empty() && start.elapsed() < grace {
        room.close(|connection| connection.phase() == Phase::Idle);
        tokio::time::sleep(LOOK_EVERY).await;
    }
    room.close(|_| true);
}

/// A stream that tells its connection when a request begins and when an answer has been written.
struct Watched {
    stream: TokioIo<TcpStream>,
    connection: Arc<Connection>,
}

impl Watched {
    fn has_written(&self, written: &Poll<std::io::Result<usize>>) {
        if matches!(written, Poll::Ready(Ok(_)))
            && matches!(self.connection.phase(), Phase::Write | Phase::Idle)
        {
            self.connection.enter(Phase::Idle);
        }
    }
}

impl Read for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<std::io::Result<()>> {
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        // Ready with nothing means that the other side has closed: then the phase matters no more.
        if matches!(read, Poll::Ready(Ok(()))) && self.connection.phase() == Phase::Idle {
            self.connection.enter(Phase::Head);
        }
        read
    }
}

impl Write for Watched {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.has_written(&written);
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, parts);
        self.has_written(&written);
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
