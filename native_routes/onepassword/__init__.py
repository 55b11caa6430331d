"""The link to 1Password. It writes the same file of secrets, so these stay forwarded under the lock of that file."""

from __future__ import annotations

from native_routes.declaration import Route, RouteGroup
from native_routes.secrets import READS, WRITES

GROUP = RouteGroup(
    name="onepassword",
    phase=5,
    routes=(
        Route("GET",    "/api/secrets/1password/status",  needs="recall", stricter=READS),
        Route("POST",   "/api/secrets/1password/connect", needs="admin", stricter=WRITES),
        Route("DELETE", "/api/secrets/1password/connect", needs="admin", stricter=WRITES),
        Route("GET",    "/api/secrets/1password/vaults",  needs="recall", stricter=READS),
        Route("POST",   "/api/secrets/1password/import",  needs="admin", stricter=WRITES),
    ),
)  # fmt: skip
