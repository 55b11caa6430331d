"""What the front door counted since it started, and the text in which Prometheus reads it. Event loop only."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from native_routes.analytics.usage import Endpoint, Usage
from proxy.exchange import Exchange
from proxy.match import Matcher

BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
OWN_PREFIX = "/_proxy/"
UNCOUNTED = frozenset({400, 401, 503})  # the front door's own refusals, before a request is anybody's in legacy too
TARGETS_KEPT = 4096
Labels = Mapping[str, str]


class Histogram:
    """How long something took: a count per bucket (not cumulative; the last is beyond every bound) and the sum."""

    __slots__ = ("buckets", "sum_s")

    def __init__(self) -> None:
        self.buckets = [0] * (len(BUCKETS_S) + 1)
        self.sum_s = 0.0

    def add(self, seconds: float) -> None:
        self.buckets[bisect_left(BUCKETS_S, seconds)] += 1
        self.sum_s += seconds

    def expose(self, name: str, labels: Labels) -> Iterator[str]:
        total = 0
        for bound, count in zip((*map(str, BUCKETS_S), "+Inf"), self.buckets, strict=True):
            total += count
            yield sample(f"{name}_bucket", {**labels, "le": bound}, total)
        yield sample(f"{name}_sum", labels, self.sum_s)
        yield sample(f"{name}_count", labels, total)


class Counters:
    """`side` is native, legacy or proxy (the front door itself, refusals for example)."""

    def __init__(self) -> None:
        self.requests: Counter[tuple[str, int]] = (
            Counter()
        )  # (side, status) -> exchanges; status 0 = no reply was begun
        self.failures: Counter[str] = Counter()  # reason of x-signet-proxy-error -> n
        self.durations: dict[str, Histogram] = {}  # side -> whole exchanges, streams included
        self.in_flight = 0
        self.usage = Usage()  # in legacy's terms, for /api/analytics
        self._endpoints: dict[tuple[str, bytes], Endpoint | None] = {}  # of raw paths seen lately

    def began(self) -> None:
        self.in_flight += 1

    def ended(self, side: str | None, status: int | None, seconds: float) -> None:
        """An exchange is over. None for an exchange whose client left before anybody answered."""
        self.in_flight -= 1
        side = side or "proxy"
        self.requests[side, status or 0] += 1
        if side not in self.durations:
            self.durations[side] = Histogram()
        self.durations[side].add(seconds)

    def used(self, exchange: Exchange, matcher: Matcher, seconds: float) -> None:
        """An exchange is over: counted as legacy counts its requests, so not OPTIONS, nor without a valid token.

        Differs: a stream is counted when it ends; legacy counts it when it begins.
        """
        head = exchange.head
        if exchange.status in UNCOUNTED and exchange.answered_by == "proxy" and exchange.failure_code is None:
            return
        key = (head.method, head.target.partition(b"?")[0])
        endpoint = self._endpoints.get(key)
        if endpoint is None:
            if key in self._endpoints:
                return
            endpoint = self._learn(key, matcher)
        if endpoint is not None:
            self.usage.add(endpoint, exchange.status, seconds, head.fields.get(b"x-signet-actor"))

    def _learn(self, key: tuple[str, bytes], matcher: Matcher) -> Endpoint | None:
        """Where to count a method and raw path; None for what is not counted."""
        if len(self._endpoints) >= TARGETS_KEPT:
            self._endpoints.clear()
        endpoint = self._endpoints[key] = self._endpoint_of(key, matcher)
        return endpoint

    def _endpoint_of(self, key: tuple[str, bytes], matcher: Matcher) -> Endpoint | None:
        method, target = key
        match = matcher.match(method, target)
        ours = match.route is not None and match.route.ours
        if method == "OPTIONS" or ours or not match.path or match.path.startswith(OWN_PREFIX):
            return None
        endpoint = self.usage.endpoint(method, match.path)
        endpoint.streams = method == "GET" and match.route is not None and match.route.streams
        return endpoint

    def failed(self, reason: str) -> None:
        self.failures[reason] += 1

    def totals(self) -> dict[str, int]:
        """Exchanges per side."""
        sides: Counter[str] = Counter()
        for (side, _), n in self.requests.items():
            sides[side] += n
        return dict(sides)

    def expose(self) -> Iterator[str]:
        yield from family(
            "signet_proxy_requests_total", "counter", "Exchanges by who answered; status 0 = none was sent."
        )
        for (side, status), n in self.requests.items():
            yield sample("signet_proxy_requests_total", {"side": side, "status": str(status)}, n)
        yield from family("signet_proxy_failures_total", "counter", "Replies that say why the proxy could not forward.")
        for reason, n in self.failures.items():
            yield sample("signet_proxy_failures_total", {"reason": reason}, n)
        yield from family(
            "signet_proxy_exchange_seconds", "histogram", "From a request's head to the end of its reply."
        )
        for side, histogram in self.durations.items():
            yield from histogram.expose("signet_proxy_exchange_seconds", {"side": side})
        yield from gauge("signet_proxy_in_flight", "Exchanges under way.", [({}, self.in_flight)])


def gauge(name: str, meaning: str, samples: Iterable[tuple[Labels, float]]) -> Iterator[str]:
    yield from family(name, "gauge", meaning)
    for labels, value in samples:
        yield sample(name, labels, value)


def family(name: str, kind: str, meaning: str) -> Iterator[str]:
    """Source: Prometheus text exposition format 0.0.4."""
    yield f"# HELP {name} {meaning}"
    yield f"# TYPE {name} {kind}"


def sample(name: str, labels: Labels, value: float) -> str:
    pairs = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels.items())
    return f"{name}{{{pairs}}} {value}" if pairs else f"{name} {value}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
