//! A real browser, driven over its own pipe: as much of the Chrome DevTools Protocol as the tests need.
//!
//! Chromium reads commands from descriptor 3 and writes answers to descriptor 4, JSON with a NUL after each.
//! A shell moves our two pipes there, so that this needs no unsafe code and no crate.

use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

const PROGRAM: &str = "/usr/bin/chromium";

/// How long anything may take before the test fails.
pub const PATIENCE: Duration = Duration::from_secs(60);

const FLAGS: [&str; 12] = [
    "--headless=new",
    "--remote-debugging-pipe",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--window-size=1440,900",
    "about:blank",
];

/// A running browser with an empty profile of its own. Stopped when dropped.
pub struct Chromium {
    child: Child,
    input: Mutex<ChildStdin>,
    /// What it said; commands are given one at a time, so the next answer belongs to the last command.
    output: Mutex<Receiver<Value>>,
    next_id: AtomicU64,
    _profile: tempfile::TempDir,
}

impl Chromium {
    pub fn start() -> Chromium {
        Chromium::start_with(&[])
    }

    /// Starts it with further flags.
    pub fn start_with(flags: &[&str]) -> Chromium {
        assert!(
            std::path::Path::new(PROGRAM).exists(),
            "these tests drive a real browser, and {PROGRAM} is not there: apt-get install chromium"
        );
        let profile = tempfile::tempdir().expect("a folder for the profile");
        let mut child = Command::new("sh")
            .args(["-c", "exec \"$@\" 3<&0 4>&1 0</dev/null 1>/dev/null 2>/dev/null", "sh", PROGRAM])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .args(flags)
            .args(FLAGS)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("chromium starts");
        let input = child.stdin.take().expect("its input is a pipe");
        let mut answers = BufReader::new(child.stdout.take().expect("its output is a pipe"));
        let (tell, output) = channel();
        std::thread::spawn(move || {
            let mut message = Vec::new();
            while answers.read_until(0, &mut message).is_ok_and(|n| n > 0) {
                message.pop();
                let Ok(value) = serde_json::from_slice(&message) else {
                    break;
                };
                if tell.send(value).is_err() {
                    break;
                }
                message.clear();
            }
        });
        let next_id = AtomicU64::new(1);
        Chromium { child, input: Mutex::new(input), output: Mutex::new(output), next_id, _profile: profile }
    }

    /// Gives a command and waits for its answer; what happens meanwhile is not listened to.
    pub fn call(&self, session: Option<&str>, method: &str, params: Value) -> Result<Value, String> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let mut command = json!({"id": id, "method": method, "params": params});
        if let Some(session) = session {
            command["sessionId"] = session.into();
        }
        let output = self.output.lock().expect("no test panicked within a call");
        let mut bytes = command.to_string().into_bytes();
        bytes.push(0);
        let sent = self.input.lock().expect("as above").write_all(&bytes);
        sent.map_err(|e| format!("{method}: chromium has gone: {e}"))?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let message = output.recv_timeout(left).map_err(|e| format!("{method}: no answer: {e}"))?;
            if message["id"] != id {
                continue;
            }
            return match message.get("error") {
                Some(error) => Err(format!("{method}: {error}")),
                None => Ok(message["result"].clone()),
            };
        }
    }

    /// Opens a tab in front, which hides the one that was.
    pub fn tab(&self) -> Tab<'_> {
        let made = self.call(None, "Target.createTarget", json!({"url": "about:blank"})).unwrap();
        let target = made["targetId"].as_str().expect("a target").to_owned();
        let how = json!({"targetId": target, "flatten": true});
        let attached = self.call(None, "Target.attachToTarget", how).unwrap();
        let session = attached["sessionId"].as_str().expect("a session").to_owned();
        let tab = Tab { browser: self, target, session };
        tab.call("Page.enable", json!({}));
        tab
    }
}

impl Drop for Chromium {
    fn drop(&mut self) {
        let _ = self.call(None, "Browser.close", json!({}));
        for _ in 0..100 {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub struct Tab<'a> {
    browser: &'a Chromium,
    target: String,
    session: String,
}

impl Tab<'_> {
    pub fn call(&self, method: &str, params: Value) -> Value {
        self.browser.call(Some(&self.session), method, params).unwrap_or_else(|e| panic!("{e}"))
    }

    /// Goes to an address and waits until its page has loaded.
    pub fn navigate(&self, url: &str) {
        let gone = self.call("Page.navigate", json!({"url": url}));
        assert!(gone.get("errorText").is_none(), "{url}: {gone}");
        self.wait("document.readyState == 'complete'");
    }

    /// The value of an expression; a promise is awaited.
    pub fn eval(&self, expression: &str) -> Value {
        self.try_eval(expression).unwrap_or_else(|e| panic!("{e}"))
    }

    /// The same, where a navigation may take the page away under it.
    fn try_eval(&self, expression: &str) -> Result<Value, String> {
        let how = json!({"expression": expression, "awaitPromise": true, "returnByValue": true, "userGesture": true});
        let done = self.browser.call(Some(&self.session), "Runtime.evaluate", how)?;
        match done.get("exceptionDetails") {
            Some(thrown) => Err(format!("{expression}: {thrown}")),
            None => Ok(done["result"]["value"].clone()),
        }
    }

    /// Waits until an expression is true.
    pub fn wait(&self, expression: &str) {
        let deadline = Instant::now() + PATIENCE;
        while self.try_eval(&format!("!!({expression})")) != Ok(true.into()) {
            assert!(Instant::now() < deadline, "never true: {expression}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Brings the tab to the front: what was there is hidden.
    pub fn to_front(&self) {
        self.call("Page.bringToFront", json!({}));
    }

    /// Closes the tab as a person would: its page is told.
    pub fn close(self) {
        self.call("Page.close", json!({}));
        let deadline = Instant::now() + PATIENCE;
        let is_there = || {
            let targets = self.browser.call(None, "Target.getTargets", json!({})).unwrap_or_default();
            let mut targets = targets["targetInfos"].as_array().cloned().unwrap_or_default().into_iter();
            targets.any(|target| target["targetId"] == self.target.as_str())
        };
        while is_there() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Takes the network away, or gives it back.
    pub fn offline(&self, offline: bool) {
        self.call("Network.enable", json!({}));
        let how = json!({"offline": offline, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1});
        self.call("Network.emulateNetworkConditions", how);
    }

    /// How large the page is, and whether it prefers a dark scheme.
    pub fn look(&self, width: u32, height: u32, dark: bool) {
        let size = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600});
        self.call("Emulation.setDeviceMetricsOverride", size);
        let scheme = if dark { "dark" } else { "light" };
        let features = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        self.call("Emulation.setEmulatedMedia", features);
    }

    /// What the page looks like: a PNG.
    pub fn screenshot(&self, whole_page: bool) -> Vec<u8> {
        let how = json!({"format": "png", "captureBeyondViewport": whole_page});
        let shot = self.call("Page.captureScreenshot", how);
        from_base64(shot["data"].as_str().expect("a picture"))
    }
}

fn from_base64(text: &str) -> Vec<u8> {
    const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut bytes = Vec::with_capacity(text.len() * 3 / 4);
    let (mut held, mut bits) = (0_u32, 0);
    for value in text.bytes().filter_map(|c| ALPHABET.bytes().position(|a| a == c)) {
        held = held << 6 | value as u32;
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push((held >> bits) as u8);
        }
    }
    bytes
}
