"""How long requests took, by what they did: the last thousand of each kind, in whole milliseconds."""

from __future__ import annotations

import math
from collections import deque
from typing import Any, Final

SAMPLES: Final = 1000
NOTHING: Final = {"p50": 0, "p95": 0, "p99": 0, "count": 0, "mean": 0}


class Latencies:
    """Samples of one kind; `add(ms)` forgets the first when there are too many.

    Legacy: looking sorts the samples where they are kept, so that from then on the fastest is forgotten first instead
    of the oldest.
    """

    __slots__ = ("_samples", "add")

    def __init__(self) -> None:
        self._samples: deque[int] = deque(maxlen=SAMPLES)
        self.add = self._samples.append

    def snapshot(self) -> dict[str, Any]:
        """Percentiles by nearest rank, number and mean as JSON has them."""
        samples = sorted(self._samples)
        if not samples:
            return dict(NOTHING)
        self._samples.clear()
        self._samples.extend(samples)
        count = len(samples)
        ranks = {f"p{percent}": samples[max(0, math.ceil(percent / 100 * count) - 1)] for percent in (50, 95, 99)}
        return {**ranks, "count": count, "mean": math.floor(sum(samples) / count + 0.5)}
