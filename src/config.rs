//! What the options mean: typed options and environment in, one checked value out.

use crate::cli::{ServeArgs, StoreArgs};
use crate::web::WebConfig;
use anyhow::{Context, Result, anyhow, bail};
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
            geo: typed.geo.or_else(|| set("PASSERBY_GEO", environment).map(PathBuf::from)),
            runtime_directory: set("RUNTIME_DIRECTORY", environment),
            password: set("PASSERBY_ADMIN_PASSWORD", environment).map(Zeroizing::new),
        })
    }
}

fn web(typed: &ServeArgs, environment: Environment) -> Result<WebConfig> {
    let platform = typed.platform.clone().or_else(|| set("PASSERBY_PLATFORM", environment));
    let proxies = list(typed.trusted_proxies.clone(), environment("PASSERBY_TRUSTED_PROXY"));
    let trusted = proxies.iter().map(|proxy| proxy.parse().map_err(anyhow::Error::msg));
    Ok(WebConfig {
        public: typed.public || truth("PASSERBY_PUBLIC", environment)?,
        platform: platform.map(|name| name.parse().map_err(anyhow::Error::msg)).transpose()?,
        trusted: trusted.collect::<Result<_>>()?,
    })
}

/// The store's address.
pub fn store(typed: StoreArgs, environment: Environment) -> String {
    typed.store.or_else(|| set("PASSERBY_STORE", environment)).unwrap_or_else(|| DEFAULT_STORE.to_owned())
}

/// The address to listen on: a number, `localhost`, or a port alone (then on this machine only). No name is
/// looked up: the process opens no connection but to its store.
pub fn listen(typed: Option<String>, environment: Environment) -> Result<SocketAddr> {
    let Some(text) = typed.or_else(|| set("PASSERBY_LISTEN", environment)) else {
        return Ok(DEFAULT_LISTEN);
    };
    let full = match text.strip_prefix("localhost:").or_else(|| text.strip_prefix(':')) {
        Some(port) => format!("127.0.0.1:{port}"),
        None if text.bytes().all(|b| b.is_ascii_digit()) => format!("127.0.0.1:{text}"),
        None => text.clone(),
    };
    full.parse().map_err(|_| anyhow!("cannot listen on {text:?}: write it like 127.0.0.1:8000 or [::1]:8000"))
}

/// A site's domain, normalised.
pub fn domain(typed: &str) -> Result<Text> {
    crate::sites::normal_domain(typed)
        .with_context(|| format!("{typed:?} is not a domain: write it like example.com"))
}

/// A time zone's name, as the zone database spells it.
pub fn timezone(typed: &str) -> Result<String> {
    let zone = jiff::tz::TimeZone::get(typed).ok().and_then(|zone| zone.iana_name().map(str::to_owned));
    zone.with_context(|| format!("{typed:?} is not a time zone: write it like Europe/Berlin or UTC"))
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
    variable.split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect()
}

fn truth(name: &str, environment: Environment) -> Result<bool> {
    match set(name, environment).as_deref() {
        None | Some("0" | "false" | "no") => Ok(false),
        Some("1" | "true" | "yes") => Ok(true),
        Some(other) => bail!("{name} is {other:?}: write true or false"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    fn config(arguments: &[&str], environment: &[(&str, &str)]) -> Result<Config> {
        let cli = crate::cli::Cli::try_parse_from([&["passerby"], arguments].concat())?;
        let look_up = |name: &str| {
            let found = environment.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        Config::new(cli.serve, &look_up)
    }

    #[test]
    fn without_options_there_are_defaults() {
        let config = config(&[], &[]).unwrap();
        assert_eq!(config.listen.to_string(), "127.0.0.1:8000");
        assert_eq!(config.store, "sqlite:./passerby-data/passerby.db");
        assert!(config.sites.is_empty() && !config.web.public && config.web.trusted.is_empty());
        assert!(config.geo.is_none() && config.password.is_none() && config.web.platform.is_none());
    }

    #[test]
    fn what_was_typed_goes_before_the_environment() {
        let environment = [
            ("PASSERBY_LISTEN", "127.0.0.1:1"),
            ("PASSERBY_STORE", "sqlite:env.db"),
            ("PASSERBY_SITE", "a.example,,b.example "),
            ("PASSERBY_TRUSTED_PROXY", "10.0.0.0/8, 192.0.2.1"),
            ("PASSERBY_PLATFORM", "vercel"),
            ("PASSERBY_PUBLIC", "yes"),
            ("PASSERBY_GEO", ""),
            ("PASSERBY_ADMIN_PASSWORD", "secret"),
        ];
        let of_environment = config(&[], &environment).unwrap();
        assert_eq!(of_environment.listen.port(), 1);
        assert_eq!(of_environment.store, "sqlite:env.db");
        assert_eq!(of_environment.sites, ["a.example", "b.example"]);
        assert_eq!(of_environment.web.trusted.len(), 2);
        assert!(of_environment.web.platform.is_some() && of_environment.web.public);
        assert_eq!(of_environment.geo, None, "an empty variable is none");
        assert_eq!(of_environment.password.as_deref().map(String::as_str), Some("secret"));

        let typed = ["--listen", "[::1]:2", "--store", "sqlite:x.db", "--site", "www.C.example"];
        let typed = config(&typed, &environment).unwrap();
        assert_eq!(typed.listen.to_string(), "[::1]:2");
        assert_eq!(typed.store, "sqlite:x.db");
        assert_eq!(typed.sites, ["c.example"]);
    }

    #[test]
    fn addresses_to_listen_on() {
        for (typed, meant) in [
            ("0.0.0.0:80", Some("0.0.0.0:80")),
            ("localhost:81", Some("127.0.0.1:81")),
            (":82", Some("127.0.0.1:82")),
            ("83", Some("127.0.0.1:83")),
            ("[::]:84", Some("[::]:84")),
            ("example.com:80", None),
            ("127.0.0.1", None),
            ("127.0.0.1:99999", None),
        ] {
            let listen = listen(Some(typed.to_owned()), &|_| None).ok();
            assert_eq!(listen.map(|address| address.to_string()).as_deref(), meant, "{typed}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_said() {
        for (name, value) in [
            ("PASSERBY_PUBLIC", "perhaps"),
            ("PASSERBY_PLATFORM", "heroku"),
            ("PASSERBY_TRUSTED_PROXY", "10.0.0.0/8,everybody"),
            ("PASSERBY_SITE", "no domain"),
            ("PASSERBY_LISTEN", "here"),
        ] {
            let said = config(&[], &[(name, value)]).err().map(|e| e.to_string()).unwrap_or_default();
            let wrong = value.rsplit(',').next().unwrap_or_default();
            assert!(said.contains(wrong), "{name}={value} said {said:?}");
        }
    }
}
