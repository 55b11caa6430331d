"""`x-signet-route: legacy|native`, by which a local caller picks a side for one request, to compare the two."""

from __future__ import annotations

from native_routes.declaration import RouteGroup
from native_routes.reply import Refusal
from proxy.desired_modes import Mode

FIELD = b"x-signet-route"


def forced_native(value: bytes, group: RouteGroup, cap: Mode, effective: Mode, hold: str, *, local: bool) -> bool:
    """Whether the request is to be answered natively. Raises Refusal when the caller may not have what it asks for.

    `hold` says why the cap is below native.
    """
    if not local:
        raise Refusal(403, "x-signet-route is for callers on this machine only")
    word = value.strip().lower()
    if word == b"legacy":
        return False
    if word != b"native":
        raise Refusal(400, "x-signet-route: expected legacy or native")
    if effective is Mode.NATIVE:
        return True
    if cap is Mode.LEGACY:
        raise Refusal(409, f"{group.name} cannot be answered natively: {hold}")
    if group.writes or group.remembers:
        raise Refusal(409, f"{group.name} writes or remembers, so one request alone cannot change sides")
    return True
