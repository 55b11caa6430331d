"""Whether a group's native answers are proven equal to legacy's.

Evidence is made by the parity harness, one packaged file per group, bound to the contract, the schema and the code
it was made with. This version packages none, so every group that needs evidence is held at shadow.
"""

from __future__ import annotations

from collections.abc import Callable

from native_routes.declaration import RouteGroup

EvidenceReader = Callable[[RouteGroup], str | None]
"""What is missing before the group may answer for real, as a clause ("... is packaged"); None when nothing is."""


def packaged_evidence(group: RouteGroup) -> str | None:
    return f"no parity evidence for {group.name} is packaged with this version"
