//! What was typed: the commands and their options, and one function a command.
//!
//! The environment is not read here but handed in: an option that was not typed is looked up under its
//! variable (`PASSERBY_STORE` for `--store`), so that tests can pass any environment they like.

use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;

/// Privacy-first web analytics. Without a command it serves.
#[derive(Parser, Debug)]
#[command(
    name = "passerby",
    version,
    about,
    disable_help_subcommand = true,
    args_conflicts_with_subcommands = true
)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Option<Command>,
    #[command(flatten)]
    pub serve: ServeArgs,
}

#[derive(Subcommand, Debug)]
pub enum Command {
    /// Count page views and show them (what happens without a command)
    Serve(ServeArgs),
    /// Add, list or remove sites
    #[command(subcommand)]
    Site(SiteCommand),
    /// Add, list or remove keys of the API
    #[command(subcommand)]
    Key(KeyCommand),
    /// Ask a question about a site and print the report as JSON
    Query(QueryArgs),
    /// Bring in history: import, list and remove
    #[command(subcommand)]
    Import(ImportCommand),
    /// Make a new one-time link to sign in with
    SignIn(SignInArgs),
}

/// Where everything is kept; an option of every command.
#[derive(Args, Clone, Debug, Default)]
pub struct StoreArgs {
    /// Where the data lies [default: sqlite:./passerby-data/passerby.db] [env: PASSERBY_STORE]
    #[arg(long, value_name = "sqlite:PATH")]
    pub store: Option<String>,
}

#[derive(Args, Clone, Debug, Default)]
pub struct ServeArgs {
    #[command(flatten)]
    pub store: StoreArgs,
    /// Address and port to listen on [default: 127.0.0.1:8000] [env: PASSERBY_LISTEN]
    #[arg(long, value_name = "ADDR:PORT")]
    pub listen: Option<String>,
    /// A site to count; created if it is new. May be given several times [env: PASSERBY_SITE, comma-separated]
    #[arg(long = "site", value_name = "DOMAIN")]
    pub sites: Vec<String>,
    /// Let everybody read the dashboards, without sign-in [env: PASSERBY_PUBLIC=true]
    #[arg(long)]
    pub public: bool,
    /// A city database in MaxMind's format; read again when it is replaced [env: PASSERBY_GEO]
    #[arg(long, value_name = "FILE")]
    pub geo: Option<PathBuf>,
    /// Believe this platform's headers about a visitor's address and place, when they come from a
    /// trusted proxy: vercel, cloudflare, cloudfront or netlify [env: PASSERBY_PLATFORM]
    #[arg(long, value_name = "NAME")]
    pub platform: Option<String>,
    /// Addresses of proxies whose word about a visitor's address is believed, like 10.0.0.0/8. May be
    /// given several times [env: PASSERBY_TRUSTED_PROXY, comma-separated]
    #[arg(long = "trusted-proxy", value_name = "CIDR")]
    pub trusted_proxies: Vec<String>,
}

#[derive(Subcommand, Debug)]
pub enum SiteCommand {
    /// Add a site, or change the time zone of one that is there (from its next midnight on)
    Add {
        /// The site's domain, like example.com
        domain: String,
        /// Name of the zone in which its days begin, like Europe/Berlin [default: UTC]
        #[arg(long, value_name = "IANA")]
        timezone: Option<String>,
        #[command(flatten)]
        store: StoreArgs,
    },
    /// List the sites
    List {
        #[command(flatten)]
        store: StoreArgs,
    },
    /// Remove a site and erase everything counted for it
    Remove {
        /// The site's domain
        domain: String,
        /// Do not ask for the domain to be typed again
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        store: StoreArgs,
    },
}

#[derive(Subcommand, Debug)]
pub enum KeyCommand {
    /// Make a key and print it; it is shown this once and stored as a hash
    Add {
        /// What to call it
        name: String,
        /// The only site that it may read [default: all]
        #[arg(long, value_name = "DOMAIN")]
        site: Option<String>,
        #[command(flatten)]
        store: StoreArgs,
    },
    /// List the keys by name
    List {
        #[command(flatten)]
        store: StoreArgs,
    },
    /// Remove a key
    Remove {
        /// The key's name
        name: String,
        #[command(flatten)]
        store: StoreArgs,
    },
}

#[derive(Args, Debug)]
pub struct QueryArgs {
    /// The site that the question is about
    #[arg(long, value_name = "DOMAIN")]
    pub site: String,
    /// The question, as in `POST /api/v2/query`: {"metrics":["visitors"],"date_range":"7d"}
    #[arg(value_name = "JSON")]
    pub query: String,
    #[command(flatten)]
    pub store: StoreArgs,
}

#[derive(Subcommand, Debug)]
pub enum ImportCommand {
    /// Import a web server's log: common or combined format, plain or gzip
    AccessLog {
        /// The files, oldest first; `-` is standard input
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        /// The site that they belong to; created if it is new, with days in UTC
        #[arg(long, value_name = "DOMAIN")]
        site: String,
        /// Count agents that say they are machines
        #[arg(long)]
        keep_bots: bool,
        /// A city database in MaxMind's format [env: PASSERBY_GEO]
        #[arg(long, value_name = "FILE")]
        geo: Option<PathBuf>,
        #[command(flatten)]
        store: StoreArgs,
    },
    /// List what was imported
    List {
        #[command(flatten)]
        store: StoreArgs,
    },
    /// Take an import out again
    Remove {
        /// The import's id, as listed
        id: String,
        #[command(flatten)]
        store: StoreArgs,
    },
}

#[derive(Args, Debug)]
pub struct SignInArgs {
    #[command(flatten)]
    pub store: StoreArgs,
    /// Address that the server listens on, for the link [default: 127.0.0.1:8000] [env: PASSERBY_LISTEN]
    #[arg(long, value_name = "ADDR:PORT")]
    pub listen: Option<String>,
}
