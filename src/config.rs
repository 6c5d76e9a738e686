//! What the options mean: typed options and environment in, one checked value out.

use crate::cli::{ServeArgs, StoreArgs};
use crate::web::WebConfig;
use anyhow::{Context, Result, bail};
use passerby_engine::event::Text;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use zeroize::Zeroizing;

/// The environment, as a function from a variable's name to its value.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

pub const DEFAULT_STORE: &str = "sqlite:./passerby-data/passerby.db";

pub const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8000);

/// What `serve` was asked to do.
pub struct Config {
    pub listen: SocketAddr,
    pub store: String,
    /// Sites to create if they are new, normalised.
    pub sites: Vec<Text>,
    pub web: WebConfig,
    pub geo: Option<PathBuf>,
    /// `RUNTIME_DIRECTORY`, where systemd gives a service a folder in memory: for the salts.
    pub runtime_directory: Option<String>,
    /// `PASSERBY_ADMIN_PASSWORD`; overwritten as soon as it is hashed.
    pub password: Option<Zeroizing<String>>,
}

impl Config {
    /// Makes sense of what was typed; what was not typed is looked up in the environment.
    pub fn new(typed: ServeArgs, environment: Environment) -> Result<Config> {
        let web = web(&typed, environment)?;
        let mut sites = Vec::new();
        for typed in list(typed.sites, environment("PASSERBY_SITE")) {
            sites.push(domain(&typed)?);
        }
        Ok(Config {
            listen: listen(typed.listen, environment)?,
            store: store(typed.store, environment),
            sites,
            web,
            geo: typed
                .geo
                .or_else(|| set("PASSERBY_GEO", environment).map(PathBuf::from)),
            runtime_directory: set("RUNTIME_DIRECTORY", environment),
            password: set("PASSERBY_ADMIN_PASSWORD", environment).map(Zeroizing::new),
        })
    }
}

fn web(typed: &ServeArgs, environment: Environment) -> Result<WebConfig> {
    let platform = typed
        .platform
        .clone()
        .or_else(|| set("PASSERBY_PLATFORM", environment));
    let proxies = list(
        typed.trusted_proxies.clone(),
        environment("PASSERBY_TRUSTED_PROXY"),
    );
    let trusted = proxies
        .iter()
        .map(|proxy| proxy.parse().map_err(anyhow::Error::msg));
    Ok(WebConfig {
        public: typed.public || truth("PASSERBY_PUBLIC", environment)?,
        platform: platform
            .map(|name| name.parse().map_err(anyhow::Error::msg))
            .transpose()?,
        trusted: trusted.collect::<Result<_>>()?,
    })
}

/// The store's address.
pub fn store(typed: StoreArgs, environment: Environment) -> String {
    typed
        .store
        .or_else(|| set("PASSERBY_STORE", environment))
        .unwrap_or_else(|| DEFAULT_STORE.to_owned())
}

/// The address to listen on: a number, `localhost`, or a port alone (then on this machine only). No name is
/// looked up: the process opens no connection but to its store.
pub fn listen(typed: Option<String>, environment: Environment) -> Result<SocketAddr> {
    let Some(text) = typed.or_else(|| set("PASSERBY_LISTEN", environment)) else {
        return Ok(DEFAULT_LISTEN);
    };
    let full = match text
        .strip_prefix("localhost:")
        .or_else(|| text.strip_prefix(':'))
    {
        Some(port) => format!("127.0.0.1:{port}"),
        None if text.bytes().all(|b| b.is_ascii_digit()) => format!("127.0.0.1:{text}"),
        None => text.clone(),
    };
    full.parse().with_context(|| {
        format!("cannot listen on {text:?}: write it like 127.0.0.1:8000 or [::1]:8000")
    })
}

/// A site's domain, normalised.
pub fn domain(typed: &str) -> Result<Text> {
    crate::sites::normal_domain(typed)
        .with_context(|| format!("{typed:?} is not a domain: write it like example.com"))
}

/// A time zone's name, as the zone database spells it.
pub fn timezone(typed: &str) -> Result<String> {
    let zone = jiff::tz::TimeZone::get(typed)
        .ok()
        .and_then(|zone| zone.iana_name().map(str::to_owned));
    zone.with_context(|| {
        format!("{typed:?} is not a time zone: write it like Europe/Berlin or UTC")
    })
}

/// A variable's value; an empty one counts as none.
fn set(name: &str, environment: Environment) -> Option<String> {
    environment(name).filter(|value| !value.is_empty())
}

/// What was typed, or else the variable's comma-separated values.
fn list(typed: Vec<String>, variable: Option<String>) -> Vec<String> {
    if !typed.is_empty() {
        return typed;
    }
    let variable = variable.unwrap_or_default();
    variable
        .split(',')
        .map(str::trim)
        .filter(|item| !item.is_empty())
        .map(str::to_owned)
        .collect()
}

fn truth(name: &str, environment: Environment) -> Result<bool> {
    match set(name, environment).as_deref() {
        None | Some("0" | "false" | "no") => Ok(false),
        Some("1" | "true" | "yes") => Ok(true),
        Some(other) => bail!("{name} is {other:?}: write true or false"),
    }
}
