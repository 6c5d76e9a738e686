//! How long it takes from starting the program to its first durable acknowledgement, on a store that exists,
//! and what it holds in memory when idle.
//!
//! Beside it, in turn, a yardstick: starting the same binary only to print its version.
//!
//! `cargo bench --bench start`

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const BINARY: &str = env!("CARGO_BIN_EXE_passerby");
const RUNS: usize = 21;

fn main() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let store = format!("sqlite:{}", folder.path().join("passerby.db").display());
    fill(&store, folder.path());

    let (mut starts, mut versions, mut idle) = (Vec::new(), Vec::new(), 0.0);
    for run in 0..RUNS {
        let began = Instant::now();
        let status = Command::new(BINARY).arg("--version").stdout(Stdio::null()).status();
        assert!(status.is_ok_and(|s| s.success()));
        versions.push(began.elapsed());

        let began = Instant::now();
        let mut server = serve(&store);
        first_event(server.address, run);
        starts.push(began.elapsed());
        if run == RUNS - 1 {
            std::thread::sleep(Duration::from_secs(3));
            idle = resident_mb(&server.child);
        }
        server.stop();
    }
    let (start, version) = (median(starts), median(versions));
    println!("start to first acknowledged event, median of {RUNS}: {:.1} ms", ms(start));
    println!("start to a printed version:                        {:.1} ms", ms(version));
    println!("ratio: {:.1}", ms(start) / ms(version));
    println!("resident memory, idle: {idle:.1} MB");
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

/// A store with some history and a day under way.
fn fill(store: &str, folder: &Path) {
    let mut log = String::new();
    for n in 0..20_000 {
        log += &format!(
            "84.{}.{}.9 - - [{:02}/Mar/2026:{:02}:{:02}:00 +0000] \"GET /page/{} HTTP/1.1\" 200 100 \"-\" \"Mozilla/5.0 (X11; Linux x86_64; rv:144.0) Gecko/20100101 Firefox/144.0\"\n",
            n % 200,
            n / 200,
            1 + n / 1000,
            n / 60 % 24,
            n % 60,
            n % 300,
        );
    }
    let file = folder.join("access.log");
    std::fs::write(&file, log).expect("a log");
    let status = Command::new(BINARY)
        .args(["import", "access-log"])
        .arg(&file)
        .args(["--site", "example.com", "--store", store])
        .stdout(Stdio::null())
        .status();
    assert!(status.is_ok_and(|s| s.success()), "the import");
    let mut server = serve(store);
    for n in 0..500 {
        first_event(server.address, 1_000_000 + n);
    }
    server.stop();
}

struct Server {
    child: Child,
    address: SocketAddr,
}

fn serve(store: &str) -> Server {
    let address = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a free port");
    let child = Command::new(BINARY)
        .args(["serve", "--site", "example.com", "--store", store, "--listen", &address.to_string()])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .expect("the server");
    Server { child, address }
}

impl Server {
    fn stop(&mut self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        let _ = self.child.wait();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends one event as soon as anybody listens, and waits for the 202.
fn first_event(address: SocketAddr, n: usize) {
    let body = format!(
        r#"{{"v":1,"site":"example.com","batch":"{n:032x}","sent":0,"events":[{{"type":"pageview","url":"https://example.com/page/{}"}}]}}"#,
        n % 300
    );
    let request = format!(
        "POST /api/track HTTP/1.1\r\nHost: a\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:144.0) Gecko/20100101 Firefox/144.0\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut stream = loop {
        match TcpStream::connect(address) {
            Ok(stream) => break stream,
            Err(_) => std::thread::sleep(Duration::from_micros(200)),
        }
    };
    stream.write_all(request.as_bytes()).expect("a request");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 202"), "{answer}");
}

fn resident_mb(child: &Child) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kb| kb.parse::<f64>().ok()).unwrap_or(0.0) / 1024.0
}
