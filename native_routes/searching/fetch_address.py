"""What Bun's `fetch` takes for an address, and people therefore write into their configuration."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final
from urllib.parse import urlsplit

_EDGES: Final = "".join(map(chr, range(0x21)))  # Source: WHATWG URL: controls and blanks around it do not count,
_BREAKS: Final = re.compile(r"[\t\n\r]")  # nor do these within
_BARE_HOST: Final = re.compile(r"^(?=[A-Za-z][A-Za-z0-9+.-]*:[0-9]+(?:[/?#]|$))")
_SLASHES: Final = re.compile(r"(?<=:)[/\\]*")
_PATH_END: Final = re.compile(r"(?=[?#])")


@lru_cache(maxsize=64)
def fetch_address(text: str) -> str:
    """As a URL with a scheme. It may lack that before a name with a port, and have any number of slashes behind it.

    Raises ValueError for what is none; one with another scheme stays as it is.
    """
    url = _BREAKS.sub("", text.strip(_EDGES))
    url = _BARE_HOST.sub("http://", url, count=1)
    if url[:5].lower() in {"http:", "https"} and ":" in url:
        path, *rest = _PATH_END.split(_SLASHES.sub("//", url, count=1), maxsplit=1)
        url = path.replace("\\", "/") + "".join(rest)
    parts = urlsplit(url)
    if " " in parts.netloc or parts.port == -1:  # `port` raises for one that there is not
        raise ValueError(f"{text!r} is no address")
    return url
