//! What a durable acknowledgement costs: server CPU per request and requests a second.
//!
//! The real binary with a store on disk, sites, salts and real enrichment, beside two yardsticks on the same
//! accept loop: *bare* reads the body and answers 202; *file* also appends the body to a file under
//! group-committed `fdatasync`. Each is a process of its own, and its CPU time is what the kernel says
//! (`/proc/PID/stat`), so what the load generator uses does not count. All are measured in turn, five rounds,
//! and the median is printed.
//!
//! `cargo bench --bench ingest`

use bytes::Bytes;
use http_body_util::{BodyExt, Either, Full};
use hyper::body::Incoming;
use hyper::{Request, Response};
use passerby::web::listen::{self, Answer, Body, Connection, Limits};
use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};

const ROUNDS: usize = 5;
const WARM: Duration = Duration::from_millis(500);
const MEASURED: Duration = Duration::from_secs(2);
const CONNECTIONS: [usize; 3] = [32, 256, 512];
const EVENTS: [usize; 2] = [1, 10];
const SERVERS: [&str; 3] = ["bare", "file", "passerby"];

fn main() {
    let args: Vec<String> = std::env::args().collect();
    if let [_, serve, kind, address, folder] = &args[..]
        && serve == "serve"
    {
        return yardstick(kind, address, Path::new(folder));
    }
    let mut results: Vec<(usize, usize, &str, Vec<Measured>)> = Vec::new();
    for round in 0..ROUNDS {
        for connections in CONNECTIONS {
            for events in EVENTS {
                for server in SERVERS {
                    let measured = measure(server, connections, events);
                    match results.iter_mut().find(|r| (r.0, r.1, r.2) == (connections, events, server)) {
                        Some(result) => result.3.push(measured),
                        None => results.push((connections, events, server, vec![measured])),
                    }
                }
            }
        }
        eprintln!("round {} of {ROUNDS}", round + 1);
    }
    println!("median of {ROUNDS} rounds; CPU is the server process's, in us a request\n");
    println!("connections  events   server       CPU     requests/s    events/s   to bare   to file");
    for chunk in results.chunks(SERVERS.len()) {
        let cpu: Vec<f64> = chunk.iter().map(|r| median(r.3.iter().map(|m| m.cpu_us))).collect();
        for (row, own) in chunk.iter().zip(&cpu) {
            let rate = median(row.3.iter().map(|m| m.per_second));
            println!(
                "{:11} {:7}   {:9} {own:6.1} {rate:14.0} {:11.0} {:9.2} {:9.2}",
                row.0,
                row.1,
                row.2,
                rate * row.1 as f64,
                own / cpu[0],
                own / cpu[1],
            );
        }
    }
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

struct Measured {
    cpu_us: f64,
    per_second: f64,
}

/// Starts a server, puts it under load, and measures.
fn measure(server: &str, connections: usize, events: usize) -> Measured {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let address = free_address();
    let mut child = Running(start(server, address, folder.path()));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let measured = runtime.block_on(async {
        wait_for(address).await;
        let answered = Arc::new(AtomicU64::new(0));
        let load: Vec<_> = (0..connections)
            .map(|n| tokio::spawn(connection(address, n as u64, events, answered.clone())))
            .collect();
        tokio::time::sleep(WARM).await;
        let (began, before, cpu) = (Instant::now(), answered.load(Relaxed), cpu_ticks(&child.0));
        tokio::time::sleep(MEASURED).await;
        let (requests, cpu) = (answered.load(Relaxed) - before, cpu_ticks(&child.0) - cpu);
        let seconds = began.elapsed().as_secs_f64();
        load.iter().for_each(|task| task.abort());
        Measured {
            cpu_us: cpu as f64 * 10_000.0 / requests.max(1) as f64,
            per_second: requests as f64 / seconds,
        }
    });
    let _ = child.0.kill();
    measured
}

/// A server that ends with its measurement, whatever happens.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a free port")
}

fn start(server: &str, address: SocketAddr, folder: &Path) -> Child {
    let mut command = match server {
        "passerby" => {
            let mut command = Command::new(env!("CARGO_BIN_EXE_passerby"));
            let store = format!("sqlite:{}", folder.join("passerby.db").display());
            let proxy = "127.0.0.0/8";
            command.args(["serve", "--site", "example.com", "--store", &store, "--trusted-proxy", proxy]);
            command.args(["--listen", &address.to_string()]);
            command
        }
        kind => {
            let mut command = Command::new(std::env::current_exe().expect("our own path"));
            command.args(["serve", kind, &address.to_string()]).arg(folder);
            command
        }
    };
    command.stdout(Stdio::null()).stdin(Stdio::null()).spawn().expect("a server")
}

/// CPU time of a process, user and system, in hundredths of a second.
fn cpu_ticks(child: &Child) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", child.id())).expect("a running server");
    // The fields after the name, which may hold spaces, begin with the third.
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or("").split(' ').collect();
    [fields[11], fields[12]].iter().map(|n| n.parse::<u64>().unwrap_or(0)).sum()
}

async fn wait_for(address: SocketAddr) {
    for _ in 0..1000 {
        if TcpStream::connect(address).await.is_ok() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the server does not answer");
}

const AGENTS: [&str; 6] = [
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.6 Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (X11; Linux x86_64; rv:144.0) Gecko/20100101 Firefox/144.0",
    "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Mobile Safari/537.36",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.6 Safari/605.1.15",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36 Edg/141.0.0.0",
];

/// One connection: a request, its answer, the next.
async fn connection(address: SocketAddr, n: u64, events: usize, answered: Arc<AtomicU64>) {
    let Ok(mut stream) = TcpStream::connect(address).await else {
        return;
    };
    let _ = stream.set_nodelay(true);
    let mut answer = vec![0; 4096];
    let mut number = n << 32;
    loop {
        number += 1;
        let request = request(number, events);
        if stream.write_all(&request).await.is_err() {
            return;
        }
        let mut have = 0;
        loop {
            match stream.read(&mut answer[have..]).await {
                Ok(read) if read > 0 => have += read,
                _ => return,
            }
            if complete(&answer[..have]) {
                break;
            }
        }
        assert!(answer.starts_with(b"HTTP/1.1 202"), "{}", String::from_utf8_lossy(&answer[..have]));
        answered.fetch_add(1, Relaxed);
    }
}

fn complete(answer: &[u8]) -> bool {
    let Some(end) = answer.windows(4).position(|w| w == b"\r\n\r\n") else {
        return false;
    };
    let head = String::from_utf8_lossy(&answer[..end]).to_ascii_lowercase();
    let length =
        head.split("content-length: ").nth(1).and_then(|l| l.split("\r\n").next()?.trim().parse().ok());
    answer.len() >= end + 4 + length.unwrap_or(0)
}

/// A browser's request: a visitor's address from a proxy, an agent, a batch.
fn request(number: u64, events: usize) -> Vec<u8> {
    let mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let visitor = mixed >> 40 & 0xffff;
    let mut body =
        format!(r#"{{"v":1,"site":"example.com","batch":"{mixed:016x}{number:016x}","sent":2,"events":["#);
    for i in 0..events {
        let page = mixed.wrapping_add(i as u64) % 300;
        let comma = if i > 0 { "," } else { "" };
        body.push_str(&format!(
            r#"{comma}{{"type":"pageview","url":"https://example.com/articles/{page}?utm_source=newsletter","ref":"https://www.google.com/","age":{i},"width":1440}}"#
        ));
    }
    body.push_str("]}");
    format!(
        "POST /api/track HTTP/1.1\r\nHost: stats.example.com\r\nUser-Agent: {}\r\nAccept: */*\r\n\
         Accept-Language: de-DE,de;q=0.9,en;q=0.8\r\nContent-Type: text/plain;charset=UTF-8\r\n\
         Origin: https://example.com\r\nReferer: https://example.com/\r\nX-Forwarded-For: 84.{}.{}.17\r\n\
         Content-Length: {}\r\n\r\n{body}",
        AGENTS[(visitor % 6) as usize],
        visitor >> 8 & 0xff,
        visitor & 0xff,
        body.len(),
    )
    .into_bytes()
}

/// The yardsticks' process.
fn yardstick(kind: &str, address: &str, folder: &Path) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind(address).await.expect("the port");
        let never = std::future::pending::<()>();
        let file = (kind == "file").then(|| log_file(folder));
        listen::serve(listener, Limits::default(), never, Arc::new(Plain { file })).await;
    });
}

/// Reads the body, perhaps appends it to a file, and says 202.
struct Plain {
    file: Option<mpsc::UnboundedSender<(Bytes, oneshot::Sender<()>)>>,
}

impl Answer for Plain {
    async fn answer(&self, request: Request<Incoming>, _: &Connection) -> Response<Body> {
        let body = request.into_body().collect().await.map(|b| b.to_bytes()).unwrap_or_default();
        if let Some(file) = &self.file {
            let (durable, wait) = oneshot::channel();
            let _ = file.send((body, durable));
            let _ = wait.await;
        }
        let mut answer =
            Response::new(Either::Left(Full::new(Bytes::from_static(br#"{"accepted":1,"dropped":[]}"#))));
        *answer.status_mut() = hyper::StatusCode::ACCEPTED;
        answer
    }
}

/// A thread that appends what waits in one write, makes it durable, and answers all.
fn log_file(folder: &Path) -> mpsc::UnboundedSender<(Bytes, oneshot::Sender<()>)> {
    let mut file = std::fs::File::create(folder.join("log")).expect("a file");
    let (send, mut receive) = mpsc::unbounded_channel::<(Bytes, oneshot::Sender<()>)>();
    std::thread::spawn(move || {
        let mut waiting = Vec::new();
        while receive.blocking_recv_many(&mut waiting, 10_000) > 0 {
            let bytes: Vec<u8> = waiting.iter().flat_map(|(body, _)| body.iter().copied()).collect();
            file.write_all(&bytes).and_then(|()| file.sync_data()).expect("a disk");
            for (_, durable) in waiting.drain(..) {
                let _ = durable.send(());
            }
        }
    });
    send
}
