//! What a user agent tells: browser, system, class of device; whether it is a machine; and a cache of that.
//!
//! A table of our own rather than a library: since browsers froze their agents there is little left to
//! read, and docs/DECISIONS.md has the figures (accuracy, start, memory, time) of what was measured beside
//! it. Names are Plausible's: an app's web view is `Mobile App`, plain Linux `GNU/Linux`; television sets
//! and consoles count as `Desktop`.

use crate::bots;
use crate::event::{Device, Text};
use crate::words::Words;
use siphasher::sip::SipHasher24;
use std::fmt;
use std::hash::Hasher;
use std::sync::{LazyLock, Mutex, PoisonError};

/// Longest agent that is looked at, bytes. Longer ones are read up to there.
pub const MAX_AGENT: usize = 1_024;

/// The device that a user agent says it is. Empty texts for what it does not say.
pub fn device(agent: &str) -> Device {
    let agent = crate::url::cut(agent, MAX_AGENT);
    let (system, system_version) = system(agent);
    let (browser, browser_version) = browser(agent, system);
    let class = if browser.is_empty() && system.is_empty() { "" } else { class(agent, system) };
    let named = |name: &str, version: Text| match version.as_str() {
        "" => Text::from(name),
        version => Text::from(format!("{name} {version}")),
    };
    Device {
        class: class.into(),
        browser: browser.into(),
        browser_version: named(browser, browser_version),
        system: system.into(),
        system_version: named(system, system_version),
    }
}

/// Whether a user agent says that it is a machine: a crawler, a monitor, a library. A missing agent says
/// nothing.
pub fn is_bot(agent: &str) -> bool {
    bots::is_bot(crate::url::cut(agent, MAX_AGENT))
}

const APP: &str = "Mobile App";

/// Browsers by a word of theirs, which the version follows; the first word found counts. Those that carry
/// another's word stand before it: Edge says that it is Chrome, Chrome that it is Safari.
#[rustfmt::skip]
static BROWSERS: &[(&str, &str)] = &[
    ("EdgA/", "Microsoft Edge"), ("EdgiOS/", "Microsoft Edge"), ("Edg/", "Microsoft Edge"), ("Edge/", "Microsoft Edge"),
    ("OPiOS/", "Opera"), ("OPT/", "Opera"), ("OPX/", "Opera GX"), ("OPR/", "Opera"), ("Opera Mini/", "Opera"),
    ("SamsungBrowser/", "Samsung Browser"),
    ("YaBrowser/", "Yandex Browser"), ("YaSearchBrowser/", "Yandex Browser"),
    ("Vivaldi/", "Vivaldi"), ("Whale/", "Whale Browser"), ("coc_coc_browser/", "Coc Coc"),
    ("UCBrowser/", "UC Browser"), ("UCWEB", "UC Browser"),
    ("MiuiBrowser/", "MIUI Browser"), ("HuaweiBrowser/", "Huawei Browser"), ("HeyTapBrowser/", "HeyTapBrowser"),
    ("VivoBrowser/", "vivo Browser"), ("PHX/", "Phoenix Browser"),
    ("DuckDuckGo/", "DuckDuckGo Privacy Browser"), ("Ddg/", "DuckDuckGo Privacy Browser"),
    ("Brave/", "Brave"), ("Ecosia ", "Ecosia"), ("OculusBrowser/", "Oculus Browser"), ("Silk/", "Mobile Silk"),
    ("Focus/", "Firefox Focus"), ("Klar/", "Firefox Klar"),
    // Apps, whose web view is not a browser that somebody chose.
    ("FBAN/", APP), ("FBAV/", APP), ("FB_IAB/", APP), ("Instagram ", APP), ("Barcelona ", APP), ("GSA/", APP),
    ("WhatsApp/", APP), ("Snapchat", APP), ("Pinterest/", APP), ("musical_ly", APP), ("BytedanceWebview/", APP),
    ("trill_", APP), (" Line/", APP), ("MicroMessenger/", APP), ("Twitter for ", APP), ("TwitterAndroid", APP),
    ("LinkedInApp", APP), ("KAKAOTALK", APP), ("NAVER(", APP), ("DaumApps/", APP), ("DingTalk/", APP),
    ("AlipayClient/", APP), ("Weibo (", APP), ("NewsArticle/", APP), ("Telegram-Android/", APP), ("; wv)", APP),
    ("MQQBrowser/", "QQ Browser"), ("QQBrowser/", "QQ Browser"), ("MetaSr ", "Sogou Explorer"),
    ("Maxthon/", "Maxthon"), ("Puffin/", "Puffin"), ("Avast/", "Avast Secure Browser"), ("AVG/", "AVG Secure Browser"),
    ("CCleaner/", "CCleaner"), ("Iron/", "Iron"), ("SeaMonkey/", "SeaMonkey"), ("PaleMoon/", "Pale Moon"),
    ("Waterfox/", "Waterfox"), ("Konqueror/", "Konqueror"), ("Epiphany/", "GNOME Web"), ("Falkon/", "Falkon"),
    ("QtWebEngine/", "QtWebEngine"), ("Electron/", "Electron App"),
    ("FxiOS/", "Firefox"), ("Firefox/", "Firefox"),
    ("HeadlessChrome/", "Headless Chrome"), ("CriOS/", "Chrome"), ("Chromium/", "Chromium"), ("Chrome/", "Chrome"),
    ("Opera", "Opera"), ("MSIE ", "Internet Explorer"), ("Trident/", "Internet Explorer"),
];

/// The browser's name and version. `system` decides where the agent has no word of its own.
fn browser(agent: &str, system: &str) -> (&'static str, Text) {
    static WORDS: LazyLock<Words> = LazyLock::new(|| Words::new(BROWSERS.iter().map(|row| row.0), true));
    let found = foremost(&WORDS, BROWSERS, agent).map(|((word, name), rest)| (*word, *name, rest));
    match found {
        Some((_, APP, _)) => (APP, Text::default()),
        // Opera before 15 froze its own number at 9.80, Internet Explorer 11 hid it behind `rv:`.
        Some(("Opera", name, rest)) => {
            (name, version(after(agent, "Version/").unwrap_or(&rest[rest.len().min(1)..])))
        }
        Some(("Trident/", name, _)) => (name, after(agent, "rv:").map_or(Text::default(), version)),
        Some((_, name, rest)) => (name, version(rest)),
        None if system == "Android" && agent.contains("AppleWebKit/") => {
            ("Android Browser", after(agent, "Version/").map_or(Text::default(), version))
        }
        None => match after(agent, "Version/") {
            Some(rest) if agent.contains("Safari/") => ("Safari", version(rest)),
            // WebKit on iOS that does not call itself Safari is an app's.
            _ if system == "iOS" && agent.contains("AppleWebKit/") => (APP, Text::default()),
            _ if system == "macOS" && agent.contains("Safari/") => ("Safari", Text::default()),
            _ => ("", Text::default()),
        },
    }
}

/// Systems by a word of theirs, and by the word that their version follows.
#[rustfmt::skip]
static SYSTEMS: &[(&str, &str, &str)] = &[
    ("Windows Phone", "Windows Phone", "Windows Phone "), ("IEMobile", "Windows Phone", ""),
    ("Xbox", "Xbox", ""), ("PlayStation", "PlayStation", "PlayStation "), ("Nintendo", "Nintendo", ""),
    ("Windows NT", "Windows", "Windows NT "), ("Windows", "Windows", ""),
    ("iPhone", "iOS", "OS "), ("iPad", "iOS", "OS "), ("iPod", "iOS", "OS "),
    ("CrOS", "ChromeOS", ""), ("KAIOS/", "KaiOS", "KAIOS/"), ("Tizen", "Tizen", "Tizen "), ("Web0S", "webOS", ""), ("webOS", "webOS", "webOS/"),
    ("HarmonyOS", "HarmonyOS", "HarmonyOS "), ("OpenHarmony", "HarmonyOS", "OpenHarmony "),
    ("Android", "Android", "Android "), ("Adr ", "Android", "Adr "),
    ("AppleTV", "tvOS", ""), ("Mac OS X", "macOS", "Mac OS X "), ("Macintosh", "macOS", ""),
    ("Ubuntu", "Ubuntu", "Ubuntu/"), ("Fedora", "Fedora", "Fedora/"), ("Debian", "Debian", "Debian/"),
    ("FreeBSD", "FreeBSD", ""), ("OpenBSD", "OpenBSD", ""), ("NetBSD", "NetBSD", ""), ("SunOS", "Solaris", ""),
    ("BlackBerry", "BlackBerry OS", ""), ("BB10", "BlackBerry OS", ""), ("SymbianOS", "Symbian", ""), ("Series40", "Symbian", ""),
    ("Linux", "GNU/Linux", ""), ("X11", "GNU/Linux", ""), ("J2ME", "Java ME", ""),
];

/// Windows by its kernel's number. Windows 11 calls itself 10.
static WINDOWS: &[(&str, &str)] = &[
    ("10.0", "10"),
    ("6.3", "8.1"),
    ("6.2", "8"),
    ("6.1", "7"),
    ("6.0", "Vista"),
    ("5.2", "XP"),
    ("5.1", "XP"),
    ("5.0", "2000"),
];

fn system(agent: &str) -> (&'static str, Text) {
    let Some((_, name, before)) = SYSTEMS.iter().find(|(word, _, _)| agent.contains(word)) else {
        return ("", Text::default());
    };
    let rest = if before.is_empty() { None } else { after(agent, before) };
    let version = match (*name, rest) {
        ("Windows", Some(rest)) => {
            WINDOWS.iter().find(|row| rest.starts_with(row.0)).map_or("", |row| row.1).into()
        }
        ("iOS", rest) => ios_version(agent, rest),
        (_, Some(rest)) => version(rest),
        (_, None) => Text::default(),
    };
    (name, version)
}

/// Since 26, Safari's version is iOS's, and the number of the system stays at 18.
fn ios_version(agent: &str, rest: Option<&str>) -> Text {
    let safari = after(agent, "Version/").map_or(Text::default(), version);
    let major = safari.split('.').next().and_then(|major| major.parse::<u32>().ok());
    if major.is_some_and(|major| major >= 26) { safari } else { rest.map_or(Text::default(), version) }
}

/// The first row of a table whose word is in the agent, and what follows the word there.
fn foremost<'a, Row>(words: &Words, rows: &'static [Row], agent: &'a str) -> Option<(&'static Row, &'a str)> {
    let mut first: Option<(usize, usize)> = None;
    words.any(agent.as_bytes(), |number, _, end| {
        if first.is_none_or(|(least, _)| number < least) {
            first = Some((number, end));
        }
        false
    });
    let (number, end) = first?;
    Some((rows.get(number)?, agent.get(end..)?))
}

fn class(agent: &str, system: &str) -> &'static str {
    let says = |words: &[&str]| words.iter().any(|word| agent.contains(word));
    match system {
        "iOS" if agent.contains("iPad") => "Tablet",
        "iOS" | "Windows Phone" | "KaiOS" | "BlackBerry OS" | "Symbian" | "Java ME" => "Mobile",
        // Whatever stands in a living room.
        _ if says(&TELEVISIONS) => "Desktop",
        "Android" | "HarmonyOS" if says(&["Tablet", "Opera Tablet"]) => "Tablet",
        "Android" | "HarmonyOS" if says(&["Mobile", "Opera Mini", "OPR Mini"]) => "Mobile",
        "Android" if says(&["Windows NT", "CrKey"]) => "Desktop",
        "Android" | "HarmonyOS" => "Tablet",
        "Tizen" => "Mobile",
        _ if says(&["PlayBook", "Kindle", "Tablet; rv:", "Silk-Accelerated"]) => "Tablet",
        "Windows" | "macOS" | "ChromeOS" | "Xbox" | "PlayStation" | "Nintendo" | "webOS" | "tvOS" => {
            "Desktop"
        }
        _ if says(&["Mobile", "Mobi/", "Opera Mini", "MIDP"]) => "Mobile",
        _ => "Desktop",
    }
}

const TELEVISIONS: [&str; 14] = [
    "SMART-TV",
    "SmartTV",
    "Smart TV",
    "SMARTTV",
    "Android TV",
    "AndroidTV",
    "GoogleTV",
    "Google TV",
    "BRAVIA",
    "HbbTV",
    "Web0S",
    "AppleTV",
    "; AFT",
    "CrKey",
];

fn after<'a>(agent: &'a str, word: &str) -> Option<&'a str> {
    agent.find(word).and_then(|at| agent.get(at + word.len()..))
}

/// The version at the start of a text: major, and minor unless it is 0. Dots may be underscores.
fn version(rest: &str) -> Text {
    let mut numbers = rest.split(['.', '_']).map(|part| {
        let digits = part.bytes().take_while(u8::is_ascii_digit).count();
        (&part[..digits], digits == part.len())
    });
    let (major, whole) = numbers.next().unwrap_or(("", false));
    if major.is_empty() || major.len() > 6 {
        return Text::default();
    }
    match numbers.next() {
        Some((minor, _)) if whole && (1..=6).contains(&minor.len()) && minor.bytes().any(|b| b != b'0') => {
            Text::from(format!("{major}.{minor}"))
        }
        _ => Text::from(major),
    }
}

/// What is known of a user agent.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Known {
    pub device: Device,
    pub bot: bool,
}

/// A cache of what user agents tell. It holds a keyed 64-bit hash of each, never the agent itself
/// (PRIVACY.md, clause 2), and never grows: an agent has one place, and takes it from who was there.
pub struct Agents {
    key: [u8; 16],
    shards: Vec<Mutex<Vec<Place>>>,
}

/// An agent's hash, and what is known of it.
type Place = Option<(u64, Known)>;

/// A power of two; a lock each.
const SHARDS: usize = 16;
/// Places of a shard: 4,096 in all, about 0.6 MB once they are taken.
const PLACES: usize = 256;

impl Agents {
    /// `key` is random and made anew in each process.
    pub fn new(key: [u8; 16]) -> Agents {
        Agents { key, shards: (0..SHARDS).map(|_| Mutex::default()).collect() }
    }

    /// What is known of this agent; read from it the first time.
    pub fn look_up(&self, agent: &str) -> Known {
        let mut hasher = SipHasher24::new_with_key(&self.key);
        hasher.write(agent.as_bytes());
        let hash = hasher.finish();
        let read = || Known { device: device(agent), bot: is_bot(agent) };
        let Some(shard) = self.shards.get(hash as usize % SHARDS) else {
            return read();
        };
        // Whoever panicked while holding the lock left whole entries behind.
        let mut places = shard.lock().unwrap_or_else(PoisonError::into_inner);
        if places.is_empty() {
            places.resize(PLACES, None);
        }
        let Some(place) = places.get_mut((hash >> 32) as usize % PLACES) else {
            return read();
        };
        match place {
            Some((known_hash, known)) if *known_hash == hash => known.clone(),
            _ => {
                let known = read();
                *place = Some((hash, known.clone()));
                known
            }
        }
    }
}

impl fmt::Debug for Agents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Agents")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};
    use proptest::prelude::*;

    fn check(agents: &str, expected: Expect) {
        let mut out = String::new();
        for agent in agents.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let device = device(agent);
            out += &format!(
                "{} | {} | {} | {}",
                device.class, device.browser_version, device.system_version, device.system
            );
            out += if is_bot(agent) { " | bot\n" } else { "\n" };
        }
        expected.assert_eq(&out);
    }

    #[test]
    fn desktop_browsers() {
        check(
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36
             Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36 Edg/126.0.2592.56
             Mozilla/5.0 (Windows NT 6.1; WOW64; Trident/7.0; rv:11.0) like Gecko
             Mozilla/4.0 (compatible; MSIE 8.0; Windows NT 5.1; Trident/4.0)
             Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.4.1 Safari/605.1.15
             Mozilla/5.0 (X11; Linux x86_64; rv:127.0) Gecko/20100101 Firefox/127.0
             Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:109.0) Gecko/20100101 Firefox/115.0
             Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/125.0.0.0 Safari/537.36
             Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/124.0.0.0 Safari/537.36 OPR/110.0.0.0
             Opera/9.80 (Windows NT 6.1; U; en) Presto/2.10.289 Version/12.02
             Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/122.0.0.0 YaBrowser/24.4.0.0 Safari/537.36
             Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36 Vivaldi/6.5.3206.48",
            expect![[r#"
                Desktop | Chrome 126 | Windows 10 | Windows
                Desktop | Microsoft Edge 126 | Windows 10 | Windows
                Desktop | Internet Explorer 11 | Windows 7 | Windows
                Desktop | Internet Explorer 8 | Windows XP | Windows
                Desktop | Safari 17.4 | macOS 10.15 | macOS
                Desktop | Firefox 127 | GNU/Linux | GNU/Linux
                Desktop | Firefox 115 | Ubuntu | Ubuntu
                Desktop | Chrome 125 | ChromeOS | ChromeOS
                Desktop | Opera 110 | Windows 10 | Windows
                Desktop | Opera 12.02 | Windows 7 | Windows
                Desktop | Yandex Browser 24.4 | Windows 10 | Windows
                Desktop | Vivaldi 6.5 | Windows 10 | Windows
            "#]],
        );
    }

    #[test]
    fn phones_tablets_and_apps() {
        check(
            "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1
             Mozilla/5.0 (iPhone; CPU iPhone OS 18_7 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.1 Mobile/15E148 Safari/604.1
             Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/126.0.6478.54 Mobile/15E148 Safari/604.1
             Mozilla/5.0 (iPad; CPU OS 16_7_8 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) FxiOS/127.0 Mobile/15E148 Safari/605.1.15
             Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Mobile Safari/537.36
             Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36
             Mozilla/5.0 (Linux; Android 13; SAMSUNG SM-S918B) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/25.0 Chrome/121.0.0.0 Mobile Safari/537.36
             Mozilla/5.0 (Android 14; Mobile; rv:127.0) Gecko/127.0 Firefox/127.0
             Mozilla/5.0 (Android 14; Tablet; rv:127.0) Gecko/127.0 Firefox/127.0
             Mozilla/5.0 (Linux; Android 14; Pixel 8; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/126.0.6478.50 Mobile Safari/537.36
             Mozilla/5.0 (iPhone; CPU iPhone OS 17_5_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/21F90 [FBAN/FBIOS;FBAV/468.0.0.37.105;FBBV/607893203]
             Mozilla/5.0 (iPhone; CPU iPhone OS 17_5_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148
             Mozilla/5.0 (Linux; U; Android 4.0.3; en-us; GT-I9100 Build/IML74K) AppleWebKit/534.30 (KHTML, like Gecko) Version/4.0 Mobile Safari/534.30
             Mozilla/5.0 (Linux; Android 7.0; CUBOT NOTE Plus) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/83.0.4103.106 Mobile Safari/537.36
             Mozilla/5.0 (Mobile; Nokia 8110 4G; rv:48.0) Gecko/48.0 Firefox/48.0 KAIOS/2.5",
            expect![[r#"
                Mobile | Safari 17.5 | iOS 17.5 | iOS
                Mobile | Safari 26.1 | iOS 26.1 | iOS
                Mobile | Chrome 126 | iOS 17.5 | iOS
                Tablet | Firefox 127 | iOS 16.7 | iOS
                Mobile | Chrome 126 | Android 10 | Android
                Tablet | Chrome 126 | Android 10 | Android
                Mobile | Samsung Browser 25 | Android 13 | Android
                Mobile | Firefox 127 | Android 14 | Android
                Tablet | Firefox 127 | Android 14 | Android
                Mobile | Mobile App | Android 14 | Android
                Mobile | Mobile App | iOS 17.5 | iOS
                Mobile | Mobile App | iOS 17.5 | iOS
                Mobile | Android Browser 4 | Android 4 | Android
                Mobile | Chrome 83 | Android 7 | Android
                Mobile | Firefox 48 | KaiOS 2.5 | KaiOS
            "#]],
        );
    }

    #[test]
    fn living_rooms_are_desktops_and_machines_are_bots() {
        check(
            "Mozilla/5.0 (SMART-TV; Linux; Tizen 5.0) AppleWebKit/538.1 (KHTML, like Gecko) Version/5.0 TV Safari/538.1
             Mozilla/5.0 (Web0S; Linux/SmartTV) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/79.0.3945.79 Safari/537.36
             Mozilla/5.0 (PlayStation 4 11.00) AppleWebKit/605.1.15 (KHTML, like Gecko)
             Mozilla/5.0 (Windows NT 10.0; Win64; x64; Xbox; Xbox One) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/48.0.2564.82 Safari/537.36 Edge/20.02
             Mozilla/5.0 (Linux; Android 9; AFTMM) AppleWebKit/537.36 (KHTML, like Gecko) Silk/112.5.1 like Chrome/112.0.5615.213 Safari/537.36
             Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)
             Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/126.0.0.0 Safari/537.36
             curl/8.5.0
             python-requests/2.31.0
             facebookexternalhit/1.1
             MyApp/1.0 (iPhone)
             -",
            expect![[r#"
                Desktop | Safari 5 | Tizen 5 | Tizen
                Desktop | Chrome 79 | webOS | webOS
                Desktop |  | PlayStation 4 | PlayStation
                Desktop | Microsoft Edge 20.02 | Xbox | Xbox
                Desktop | Mobile Silk 112.5 | Android 9 | Android
                 |  |  |  | bot
                Desktop | Headless Chrome 126 | GNU/Linux | GNU/Linux | bot
                 |  |  |  | bot
                 |  |  |  | bot
                 |  |  |  | bot
                Mobile |  | iOS | iOS
                 |  |  | 
            "#]],
        );
        assert_eq!(device(""), Device::default());
        assert!(!is_bot(""), "a missing agent says nothing");
    }

    #[test]
    fn the_cache_answers_as_if_it_were_not_there() {
        let agents = Agents::new([7; 16]);
        // More agents than places, twice.
        for n in (0..6_000).chain(0..6_000) {
            let agent = format!("Mozilla/5.0 (X11; Linux x86_64; rv:{n}.0) Gecko/20100101 Firefox/{n}.0");
            assert_eq!(agents.look_up(&agent), Known { device: device(&agent), bot: false });
        }
        assert!(agents.look_up("Googlebot/2.1").bot);
    }

    proptest! {
        #[test]
        fn any_agent_is_survived(agent in any::<String>()) {
            device(&agent);
            is_bot(&agent);
        }

        #[test]
        fn agents_of_known_words_are_survived(words in prop::collection::vec(prop::sample::select(
            BROWSERS.iter().map(|row| row.0).chain(SYSTEMS.iter().flat_map(|row| [row.0, row.2])).chain(["Version/", "rv:", "Safari/", "AppleWebKit/", "Mobile", "é", "9.", "_", "1234567890"]).collect::<Vec<_>>()
        ), 0..8)) {
            let device = device(&words.concat());
            prop_assert!(device.browser_version.starts_with(device.browser.as_str()));
            prop_assert!(device.system_version.starts_with(device.system.as_str()));
        }
    }
}
