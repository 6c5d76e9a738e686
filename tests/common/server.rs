//! The real binary, started by a test on a free loopback port, and killed with it.

use super::http::Client;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

pub const BINARY: &str = env!("CARGO_BIN_EXE_passerby");

/// A loopback port that was free a moment ago.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("its number").port()
}

pub struct Server {
    pub child: Child,
    pub address: SocketAddr,
    pub store: PathBuf,
    /// Where standard output and error went.
    pub log: PathBuf,
}

/// How to start one.
pub struct Start<'a> {
    pub folder: &'a Path,
    pub args: &'a [&'a str],
    pub envs: &'a [(&'a str, &'a str)],
}

impl Start<'_> {
    /// Starts the binary without waiting for it to answer.
    pub fn spawn(&self) -> Server {
        let address: SocketAddr = ([127, 0, 0, 1], free_port()).into();
        let store = self.folder.join("data").join("passerby.db");
        let log = self.folder.join("server.log");
        let out = std::fs::OpenOptions::new().create(true).append(true).open(&log).expect("a log file");
        let child = Command::new(BINARY)
            .arg("serve")
            .args(["--listen", &address.to_string(), "--store", &store_url(&store)])
            .args(self.args)
            .env_clear()
            .envs(self.envs.iter().copied())
            .stdin(Stdio::null())
            .stdout(out.try_clone().expect("the log file twice"))
            .stderr(out)
            .spawn()
            .expect("the binary starts");
        Server { child, address, store, log }
    }

    /// Starts the binary and waits until it answers.
    pub fn ready(&self) -> Server {
        let server = self.spawn();
        server.wait();
        server
    }
}

pub fn store_url(store: &Path) -> String {
    format!("sqlite:{}", store.display())
}

impl Server {
    /// Starts the binary in a folder with one site, and waits until it answers.
    pub fn start(folder: &Path) -> Server {
        Start { folder, args: &["--site", "example.com"], envs: &[] }.ready()
    }

    pub fn client(&self) -> Client {
        Client::new(self.address)
    }

    /// Waits until the server answers.
    pub fn wait(&self) {
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(20) {
            if self.client().get("/health").is_ok_and(|a| a.status == 200) {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("the server does not answer; its log:\n{}", self.log_text());
    }

    pub fn log_text(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// kill -9.
    pub fn kill(mut self) {
        self.child.kill().expect("a running server");
        self.child.wait().expect("its end");
    }

    /// SIGTERM, and its answer within the promised five seconds (and some for a busy machine).
    pub fn stop(mut self) -> ExitStatus {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("a running server");
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("its state") {
                return status;
            }
            assert!(
                began.elapsed() < Duration::from_secs(15),
                "still running; its log:\n{}",
                self.log_text()
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// A command of the binary on the server's store.
    pub fn command(&self, args: &[&str]) -> std::process::Output {
        command(&self.store, args)
    }
}

/// A command of the binary on a store.
pub fn command(store: &Path, args: &[&str]) -> std::process::Output {
    Command::new(BINARY)
        .args(args)
        .args(["--store", &store_url(store)])
        .env_clear()
        .stdin(Stdio::null())
        .output()
        .expect("the binary runs")
}

/// A report, asked from the command line.
pub fn query(store: &Path, site: &str, json: &str) -> serde_json::Value {
    let output = command(store, &["query", "--site", site, json]);
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{json}\n{out}{err}");
    serde_json::from_str(&out).unwrap_or_else(|e| panic!("{e}: {out}"))
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
