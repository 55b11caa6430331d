"""What providers say that they have. Nobody is asked who is not configured."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import httpx

from native_routes.javascript.json_text import parse_json
from native_routes.javascript.values import to_text, truthy
from native_routes.pipeline.known_models import Model, mark_deprecated, model, seeds
from native_routes.request_body import body_text
from native_routes.searching.fetch_address import fetch_address

OLLAMA_URL: Final = "http://127.0.0.1:11434"
OLLAMA_WITHIN_S: Final = 5.0
ANTHROPIC_URL: Final = "https://api.anthropic.com"
ANTHROPIC_WITHIN_S: Final = 10.0
ANTHROPIC_VERSION: Final = "2023-06-01"
_DATE: Final = re.compile(r"[-\s][0-9]{8}\Z")
_VERSION: Final = re.compile(r"-([0-9]+)-([0-9]+)")
_MAKER: Final = re.compile(r"\Aclaude-")
_WORD_START: Final = re.compile(r"\b[a-zA-Z0-9_]", re.ASCII)


class UnusableModelError(TypeError):
    """Ollama named a model by something other than a text; legacy fails at it."""


class _NoAnswerError(Exception):
    """Nobody answered, or nothing that can be used."""


async def ollama_models(base_url: str) -> list[Model]:
    """The models of an Ollama server, its own labels; [] when it does not say."""
    try:
        answer = await _get(f"{base_url}/api/tags", {}, OLLAMA_WITHIN_S)
        found = answer.get("models") if isinstance(answer, Mapping) else None
        return [_ollama_model(one) for one in found] if isinstance(found, list) else []
    except _NoAnswerError:
        return []


async def anthropic_models(api_key: str | None, base_url: str = ANTHROPIC_URL) -> list[Model]:
    """The models of an account, outdated ones marked; without a key or an answer those that are known."""
    if not api_key:
        return mark_deprecated(seeds("anthropic"))
    try:
        fields = {"x-api-key": api_key, "anthropic-version": ANTHROPIC_VERSION}
        answer = await _get(f"{base_url}/v1/models", fields, ANTHROPIC_WITHIN_S)
        found = answer.get("data") if isinstance(answer, Mapping) else None
        models = [_anthropic_model(one) for one in found if _is_claude(one)] if isinstance(found, list) else []
    except _NoAnswerError:
        models = []
    return mark_deprecated(models or seeds("anthropic"))


def ollama_url(extraction: Mapping[str, Any]) -> str:
    """The server of the `extraction` settings, without a slash at its end; localhost means IPv4."""
    base = str(extraction.get("endpoint") or OLLAMA_URL).removesuffix("/")
    try:
        parts = urlsplit(base)
        if parts.hostname != "localhost":
            return base
        login, at, _ = parts.netloc.rpartition("@")
        port = "" if parts.port is None else f":{parts.port}"
    except ValueError:
        return base
    return parts._replace(netloc=f"{login}{at}127.0.0.1{port}").geturl().removesuffix("/")


def _ollama_model(found: Any) -> Model:
    """Raises UnusableModelError, and _NoAnswerError for null, at which legacy gives up the whole answer."""
    if found is None:
        raise _NoAnswerError("null in place of a model")
    name = found.get("name") if isinstance(found, Mapping) else None
    if not isinstance(name, str):
        raise UnusableModelError(f"Ollama names a model {name!r}: expected text")
    details = found.get("details")
    size = details.get("parameter_size") if isinstance(details, Mapping) else None
    return model(name, "ollama", f"{name} ({to_text(size)})" if truthy(size) else name)


def _is_claude(found: Any) -> bool:
    """Raises _NoAnswerError for what has no id, at which legacy gives up the whole answer."""
    id = found.get("id") if isinstance(found, Mapping) else None
    if not isinstance(id, str):
        raise _NoAnswerError(f"a model with the id {id!r}: expected text")
    return id.startswith("claude-")


def _anthropic_model(found: Mapping[str, Any]) -> Model:
    id, shown = found["id"], found.get("display_name")
    label = id if shown is None else shown
    if not isinstance(label, str):
        raise _NoAnswerError(f"a model with the name {label!r}: expected text")
    tier = "high" if "opus" in id else "mid" if "sonnet" in id else "low"
    return model(id, "anthropic", clean_label(label), tier)


def clean_label(raw: str) -> str:
    """A name without its date; an id becomes a name: claude-opus-4-6-20251001 is Claude Opus 4.6."""
    label = _DATE.sub("", raw)
    if not label.startswith("claude-"):
        return label
    label = _MAKER.sub("Claude ", _VERSION.sub(r" \1.\2", label, count=1)).replace("-", " ")
    return _WORD_START.sub(lambda letter: letter[0].upper(), label)


async def _get(url: str, fields: Mapping[str, str], within_s: float) -> Any:
    """The JSON that comes. Raises _NoAnswerError. Proxies of the environment are not used."""
    try:
        url = fetch_address(url)
        async with asyncio.timeout(within_s):
            # Making a client reads the certificates from disk.
            client = await asyncio.to_thread(httpx.AsyncClient, trust_env=False, timeout=None, follow_redirects=True)
            async with client:
                reply = await client.get(url, headers=dict(fields))
            if not reply.is_success:
                raise _NoAnswerError(f"{url} answered {reply.status_code}")
            return parse_json(body_text(reply.content))
    except (TimeoutError, httpx.HTTPError, httpx.InvalidURL, ValueError, RecursionError) as error:
        raise _NoAnswerError(f"{url}: {error}") from error
