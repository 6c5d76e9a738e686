//! The accept loop on a real socket: slow, idle, oversized and many connections, and the end.

use http_body_util::{BodyExt, Either, Full};
use hyper::body::Incoming;
use hyper::{Request, Response};
use passerby::web::listen::{self, Answer, Body, Connection, Limits};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;

/// Answers with the length of the body; at `/wait` not before it is told to.
#[derive(Default)]
struct Echo {
    go_on: Notify,
    waiting: Notify,
}

impl Answer for Echo {
    async fn answer(&self, request: Request<Incoming>, connection: &Connection) -> Response<Body> {
        let waits = request.uri().path() == "/wait";
        let length = request.into_body().collect().await.map_or(0, |body| body.to_bytes().len());
        connection.body_is_read();
        if waits {
            self.waiting.notify_one();
            self.go_on.notified().await;
        }
        Response::new(Either::Left(Full::from(format!("{length} bytes"))))
    }
}

struct Loop {
    address: SocketAddr,
    echo: Arc<Echo>,
    stop: Option<oneshot::Sender<()>>,
    ended: JoinHandle<()>,
}

const PATIENT: Duration = Duration::from_secs(60);

/// Limits that no test reaches by itself.
fn patient() -> Limits {
    Limits {
        head: PATIENT,
        body: PATIENT,
        answer: PATIENT,
        idle: PATIENT,
        head_bytes: 8192,
        connections: 100,
        grace: PATIENT,
    }
}

impl Loop {
    async fn start(limits: Limits) -> Loop {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let echo = Arc::new(Echo::default());
        let stopped = async move { stopped.await.unwrap_or(()) };
        let ended = tokio::spawn(listen::serve(listener, limits, stopped, echo.clone()));
        Loop { address, echo, stop: Some(stop), ended }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    fn stop(&mut self) {
        self.stop.take().unwrap().send(()).unwrap();
    }
}

/// Everything until the other side closes. (A reset is a close too.)
async fn rest(stream: &mut TcpStream) -> String {
    let (mut all, mut piece) = (Vec::new(), [0; 4096]);
    while let Ok(n @ 1..) = stream.read(&mut piece).await {
        all.extend_from_slice(&piece[..n]);
    }
    String::from_utf8(all).unwrap()
}

/// One answer of a connection that stays open.
async fn answer(stream: &mut TcpStream) -> String {
    let mut all = String::new();
    while !all.ends_with("bytes") {
        let mut piece = [0; 4096];
        let n = stream.read(&mut piece).await.unwrap();
        assert_ne!(n, 0, "closed after {all:?}");
        all += std::str::from_utf8(&piece[..n]).unwrap();
    }
    all
}

#[tokio::test]
async fn one_connection_many_requests() {
    let server = Loop::start(patient()).await;
    let mut stream = server.connect().await;
    for body in ["", "abc", "abcdef"] {
        let length = body.len();
        stream
            .write_all(
                format!("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n\r\n{body}").as_bytes(),
            )
            .await
            .unwrap();
        assert!(answer(&mut stream).await.ends_with(&format!("{length} bytes")));
    }
}

/// Each of these waits for something that never comes, with all limits but one out of reach; that the test
/// ends shows that the one closed it.
#[tokio::test]
async fn what_never_goes_on_is_closed() {
    let soon = Duration::from_millis(80);
    for (what, sent, limits) in [
        ("says nothing", "", Limits { idle: soon, ..patient() }),
        ("stops in the header", "POST / HTTP/1.1\r\nhos", Limits { head: soon, ..patient() }),
        (
            "stops in the body",
            "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\nabc",
            Limits { body: soon, ..patient() },
        ),
        (
            "never gets an answer",
            "GET /wait HTTP/1.1\r\nhost: x\r\n\r\n",
            Limits { answer: soon, ..patient() },
        ),
    ] {
        let server = Loop::start(limits).await;
        let mut stream = server.connect().await;
        stream.write_all(sent.as_bytes()).await.unwrap();
        assert_eq!(rest(&mut stream).await, "", "{what}");
    }
    // Between two requests.
    let server = Loop::start(Limits { idle: soon, ..patient() }).await;
    let mut stream = server.connect().await;
    stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    assert!(rest(&mut stream).await.ends_with("0 bytes"));
}

/// A header that comes byte by byte makes no progress that counts: the limit is for the whole of it.
#[tokio::test]
async fn a_trickle_is_not_progress() {
    let server = Loop::start(Limits { head: Duration::from_millis(150), ..patient() }).await;
    let (mut read, mut write) = server.connect().await.into_split();
    let trickle = tokio::spawn(async move {
        write.write_all(b"POST / HTTP/1.1\r\nx: ").await.unwrap();
        while write.write_all(b"a").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    let mut all = Vec::new();
    // Closed or reset.
    let _ = read.read_to_end(&mut all).await;
    assert_eq!(all, b"");
    trickle.await.unwrap();
}

#[tokio::test]
async fn a_header_has_an_end() {
    let server = Loop::start(patient()).await;
    let mut stream = server.connect().await;
    let long = format!("GET / HTTP/1.1\r\nhost: x\r\nx: {}\r\n\r\n", "a".repeat(20_000));
    // The other side may stop reading before we stop writing.
    let _ = stream.write_all(long.as_bytes()).await;
    let said = rest(&mut stream).await;
    assert!(said.is_empty() || said.starts_with("HTTP/1.1 431"), "{said}");
}

/// With as many slow connections as there may be, a new one is served, and the slowest of all has gone.
#[tokio::test]
async fn slow_connections_keep_nobody_out() {
    let server = Loop::start(Limits { connections: 5, ..patient() }).await;
    let mut slow = Vec::new();
    for _ in 0..5 {
        let mut stream = server.connect().await;
        stream.write_all(b"POST / HTTP/1.1\r\nhos").await.unwrap();
        slow.push(stream);
    }
    for _ in 0..20 {
        let mut stream = server.connect().await;
        stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        assert!(answer(&mut stream).await.ends_with("0 bytes"));
    }
}

#[tokio::test]
async fn the_end_answers_what_is_in_hand() {
    let mut server = Loop::start(patient()).await;
    let mut idle = server.connect().await;
    idle.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    answer(&mut idle).await;
    let mut in_hand = server.connect().await;
    in_hand.write_all(b"GET /wait HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    server.echo.waiting.notified().await;

    server.stop();
    assert_eq!(rest(&mut idle).await, "", "an idle connection is closed");
    assert!(TcpStream::connect(server.address).await.is_err(), "nobody new is let in");
    server.echo.go_on.notify_one();
    assert!(rest(&mut in_hand).await.ends_with("0 bytes"));
    server.ended.await.unwrap();
}

#[tokio::test]
async fn the_end_does_not_wait_for_ever() {
    let mut server = Loop::start(Limits { grace: Duration::from_millis(50), ..patient() }).await;
    let mut never = server.connect().await;
    never.write_all(b"GET /wait HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    server.echo.waiting.notified().await;
    server.stop();
    assert_eq!(rest(&mut never).await, "");
    server.ended.await.unwrap();
}
