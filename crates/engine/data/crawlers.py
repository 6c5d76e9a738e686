"""Makes crawlers.txt from crawler-user-agents.json (npm `crawler-user-agents`, MIT, see THIRD-PARTY.md).

    python3 crawlers.py PATH/crawler-user-agents.json > crawlers.txt

Patterns become plain names in lower case: `^` before one that begins the agent, `$` after one that ends it.
Left out: what needs a regular expression (five patterns; see EXTRA), what the words in bots.rs
already cover, and names that the agents of people carry too (PEOPLE).
"""
import json
import re
import sys

# Names in people's agents: Android builds, apps with a web view, desktop programs with a page in them,
# words too common to mean one thing.
PEOPLE = set("""
ap3a.240617.008|metaiab facebook|code/1.|fluid|trae/|008/|make/|red/|notion/|asana/|tumblr/|operator/|overcast/
pocketcasts/|instapaper/|^silk/|charlotte|devin|grover/|hotjar|adventurer|butterfly|magellan|dlc/|hello world|paypal/
grammarly/|mailchimp|twinagent|bw/|ds9|linko|splunk|salesforce.com|mail.ru|goodreads|webflow|zapier|tweakers|verity/
innologica|speedy|fluffy|yeti|automaton|um-ic|um-fc|convera|postrank|authory|chirp|feeder /|known agent|yanga|genieo
upday/|newsnow/|stripe/|sogou|viber|sonic|fever|trove|gopay|blackboard
""".strip().replace("\n", "|").split("|"))

# Patterns that need a regular expression, made plain; and machines that the list does not have.
EXTRA = {
    "adsbot-google", "feed-fetcher", "rss reader",
    "^java/", "^php/", "guzzlehttp", "pycurl", "google page speed", "google-ads", "google-adwords", "google search console",
    "google-searchbyimage", "google-publisher-plugin", "google-podcast", "bingpreview", "skypeuripreview", "apachebench",
    "favicon fetcher", "feed fetcher", "emailsiphon", "mnogosearch", "; ptst", "octopus ", "netcraft",
}

COVERED = re.compile(r"bot(?![a-z])|crawl|spider|headless|scrap|https?://")


def literal(pattern):
    """The plain name that a pattern without alternatives matches; None if there is no single one."""
    before = after = ""
    if pattern.startswith("^"):
        before, pattern = "^", pattern[1:]
    if pattern.endswith("$") and not pattern.endswith("\\$"):
        after, pattern = "$", pattern[:-1]
    name, i = "", 0
    while i < len(pattern):
        c = pattern[i]
        if c == "\\":
            if pattern[i + 1].isalnum():
                return None
            name, i = name + pattern[i + 1], i + 2
        elif c == "[":
            end = pattern.index("]", i)
            letters = pattern[i + 1 : end]
            if len(letters) != 2 or letters[0].lower() != letters[1].lower():
                return None
            name, i = name + letters[0], end + 1
        elif c in "(|)*+?.{}^$":
            return None
        else:
            name, i = name + c, i + 1
    return before + name.lower() + after


def alternatives(pattern):
    group = re.fullmatch(r"([^()]*)\(([^()]*)\)([^()]*)", pattern)
    if group and "\\(" not in pattern:
        return [group[1] + choice + group[3] for choice in group[2].split("|")]
    return pattern.split("|") if "(" not in pattern else [pattern]


names = set(EXTRA)
for row in json.load(open(sys.argv[1])):
    names |= {name for name in map(literal, alternatives(row["pattern"])) if name}
names = {name for name in names if name not in PEOPLE and not COVERED.search(name)}
print("\n".join(sorted(names)))
