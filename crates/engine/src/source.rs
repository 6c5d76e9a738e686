//! Where a visit came from: tags in the page's URL, else the referring page; and the channel that makes.
//!
//! The rules are Plausible's, and its are Google Analytics 4's public definition of default channels with
//! three deviations that we share: AI assistants are a channel of their own; Google with `gclid` and Bing
//! with `msclkid` are paid search; and some tags (`fb-ads`, `adwords`) mean paid whatever the medium says.

use crate::event::{Origin, Text};
use crate::sources::{self, Kind, Known};
use crate::url::{self, Parts};
use std::borrow::Cow;

/// Longest campaign parameter kept, bytes.
const MAX_TAG: usize = 500;
/// Longest referring page kept, bytes.
const MAX_REFERRER: usize = 500;

/// The origin that a page's URL and its referrer tell. `internal` are hosts (lower case, without `www.`)
/// that are the site itself.
pub fn origin(page: &Parts, referrer: &str, internal: &[&str]) -> Origin {
    let tags = Tags::of(page.query);
    let referring = Referring::of(referrer, internal);
    let utm_source = lower(&tags.source);
    // By tag, else by host: the name, and what we know about it.
    let (source, known, paid) = if tags.source.is_empty() {
        match &referring {
            Some(referring) => (referring.source(), referring.known, false),
            None => (Text::default(), None, false),
        }
    } else {
        match sources::by_tag(&utm_source) {
            Some((known, paid)) => (known.name.into(), Some(known), paid),
            None => (tags.source.clone(), None, false),
        }
    };
    let click = match known.map(|known| known.name) {
        Some("Google") if tags.gclid => "(gclid)",
        Some("Bing") if tags.msclkid => "(msclkid)",
        _ => "",
    };
    let channel = channel(&Clues {
        kind: known.map(|known| known.kind),
        source: &source,
        paid_source: paid,
        paid_click: !click.is_empty(),
        utm_source: &utm_source,
        medium: &lower(&tags.medium),
        campaign: &lower(&tags.campaign),
    });
    Origin {
        source,
        channel: channel.into(),
        referrer: referring.map(|referring| referring.page).unwrap_or_default(),
        utm_medium: if tags.medium.is_empty() { click.into() } else { tags.medium },
        utm_source: tags.source,
        utm_campaign: tags.campaign,
        utm_content: tags.content,
        utm_term: tags.term,
    }
}

/// In lower case, borrowed where it is so already, as nearly all tags are.
fn lower(text: &str) -> Cow<'_, str> {
    if text.bytes().all(|b| b.is_ascii() && !b.is_ascii_uppercase()) {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(text.to_lowercase())
    }
}

/// The campaign parameters of a query.
#[derive(Default)]
struct Tags {
    /// `utm_source`, else `source`, else `ref`.
    source: Text,
    medium: Text,
    campaign: Text,
    content: Text,
    term: Text,
    gclid: bool,
    msclkid: bool,
}

impl Tags {
    fn of(query: &str) -> Tags {
        let mut tags = Tags::default();
        let (mut source, mut reference) = (Text::default(), Text::default());
        for (key, value) in url::pairs(query) {
            let field = match key {
                "utm_source" => &mut tags.source,
                "source" => &mut source,
                "ref" => &mut reference,
                "utm_medium" => &mut tags.medium,
                "utm_campaign" => &mut tags.campaign,
                "utm_content" => &mut tags.content,
                "utm_term" => &mut tags.term,
                "gclid" => {
                    tags.gclid = true;
                    continue;
                }
                "msclkid" => {
                    tags.msclkid = true;
                    continue;
                }
                _ => continue,
            };
            // The first of several counts. Mailings put the recipient into tags, so addresses go here too.
            if field.is_empty() {
                *field = url::plain(url::mask_emails(url::decode(value, true).trim()).as_ref(), MAX_TAG);
            }
        }
        for other in [source, reference] {
            if tags.source.is_empty() {
                tags.source = other;
            }
        }
        tags
    }
}

/// The referring page, if it is another site's.
struct Referring {
    /// Host and path, without the last slash.
    page: Text,
    host: Text,
    known: Option<&'static Known>,
}

impl Referring {
    fn of(referrer: &str, internal: &[&str]) -> Option<Referring> {
        if referrer.is_empty() {
            return None;
        }
        let parts = url::parts(referrer);
        let scheme =
            ["http", "https", "android-app"].iter().any(|scheme| parts.scheme.eq_ignore_ascii_case(scheme));
        if !scheme || !url::is_host(parts.host) {
            return None;
        }
        let host = url::hostname(parts.host);
        if host.is_empty() || internal.contains(&host.as_str()) || is_this_machine(&host) {
            return None;
        }
        let path = url::decode(parts.path, false);
        let path = url::mask(path.trim_end());
        let path = path.strip_suffix('/').unwrap_or(&path);
        let page =
            if path.is_empty() { host.clone() } else { url::plain(&format!("{host}{path}"), MAX_REFERRER) };
        let known = sources::by_host(&host);
        Some(Referring { page, host, known })
    }

    fn source(&self) -> Text {
        self.known.map_or_else(|| self.host.clone(), |known| known.name.into())
    }
}

fn is_this_machine(host: &str) -> bool {
    host == "localhost" || host == "[::1]" || host.starts_with("127.") || host.ends_with(".localhost")
}

/// What a channel is decided by. Texts are in lower case, but for the source.
struct Clues<'a> {
    kind: Option<Kind>,
    source: &'a str,
    /// Whether the tag that named the source says "paid".
    paid_source: bool,
    /// Whether the URL carries the click id of the source's own advertisements.
    paid_click: bool,
    utm_source: &'a str,
    medium: &'a str,
    campaign: &'a str,
}

/// A channel's name, and whether what we know makes it.
type Channel = (&'static str, fn(&Clues) -> bool);

/// The channels; the first that fits is the one.
static CHANNELS: [Channel; 19] = [
    ("Cross-network", |c| c.campaign.contains("cross-network")),
    ("Paid Shopping", |c| is_shopping(c) && is_paid(c.medium)),
    ("Paid Search", |c| {
        c.paid_click || (c.kind == Some(Kind::Search) && (is_paid(c.medium) || c.paid_source))
    }),
    ("Paid Social", |c| c.kind == Some(Kind::Social) && (is_paid(c.medium) || c.paid_source)),
    ("Paid Video", |c| c.kind == Some(Kind::Video) && (is_paid(c.medium) || c.paid_source)),
    ("Display", |c| ["display", "banner", "expandable", "interstitial", "cpm"].contains(&c.medium)),
    ("Paid Other", |c| is_paid(c.medium)),
    ("Organic Shopping", is_shopping),
    ("Organic Social", |c| c.kind == Some(Kind::Social) || SOCIAL_MEDIA.contains(&c.medium)),
    ("Organic Video", |c| c.kind == Some(Kind::Video) || c.medium.contains("video")),
    ("AI Assistants", |c| c.kind == Some(Kind::Assistant)),
    ("Organic Search", |c| c.kind == Some(Kind::Search)),
    ("Email", |c| c.kind == Some(Kind::Email) || is_mail(c.utm_source) || is_mail(c.medium)),
    ("Affiliates", |c| c.medium == "affiliate"),
    ("Audio", |c| c.medium == "audio"),
    ("SMS", |c| c.utm_source == "sms" || c.medium == "sms"),
    ("Mobile Push Notifications", |c| {
        c.medium.ends_with("push")
            || c.medium.contains("mobile")
            || c.medium.contains("notification")
            || c.source == "Firebase"
    }),
    ("Referral", |c| !c.source.is_empty() || ["referral", "app", "link"].contains(&c.medium)),
    ("Direct", |_| true),
];

const SOCIAL_MEDIA: [&str; 6] =
    ["social", "social-network", "social-media", "sm", "social network", "social media"];

fn channel(clues: &Clues) -> &'static str {
    CHANNELS.iter().find(|(_, fits)| fits(clues)).map_or("Direct", |(name, _)| name)
}

/// `cpc`, `cpm`, `ppc`, `retargeting`, `paid`, `paid_social` ...
fn is_paid(medium: &str) -> bool {
    medium.contains("cp") || medium == "ppc" || medium == "retargeting" || medium.starts_with("paid")
}

fn is_mail(tag: &str) -> bool {
    ["email", "e-mail", "e_mail", "e mail", "newsletter"].iter().any(|word| tag.contains(word))
}

/// A shop, or a campaign that says so: `shop` at the start or after anything but a letter other than `e`
/// (`eshop`, `my-shop`, but not `workshop`), or `shopping`.
fn is_shopping(clues: &Clues) -> bool {
    clues.kind == Some(Kind::Shopping)
        || clues.campaign.contains("shopping")
        || clues.campaign.match_indices("shop").any(|(at, _)| {
            let before = clues.campaign[..at].chars().next_back();
            before.is_none_or(|c| c == 'e' || !c.is_ascii_lowercase())
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};
    use proptest::prelude::*;

    /// Lines of "url [< referrer]" in, what becomes of them out; the site is example.com.
    fn check(lines: &str, expected: Expect) {
        let mut out = String::new();
        for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let (page, referrer) = line.split_once(" < ").unwrap_or((line, ""));
            let o = origin(&url::parts(page), referrer, &["example.com"]);
            let utm = [&o.utm_source, &o.utm_medium, &o.utm_campaign, &o.utm_content, &o.utm_term]
                .map(Text::as_str)
                .join("/");
            out +=
                &format!("{} | {} | {} | {}\n", o.source, o.channel, o.referrer, utm.trim_end_matches('/'));
        }
        expected.assert_eq(&out);
    }

    #[test]
    fn referrers() {
        check(
            "/
             / < https://www.google.com/
             / < https://news.ycombinator.com/item?id=1
             / < https://t.co/abcDEF
             / < https://Blog.Other.org/post/?x=1#y
             / < https://www.example.com/a
             / < http://localhost:3000/
             / < android-app://com.google.android.gm/
             / < ftp://other.org/a
             / < chatgpt.com
             / < https://chatgpt.com/
             / < https://other.org/u/jane@mail.example/x
             / < https://user:pw@other.org:8443/a",
            expect![[r#"
                 | Direct |  | 
                Google | Organic Search | google.com | 
                Hacker News | Organic Social | news.ycombinator.com/item | 
                X (Twitter) | Organic Social | t.co/abcDEF | 
                blog.other.org | Referral | blog.other.org/post | 
                 | Direct |  | 
                 | Direct |  | 
                Gmail | Email | com.google.android.gm | 
                 | Direct |  | 
                 | Direct |  | 
                ChatGPT | AI Assistants | chatgpt.com | 
                other.org | Referral | other.org/u/(email)/x | 
                other.org | Referral | other.org/a | 
            "#]],
        );
    }

    #[test]
    fn tags_come_before_the_referrer() {
        check(
            "/?utm_source=newsletter&utm_medium=email&utm_campaign=May+Sale&utm_content=a%2Fb&utm_term=x < https://mail.google.com/
             /?source=b&ref=c
             /?ref=c
             /?utm_source=&ref=c
             /?utm_source=IG
             /?utm_source=GOOGLE&utm_medium=cpc
             /?utm_source=www.reddit.com
             /?utm_source=Some+Blog
             /?utm_content=to-jane%40mail.example",
            expect![[r#"
                newsletter | Email | mail.google.com | newsletter/email/May Sale/a/b/x
                b | Referral |  | b
                c | Referral |  | c
                c | Referral |  | c
                Instagram | Organic Social |  | IG
                Google | Paid Search |  | GOOGLE/cpc
                Reddit | Organic Social |  | www.reddit.com
                Some Blog | Referral |  | Some Blog
                 | Direct |  | ///(email)
            "#]],
        );
    }

    #[test]
    fn channels() {
        check(
            "/?utm_campaign=2024-cross-network
             /?utm_source=amazon&utm_medium=cpc
             /?utm_medium=paid&utm_campaign=my-shop
             /?utm_medium=paid&utm_campaign=workshop
             /?gclid=x < https://www.google.de/
             /?gclid=x < https://www.bing.com/
             /?msclkid=x < https://www.bing.com/
             /?utm_source=adwords
             /?utm_source=fb-ads
             /?utm_source=tiktok&utm_medium=paid_social
             /?utm_source=yt-ads
             /?utm_source=foo&utm_medium=cpm
             /?utm_source=foo&utm_medium=banner
             /?utm_source=foo&utm_medium=ppc
             /?utm_campaign=eshop
             / < https://www.etsy.com/listing/1
             /?utm_source=foo&utm_medium=social
             / < https://m.youtube.com/
             /?utm_source=foo&utm_medium=video-ad
             /?utm_source=perplexity
             / < https://duckduckgo.com/
             /?utm_source=foo&utm_medium=e-mail
             /?utm_source=foo&utm_medium=affiliate
             /?utm_source=foo&utm_medium=audio
             /?utm_source=sms
             /?utm_source=foo&utm_medium=webpush
             /?utm_source=firebase
             /?utm_medium=link",
            expect![[r#"
                 | Cross-network |  | //2024-cross-network
                Amazon | Paid Shopping |  | amazon/cpc
                 | Paid Shopping |  | /paid/my-shop
                 | Paid Other |  | /paid/workshop
                Google | Paid Search | google.de | /(gclid)
                Bing | Organic Search | bing.com | 
                Bing | Paid Search | bing.com | /(msclkid)
                Google | Paid Search |  | adwords
                Facebook | Paid Social |  | fb-ads
                TikTok | Paid Social |  | tiktok/paid_social
                Youtube | Paid Video |  | yt-ads
                foo | Display |  | foo/cpm
                foo | Display |  | foo/banner
                foo | Paid Other |  | foo/ppc
                 | Organic Shopping |  | //eshop
                Etsy | Organic Shopping | etsy.com/listing/1 | 
                foo | Organic Social |  | foo/social
                Youtube | Organic Video | m.youtube.com | 
                foo | Organic Video |  | foo/video-ad
                Perplexity | AI Assistants |  | perplexity
                DuckDuckGo | Organic Search | duckduckgo.com | 
                foo | Email |  | foo/e-mail
                foo | Affiliates |  | foo/affiliate
                foo | Audio |  | foo/audio
                sms | SMS |  | sms
                foo | Mobile Push Notifications |  | foo/webpush
                Firebase | Mobile Push Notifications |  | firebase
                 | Referral |  | /link
            "#]],
        );
    }

    proptest! {
        #[test]
        fn any_url_and_referrer_have_an_origin(page in "[a-z:/?#@%&=+.A-Zü]{0,40}", referrer in "(https?://)?[a-z:/?#@%.\\[\\]]{0,40}") {
            let origin = origin(&url::parts(&page), &referrer, &[]);
            prop_assert!(!origin.channel.is_empty());
        }
    }
}
