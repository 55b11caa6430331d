"""What the front door counted since it started, and the text in which Prometheus reads it. Event loop only."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
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
