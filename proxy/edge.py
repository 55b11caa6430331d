"""Who is calling, and may a browser page be behind it: decided from the TCP peer and the fields alone.

The legacy daemon takes the Host field for the caller's place and grants every origin. Here a caller is local only if
its peer address, its Host and the absence of forwarding fields all say so.
"""

from __future__ import annotations

import ipaddress
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from native_routes import tokens
from native_routes.agent_yaml import AuthPolicy
from native_routes.declaration import Claims
from native_routes.reply import Fields, Refusal, Reply
from proxy.head import Head
from proxy.settings import ANY_ADDRESSES, LOOPBACK_NAMES, Settings

ROUTE_OVERRIDE: Final = b"x-signet-route"
CACHE_ENTRIES: Final = 1024
CACHED_BYTES: Final = 1024  # of Host, Origin and Authorization together

# Nothing else reaches legacy: its adapter puts this text before the target and parses both as one URL, so that
# "127.1/api" would become a path of its own.
_HOST = re.compile(rb"(?:(\[[0-9A-Fa-f:.]+\])|([A-Za-z0-9._-]+))(?::[0-9]{0,5})?")
_LOOPBACK_ORIGIN = re.compile(rb"https?://(?:localhost|127\.0\.0\.1|\[::1\])(?::[0-9]{1,5})?")
_APP_ORIGINS: Final = frozenset({b"app://signet", b"tauri://localhost", b"http://tauri.localhost"})
_EXTENSION_ORIGIN = re.compile(rb"(?:chrome|moz)-extension://[A-Za-z0-9-]+")
_FORWARDING_SIGN = re.compile(rb"forwarded|x-real-ip|via")  # anywhere in the names: a cheap first look
_LEGACY_LOCAL: Final = (b"localhost", b"127.0.0.1")  # before the first colon, as written; legacy knows no IPv6 here
_HEADER_WHITE_SPACE: Final = b" \t"

ANY_ORIGIN: Final[Fields] = ((b"access-control-allow-origin", b"*"),)
PREFLIGHT_METHODS: Final = b"GET,HEAD,PUT,POST,DELETE,PATCH"
REQUESTED_FIELDS: Final = b"access-control-request-headers"


@dataclass(frozen=True, slots=True)
class Caller:
    address: str  # of the client: the peer, or what a trusted proxy says
    local: bool  # TCP peer is loopback AND Host is local AND no forwarding fields
    claims: Claims | None  # of a verified token; None in local mode
    grant: Fields  # CORS fields for every reply to this caller, in place of legacy's
    drop: frozenset[bytes]  # lower-case request fields that are not forwarded
    add: Fields  # request fields to add when forwarding
    bad_token: str | None = None  # why its token was refused; "authentication required" is the lack of one


class Edge:
    """Looks at heads. `auth` is replaced whenever the legacy daemon boots."""

    def __init__(self, settings: Settings, auth: AuthPolicy) -> None:
        self._any_host = "*" in settings.allowed_hosts
        own = {settings.host.lower()} - ANY_ADDRESSES  # clients use it as Host; 0.0.0.0 names no host
        self._hosts = frozenset(name.encode() for name in (settings.allowed_hosts | LOOPBACK_NAMES | own))
        self._any_origin = "*" in settings.allowed_origins
        self._origins = frozenset(origin.lower().encode() for origin in settings.allowed_origins)
        self._proxies = settings.trusted_proxies
        self._local_host = f"localhost:{settings.port}".encode()
        self._seen: dict[_Key, Caller | Refusal] = {}
        self._auth = auth

    @property
    def auth(self) -> AuthPolicy:
        return self._auth

    @auth.setter
    def auth(self, policy: AuthPolicy) -> None:
        self._auth = policy
        self._seen.clear()

    def look(self, head: Head) -> Caller | Refusal:
        """The caller, or the refusal that it gets whatever it asks for. A refusal from here carries no CORS grant."""
        fields = head.fields
        if _FORWARDING_SIGN.search(b"\n".join(fields)):
            return self._judge(head)
        authorization = fields.get(b"authorization", b"")
        key = (head.peer, fields.get(b"host", b""), fields.get(b"origin", b""), authorization)
        verdict = self._seen.get(key)
        if verdict is None or (authorization and _expired(verdict)):
            verdict = self._judge(head)
            if not authorization or (isinstance(verdict, Caller) and verdict.claims):
                self._remember(key, verdict)
        return verdict

    def preflight(self, head: Head, caller: Caller) -> Reply:
        """The answer to OPTIONS on any path; legacy's 204, with our grant."""
        fields = dict(caller.grant)
        fields[b"access-control-allow-methods"] = PREFLIGHT_METHODS
        requested = head.fields.get(REQUESTED_FIELDS)
        if requested:
            asked = (name.strip(_HEADER_WHITE_SPACE) for name in requested.split(b","))
            fields[b"access-control-allow-headers"] = b",".join(asked)
            varies = b"Access-Control-Request-Headers"
            fields[b"vary"] = b"Origin, " + varies if b"vary" in fields else varies
        # Legacy's order: by name, then the content type of the empty text.
        return Reply(204, b"", (*sorted(fields.items()), (b"content-type", b"text/plain; charset=UTF-8")))

    def _remember(self, key: _Key, verdict: Caller | Refusal) -> None:
        _, host, origin, authorization = key
        if len(host) + len(origin) + len(authorization) > CACHED_BYTES:
            return
        if len(self._seen) >= CACHE_ENTRIES:
            self._seen.clear()
        self._seen[key] = verdict

    def _judge(self, head: Head) -> Caller | Refusal:
        host, origin = head.fields.get(b"host", b""), head.fields.get(b"origin", b"")
        if host and not _HOST.fullmatch(host):
            return Refusal(
                400, f"Host {_shown(host)} is no host name: expected a name or address with an optional port"
            )
        forwarding = _forwarding_fields(head.fields)
        peer = _address(head.peer)
        from_loopback = peer is not None and peer.is_loopback and not forwarding
        name = _host_name(host)
        local = from_loopback and name in LOOPBACK_NAMES
        verified = self._verified(head)
        claims = verified if isinstance(verified, Claims) else None
        refusal = None if claims else self._refusal(host, name, origin, from_loopback, verified is None)
        if refusal:
            return refusal
        drop, add, address = self._forwarded(head, peer, forwarding)
        if local and claims is None and self._auth.mode == "hybrid" and host.partition(b":")[0] not in _LEGACY_LOCAL:
            # Legacy would ask this local caller for a token: [::1] and LOCALHOST are local to us, not to it.
            drop, add = drop | {b"host"}, (*add, (b"host", self._local_host))
        return Caller(
            address=address,
            local=local,
            claims=None if self._auth.mode == "local" else claims,
            grant=self._grant(origin),
            drop=drop,
            add=add,
            bad_token=None if claims else verified if isinstance(verified, str) else "authentication required",
        )

    def _verified(self, head: Head) -> Claims | str | None:
        """Claims of a good token, the reason for a bad one, None for none."""
        token = tokens.bearer_token(head.fields.get(b"authorization", b""))
        if token is None:
            return None
        if self._auth.secret is None:
            return None if self._auth.mode == "local" else "auth secret not configured"
        return tokens.verify(self._auth.secret, token, time.time())

    def _refusal(self, host: bytes, name: str, origin: bytes, from_loopback: bool, tokenless: bool) -> Refusal | None:
        """Why a caller without a good token is refused whatever it asks for."""
        free = self._auth.mode == "local" or (self._auth.mode == "hybrid" and from_loopback and tokenless)
        if free and host and not (self._any_host or {name.encode(), host.lower()} & self._hosts):
            return Refusal(403, f"Host {_shown(host)} is not local; {self._way_in()}")
        if origin and not self._origin_allowed(origin, host):
            return Refusal(403, f"Origin {_shown(origin)} is foreign; add it to SIGNET_ALLOWED_ORIGINS or send a token")
        return None

    def _way_in(self) -> str:
        """What a caller by a foreign Host can do. In mode hybrid an allowed name still asks for a token."""
        if self._auth.mode == "hybrid":
            return "call localhost or send a token"
        return "add it to SIGNET_ALLOWED_HOSTS" + (" or send a token" if self._auth.secret else "")

    def _origin_allowed(self, origin: bytes, host: bytes) -> bool:
        lowered = origin.lower()
        return (
            self._any_origin
            or lowered in self._origins
            or lowered in _APP_ORIGINS
            or (bool(host) and lowered.partition(b"://")[2] == host.lower())
            or bool(_LOOPBACK_ORIGIN.fullmatch(lowered) or _EXTENSION_ORIGIN.fullmatch(lowered))
        )

    def _grant(self, origin: bytes) -> Fields:
        if not origin or self._any_origin:
            return ANY_ORIGIN
        return ((b"access-control-allow-origin", origin), (b"vary", b"Origin"))

    def _forwarded(
        self, head: Head, peer: IPAddress | None, forwarding: frozenset[bytes]
    ) -> tuple[frozenset[bytes], Fields, str]:
        """Fields to drop, fields to add, the client's address. Nothing is invented where nothing was sent."""
        address = str(peer) if peer else "unknown"
        replaced = forwarding - {b"via"}
        if not replaced:
            return _OVERRIDE_ONLY, (), address
        if not self._trusted(peer):
            return _OVERRIDE_ONLY | replaced, ((b"x-forwarded-for", address.encode()),), address
        dropped, added = _OVERRIDE_ONLY, []
        for name, entry in ((b"x-forwarded-for", address), (b"forwarded", _forwarded_entry(peer, address))):
            if name in replaced:
                dropped |= {name}
                added.append((name, head.fields[name] + b", " + entry.encode()))
        return dropped, tuple(added), self._client_address(head.fields) or address

    def _client_address(self, fields: Mapping[bytes, bytes]) -> str | None:
        """The last address that no trusted proxy of ours added; None when the fields do not say."""
        chain = fields.get(b"x-forwarded-for") or fields.get(b"x-real-ip") or b""
        client = None
        for entry in reversed(chain.decode("latin-1").split(",")):
            client = _address(entry.strip())
            if client is None or not self._trusted(client):
                break
        return str(client) if client else None

    def _trusted(self, peer: IPAddress | None) -> bool:
        return peer is not None and any(peer in network for network in self._proxies)


IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
_Key = tuple[str | None, bytes, bytes, bytes]  # peer, Host, Origin, Authorization
_OVERRIDE_ONLY: Final = frozenset({ROUTE_OVERRIDE})


def _expired(verdict: Caller | Refusal) -> bool:
    return isinstance(verdict, Caller) and verdict.claims is not None and time.time() >= verdict.claims.exp


def _forwarding_fields(fields: Mapping[bytes, bytes]) -> frozenset[bytes]:
    """Names of the fields by which a reverse proxy gives itself away."""
    return frozenset(
        name for name in fields if name.startswith(b"x-forwarded-") or name in {b"forwarded", b"x-real-ip", b"via"}
    )


def _forwarded_entry(peer: IPAddress | None, address: str) -> str:
    return f'for="[{address}]"' if isinstance(peer, ipaddress.IPv6Address) else f"for={address}"


def _address(text: str | None) -> IPAddress | None:
    """An IP address; IPv4 in IPv6 clothing counts as IPv4. None for a UNIX socket or for text that is no address."""
    try:
        address = ipaddress.ip_address((text or "").partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def _host_name(host: bytes) -> str:
    """The name in a well-formed Host field, lower case, without port and brackets; "" for none."""
    matched = _HOST.fullmatch(host)
    if matched is None:
        return ""
    return (matched[1] or matched[2]).strip(b"[]").decode().lower()


def _shown(value: bytes) -> str:
    return repr(value[:100].decode("latin-1"))
