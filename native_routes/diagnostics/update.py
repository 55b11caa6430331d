"""The update's domain. What the last check found lives in legacy's memory; without it, nothing was checked yet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from native_routes.diagnostics.score import Domain, scored
from native_routes.pipeline_config import is_number


def told_update(diagnostics: Mapping[str, Any] | None) -> Domain | None:
    """The domain as legacy told it last; None when it told none."""
    domain = (diagnostics or {}).get("update")
    if not isinstance(domain, dict) or not is_number(domain.get("score")):
        return None
    return domain


def unchecked_update(*, auto_install: bool) -> Domain:
    """The domain of a daemon that just started."""
    return scored(
        1.0,
        autoInstallEnabled=auto_install,
        lastCheckSucceeded=True,
        lastCheckAgeHours=0,
        pendingRestart=False,
        lastError=None,
    )
