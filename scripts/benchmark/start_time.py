"""From spawn to the first reply: legacy by itself, and the proxy with legacy behind it, turn by turn."""

from __future__ import annotations

from statistics import median

from scripts.benchmark.rows import Budget, Row, ratio
from scripts.benchmark.targets import FORWARDED, HEALTH, Daemon, Place, legacy_alone, supervising_proxy

AS_SOON_AS_LEGACY = Budget(1.0)


def start_rows(daemon: Daemon, legacy_place: Place, proxy_place: Place, times: int) -> list[Row]:
    """Both homes have been started before, so that nobody migrates a database in here."""
    health: dict[str, list[float]] = {"direct": [], "proxy": []}
    forwarded: dict[str, list[float]] = {"direct": [], "proxy": []}
    for _ in range(times):
        with legacy_alone(daemon, legacy_place) as legacy:
            health["direct"].append(legacy.until_200(HEALTH))
            forwarded["direct"].append(legacy.until_200(FORWARDED))
        with supervising_proxy(daemon, proxy_place) as proxy:
            health["proxy"].append(proxy.until_200(HEALTH))
            forwarded["proxy"].append(proxy.until_200(FORWARDED))
    later_s = median(forwarded["proxy"]) - median(forwarded["direct"])
    return [
        ratio("start to first /health", health, "s", "direct", daemon.budget(AS_SOON_AS_LEGACY), f"median of {times}"),
        ratio(
            "start to first forwarded 200",
            forwarded,
            "s",
            "direct",
            note=f"{later_s:.3f} s after legacy alone would have answered; the proxy starts legacy and waits for it",
        ),
    ]
