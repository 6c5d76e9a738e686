//! The sources we know by name: their kinds, the hosts and apps that refer from them, and the tags that
//! campaigns use for them. Facts gathered from the services themselves; names agree with Plausible's, so
//! that an imported history continues under the same name.

use std::sync::LazyLock;

/// What sort of service a source is; channels depend on it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Search,
    Social,
    Video,
    Shopping,
    Email,
    Assistant,
    /// Known by name, of no particular sort.
    Other,
}

/// A source we know.
#[derive(PartialEq, Eq, Debug)]
pub struct Known {
    pub name: &'static str,
    pub kind: Kind,
    /// Hosts, subdomains included; with `=` before, without them; with `.*` at the end, under any top-level
    /// domain. Separated by spaces.
    hosts: &'static str,
    /// Tags (`utm_source=ig`) beyond the name itself, lower case; with `$` before, one that says the click
    /// was paid for. Separated by commas.
    tags: &'static str,
}

const fn known(name: &'static str, kind: Kind, hosts: &'static str, tags: &'static str) -> Known {
    Known { name, kind, hosts, tags }
}

#[rustfmt::skip]
static SOURCES: &[Known] = &[
    known("Google", Kind::Search, "=google.* =images.google.com lens.google.com com.google.android.googlequicksearchbox", "$adwords,$google_ads,$google-ads,$google ads,$googleads,$gads"),
    known("Bing", Kind::Search, "bing.com ntp.msn.com com.microsoft.bing", "$bingads,$bing-ads,$bing_ads,$bing ads,$microsoft-ads"),
    known("DuckDuckGo", Kind::Search, "duckduckgo.com com.duckduckgo.mobile.android", "ddg"),
    known("Yahoo!", Kind::Search, "search.yahoo.com search.yahoo.co.jp =yahoo.* ", "yahoo"),
    known("Yandex", Kind::Search, "=yandex.* =ya.ru ru.yandex.searchplugin", "$yandex-ads,$yandexdirect"),
    known("Baidu", Kind::Search, "baidu.com", "$baidu-ads"),
    known("Ecosia", Kind::Search, "ecosia.org", ""),
    known("Brave", Kind::Search, "search.brave.com", ""),
    known("Qwant", Kind::Search, "qwant.com", ""),
    known("StartPage", Kind::Search, "startpage.com", ""),
    known("Kagi", Kind::Search, "kagi.com", ""),
    known("Mojeek", Kind::Search, "mojeek.com", ""),
    known("Swisscows", Kind::Search, "swisscows.com", ""),
    known("MetaGer", Kind::Search, "metager.*", ""),
    known("Naver", Kind::Search, "search.naver.com =naver.com =m.naver.com", ""),
    known("Daum", Kind::Search, "search.daum.net =daum.net", ""),
    known("Sogou", Kind::Search, "sogou.com", ""),
    known("360.cn", Kind::Search, "so.com 360.cn", ""),
    known("Seznam", Kind::Search, "search.seznam.cz =seznam.cz", ""),
    known("Coc Coc", Kind::Search, "coccoc.com", ""),
    known("Ask", Kind::Search, "=ask.com", ""),
    known("AOL", Kind::Search, "search.aol.com =aol.com", ""),
    known("Dogpile", Kind::Search, "dogpile.com", ""),
    known("Lycos", Kind::Search, "lycos.com", ""),
    known("Rambler", Kind::Search, "nova.rambler.ru =rambler.ru", ""),
    known("Mail.ru", Kind::Search, "go.mail.ru", ""),
    known("PetalSearch", Kind::Search, "petalsearch.com", ""),
    known("Presearch", Kind::Search, "presearch.com presearch.org", ""),

    known("Facebook", Kind::Social, "facebook.com fb.me fb.com com.facebook.katana", "fb,fcb,$fb-ads,$fbads,$fbad,$facebook-ads,$facebook_ads,$facebookads,$facebook_ad,$facebook_feed_ad"),
    known("Instagram", Kind::Social, "instagram.com com.instagram.android", "ig,$ig-ads,$igads,$instagram-ads,$instagram_ads"),
    known("X (Twitter)", Kind::Social, "t.co twitter.com x.com com.twitter.android", "twitter,x,$twitter-ads,$twitter_ads,$twitterads,$x-ads"),
    known("LinkedIn", Kind::Social, "linkedin.com lnkd.in com.linkedin.android", "$linkedin-ads,$linkedin_ads,$linkedinads"),
    known("Reddit", Kind::Social, "reddit.com redd.it com.reddit.frontpage", "$reddit-ads,$reddit_ads,$redditads"),
    known("Pinterest", Kind::Social, "pinterest.* pin.it com.pinterest", "$pinterest-ads,$pinterest_ads"),
    known("TikTok", Kind::Social, "tiktok.com com.zhiliaoapp.musically", "tik.tok,$tiktokads,$tiktok-ads,$tiktok_ads"),
    known("Threads", Kind::Social, "threads.net threads.com", ""),
    known("Bluesky", Kind::Social, "bsky.app bsky.social", "bsky"),
    known("Mastodon", Kind::Social, "mastodon.social mastodon.online mastodon.world mstdn.social mas.to fosstodon.org hachyderm.io infosec.exchange mastodon.art techhub.social chaos.social joinmastodon.org org.joinmastodon.android", ""),
    known("Lemmy", Kind::Social, "lemmy.world lemmy.ml lemm.ee", ""),
    known("Hacker News", Kind::Social, "news.ycombinator.com hn.algolia.com", "hn,hackernews,hacker-news"),
    known("Lobsters", Kind::Social, "lobste.rs", ""),
    known("GitHub", Kind::Social, "github.com", ""),
    known("Stack Overflow", Kind::Social, "stackoverflow.com", "stackoverflow"),
    known("Producthunt", Kind::Social, "producthunt.com", "product-hunt,product hunt,ph"),
    known("Indie Hackers", Kind::Social, "indiehackers.com", "indiehackers"),
    known("DEV", Kind::Social, "dev.to", "dev.to"),
    known("Medium", Kind::Social, "medium.com", ""),
    known("Quora", Kind::Social, "quora.com", ""),
    known("Tumblr", Kind::Social, "tumblr.com", ""),
    known("Telegram", Kind::Social, "t.me telegram.org telegram.me org.telegram.messenger org.telegram.messenger.web", "tg"),
    known("WhatsApp", Kind::Social, "whatsapp.com wa.me com.whatsapp", ""),
    known("Messenger", Kind::Social, "messenger.com com.facebook.orca", ""),
    known("Discord", Kind::Social, "discord.com discordapp.com com.discord", ""),
    known("Slack", Kind::Social, "slack.com com.slack", ""),
    known("Microsoft Teams", Kind::Social, "teams.microsoft.com teams.live.com teams.cdn.office.net com.microsoft.teams", ""),
    known("Snapchat", Kind::Social, "snapchat.com com.snapchat.android", "$snapchat-ads,$snapchat_ads"),
    known("Vkontakte", Kind::Social, "vk.com vk.ru com.vkontakte.android", "vk"),
    known("Odnoklassniki", Kind::Social, "ok.ru odnoklassniki.ru", ""),
    known("Weibo", Kind::Social, "weibo.com weibo.cn t.cn", ""),
    known("WeChat", Kind::Social, "weixin.qq.com wx.qq.com com.tencent.mm", ""),
    known("Xing", Kind::Social, "xing.com", ""),
    known("Line", Kind::Social, "line.me jp.naver.line.android", ""),
    known("Kakao", Kind::Social, "kakao.com com.kakao.talk", ""),
    known("Hatena", Kind::Social, "hatena.ne.jp", ""),
    known("Flipboard", Kind::Social, "flipboard.com", ""),
    known("Digg", Kind::Social, "digg.com", ""),
    known("Disqus", Kind::Social, "disqus.com disq.us", ""),
    known("Nextdoor", Kind::Social, "nextdoor.com", ""),
    known("Steam", Kind::Social, "steamcommunity.com store.steampowered.com", ""),
    known("Meetup", Kind::Social, "meetup.com", ""),
    known("Yelp", Kind::Social, "yelp.com", ""),

    known("Youtube", Kind::Video, "youtube.com youtu.be com.google.android.youtube", "yt,$yt-ads,$youtube-ads,$youtube_ads"),
    known("Vimeo", Kind::Video, "vimeo.com", ""),
    known("Dailymotion", Kind::Video, "dailymotion.com dai.ly", ""),
    known("Twitch", Kind::Video, "twitch.tv tv.twitch.android.app", ""),
    known("Bilibili", Kind::Video, "bilibili.com", ""),
    known("Niconico", Kind::Video, "nicovideo.jp", ""),
    known("Netflix", Kind::Video, "netflix.com", ""),
    known("Rumble", Kind::Video, "rumble.com", ""),
    known("Odysee", Kind::Video, "odysee.com", ""),
    known("TED", Kind::Video, "ted.com", ""),

    known("Google Shopping", Kind::Shopping, "shopping.google.com", "google-shopping,google_shopping"),
    known("Amazon", Kind::Shopping, "amazon.* com.amazon.mshop.android.shopping", "$amazon-ads,$amazon_ads"),
    known("eBay", Kind::Shopping, "ebay.*", ""),
    known("Etsy", Kind::Shopping, "etsy.com", ""),
    known("Walmart", Kind::Shopping, "walmart.com", ""),
    known("Shopify", Kind::Shopping, "shopify.com shop.app", ""),
    known("Alibaba", Kind::Shopping, "alibaba.com", ""),
    known("AliExpress", Kind::Shopping, "aliexpress.*", ""),
    known("Temu", Kind::Shopping, "temu.com", ""),
    known("Rakuten", Kind::Shopping, "rakuten.*", ""),
    known("Mercado Libre", Kind::Shopping, "mercadolibre.* mercadolivre.*", ""),
    known("Zalando", Kind::Shopping, "zalando.*", ""),
    known("IGShopping", Kind::Shopping, "", ""),

    known("Gmail", Kind::Email, "mail.google.com com.google.android.gm", ""),
    known("Outlook.com", Kind::Email, "outlook.live.com outlook.office.com outlook.office365.com mail.live.com com.microsoft.office.outlook", "outlook"),
    known("Yahoo! Mail", Kind::Email, "mail.yahoo.com mail.yahoo.co.jp com.yahoo.mobile.client.android.mail", ""),
    known("Proton Mail", Kind::Email, "mail.proton.me mail.protonmail.com ch.protonmail.android", ""),
    known("Fastmail", Kind::Email, "fastmail.com", ""),
    known("GMX", Kind::Email, "gmx.net gmx.de gmx.at gmx.ch", ""),
    known("WEB.DE", Kind::Email, "web.de", ""),
    known("Zoho Mail", Kind::Email, "mail.zoho.com mail.zoho.eu", ""),
    known("Mail.ru Mail", Kind::Email, "e.mail.ru touch.mail.ru", ""),
    known("Yandex Mail", Kind::Email, "mail.yandex.ru mail.yandex.com", ""),
    known("AOL Mail", Kind::Email, "mail.aol.com", ""),

    known("ChatGPT", Kind::Assistant, "chatgpt.com chat.openai.com com.openai.chatgpt", "chatgpt.com"),
    known("Claude", Kind::Assistant, "claude.ai com.anthropic.claude", "claude.ai"),
    known("Perplexity", Kind::Assistant, "perplexity.ai ai.perplexity.app.android", "perplexity.ai"),
    known("Google Gemini", Kind::Assistant, "gemini.google.com bard.google.com com.google.android.apps.bard", "gemini"),
    known("Copilot", Kind::Assistant, "copilot.microsoft.com copilot.cloud.microsoft m365.cloud.microsoft com.microsoft.copilot", ""),
    known("Grok", Kind::Assistant, "grok.com ai.x.grok", ""),
    known("DeepSeek", Kind::Assistant, "deepseek.com com.deepseek.chat", ""),
    known("Mistral", Kind::Assistant, "chat.mistral.ai", ""),
    known("Meta AI", Kind::Assistant, "meta.ai", ""),
    known("Phind", Kind::Assistant, "phind.com", ""),
    known("Poe", Kind::Assistant, "poe.com", ""),
    known("You.com", Kind::Assistant, "you.com", ""),
    known("Duck.ai", Kind::Assistant, "duck.ai", ""),
    known("Kimi", Kind::Assistant, "kimi.com kimi.moonshot.cn", ""),
    known("Qwen", Kind::Assistant, "chat.qwen.ai", ""),
    known("Doubao", Kind::Assistant, "doubao.com", ""),

    known("Wikipedia", Kind::Other, "wikipedia.org", ""),
    known("Linktree", Kind::Other, "linktr.ee", ""),
    known("Firebase", Kind::Other, "", ""),
];

/// The same by host and by tag, sorted, to be searched.
struct Index {
    /// Host, whether its subdomains count too, source.
    hosts: Vec<(&'static str, bool, &'static Known)>,
    /// First label of hosts under any top-level domain.
    anywhere: Vec<(&'static str, bool, &'static Known)>,
    /// Tag in lower case, whether it says "paid", source.
    tags: Vec<(String, bool, &'static Known)>,
}

static INDEX: LazyLock<Index> = LazyLock::new(|| {
    let mut index = Index { hosts: Vec::new(), anywhere: Vec::new(), tags: Vec::new() };
    for source in SOURCES {
        for host in source.hosts.split_whitespace() {
            let (host, subdomains) = host.strip_prefix('=').map_or((host, true), |host| (host, false));
            match host.strip_suffix(".*") {
                Some(label) => index.anywhere.push((label, subdomains, source)),
                None => index.hosts.push((host, subdomains, source)),
            }
        }
        index.tags.push((source.name.to_lowercase(), false, source));
        for tag in source.tags.split(',').filter(|tag| !tag.is_empty()) {
            let (tag, paid) = tag.strip_prefix('$').map_or((tag, false), |tag| (tag, true));
            index.tags.push((tag.to_owned(), paid, source));
        }
    }
    index.hosts.sort_by_key(|row| row.0);
    index.anywhere.sort_by_key(|row| row.0);
    index.tags.sort_by(|a, b| a.0.cmp(&b.0));
    index
});

/// The source that a referring host (lower case, without `www.`) or app belongs to.
pub fn by_host(host: &str) -> Option<&'static Known> {
    let mut rest = host;
    loop {
        let whole = rest.len() == host.len();
        let found = find(&INDEX.hosts, rest).or_else(|| {
            let (label, suffix) = rest.split_once('.')?;
            is_top_level(suffix).then(|| find(&INDEX.anywhere, label))?
        });
        if let Some((_, subdomains, source)) = found
            && (whole || *subdomains)
        {
            return Some(source);
        }
        rest = rest.split_once('.')?.1;
    }
}

fn find<'a>(
    rows: &'a [(&'static str, bool, &'static Known)],
    key: &str,
) -> Option<&'a (&'static str, bool, &'static Known)> {
    rows.binary_search_by(|row| row.0.cmp(key)).ok().and_then(|at| rows.get(at))
}

/// `com`, `de`, `co.uk`, `com.br`: one or two labels of at most three letters.
fn is_top_level(suffix: &str) -> bool {
    suffix.split('.').count() <= 2 && suffix.split('.').all(|label| (2..=3).contains(&label.len()))
}

/// The source that a tag (lower case) names, and whether the tag says that the click was paid for.
pub fn by_tag(tag: &str) -> Option<(&'static Known, bool)> {
    let at = INDEX.tags.binary_search_by(|row| row.0.as_str().cmp(tag)).ok();
    match at.and_then(|at| INDEX.tags.get(at)) {
        Some((_, paid, source)) => Some((source, *paid)),
        // A tag may be a host: `utm_source=news.ycombinator.com`.
        None if tag.contains('.') => {
            by_host(tag.strip_prefix("www.").unwrap_or(tag)).map(|source| (source, false))
        }
        None => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_host_or_tag_stands_twice() {
        let twice = |keys: Vec<&str>| keys.windows(2).find(|w| w[0] == w[1]).map(|w| w[0].to_owned());
        assert_eq!(twice(INDEX.hosts.iter().map(|row| row.0).collect()), None);
        assert_eq!(twice(INDEX.anywhere.iter().map(|row| row.0).collect()), None);
        assert_eq!(twice(INDEX.tags.iter().map(|row| row.0.as_str()).collect()), None);
    }

    #[test]
    fn hosts_have_names() {
        let table = [
            ("google.com", "Google"),
            ("google.co.uk", "Google"),
            ("docs.google.com", ""),
            ("mail.google.com", "Gmail"),
            ("gemini.google.com", "Google Gemini"),
            ("google.evil.example.com", ""),
            ("cn.bing.com", "Bing"),
            ("de.search.yahoo.com", "Yahoo!"),
            ("finance.yahoo.com", ""),
            ("l.facebook.com", "Facebook"),
            ("notfacebook.com", ""),
            ("t.co", "X (Twitter)"),
            ("old.reddit.com", "Reddit"),
            ("de.pinterest.com", "Pinterest"),
            ("smile.amazon.co.uk", "Amazon"),
            ("en.m.wikipedia.org", "Wikipedia"),
            ("com.google.android.gm", "Gmail"),
            ("statics.teams.cdn.office.net", "Microsoft Teams"),
            ("yandex.com.tr", "Yandex"),
            ("example.com", ""),
            ("", ""),
            ("...", ""),
        ];
        for (host, expected) in table {
            assert_eq!(by_host(host).map_or("", |source| source.name), expected, "{host}");
        }
    }
}
