"""What JavaScriptCore's `JSON.parse` says of a text that is no JSON. Some routes answer with it."""

from __future__ import annotations

import re
from typing import Final, Literal

from native_routes.javascript.values import utf16_head, utf16_length

Token = Literal["value", "text", "name", "end", "[", "]", "{", "}", ",", ":", "(", ")", ";", ".", "="]

_BLANKS: Final = re.compile(r"[ \t\n\r]*")
_TOKEN: Final = re.compile(
    r"""(?P<value>true|false|null)|(?P<name>[A-Za-z_$][A-Za-z0-9_$]*)|(?P<mark>[][{}(),:;.=])|(?P<quote>")"""
    r"|(?P<number>-?(?:0|[1-9][0-9]*)(?P<broken>\.(?![0-9]))?(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)"
)
_PLAIN: Final = re.compile(r'[^"\\\x00-\x1f]*')
_ESCAPED: Final = 'bfnrt"/\\'
_HEX: Final = re.compile(r"[0-9A-Fa-f]{4}")
_HEX_DIGITS: Final = 4


class _ProblemError(Exception):
    """The message is what JavaScriptCore says behind "JSON Parse error: "."""


def json_problem(text: str) -> str | None:
    """The message of the SyntaxError; None for JSON, nested however deep."""
    try:
        _read(_Tokens(text))
    except _ProblemError as problem:
        return f"JSON Parse error: {problem}"
    return None


class _Tokens:
    """One token after the other; each is looked at when it is asked for, so the first problem is the one told."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._place = 0
        self.name = ""  # of the last token, where it is one

    def next(self) -> Token:
        begin = _BLANKS.match(self._text, self._place).end()  # type: ignore[union-attr]  # matches anything
        if begin == len(self._text):
            return "end"
        found = _TOKEN.match(self._text, begin)
        if found is None:
            raise _ProblemError(_unrecognized(self._text[begin]))
        self._place = found.end()
        if found["broken"]:
            raise _ProblemError("Invalid digits after decimal point")
        if found["quote"]:
            self._read_text()
            return "text"
        self.name = found["name"] or ""
        if self.name:
            return "name"
        mark: Token | None = found["mark"]  # type: ignore[assignment]  # the expression has no others
        return mark or "value"

    def _read_text(self) -> None:
        while True:
            at = _PLAIN.match(self._text, self._place).end()  # type: ignore[union-attr]  # matches anything
            self._place = at + 1
            if self._text[at : at + 1] == '"':
                return
            if self._text[at : at + 1] != "\\" or at + 1 == len(self._text):
                raise _ProblemError("Unterminated string")
            self._read_escape(at + 1)

    def _read_escape(self, at: int) -> None:
        kind = self._text[at]
        self._place = at + 1
        if kind == "u":
            digits = utf16_head(self._text[at + 1 : at + 1 + _HEX_DIGITS], _HEX_DIGITS)
            if utf16_length(digits) < _HEX_DIGITS:
                raise _ProblemError(r"\u must be followed by 4 hex digits")
            if not _HEX.match(digits):
                raise _ProblemError(rf'"\u{digits}" is not a valid unicode escape')
            self._place += _HEX_DIGITS
        elif kind not in _ESCAPED:
            raise _ProblemError(f"Invalid escape character {utf16_head(kind, 1)}")


def _unrecognized(character: str) -> str:
    if character == "'":
        return "Single quotes (') are not allowed in JSON"
    return "Invalid number" if character == "-" else f"Unrecognized token '{utf16_head(character, 1)}'"


def _read(tokens: _Tokens) -> None:
    """Without recursion: texts may be nested as deep as they are long."""
    opened: list[Token] = []
    token = tokens.next()
    while True:
        if token == "[":
            opened.append(token)
            token = tokens.next()
            if token != "]":
                continue
        elif token == "{":
            opened.append(token)
            token = tokens.next()
            if token != "}":
                token = _value_of_property(tokens, token, "Expected '}'")
                continue
        elif token in ("value", "text"):
            token = tokens.next()
        else:
            raise _ProblemError(_unexpected(tokens, token))
        after = _close(tokens, token, opened)
        if after is None:
            return
        token = after


def _close(tokens: _Tokens, token: Token, opened: list[Token]) -> Token | None:
    """`token` stands behind a value, or closes. The token with which the next value begins, None at the good end."""
    while opened:
        array = opened[-1] == "["
        if token == ",":
            token = tokens.next()
            if array and token == "]":
                raise _ProblemError("Unexpected comma at the end of array expression")
            return token if array else _value_of_property(tokens, token, "Property name must be a string literal")
        if token != ("]" if array else "}"):
            raise _ProblemError("Expected ']'" if array else "Expected '}'")
        opened.pop()
        token = tokens.next()
    if token != "end":
        raise _ProblemError("Unable to parse JSON string")
    return None


def _value_of_property(tokens: _Tokens, token: Token, problem: str) -> Token:
    """The token behind a property's colon; `problem` when `token` is not its name."""
    if token != "text":
        raise _ProblemError(problem)
    if tokens.next() != ":":
        raise _ProblemError("Expected ':' before value in object property definition")
    return tokens.next()


def _unexpected(tokens: _Tokens, token: Token) -> str:
    if token == "end":
        return "Unexpected EOF"
    return f'Unexpected identifier "{tokens.name}"' if token == "name" else f"Unexpected token '{token}'"
