//! What the dashboard lists: one row a list, and which of them share a panel. Address, tab, headings, columns
//! and the words for an empty list derive from the row.

use super::face::countries;
use passerby_engine::event::Reason;
use passerby_engine::query::Metric;
use passerby_engine::rollup::{Dim, OTHER};

/// One list of values.
#[derive(Debug)]
pub struct List {
    pub dim: Dim,
    /// Its name in addresses: `entry-pages`.
    pub slug: &'static str,
    /// Its tab in the panel; None: it has a page of its own only.
    pub tab: Option<&'static str>,
    /// The title of its page, and one and many of what it lists.
    pub title: &'static str,
    pub one: &'static str,
    pub many: &'static str,
    /// What the second number is, beside visitors.
    pub beside: Beside,
    pub empty: &'static str,
}

/// The number beside visitors in a panel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Beside {
    Nothing,
    /// Share of all visitors.
    Share,
    Metric(Metric, &'static str),
}

/// Lists that share a panel on the overview, and tabs on their own pages.
#[derive(Debug)]
pub struct PanelOf {
    pub id: &'static str,
    pub title: &'static str,
    pub lists: &'static [List],
}

impl PanelOf {
    /// The lists that are tabs of the overview; they come first.
    pub fn tabs(&self) -> impl Iterator<Item = &'static List> {
        self.lists.iter().filter(|list| list.tab.is_some())
    }
}

/// The panel and the list of an address.
pub fn find(slug: &str) -> Option<(&'static PanelOf, &'static List)> {
    PANELS.iter().find_map(|panel| Some((panel, panel.lists.iter().find(|list| list.slug == slug)?)))
}

const NO_SOURCE: &str = "Nobody came from anywhere yet.";
const NO_CAMPAIGN: &str = "No link with campaign parameters (utm_…) was followed.";
const NO_PLACE: &str = "No place is known. Countries come by themselves, regions and cities from a database (--geo) or the platform.";
const NO_DEVICE: &str = "No browser said what it is.";

#[rustfmt::skip]
pub static PANELS: [PanelOf; 5] = [
    PanelOf { id: "sources", title: "Sources", lists: &[
        List { dim: Dim::Source, slug: "sources", tab: Some("Sources"), title: "Sources", one: "source", many: "sources", beside: Beside::Nothing, empty: NO_SOURCE },
        List { dim: Dim::Channel, slug: "channels", tab: Some("Channels"), title: "Channels", one: "channel", many: "channels", beside: Beside::Nothing, empty: NO_SOURCE },
        List { dim: Dim::Referrer, slug: "referrers", tab: Some("Referrers"), title: "Referrers", one: "referrer", many: "referrers", beside: Beside::Nothing, empty: "No page that linked here said so." },
        List { dim: Dim::UtmCampaign, slug: "campaigns", tab: Some("Campaigns"), title: "Campaigns", one: "campaign", many: "campaigns", beside: Beside::Nothing, empty: NO_CAMPAIGN },
        List { dim: Dim::UtmSource, slug: "campaign-sources", tab: None, title: "Campaign sources", one: "source", many: "sources", beside: Beside::Nothing, empty: NO_CAMPAIGN },
        List { dim: Dim::UtmMedium, slug: "campaign-media", tab: None, title: "Campaign media", one: "medium", many: "media", beside: Beside::Nothing, empty: NO_CAMPAIGN },
        List { dim: Dim::UtmContent, slug: "campaign-contents", tab: None, title: "Campaign contents", one: "content", many: "contents", beside: Beside::Nothing, empty: NO_CAMPAIGN },
        List { dim: Dim::UtmTerm, slug: "campaign-terms", tab: None, title: "Campaign terms", one: "term", many: "terms", beside: Beside::Nothing, empty: NO_CAMPAIGN },
    ] },
    PanelOf { id: "pages", title: "Pages", lists: &[
        List { dim: Dim::Page, slug: "pages", tab: Some("Top pages"), title: "Pages", one: "page", many: "pages", beside: Beside::Metric(Metric::Pageviews, "Views"), empty: "No page was viewed." },
        List { dim: Dim::EntryPage, slug: "entry-pages", tab: Some("Entry"), title: "Entry pages", one: "page", many: "entry pages", beside: Beside::Metric(Metric::BounceRate, "Bounce"), empty: "No visit began in these days." },
        List { dim: Dim::ExitPage, slug: "exit-pages", tab: Some("Exit"), title: "Exit pages", one: "page", many: "exit pages", beside: Beside::Metric(Metric::Visits, "Exits"), empty: "No visit ended in these days." },
        List { dim: Dim::Hostname, slug: "hostnames", tab: None, title: "Host names", one: "host name", many: "host names", beside: Beside::Metric(Metric::Pageviews, "Views"), empty: "No page was viewed." },
    ] },
    PanelOf { id: "places", title: "Places", lists: &[
        List { dim: Dim::Country, slug: "countries", tab: Some("Countries"), title: "Countries", one: "country", many: "countries", beside: Beside::Share, empty: NO_PLACE },
        List { dim: Dim::Region, slug: "regions", tab: Some("Regions"), title: "Regions", one: "region", many: "regions", beside: Beside::Share, empty: NO_PLACE },
        List { dim: Dim::City, slug: "cities", tab: Some("Cities"), title: "Cities", one: "city", many: "cities", beside: Beside::Share, empty: NO_PLACE },
        List { dim: Dim::Language, slug: "languages", tab: None, title: "Languages", one: "language", many: "languages", beside: Beside::Share, empty: "No browser said its language." },
    ] },
    PanelOf { id: "devices", title: "Devices", lists: &[
        List { dim: Dim::Browser, slug: "browsers", tab: Some("Browsers"), title: "Browsers", one: "browser", many: "browsers", beside: Beside::Share, empty: NO_DEVICE },
        List { dim: Dim::System, slug: "systems", tab: Some("Systems"), title: "Systems", one: "system", many: "systems", beside: Beside::Share, empty: NO_DEVICE },
        List { dim: Dim::Device, slug: "devices", tab: Some("Devices"), title: "Devices", one: "kind of device", many: "kinds of devices", beside: Beside::Share, empty: NO_DEVICE },
        List { dim: Dim::BrowserVersion, slug: "browser-versions", tab: None, title: "Browser versions", one: "version", many: "versions", beside: Beside::Share, empty: NO_DEVICE },
        List { dim: Dim::SystemVersion, slug: "system-versions", tab: None, title: "System versions", one: "version", many: "versions", beside: Beside::Share, empty: NO_DEVICE },
    ] },
    PanelOf { id: "events", title: "Events", lists: &[
        List { dim: Dim::EventName, slug: "events", tab: Some("Events"), title: "Events", one: "event", many: "events", beside: Beside::Metric(Metric::Events, "Times"), empty: "No page sent an event of its own." },
    ] },
];

/// How a value is written, and whether the words stand for something that has no value.
pub fn label(dim: Dim, value: &str) -> (String, bool) {
    let named = |text: &str| (text.to_string(), false);
    match (dim, value) {
        (_, OTHER) => ("All others".to_string(), true),
        (Dim::Source | Dim::Channel | Dim::Referrer, "") => ("Direct or unknown".to_string(), true),
        (_, "") => ("Not known".to_string(), true),
        (Dim::Country, code) => named(countries::name(code)),
        (Dim::Region, code) => match code.split_once('-') {
            Some((country, region)) => (format!("{region}, {}", countries::name(country)), false),
            None => named(code),
        },
        (Dim::City, place) => match place.rsplit_once(", ") {
            Some((city, country)) => (format!("{city}, {}", countries::name(country)), false),
            None => named(place),
        },
        (_, value) => named(value),
    }
}

/// Why something was kept out, in plain words.
pub fn reason(name: &str) -> &str {
    match Reason::ALL.into_iter().find(|reason| reason.name() == name) {
        Some(Reason::Malformed) => "Could not be read",
        Some(Reason::UnknownSite) => "For a site that is not here",
        Some(Reason::TooManyEvents) => "More than a batch may hold",
        Some(Reason::BadUrl) => "Without a usable address",
        Some(Reason::BadField) => "With a value that cannot be",
        Some(Reason::NoName) => "Events without a name",
        Some(Reason::TooOld) => "Older than a day on arrival",
        Some(Reason::Bot) => "Machines that say so",
        Some(Reason::RetryTooLate) => "Sent again too late to tell",
        Some(Reason::NoVisit) => "Reading time without a visit",
        Some(Reason::Nothing) => "With nothing measured",
        Some(Reason::OptedOut) => "People who asked not to be counted",
        None => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_have_addresses_of_their_own_and_tabs_come_first() {
        let mut slugs: Vec<&str> =
            PANELS.iter().flat_map(|panel| panel.lists).map(|list| list.slug).collect();
        let all = slugs.len();
        slugs.sort();
        slugs.dedup();
        assert_eq!(slugs.len(), all);
        for panel in &PANELS {
            let tabs = panel.tabs().count();
            assert!(tabs > 0 && panel.lists[..tabs].iter().all(|list| list.tab.is_some()), "{}", panel.id);
        }
    }

    #[test]
    fn values_in_words() {
        let table = [
            (Dim::Source, "", "Direct or unknown"),
            (Dim::Page, "(other)", "All others"),
            (Dim::Country, "DE", "Germany"),
            (Dim::Country, "", "Not known"),
            (Dim::Region, "DE-BE", "BE, Germany"),
            (Dim::City, "Berlin, DE", "Berlin, Germany"),
            (Dim::City, "Washington, D.C., US", "Washington, D.C., United States"),
            (Dim::Page, "/a, b", "/a, b"),
        ];
        for (dim, value, words) in table {
            assert_eq!(label(dim, value).0, words);
        }
        for known in Reason::ALL {
            assert_ne!(reason(known.name()), known.name());
        }
    }
}
