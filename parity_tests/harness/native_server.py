"""`python -m parity_tests.harness.native_server`: the proxy, with every native group answering without evidence.

Evidence is what a comparison makes, so it cannot be asked for here. All else is `signet-proxy serve`.
"""

from __future__ import annotations

import proxy.evidence

proxy.evidence.PackagedEvidence.__call__ = lambda self, group: None  # type: ignore[method-assign]

from proxy.cli import main  # noqa: E402  (see above)

if __name__ == "__main__":
    main(["serve"])
