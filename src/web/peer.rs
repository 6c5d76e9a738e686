//! Who sent a request, as far as it may be believed: the socket's peer, or what a trusted proxy says.

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use passerby_engine::address::{Cidr, is_trusted};
use passerby_engine::enrich::Peer;
use passerby_engine::event::Place;
use passerby_engine::place::{self, Platform};
use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const SEC_GPC: HeaderName = HeaderName::from_static("sec-gpc");

/// How requests are taken.
#[derive(Clone, Debug, Default)]
pub struct WebConfig {
    /// Everybody may read every dashboard.
    pub public: bool,
    /// Whose headers tell a visitor's address and place.
    pub platform: Option<Platform>,
    /// The proxies that are believed.
    pub trusted: Vec<Cidr>,
}

impl WebConfig {
    /// The client's address behind a peer.
    pub fn client(&self, peer: SocketAddr, headers: &HeaderMap) -> IpAddr {
        self.sender(peer, headers).0
    }

    fn sender(&self, peer: SocketAddr, headers: &HeaderMap) -> (IpAddr, Option<Place>) {
        let all = |name: HeaderName| headers.get_all(name).into_iter().map(HeaderValue::as_bytes);
        let one = |name: &str| headers.get(name).map(HeaderValue::as_bytes);
        place::sender(
            peer.ip(),
            &self.trusted,
            self.platform,
            one,
            all(X_FORWARDED_FOR),
            all(header::FORWARDED),
        )
    }

    /// Whether the client speaks https with a proxy that we believe.
    pub fn is_https(&self, peer: SocketAddr, headers: &HeaderMap) -> bool {
        let said = headers.get_all(X_FORWARDED_PROTO).into_iter().next_back();
        let last = said.and_then(|value| value.to_str().ok()).and_then(|value| value.rsplit(',').next());
        last.is_some_and(|proto| proto.trim().eq_ignore_ascii_case("https"))
            && is_trusted(&self.trusted, peer.ip().to_canonical())
    }
}

/// The sender of one request. Lives as long as the request, and is not cloned.
pub struct Sender<'a> {
    address: IpAddr,
    place: Option<Place>,
    agent: Cow<'a, str>,
    languages: &'a str,
    opted_out: bool,
}

impl<'a> Sender<'a> {
    pub fn of(config: &WebConfig, peer: SocketAddr, headers: &'a HeaderMap) -> Sender<'a> {
        let (address, place) = config.sender(peer, headers);
        let agent = headers
            .get(header::USER_AGENT)
            .map_or(Cow::Borrowed(""), |agent| String::from_utf8_lossy(agent.as_bytes()));
        let languages =
            headers.get(header::ACCEPT_LANGUAGE).and_then(|languages| languages.to_str().ok()).unwrap_or("");
        let says_1 = |name: HeaderName| headers.get(name).is_some_and(|value| value == "1");
        Sender { address, place, agent, languages, opted_out: says_1(SEC_GPC) || says_1(header::DNT) }
    }

    pub fn as_peer(&self) -> Peer<'_> {
        Peer {
            address: self.address,
            agent: &self.agent,
            languages: self.languages,
            opted_out: self.opted_out,
            place: self.place.clone(),
        }
    }
}
