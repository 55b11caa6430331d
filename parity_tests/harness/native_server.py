"""`python -m parity_tests.harness.native_server`: the proxy, with every native group answering without evidence.

Evidence is what a comparison makes, so it cannot be asked for here. Its clock is where the comparison wants it. All
else is `signet-proxy serve`.
"""

from __future__ import annotations

import time

from parity_tests.harness.native_terms import SHIFT_VARIABLE
from proxy.settings import process_environment

_SHIFT_NS = round(float(process_environment().get(SHIFT_VARIABLE, "0")) * 1e9)
_real_time_ns = time.time_ns


def _time_ns() -> int:
    return _real_time_ns() + _SHIFT_NS


# The two functions that all of the project's time comes from; SQL asks for none.
time.time_ns = _time_ns
time.time = lambda: _time_ns() / 1e9

import proxy.evidence  # noqa: E402  (after the clock)

proxy.evidence.PackagedEvidence.__call__ = lambda self, group: None  # type: ignore[method-assign]

from proxy.cli import main  # noqa: E402  (see above)

if __name__ == "__main__":
    main(["serve"])
