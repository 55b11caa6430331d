"""Replies and refusals as they go to the sender."""

from __future__ import annotations

from native_routes.reply import Refusal, json_reply, text_reply


def test_json_reply_carries_legacys_content_type_and_bytes() -> None:
    reply = json_reply({"score": 1.0, "text": "é"}, 201, ((b"x-a", b"1"),))

    assert reply.status == 201
    assert reply.body == '{"score":1,"text":"é"}'.encode()
    assert reply.headers == ((b"content-type", b"application/json"), (b"x-a", b"1"))


def test_text_reply_names_its_charset_as_legacy_does() -> None:
    reply = text_reply("404 Not Found", 404)

    assert reply.status == 404
    assert (reply.body, reply.headers) == (b"404 Not Found", ((b"content-type", b"text/plain; charset=UTF-8"),))


def test_refusal_becomes_an_error_object_with_its_fields_and_details() -> None:
    refusal = Refusal(429, "rate limit exceeded", ((b"retry-after", b"3"),), retryAfter=1700000000000)

    reply = refusal.reply()

    assert reply.status == 429
    assert reply.body == b'{"error":"rate limit exceeded","retryAfter":1700000000000}'
    assert (b"retry-after", b"3") in reply.headers
    assert str(refusal) == "rate limit exceeded"
