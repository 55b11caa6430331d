"""Memories that a side is told to remember while it is asked for others: what its own writes cost its recall."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Final

from scripts.benchmark.generator import ask
from scripts.benchmark.questions import Questions
from scripts.benchmark.rows import LEAST_SHARE, MeasurementError
from scripts.benchmark.sides import Side

CLIENTS: Final = 500  # so many may wait at once: legacy answers a write after seconds when recalls keep its loop busy
BEGINS_S: Final = 0.5  # before the block: the generator needs some of it to start


@contextlib.contextmanager
def remembering(side: Side, questions: Questions, per_s: int, seconds: float) -> Iterator[None]:
    """Send so many of the questions a second, from a little before the block on, which lasts `seconds`.

    A side that answers them later than they come has done less beside the block, which is to its advantage there.
    Raises MeasurementError when one fails, or so many wait that fewer were sent.
    """
    lasts_s = BEGINS_S + seconds
    requests = list(islice(questions, math.ceil(per_s * lasts_s)))
    with ThreadPoolExecutor(1) as beside:
        telling = beside.submit(
            ask,
            side.port,
            requests,
            clients=min(len(requests), CLIENTS),
            seconds=lasts_s,
            served_by=side.served_by,
            per_s=per_s,
        )
        time.sleep(BEGINS_S)
        yield
        told = telling.result()
    if told.requests < LEAST_SHARE * per_s * lasts_s:
        raise MeasurementError(f"{side.name} remembered {told.requests} memories in {told.duration_s:.1f} s")
