"""How the command line asks the running proxy, over HTTP as any client would."""

from __future__ import annotations

import ipaddress
import json
import time
from typing import TYPE_CHECKING, Any

from native_routes.agent_yaml import AuthPolicy
from native_routes.tokens import mint
from proxy.operator_error import OperatorError
from proxy.settings import ANY_ADDRESSES, LOOPBACK_NAMES, Settings

if TYPE_CHECKING:
    import httpx

TIMEOUT_S = 5.0
TOKEN_TTL_S = 60


class NoProxyError(OperatorError):
    """Nothing answers, or not a signet-proxy; the message says what to do."""

    exit_code = 2


class RefusedError(OperatorError):
    """The proxy answered that it will not; the message is its own."""


def front_url(settings: Settings) -> str:
    """Where this machine reaches the proxy: an address that is bound, loopback when all are."""
    host = settings.listen_host
    if host in LOOPBACK_NAMES or host in ANY_ADDRESSES:
        host = "::1" if host == "::1" else "127.0.0.1"
    return f"http://{f'[{host}]' if _is_ipv6(host) else host}:{settings.port}"


def ask(
    settings: Settings, path: str, action: dict[str, Any] | None = None, *, within_s: float | None = None
) -> dict[str, Any]:
    """The JSON object that the proxy answers to a GET, or to a POST of `action`, within TIMEOUT_S unless said.

    Raises NoProxyError, RefusedError.
    """
    import httpx  # 30 ms of modules, which a proxy that starts does without

    url = front_url(settings)
    within_s = within_s or TIMEOUT_S
    body = json.dumps(action)  # escaped, as a path may have octets that are no UTF-8
    try:
        with httpx.Client(trust_env=False, timeout=within_s, headers=credentials(settings)) as client:
            reply = client.get(url + path) if action is None else client.post(url + path, content=body)
    except httpx.TimeoutException as error:
        raise NoProxyError(f"{url} does not answer within {within_s:g} s; see `signet-proxy doctor`") from error
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise NoProxyError(
            f"no signet-proxy answers on {url} ({str(error) or type(error).__name__}). Start it with "
            "`signet-proxy serve`, or set SIGNET_PORT and SIGNET_PATH to those of the one that runs"
        ) from error
    return _judged(url, reply)


def _judged(url: str, reply: httpx.Response) -> dict[str, Any]:
    try:
        body = reply.json()
    except ValueError:
        body = None
    if not isinstance(body, dict) or "x-signet-served-by" not in reply.headers:
        raise NoProxyError(f"what answers on {url} is no signet-proxy; see `signet-proxy doctor` for who it is")
    if reply.status_code in {401, 403}:
        raise RefusedError(
            f"{body.get('error')}. The proxy on {url} asks for an admin token: run this as the user who may read its "
            ".daemon/auth-secret, with the same SIGNET_PATH"
        )
    if reply.status_code >= 400:
        raise RefusedError(str(body.get("error", f"{url} answers {reply.status_code}")))
    return body


def credentials(settings: Settings) -> dict[str, str]:
    """An admin token of one minute where the secret can be read here.

    Also in local mode: the running proxy may still hold the mode of its last good agent.yaml.
    """
    secret = AuthPolicy.load(settings.home_path).secret
    if not secret:
        return {}
    token = mint(secret, sub="signet-proxy-cli", role="admin", ttl_s=TOKEN_TTL_S, now_s=time.time())
    return {"authorization": f"Bearer {token}"}


def _is_ipv6(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).version == 6
    except ValueError:
        return False
