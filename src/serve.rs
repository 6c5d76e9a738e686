//! `passerby serve`: from options to a running server, and from a signal to a clean end.

use crate::app::{self, App, Parts};
use crate::config::Config;
use crate::salts::{self, Level, Salts};
use crate::web::{self, listen};
use crate::{jobs, signin, store};
use anyhow::{Context, Result, anyhow};
use std::ffi::OsStr;
use std::fmt::Write;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// From the signal to the end of the process, at most.
const END_WITHIN: Duration = Duration::from_millis(4_800);

/// Serves until SIGTERM or SIGINT.
pub fn serve(config: Config) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("the server's runtime cannot start")?;
    let served = runtime.block_on(run(config));
    // What is left are connections without a request in hand. With the last of them goes the store, whose
    // end folds its write-ahead log into the file.
    runtime.shutdown_timeout(Duration::from_millis(500));
    served
}

async fn run(config: Config) -> Result<()> {
    // Before anything is said, so that a signal from now on finds us listening.
    let signals = Signals::new()?;
    // The port before the store: a second server started by mistake leaves no trace.
    let listener = TcpListener::bind(config.listen).await.map_err(|e| cannot_listen(config.listen, &e))?;
    let address = listener.local_addr().context("the address listened on cannot be read")?;
    let store = store::open(&config.store)?;
    let file = store::file(&config.store)?;
    let folders = salts::folders(config.runtime_directory.as_deref().map(OsStr::new));
    let parts = Parts {
        store,
        salts: Salts::open(&file, &folders, salts::swap_is_on),
        clock: app::system_clock(),
        web: config.web,
        geo: config.geo,
        password: config.password,
    };
    let app = Arc::new(App::open(parts).await?);
    for domain in &config.sites {
        app.sites.add(domain, None, app.now_ms()).await?;
    }
    let jobs = jobs::start(&app);
    let hashing = app.clone();
    tokio::spawn(async move { hashing.password.hash_now().await });
    print!("{}", greeting(&app, address, &file).await?);

    let door = Arc::new(web::Door::new(app.clone()));
    listen::serve(listener, listen::Limits::default(), signals.first(), door).await;

    drop(jobs);
    app.close().await;
    Ok(())
}

/// SIGTERM and SIGINT.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> Result<Signals> {
        let listen = |kind| signal(kind).context("signals cannot be listened for");
        Ok(Signals {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }

    /// Ready at the first signal. From then on a thread of its own sees to it that the process ends: at a
    /// second signal, or when the time is over. Nothing that was acknowledged depends on a clean end.
    async fn first(mut self) {
        self.next().await;
        tokio::spawn(async move {
            self.next().await;
            std::process::exit(130);
        });
        std::thread::spawn(|| {
            std::thread::sleep(END_WITHIN);
            web::log("the end took too long; the next start reads the log from the last checkpoint on");
            std::process::exit(0);
        });
    }
}

fn cannot_listen(address: SocketAddr, error: &std::io::Error) -> anyhow::Error {
    match error.kind() {
        ErrorKind::AddrInUse => {
            anyhow!("cannot listen on {address}: the port is in use; choose another with --listen")
        }
        ErrorKind::AddrNotAvailable => {
            anyhow!("cannot listen on {address}: this machine has no such address")
        }
        ErrorKind::PermissionDenied => {
            anyhow!("cannot listen on {address}: no permission for this port; those from 1024 on need none")
        }
        _ => anyhow!("cannot listen on {address}: {error}"),
    }
}

/// What a start says: where the dashboard is, what to paste, where the data lies.
async fn greeting(app: &App, address: SocketAddr, file: &Path) -> Result<String> {
    let base = base(address);
    let mut text = format!("Passerby {}\n\n  Dashboard  {base}/\n", env!("CARGO_PKG_VERSION"));
    if signin::is_first_run(&*app.store).await? {
        let token = signin::new_link(&*app.store, app.now_ms()).await?;
        writeln!(
            text,
            "  Sign in    {}\n             (works once, within a day; `{} sign-in` makes another)",
            link(address, &token),
            program()
        )?;
    }
    if let Level::Memory(_) = app.salts.level() {
        writeln!(text, "  Note       {}", app.salts.level())?;
    }
    if let Some(e) = app.salts.unlocked() {
        writeln!(text, "  Note       salts lie in memory that could not be locked: {e}")?;
    }
    let data = file.canonicalize().unwrap_or(file.to_owned());
    writeln!(text, "  Data       {}", data.display())?;
    let sites = app.sites.all(app.now_ms()).await?;
    if sites.is_empty() {
        writeln!(text, "\nNo site yet. Add yours, then paste the line into the <head> of every page:\n")?;
        writeln!(text, "  {} site add example.com", program())?;
        writeln!(text, "  {}\n", snippet(&base, "example.com"))?;
    } else {
        writeln!(text, "\nPaste into the <head> of every page:\n")?;
        for site in &sites {
            writeln!(text, "  {}", snippet(&base, site.domain()))?;
        }
        writeln!(text)?;
    }
    Ok(text)
}

/// The one line of HTML that counts a site.
pub fn snippet(base: &str, domain: &str) -> String {
    format!(r#"<script defer src="{base}/p.js" data-site="{domain}"></script>"#)
}

/// How this program was called, for commands to copy.
fn program() -> String {
    std::env::args().next().unwrap_or_else(|| "passerby".to_owned())
}

/// The address of a one-time link.
pub fn link(address: SocketAddr, token: &str) -> String {
    format!("{}/sign-in?token={token}", base(address))
}

/// How a browser on this machine reaches an address that is listened on.
fn base(address: SocketAddr) -> String {
    if address.ip().is_unspecified() {
        format!("http://localhost:{}", address.port())
    } else {
        format!("http://{address}")
    }
}
