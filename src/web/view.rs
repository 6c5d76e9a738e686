//! What a dashboard's address asks for. Every view is an address, and an address names only what differs
//! from the usual, so that each view has one.

use super::lists::{List, PANELS};
use passerby_engine::query::{Interval, Metric, Period};

/// What a page shows.
#[derive(Clone, PartialEq, Debug)]
pub struct View {
    pub period: Period,
    /// What is shown when the address names no period.
    pub usual: Period,
    /// The figure in the chart.
    pub metric: Metric,
    /// The chart's steps, if not the ones that fit best.
    pub by: Option<Interval>,
    /// The open list of each panel, in the order of [`PANELS`].
    pub tabs: [usize; PANELS.len()],
    /// Which page of a list, from 1.
    pub page: usize,
}

/// The figures that the chart can draw, in the page's order.
pub const FIGURES: [Metric; 6] = [
    Metric::Visitors,
    Metric::Visits,
    Metric::Pageviews,
    Metric::ViewsPerVisit,
    Metric::BounceRate,
    Metric::VisitDuration,
];

impl View {
    /// Reads an address's query. What is not understood is as if it were not there.
    pub fn parse(query: &str) -> View {
        View::of(query, Period::DEFAULT)
    }

    /// The same for a site whose first day is today: a month of which there is but one day would be a
    /// picture of nothing.
    pub fn parse_new(query: &str) -> View {
        View::of(query, Period::Today)
    }

    fn of(query: &str, usual: Period) -> View {
        let pairs = || query.split('&').filter_map(|pair| pair.split_once('='));
        let value = |name: &str| pairs().find(|(key, _)| *key == name).map(|(_, value)| value);
        let metric = value("metric").and_then(Metric::from_key).filter(|metric| FIGURES.contains(metric));
        View {
            period: Period::from_url(query).unwrap_or(usual.clone()),
            usual,
            metric: metric.unwrap_or(Metric::Visitors),
            by: value("by").and_then(Interval::from_key),
            tabs: std::array::from_fn(|i| {
                let panel = &PANELS[i];
                value(panel.id).and_then(|slug| panel.tabs().position(|list| list.slug == slug)).unwrap_or(0)
            }),
            page: value("page").and_then(|page| page.parse().ok()).unwrap_or(1).clamp(1, 10_000),
        }
    }

    /// The query of this view's address, with its question mark; empty for the usual view. Holds nothing but
    /// names and dates, so nothing to escape.
    pub fn query(&self) -> String {
        let mut pairs: Vec<String> = Vec::new();
        if self.period != self.usual {
            pairs.push(self.period.to_url());
        }
        pairs.extend(self.pairs().into_iter().map(|(name, value)| format!("{name}={value}")));
        if self.page > 1 {
            pairs.push(format!("page={}", self.page));
        }
        if pairs.is_empty() { String::new() } else { format!("?{}", pairs.join("&")) }
    }

    /// What is not the period and not the page: a form that changes the period keeps these.
    pub fn pairs(&self) -> Vec<(String, String)> {
        let mut pairs = Vec::new();
        if self.metric != Metric::Visitors {
            pairs.push(("metric".to_string(), self.metric.key().to_string()));
        }
        if let Some(by) = self.by {
            pairs.push(("by".to_string(), by.key().to_string()));
        }
        for (panel, tab) in PANELS.iter().zip(self.tabs) {
            if let Some(list) = panel.tabs().nth(tab).filter(|_| tab > 0) {
                pairs.push((panel.id.to_string(), list.slug.to_string()));
            }
        }
        pairs
    }

    /// The overview's address.
    pub fn overview(&self, domain: &str) -> String {
        format!("{}{}", path(domain), View { page: 1, ..self.clone() }.query())
    }

    /// The address of one of its lists.
    pub fn list(&self, domain: &str, list: &List) -> String {
        format!("{}/{}{}", path(domain), list.slug, self.query())
    }

    /// Another period. The steps are chosen anew, since what fits a year does not fit a day.
    pub fn with_period(&self, period: Period) -> View {
        View { period, by: None, page: 1, ..self.clone() }
    }

    pub fn with_metric(&self, metric: Metric) -> View {
        View { metric, ..self.clone() }
    }

    pub fn with_tab(&self, panel: usize, tab: usize) -> View {
        let mut view = self.clone();
        view.tabs[panel] = tab;
        view
    }
}

/// A site's address on this server. Domains are checked when a site is made; what would still end a path is
/// written so that it does not.
pub fn path(domain: &str) -> String {
    let mut path = String::with_capacity(domain.len() + 1);
    path.push('/');
    for byte in domain.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' | b'_' | b'~' | b':' => {
                path.push(byte as char)
            }
            _ => path.push_str(&format!("%{byte:02X}")),
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_view_and_back() {
        let table = [
            ("", ""),
            ("period=30d", ""),
            ("period=7d&metric=visits", "?period=7d&metric=visits"),
            ("metric=visits&period=7d", "?period=7d&metric=visits"),
            ("from=2015-05-17&to=2015-05-20&by=hour", "?from=2015-05-17&to=2015-05-20&by=hour"),
            ("metric=events&by=year&sources=moons&page=x&_=1", ""),
            ("sources=channels&pages=exit-pages&page=3", "?sources=channels&pages=exit-pages&page=3"),
            ("page=99999999", "?page=10000"),
            ("%00=%ff&&&=&metric", ""),
        ];
        for (asked, address) in table {
            let view = View::parse(asked);
            assert_eq!(view.query(), address, "{asked}");
            assert_eq!(View::parse(address.trim_start_matches('?')), view, "{asked}");
        }
    }

    #[test]
    fn a_domain_stays_one_segment() {
        assert_eq!(path("example.com"), "/example.com");
        assert_eq!(path("localhost:8000"), "/localhost:8000");
        assert_eq!(path("a/b?c#d ü"), "/a%2Fb%3Fc%23d%20%C3%BC");
    }
}
