//! The commands that are not `serve`: each opens the store, does one thing, says one thing. They work while
//! a server runs on the same store, and the server shows within a second what they brought.

use crate::answer::Source;
use crate::cli::{Cli, Command, ImportCommand, KeyCommand, QueryArgs, SignInArgs, SiteCommand};
use crate::config::{self, Config, Environment};
use crate::import::{self, AccessLog, Outcome};
use crate::sites::{self, Added, Site, Sites};
use crate::store::{self, Store};
use crate::web::{AskError, ask};
use crate::{app, keys, signin};
use anyhow::{Context, Result, anyhow, bail};
use clap::Parser;
use passerby_engine::enrich::Tables;
use passerby_engine::place;
use rustix::process::{Resource, Rlimit, setrlimit};
use std::ffi::OsString;
use std::io::{BufRead, Write};
use std::process::ExitCode;
use std::sync::Arc;

/// The whole program: arguments and environment in, exit code out. What goes wrong is one line on standard
/// error and exit code 1; a command line that makes no sense is clap's to explain, with exit code 2.
pub fn run(arguments: impl IntoIterator<Item = OsString>, environment: Environment) -> ExitCode {
    leave_no_dump();
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(e) => {
            // Help and version come this way too; that they cannot be printed is nobody's to hear.
            let _ = e.print();
            return ExitCode::from(u8::try_from(e.exit_code()).unwrap_or(1));
        }
    };
    match dispatch(cli, environment) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("passerby: {e:#}");
            ExitCode::FAILURE
        }
    }
}

/// Addresses and agents are in memory while a request is answered: a crash must not write them to a disk.
/// Where the system does not grant it, the process runs all the same.
fn leave_no_dump() {
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    let _ = setrlimit(Resource::Core, none);
    #[cfg(target_os = "linux")]
    // The limit does not stop a handler of dumps that the system pipes them to; this does.
    let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
}

fn dispatch(cli: Cli, environment: Environment) -> Result<()> {
    match cli.command.unwrap_or(Command::Serve(cli.serve)) {
        Command::Serve(args) => crate::serve::serve(Config::new(args, environment)?),
        Command::Site(command) => block_on(site(command, environment)),
        Command::Key(command) => block_on(key(command, environment)),
        Command::Query(args) => block_on(query(args, environment)),
        Command::Import(command) => block_on(import(command, environment)),
        Command::SignIn(args) => block_on(sign_in(args, environment)),
    }
}

/// Runs a command on this thread alone.
fn block_on(command: impl Future<Output = Result<()>>) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.context("the command's runtime cannot start")?.block_on(command)
}

async fn site(command: SiteCommand, environment: Environment<'_>) -> Result<()> {
    let now_ms = (app::system_clock())();
    match command {
        SiteCommand::Add { domain, timezone, store } => {
            let domain = config::domain(&domain)?;
            let zone = timezone.as_deref().map(config::timezone).transpose()?;
            let sites = Sites::open(open(store, environment)?).await?;
            match sites.add(&domain, zone.as_deref(), now_ms).await? {
                Added::New => {
                    say(&format!("Added {domain}, with days in {}.", zone.as_deref().unwrap_or("UTC")))
                }
                Added::ZoneFrom(from_ms) => {
                    let from = jiff::Timestamp::from_millisecond(from_ms)
                        .context("the next midnight is out of range")?;
                    let zone = zone.unwrap_or_default();
                    say(&format!(
                        "The days of {domain} are in {zone} from {from} on; those before stay as they were counted."
                    ))
                }
                Added::Unchanged => say(&format!("{domain} is already here.")),
            }
        }
        SiteCommand::List { store } => {
            for site in Sites::open(open(store, environment)?).await?.all(now_ms).await? {
                let created = jiff::Timestamp::from_millisecond(site.stored.created_ms).unwrap_or_default();
                let created = created.strftime("%Y-%m-%d");
                say(&format!("{}\t{}\tsince {created}", site.domain(), site.zone_name(now_ms)))?;
            }
            Ok(())
        }
        SiteCommand::Remove { domain, yes, store } => {
            let domain = config::domain(&domain)?;
            let store = open(store, environment)?;
            let sites = Sites::open(store.clone()).await?;
            if sites.get(&domain, now_ms).await?.is_none() {
                bail!("there is no site {domain}");
            }
            if !yes {
                say(&format!("This erases everything counted for {domain}. Type its name again to go on:"))?;
                let mut typed = String::new();
                std::io::stdin().lock().read_line(&mut typed).context("the answer cannot be read")?;
                if typed.trim() != domain {
                    bail!("that is not {domain}: nothing was removed");
                }
            }
            let removed = sites.remove(&domain).await?;
            let id = removed.with_context(|| format!("there is no site {domain}"))?;
            let erased = sites::erase(&store, id).await;
            erased
                .with_context(|| format!("{domain} is counted no more, but its counts are not all erased"))?;
            say(&format!("Removed {domain}."))
        }
    }
}

async fn key(command: KeyCommand, environment: Environment<'_>) -> Result<()> {
    let now_ms = (app::system_clock())();
    match command {
        KeyCommand::Add { name, site, store } => {
            if name.trim().is_empty() || name.contains(char::is_control) {
                bail!("{name:?} is no name for a key: write one like grafana");
            }
            let store = open(store, environment)?;
            let site = match site {
                Some(domain) => Some(find_site(&store, &domain, now_ms).await?.id),
                None => None,
            };
            let key = keys::add(&*store, &name, site, now_ms).await?;
            let key = key.with_context(|| format!("there is a key called {name:?} already"))?;
            eprintln!("This is shown once, keep it well:");
            say(&key)
        }
        KeyCommand::List { store } => {
            let store = open(store, environment)?;
            let sites = Sites::open(store.clone()).await?.all(now_ms).await?;
            for (_, _, key) in keys::list(&*store).await? {
                let reads = match key.site {
                    None => "all sites",
                    Some(id) => sites
                        .iter()
                        .find(|site| site.id == id)
                        .map_or("a site that was removed", |site| site.domain()),
                };
                say(&format!("{}\t{reads}", key.name))?;
            }
            Ok(())
        }
        KeyCommand::Remove { name, store } => {
            let store = open(store, environment)?;
            if !keys::remove(&*store, &name).await? {
                bail!("there is no key called {name:?}");
            }
            say(&format!("Removed the key {name:?}."))
        }
    }
}

async fn query(args: QueryArgs, environment: Environment<'_>) -> Result<()> {
    let now_ms = (app::system_clock())();
    let store = open(args.store, environment)?;
    let site = find_site(&store, &args.site, now_ms).await?;
    match ask(&Source::alone(store), &site, args.query.as_bytes(), now_ms).await {
        Ok(report) => say(&report),
        Err(AskError::Query(sentence)) => bail!("{sentence}"),
        Err(AskError::Store(error)) => Err(error.into()),
    }
}

async fn import(command: ImportCommand, environment: Environment<'_>) -> Result<()> {
    let now_ms = (app::system_clock())();
    match command {
        ImportCommand::AccessLog { files, site, keep_bots, geo, store } => {
            let places = match geo.or_else(|| environment("PASSERBY_GEO").map(Into::into)) {
                None => place::Tables::new(),
                Some(file) => std::fs::read(&file)
                    .map_err(|e| e.to_string())
                    .and_then(place::Tables::with_database)
                    .map_err(|e| anyhow!("{} cannot be used: {e}", file.display()))?,
            };
            let domain = config::domain(&site)?;
            let store = open(store, environment)?;
            let sites = Sites::open(store.clone()).await?;
            let known = sites.get(&domain, now_ms).await?;
            let is_new = known.is_none();
            let site = match known {
                Some(site) => site,
                None => Arc::new(Site::drafted(&domain, None, now_ms)?),
            };
            let from = site.stored.zones.iter().map(|(from_ms, _)| *from_ms);
            let rules = from.map(|from_ms| (from_ms, site.rules(from_ms).clone())).collect();
            let mut key = [0; 16];
            getrandom::fill(&mut key).context("the system's random generator does not answer")?;
            let what = AccessLog { files, keep_bots };
            let new = is_new.then_some(&*site);
            let outcome = import::run(&*store, new, rules, &Tables::new(key, places), &what, now_ms).await?;
            let summary = import::summary(&outcome, &domain);
            match outcome {
                Outcome::Nothing(_) => bail!("{}", summary.trim_end()),
                _ if is_new => say(&format!("Added {domain}, with days in UTC.\n{}", summary.trim_end())),
                _ => say(summary.trim_end()),
            }
        }
        ImportCommand::List { store } => {
            let store = open(store, environment)?;
            let sites = Sites::open(store.clone()).await?.all(now_ms).await?;
            for (id, unit, entry) in import::list(&*store).await? {
                // Those of a site that was removed are no longer anybody's.
                let Some(site) = sites.iter().find(|site| site.id == id) else {
                    continue;
                };
                let (views, visitors) = (entry.tally.pageviews, entry.visitors);
                say(&format!(
                    "{unit:016x}\t{}\t{} to {}\t{views} page views\t{visitors} visitors\t{}",
                    site.domain(),
                    entry.first,
                    entry.last,
                    entry.files.join(", ")
                ))?;
            }
            Ok(())
        }
        ImportCommand::Remove { id, store } => {
            let store = open(store, environment)?;
            let unit = u64::from_str_radix(&id, 16).ok();
            let removed = match unit {
                Some(unit) => import::remove(&*store, unit).await?,
                None => None,
            };
            let (_, entry) =
                removed.with_context(|| format!("there is no import {id}: `passerby import list`"))?;
            say(&format!("Removed {id}: {} page views.", import::grouped(entry.tally.pageviews)))
        }
    }
}

async fn sign_in(args: SignInArgs, environment: Environment<'_>) -> Result<()> {
    let listen = config::listen(args.listen, environment)?;
    let store = open(args.store, environment)?;
    let token = signin::new_link(&*store, (app::system_clock())()).await?;
    eprintln!("This works once, within a day; an earlier link no longer does:");
    say(&crate::serve::link(listen, &token))
}

async fn find_site(store: &Arc<dyn Store>, domain: &str, now_ms: i64) -> Result<Arc<crate::sites::Site>> {
    let domain = config::domain(domain)?;
    let site = Sites::open(store.clone()).await?.get(&domain, now_ms).await?;
    site.with_context(|| format!("there is no site {domain}: add it with `passerby site add {domain}`"))
}

fn open(args: crate::cli::StoreArgs, environment: Environment) -> Result<Arc<dyn Store>> {
    Ok(store::open(&config::store(args, environment))?)
}

/// One line on standard output. A reader that went away (`| head`) ends the command quietly.
fn say(line: &str) -> Result<()> {
    match writeln!(std::io::stdout(), "{line}") {
        Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => std::process::exit(0),
        other => other.context("the answer cannot be written"),
    }
}
