//! Whose word counts about where a request comes from.

use axum::http::HeaderMap;
use std::net::{IpAddr, SocketAddr};

#[derive(Clone, Debug, Default)]
pub struct WebConfig {
    /// Everybody may read every dashboard.
    pub public: bool,
}

impl WebConfig {
    pub fn client(&self, peer: SocketAddr, _headers: &HeaderMap) -> IpAddr {
        peer.ip()
    }
    pub fn is_https(&self, _peer: SocketAddr, _headers: &HeaderMap) -> bool {
        false
    }
}
