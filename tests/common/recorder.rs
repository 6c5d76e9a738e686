//! A small HTTP server of the tests' own: serves pages and the script, records what the script sends, and
//! answers as told.

use serde_json::Value;
use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

/// What becomes of the next batch; when nothing is planned it is answered 202.
#[derive(Clone)]
pub enum Plan {
    Answer(u16),
    RetryAfter(u16, u32),
    /// Read, and then the connection closed without an answer.
    Drop,
    /// Answered 202 after this long.
    Slow(Duration),
}

/// A batch that arrived.
#[derive(Clone, Debug)]
pub struct Received {
    pub at: Instant,
    pub bytes: usize,
    pub content_type: String,
    pub cookie: Option<String>,
    pub batch: Value,
}

impl Received {
    pub fn events(&self) -> &[Value] {
        self.batch["events"].as_array().expect("events")
    }
}

#[derive(Default)]
struct Shared {
    received: Mutex<Vec<Received>>,
    arrived: Condvar,
    plan: Mutex<VecDeque<Plan>>,
    /// Attributes of the script's tag, beside `src`.
    tag: Mutex<String>,
}

pub struct Recorder {
    /// Where pages are served: `http://127.0.0.1:PORT`.
    pub pages: String,
    shared: Arc<Shared>,
}

impl Recorder {
    /// Pages carry the script with these attributes, from another origin than their own.
    pub fn start(tag: &str) -> Recorder {
        let shared = Arc::new(Shared::default());
        *shared.tag.lock().unwrap() = tag.to_owned();
        let stats = serve(&shared, None);
        let pages = serve(&shared, Some(format!("http://127.0.0.1:{stats}")));
        Recorder { pages: format!("http://127.0.0.1:{pages}"), shared }
    }

    /// Pages whose script comes from a server that runs elsewhere; nothing is recorded.
    pub fn pages_of(stats: &str, tag: &str) -> Recorder {
        let shared = Arc::new(Shared::default());
        *shared.tag.lock().unwrap() = tag.to_owned();
        let pages = serve(&shared, Some(stats.to_owned()));
        Recorder { pages: format!("http://127.0.0.1:{pages}"), shared }
    }

    pub fn plan(&self, plan: impl IntoIterator<Item = Plan>) {
        self.shared.plan.lock().unwrap().extend(plan);
    }

    /// What has arrived, as soon as it satisfies `enough`.
    pub fn wait(&self, what: &str, enough: impl Fn(&[Received]) -> bool) -> Vec<Received> {
        let received = self.shared.received.lock().unwrap();
        let waited =
            self.shared.arrived.wait_timeout_while(received, Duration::from_secs(60), |all| !enough(all));
        let (received, out) = waited.unwrap();
        assert!(!out.timed_out(), "never arrived: {what}; what did:\n{received:#?}");
        received.clone()
    }

    /// All events that have arrived, as soon as they satisfy `enough`.
    pub fn wait_events(&self, what: &str, enough: impl Fn(&[Value]) -> bool) -> Vec<Value> {
        events(&self.wait(what, |all| enough(&events(all))))
    }
}

pub fn events(received: &[Received]) -> Vec<Value> {
    received.iter().flat_map(|one| one.events().to_vec()).collect()
}

/// Serves on a free port. With `stats` pages, without it the script and the collector.
fn serve(shared: &Arc<Shared>, stats: Option<String>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("bound").port();
    let shared = shared.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (shared, stats) = (shared.clone(), stats.clone());
            std::thread::spawn(move || answer(stream, &shared, stats.as_deref()));
        }
    });
    port
}

/// One request a connection.
fn answer(mut stream: TcpStream, shared: &Shared, stats: Option<&str>) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let (method, target) = line.split_once(' ').map(|(m, rest)| (m.to_owned(), rest.to_owned()))?;
    let target = target.split(' ').next()?.to_owned();
    let (mut length, mut content_type, mut cookie) = (0, String::new(), None);
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        let Some((name, value)) = header.trim().split_once(':') else {
            break;
        };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.trim().parse().ok()?,
            "content-type" => content_type = value.trim().to_owned(),
            "cookie" => cookie = Some(value.trim().to_owned()),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;

    let reply = |status: &str, headers: &str, body: &str| {
        let length = body.len();
        format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n{body}")
    };
    let text = if let Some(stats) = stats {
        let tag = shared.tag.lock().unwrap().clone();
        let html = page(&target, stats, &tag);
        reply("200 OK", "Content-Type: text/html\r\nSet-Cookie: own=1; Path=/\r\n", &html)
    } else if method == "GET" && target == "/p.js" {
        reply("200 OK", "Content-Type: text/javascript\r\n", passerby::web::script::SCRIPT)
    } else if method == "POST" && target == "/api/track" {
        let plan = shared.plan.lock().unwrap().pop_front().unwrap_or(Plan::Answer(202));
        let batch = serde_json::from_slice(&body).unwrap_or(Value::Null);
        let received = Received { at: Instant::now(), bytes: length, content_type, cookie, batch };
        shared.received.lock().unwrap().push(received);
        shared.arrived.notify_all();
        let cors = "Access-Control-Allow-Origin: *\r\nAccess-Control-Expose-Headers: Retry-After\r\n";
        match plan {
            Plan::Drop => return None,
            Plan::Answer(status) => reply(&format!("{status} X"), cors, "{}"),
            Plan::RetryAfter(status, s) => {
                reply(&format!("{status} X"), &format!("{cors}Retry-After: {s}\r\n"), "")
            }
            Plan::Slow(time) => {
                std::thread::sleep(time);
                reply("202 X", cors, "{}")
            }
        }
    } else {
        reply("404 X", "", "")
    };
    stream.write_all(text.as_bytes()).ok()
}

/// Every page is 4 screens high and calls the script before it is there. `/plain` has no script.
fn page(target: &str, stats: &str, tag: &str) -> String {
    let script = match target {
        "/plain" => String::new(),
        _ => format!(
            "<script>window.passerby=window.passerby||function(){{(passerby.q=passerby.q||[]).push(arguments)}};
             window.errors=[];addEventListener('error',e=>errors.push(e.message))</script>
             <script defer src='{stats}/p.js' {tag}></script>"
        ),
    };
    format!("<!doctype html><title>{target}</title>{script}<body style='margin:0;height:400vh'>page")
}
