"""Regexes that may take forever are refused, those that people write are not."""

import multiprocessing
import random
import re
import time
from itertools import product
from multiprocessing.connection import Connection

import pytest

from haproxy_log_exporter.labels import positions
from haproxy_log_exporter.labels.backtracking import Cost, TooSlowError, find_cost
from haproxy_log_exporter.labels.rules import LONGEST_QUADRATIC, Action, Rule, apply_rules, read_match

FLAGS = re.ASCII | re.DOTALL

# Of Prometheus's relabelling, and for HAProxy's paths, hosts and servers.
WRITTEN = [
    "(.*)",
    ".+",
    "(.*):.*",
    r"([^:]+)(?::\d+)?;(\d+)",
    r"(.+)(?::\d+);(\d+)",
    r"([^:]+)(?::\d+)?",
    "__meta_kubernetes_service_label_(.+)",
    "__meta_kubernetes_pod_label_(.+)",
    "(https?)",
    "true",
    "default;kubernetes;https",
    "kubernetes-(.*)",
    "container_(network_tcp_usage_total|network_udp_usage_total|tasks_state|cpu_load_average_10s)",
    "go_.*|process_.*",
    r"(.*)\.example\.com",
    "(.*)-(.*)",
    "(.*)-[0-9a-f]{8,10}-[a-z0-9]{5}",
    "^(?:.*/)?([^/]+)$",
    "(?i)(get|post|put|delete)",
    "etcd_(debugging|disk|request|server).*",
    "apiserver_request_duration_seconds_bucket;(0.15|0.25|0.3|0.35|0.4|0.45|0.6|0.7|0.8|0.9|1.25|1.5|1.75|2.5|3|3.5|4.5|6|7|8|9|15|25|30|50)",
    "kube-system|monitoring|default",
    ".*foo.*",
    ".*foo.*bar",
    "(.*)/(.*)/(.*)",
    "(.*)/(.*)/(.*)/(.*)",
    "/(.*)/(.*)/(.*)/(.*)/(.*)",
    "/api/(.*)",
    "/api/v[0-9]+/users/[0-9]+",
    r"/api/(v\d+)/([^/]+)/([^/]+)(/.*)?",
    "/([^/]+)/([^/]+)/([^/]+)/([^/]+)",
    "(/[^/]+)*/?",
    r"/(?:[^/]+/)*[^/]+\.(?:js|css|png|jpg|jpeg|gif|svg|ico|woff2?)",
    r".*\.(js|css|png|jpe?g|gif|svg|ico|woff2?)(\?.*)?",
    "/assets/.*",
    "/(de|en|fr)/(.*)",
    "/(?P<version>v[0-9]+)/.*",
    "/(health|healthz|ready|live|metrics|ping|status)/?",
    r"/users/\d+/orders/\d+(/items(/\d+)?)?",
    "/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/.*",
    "/[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}",
    r"(?:\d{1,3}\.){3}\d{1,3}",
    r"(\d{1,3}(?:\.\d{1,3}){3})(?::\d{1,5})?",
    r"10\.0\..*",
    r"(10|172\.(1[6-9]|2[0-9]|3[01])|192\.168)\..*",
    r"([a-z0-9]+(-[a-z0-9]+)*)\.internal",
    r"([a-zA-Z0-9-]+\.)+example\.com",
    "[a-z]{2}(?:-[A-Z]{2})?/.*",
    "/(?!api/|static/).*",
    "(?!.*internal.*).*",
    r"(.*)(_\d+)?",
    r"shop_\d+",
    r"srv-(\d+)-(.*)",
    r"be_(.*)_v\d+",
    "(.*?)/?",
    "/wp-(admin|login|content)/.*",
    r"/.*\.php(/.*)?",
    r"/(?:blog/)?\d{4}/\d{2}/\d{2}/[^/]+/?",
    r"/product/[^/]+-p\d+\.html",
    r"/search/?(\?.*)?",
    r"/download/(.+)\.(zip|tar\.gz|exe)",
    "/([^/?;]+)(?:[/?;].*)?",
    "/~[^/]+/.*",
    r"/@[\w.-]+(/.*)?",
    "/[A-Za-z0-9_-]{22,}",
    r"[\w.+-]+@[\w-]+\.[\w.-]+",
    r"(\w+)\s+(\S+)\s+HTTP/\d\.\d",
    "([^;]*);.*",
    "(.+);(.+);(.+)",
    "/graphql(?:/.*)?",
    r"/(\w+)/\1",
    "(?:%[0-9A-Fa-f]{2}|[^%])*",
    r"/(?:[a-z]+|\d+)(?:/(?:[a-z]+|\d+))*",
    ".*(bot|crawl|spider|slurp).*",
    "(?>a+)+",
    "(?:a++)+",
    "/(a++)+",
    "(a|ab)*",
    "(a|b|c)*",
]

# Known from advisories and articles, and those that hide behind what is no repeat.
ENDLESS = [
    "(a+)+",
    "/(a+)+",
    "(a*)*",
    "(a+)*",
    "(a*)+",
    "([a-zA-Z]+)*",
    "(a|a)*",
    "(a|aa)+",
    "(a|a?)+",
    "(a|b|ab)*",
    "(.*)*x",
    "(.+)+x",
    "(.*a){12}",
    "(.*a){1,20}b",
    "(a?){30}a{30}",
    "(a?b?c?)*",
    "a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?aaaaaaaaaaaaaaaaaaaa",
    "(x+x+)+y",
    "((a+)b?)+",
    "([^/]+/?)+",
    "(/?[^/]*)*",
    r"(\w+\s?)*",
    r"(\d+|\w+)*",
    r"([0-9]+)+\#",
    "^(([a-z])+.)+[A-Z]([a-z])+$",
    r"^([a-zA-Z0-9])(([\-.]|[_]+)?([a-zA-Z0-9]+))*(@){1}[a-z0-9]+[.]{1}(([a-z]{2,3})|([a-z]{2,3}[.]{1}[a-z]{2,3}))$",
    "(([a-z]+)?/?)*",
    "(?:(?:a|b)+)+c",
    "(?=(a+)+b).*",
    "(?!(a*)*b)a*",
    "(a{1,100}){1,100}",
    r"(\w+/*)+",
    r"([\w.-]+)+@",
    r"(.|\n)*(.|\s)+x(.|\n)+y",
    r"^(\w+\.?)+$",
    "(([^=]+=)?([^&]*)&?)*",
    "(a+){10,}",
    "(?i)(a|A)+b(A|[a-b])*(a+)+",
    "(.*,)*x,",
    r"^\s*(\w+\s*)+;",
    "(a*?)*?",
    "((ab)*)*",
    "((a|b)?)+(a+)+",
    r"(a)(?:\1a|b)*",
    "(a(?:|))*",
    "((a?)*b)*",
    "(?:(?:a?)+b)*",
    "(?:a|aa)*.{0,100}",
    "(?:a|aa)*.{100,}",
    "(b)?(?:a|aa)*(?(1).*)",
    r"(b)(?:a|aa)*\1",
    r"(?:a|aa)*.*\b",
    "(?:a|aa)*.*(?<!x)",
]

CUBIC = [
    ".*x.*y.*z.*w",
    ".*a.*b.*c.*d",
    "(.*)/(.*)/(.*)/edit",
    r"\w*\d*\w*x",
    ".*foo.*[a-z]*[0-9]*",
    "a*a*/b*b*x",
    ".*?x.*?y.*?z",
    "(?s:.*)x(?:.|y)*z.+w",
    "(.*a){3}x",
    ".*x.*y.{100,}",
    r"(.)?.*x.*y\1",
    "(b)?.*x.*y(?(1).*)",
    "(?>(a+)+b)",
    "(?:ab)*+(?:ab)*(?:ab)*(?:ab)*x",
]

QUADRATIC = (".*foo.*bar",)

NESTED = "a repeat within a repeat; write (?>a+)+ or a++ (possessive)"
ALTERNATIVES = "alternatives within a repeat fit the same text; write them so that only one does"
REPEATS = "three or more of its repeats fit the same text; write [^/]* where .* needs no /"
OPTIONAL = "too many of its optional parts fit the same text"


@pytest.mark.parametrize("text", WRITTEN)
def test_what_people_write_is_accepted(text: str) -> None:
    """And looks at values of any length, but where its time is quadratic."""
    regex = read_match(text)
    assert regex.longest == (LONGEST_QUADRATIC if text in QUADRATIC else None)


@pytest.mark.parametrize("text", [*ENDLESS, *CUBIC])
def test_what_may_take_forever_is_refused(text: str) -> None:
    """Whether it is exponential or only cubic."""
    with pytest.raises(ValueError, match=f"^{re.escape(f'the regex {text!r} may take forever: ')}"):
        read_match(text)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("/(a+)+", NESTED),
        ("(a|aa)+", ALTERNATIVES),
        (".*x.*y.*z", REPEATS),
        ("a?" * 20 + "a" * 20, OPTIONAL),
        ("(a?){30}", OPTIONAL),
        ("abcdefgh" * 600, "it is too large to be told that it does not"),
        ("(" + "|".join(f"{number:03}" for number in range(200)) + ")*", "it is too large to be told that it does not"),
    ],
)
def test_why_it_may_take_forever_is_told(text: str, reason: str) -> None:
    """With what to write instead, where that is known."""
    with pytest.raises(TooSlowError, match=f"^{re.escape(reason)}$"):
        find_cost(text, FLAGS)


def test_quadratic_ones_match_no_long_value() -> None:
    """A hostile value takes milliseconds at the most; others are matched at any length."""
    fits, is_too_long = (f"foo{'x' * (length - 6)}bar" for length in (LONGEST_QUADRATIC, LONGEST_QUADRATIC + 1))
    for action, kept in ((Action.KEEP, (fits, None)), (Action.DROP, (None, is_too_long))):
        rules = [Rule(read_match(".*foo.*bar"), action)]
        assert (apply_rules(rules, fits), apply_rules(rules, is_too_long)) == kept
    assert apply_rules([Rule(read_match(".*foo.*"), Action.KEEP)], "foo" * 20_000)


@pytest.mark.parametrize("text", ["(a+)+", ".*x.*y.*z", "(a|aa)*"])
def test_a_python_that_does_not_tell_how_it_parses_skips_the_check(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """Its parser is private: it may be elsewhere, or have what is not known here."""

    def refuse(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(positions, "import_module", refuse)
    assert find_cost(text, FLAGS) is Cost.LINEAR


# --- Any regex, and the time it takes ---------------------------------------------------------------------------------

SETS = ("a", "b", "[ab]", "[^a]", ".", "ab")
REPEATED = ("*", "+", "?", "*?", "++", "*+", "{2}", "{0,3}", "{2,}")


def make_regex(randomness: random.Random, depth: int = 3) -> str:
    """Make one of a few characters, so that much of it overlaps."""
    kind = randomness.randrange(4) if depth else 0
    parts = [make_regex(randomness, depth - 1) for _ in range(randomness.randint(1, 3) if kind else 0)]
    match kind:
        case 0:
            return randomness.choice(SETS)
        case 1:
            return "".join(parts)
        case 2:
            return f"(?:{'|'.join([*parts, ''][: len(parts) + randomness.randrange(2)])})"
    group = randomness.choice(("(?:", "(?:", "(?:", "(?>"))
    return f"{group}{parts[0]}){randomness.choice(REPEATED)}"


def pump(length: int) -> list[str]:
    """Make texts that repeat something short and end in what rarely fits."""
    words = ["".join(word) for size in (1, 2, 3) for word in product("ab", repeat=size)]
    return [(word * length)[: length - 1] + end for word in words for end in ("!", "a", "b")]


def measure(texts: list[str], found: Connection) -> None:
    """Send the index of each regex before it is matched, and the times that it took."""
    texts_by_length = {length: pump(length) for length in (100, 200, 1000)}
    for index, text in enumerate(texts):
        found.send((index, []))
        compiled = re.compile(text, FLAGS)
        times = []
        for hostile in texts_by_length.values():
            start = time.process_time()
            for each in hostile:
                compiled.fullmatch(each)
            times.append(time.process_time() - start)
        found.send((index, times))
    found.close()


def test_what_is_accepted_takes_no_exponential_time() -> None:
    """Twice the text takes no more than some times the time; and a thousand characters take no time to speak of."""
    randomness = random.Random(1)
    accepted = []
    for _ in range(3000):
        text = make_regex(randomness)
        try:
            find_cost(text, FLAGS)
        except TooSlowError:
            continue
        accepted.append(text)
    assert 500 < len(accepted) < 2900
    context = multiprocessing.get_context("spawn")
    receiving, sending = context.Pipe(duplex=False)
    with receiving:
        process = context.Process(target=measure, args=(accepted, sending))
        process.start()
        sending.close()
        try:
            last, times = 0, [0.0]
            while last < len(accepted) - 1 or not times:
                assert receiving.poll(20), f"{accepted[last]} takes forever"
                last, times = receiving.recv()
                if times:
                    short, double, long = times
                    assert double < 0.01 + 12 * short, accepted[last]
                    assert long < 3, accepted[last]
        finally:
            process.kill()
            process.join()
            process.close()
