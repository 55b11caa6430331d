from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import stat
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import uvloop

from native_routes.daemon_log import DaemonLog
from native_routes.declaration import LeftToLegacy
from native_routes.reply import Reply
from native_routes.secrets.opening import SecretError, resolve
from native_routes.secrets.running import Limits, hider, run_command
from native_routes.secrets.sealing import UnsealError, derive_key, seal, unseal
from native_routes.secrets.store import pretty
from tests.native_routes.asking import StoppedClock, ask, value

# What libsodium-wrappers 0.8.2 makes of this machine's name and these texts, with the nonce 00 01 .. 17.
MACHINE = "0123456789abcdef0123456789abcdef"
KEY = "89668901ca038f2b54077c7155fd611822b64504672140c7ca6f8cdc6fd680f4"
SEALED = {
    "secret value 😀": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXy0nut+v/qignLJKHlMFCRGWeqaclIGSeWFnwWyo4MVz9",
    "": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXoTjUCVXo5RcpMoBggH8kUw==",
}


@dataclass
class Context:
    home_path: Path
    clock: StoppedClock = field(default_factory=StoppedClock)
    environment: Mapping[str, str] = field(default_factory=lambda: {"PATH": os.environ["PATH"]})
    secrets_lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    command_limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        self.daemon_log = DaemonLog(self.home_path / "logs", self.clock)

    @property
    def file(self) -> Path:
        return self.home_path / ".secrets" / "secrets.enc"


@pytest.fixture
async def context(tmp_path: Path) -> AsyncIterator[Context]:
    context = Context(tmp_path)
    yield context
    await context.daemon_log.close()


async def put(context: Context, name: str, text: Any) -> Reply:
    return await ask(context, "POST", f"/api/secrets/{name}", json_body={"value": text})


async def run(context: Context, command: str, **secrets: str) -> Any:
    reply = await ask(context, "POST", "/api/secrets/exec", json_body={"command": command, "secrets": secrets})
    return value(reply)


async def names(context: Context) -> Any:
    return value(await ask(context, "GET", "/api/secrets"))["secrets"]


def test_the_key_and_the_sealed_texts_are_libsodiums() -> None:
    key = derive_key(MACHINE)

    assert key.hex() == KEY
    for text, sealed in SEALED.items():
        assert unseal(sealed, key) == text
        assert unseal(seal(text, key), key) == text


def test_a_byte_order_mark_before_a_secret_is_not_part_of_it() -> None:
    """Legacy stores it, and drops it when it decodes the text."""
    key = derive_key(MACHINE)
    assert unseal(seal("\ufeff\ufeffkey", key), key) == "\ufeffkey"


@pytest.mark.parametrize(
    ("sealed", "problem"),
    [
        (None, "input cannot be null or undefined"),
        ("not base64!", "invalid input"),
        ("AAA", "invalid input"),  # no padding
        ("AAB=", "invalid input"),  # bits beyond the last octet
        ("A", "invalid input"),
        ("!!!!", "incomplete input"),
        ("AAAA\n", "incomplete input"),
        ("AA==AA", "incomplete input"),
        ("", "ciphertext is too short"),
        ("AAAA", "ciphertext is too short"),
        ("A" * 80, "wrong secret key for the given ciphertext"),
        (SEALED[""], "wrong secret key for the given ciphertext"),
    ],
)
def test_what_cannot_be_unsealed_says_why(sealed: Any, problem: str) -> None:
    with pytest.raises(UnsealError, match=problem):
        unseal(sealed, derive_key("another machine"))


async def test_a_stored_secret_reaches_a_command_and_never_its_output(context: Context) -> None:
    await put(context, "TOKEN", "secret value 😀")

    outcome = await run(context, 'test "$T" = "secret value 😀" && printf %s "$T" | wc -c; printf %s "$T"', T="TOKEN")

    assert outcome == {"stdout": "17\n[REDACTED]", "stderr": "", "code": 0}
    assert "secret value" not in context.file.read_text()


async def test_the_log_tells_names_and_never_values(context: Context) -> None:
    await put(context, "TOKEN", "secret value")
    await run(context, "printf %s $T", T="TOKEN")
    await ask(context, "POST", "/api/secrets/TOKEN/exec", json_body={"command": "exit 3"})
    await ask(context, "DELETE", "/api/secrets/TOKEN")
    await context.daemon_log.close()

    text = (context.home_path / "logs" / "signet-2026-11-21.log").read_text()
    entries = [json.loads(line) for line in text.splitlines()]
    assert [(entry["message"], entry["data"]) for entry in entries] == [
        ("Secret stored", {"name": "TOKEN"}),
        ("exec_with_secrets completed", {"secretCount": 1, "code": 0}),
        ("exec_with_secrets completed", {"name": "TOKEN", "code": 3}),
        ("Secret deleted", {"name": "TOKEN"}),
    ]
    assert "secret value" not in text


async def test_the_log_tells_what_was_not_stored_and_not_run_as_legacys_does(context: Context) -> None:
    entries: list[Any] = []
    context.daemon_log.listen(entries.append)
    for body in (b"{oops", b"null", b'{"value":5}'):
        await ask(context, "POST", "/api/secrets/A", body=body)
    await put(context, "1a", "value")
    for path in ("/api/secrets/exec", "/api/secrets/A/exec"):
        for body in (b"{oops", b"null", b"{}", b'{"command":"true","secrets":{"A":"NO"}}'):
            await ask(context, "POST", path, body=body)

    kinds = ["SyntaxError", "TypeError", "Error"]
    assert [(entry["message"], entry.get("data"), entry["error"]["name"]) for entry in entries] == [
        *(("Failed to store secret", {"name": "A"}, kind) for kind in kinds[:2]),
        ("Failed to store secret", {"name": "1a"}, "Error"),
        *(("exec_with_secrets failed", None, kind) for kind in kinds),
        *(("exec_with_secrets failed", {"name": "A"}, kind) for kind in kinds),
    ]


async def test_the_file_is_the_owners_alone_and_as_legacy_writes_it(context: Context) -> None:
    await put(context, "b", "one")
    await put(context, "A", "two")

    text = context.file.read_text()
    entry = json.loads(text)["secrets"]["b"]
    assert stat.S_IMODE(context.file.stat().st_mode) == 0o600
    assert entry["created"] == entry["updated"] == "2026-11-21T04:06:40.000Z"
    assert text.startswith('{\n  "version": 1,\n  "secrets": {\n    "b": {\n      "ciphertext": "')
    assert text == pretty(json.loads(text))
    assert await names(context) == ["b", "A"]


async def test_a_replaced_secret_keeps_its_place_and_its_creation(context: Context) -> None:
    await put(context, "b", "one")
    await put(context, "a", "two")
    context.clock.ms += 1000
    await put(context, "b", "three")

    entry = json.loads(context.file.read_text())["secrets"]["b"]
    assert await names(context) == ["b", "a"]
    assert (entry["created"], entry["updated"]) == ("2026-11-21T04:06:40.000Z", "2026-11-21T04:06:41.000Z")
    assert (await run(context, "test $B = three", B="b"))["code"] == 0


async def test_what_else_stands_in_the_file_is_kept(context: Context) -> None:
    context.file.parent.mkdir()
    context.file.write_text('{"version":1,"secrets":{"10":{"x":1.50},"9":{}},"extra":[]}')

    await put(context, "new", "v")

    content = json.loads(context.file.read_text())
    assert list(content["secrets"]) == ["9", "10", "new"]
    assert content["secrets"]["10"] == {"x": 1.5}
    assert content["extra"] == []


async def test_twenty_secrets_stored_at_once_are_all_kept(context: Context) -> None:
    await asyncio.gather(*(put(context, f"S{place}", "value") for place in range(20)))

    assert sorted(await names(context)) == sorted(f"S{place}" for place in range(20))


async def test_a_secret_stored_behind_a_caller_who_left_is_kept(context: Context) -> None:
    """His thread reads from a slow disk, and writes in the end what it read, with his secret."""
    await put(context, "EARLIER", "value")
    content, pipe_path = context.file.read_bytes(), context.home_path / "pipe"
    context.file.unlink()
    os.mkfifo(pipe_path)
    context.file.hardlink_to(pipe_path)
    left = asyncio.ensure_future(put(context, "LEFT", "value"))
    disk = await _once_it_is_read(pipe_path)
    context.file.unlink()
    context.file.write_bytes(content)
    left.cancel()
    with pytest.raises(asyncio.CancelledError):
        await left

    behind = asyncio.ensure_future(put(context, "BEHIND", "value"))
    await asyncio.wait([behind], timeout=0.2)
    os.write(disk, content)
    os.close(disk)

    assert (await behind).status == 200
    async with asyncio.timeout(5):
        while "LEFT" not in await names(context):  # noqa: ASYNC110  # a thread that nobody waits for
            await asyncio.sleep(0.01)
    assert sorted(await names(context)) == ["BEHIND", "EARLIER", "LEFT"]


async def _once_it_is_read(pipe_path: Path) -> int:
    """The end of a pipe to write to."""
    async with asyncio.timeout(5):
        while True:
            with contextlib.suppress(OSError):
                return os.open(pipe_path, os.O_WRONLY | os.O_NONBLOCK)
            await asyncio.sleep(0.01)


async def test_a_file_that_cannot_be_read_is_kept_beside_the_new_one(context: Context) -> None:
    context.file.parent.mkdir()
    context.file.write_text("half a fi")

    assert await names(context) == []
    await put(context, "A", "value")

    assert await names(context) == ["A"]
    assert context.file.with_name("secrets.enc.damaged").read_text() == "half a fi"


async def test_a_file_of_another_shape_is_left_alone(context: Context) -> None:
    context.file.parent.mkdir()
    context.file.write_text("null")

    listed, stored = await ask(context, "GET", "/api/secrets"), await put(context, "A", "v")
    removed = await ask(context, "DELETE", "/api/secrets/A")

    assert (listed.status, value(listed)) == (500, {"error": "Failed to list secrets"})
    assert (stored.status, removed.status) == (400, 500)
    assert value(stored) == {"error": "null is not an object (evaluating 'store.secrets')"}
    assert context.file.read_text() == "null"


async def test_a_removed_secret_is_gone_and_the_others_stay(context: Context) -> None:
    await put(context, "A", "one")
    await put(context, "B", "two")

    removed, again = [await ask(context, "DELETE", "/api/secrets/A") for _ in range(2)]

    assert value(removed) == {"success": True, "name": "A"}
    assert (again.status, value(again)) == (404, {"error": "Secret 'A' not found"})
    assert await names(context) == ["B"]


@pytest.mark.parametrize("name", ["1a", "a-b", "a.b", "a%20b", "%C3%BC", "a%2Fb"])
async def test_a_name_that_no_shell_takes_is_refused(context: Context, name: str) -> None:
    reply = await put(context, name, "v")

    assert reply.status == 400
    assert value(reply)["error"].startswith("Invalid secret name '")
    assert not context.file.exists()


@pytest.mark.parametrize("text", ["", 5, None, [], True])
async def test_a_value_that_is_no_text_is_refused(context: Context, text: Any) -> None:
    reply = await put(context, "A", text)

    assert (reply.status, value(reply)) == (400, {"error": "value is required"})


async def test_a_secret_that_is_not_there_runs_nothing(context: Context) -> None:
    outcome = await run(context, f"touch {context.home_path}/ran", A="NO_SUCH")

    assert outcome == {"error": "Secret 'NO_SUCH' not found"}
    assert not (context.home_path / "ran").exists()


async def test_the_exit_code_is_the_commands_and_1_after_a_signal(context: Context) -> None:
    await put(context, "A", "value")

    assert (await run(context, "exit 7", A="A"))["code"] == 7
    assert (await run(context, "kill -9 $$", A="A"))["code"] == 1


async def test_a_command_that_reads_its_input_finds_its_end(context: Context) -> None:
    await put(context, "A", "value")

    assert await run(context, "cat; echo done", A="A") == {"stdout": "done\n", "stderr": "", "code": 0}


def test_of_two_secrets_the_longer_is_hidden_first_and_short_ones_are_not() -> None:
    hide = hider(["sec", "abcd", "secret", "secret value", "RED"])

    assert hide("secret value, secret, abcd, sec") == "[REDACTED], [REDACTED], [REDACTED], sec"


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        (["abcdef", "cdefgh"], "[REDACTED]gh"),
        (["cdefgh", "abcdef"], "ab[REDACTED]"),
        (["abcdef", "cdefghij"], "[REDACTED]gh"),
        (["cdefgh", "bcdefgh", "abcdef"], "a[REDACTED]"),
        (["REDACTED", "abcd"], "[REDACTED]efgh"),
    ],
)
def test_secrets_that_overlap_are_hidden_in_their_order(values: list[str], shown: str) -> None:
    assert hider(values)("abcdefgh") == shown


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def until_gone(pid: int) -> None:
    async with asyncio.timeout(5):
        while is_running(pid):  # noqa: ASYNC110  # another process: nobody sets an event
            await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    ("limits", "problem"),
    [
        (Limits(seconds=0.2), "the command was ended after 0.2 s"),
        (Limits(output_bytes=10_000), "the command printed more than 10000 bytes and was ended"),
    ],
)
async def test_a_limit_ends_the_command_and_all_that_it_started(context: Context, limits: Limits, problem: str) -> None:
    context.command_limits = limits
    await put(context, "A", "value")

    outcome = await run(context, f"sleep 60 & echo $! > {context.home_path}/pid; yes; wait", A="A")

    assert outcome == {"error": problem}
    await until_gone(int((context.home_path / "pid").read_text()))


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_a_command_is_over_when_nobody_can_print_any_more(tmp_path: Path, new_loop: Callable[[], Any]) -> None:
    """Not when a program ends that it left in the background; uvloop's own subprocesses keep its outputs open."""

    async def answers() -> tuple[Any, Any]:
        context = Context(tmp_path)
        await put(context, "A", "value")
        async with asyncio.timeout(10):
            left = await run(context, "sleep 60 >/dev/null 2>&1 & echo $!", A="A")
        given = await run(context, "cd /dev/fd && echo *", A="A")
        await context.daemon_log.close()
        return left, given

    with asyncio.Runner(loop_factory=new_loop) as runner:
        left, given = runner.run(answers())
    os.kill(int(left["stdout"]), signal.SIGKILL)

    assert given["stdout"] == "0 1 2 3\n"  # 3 is the folder itself


async def test_a_command_whose_caller_is_cancelled_is_ended(context: Context) -> None:
    await put(context, "A", "value")
    pid_path = context.home_path / "pid"
    running = asyncio.ensure_future(
        run(context, f"echo $$ > {pid_path}.new; mv {pid_path}.new {pid_path}; sleep 60", A="A")
    )
    async with asyncio.timeout(5):
        while not pid_path.exists():  # noqa: ASYNC110  # another process: nobody sets an event
            await asyncio.sleep(0.01)

    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running

    await until_gone(int(pid_path.read_text()))


async def test_a_command_whose_caller_is_cancelled_again_and_again_while_it_starts_is_ended(context: Context) -> None:
    ran_on = context.home_path / "ran_on"
    environment, limits = {**context.environment, "A": "value"}, Limits()
    for _ in range(20):
        command = run_command(f"sleep 0.3; touch {ran_on}", environment, ["value"], folder=ran_on.parent, limits=limits)
        running = asyncio.ensure_future(command)
        await asyncio.sleep(0)
        while not running.done():
            running.cancel()
            await asyncio.sleep(0.001)
        assert running.cancelled()
    await asyncio.sleep(0.8)

    assert not ran_on.exists()


async def test_a_reference_to_1password_is_left_to_legacy_once_it_has_a_token(context: Context) -> None:
    assert await run(context, "true", A="op://vault/item") == {"error": "Secret 'OP_SERVICE_ACCOUNT_TOKEN' not found"}

    await put(context, "OP_SERVICE_ACCOUNT_TOKEN", "token")
    with pytest.raises(LeftToLegacy):
        await run(context, "true", A="op://vault/item")


async def exec_raw(context: Context, body: bytes) -> tuple[int, Any]:
    reply = await ask(context, "POST", "/api/secrets/exec", body=body)
    return reply.status, value(reply)


@pytest.mark.parametrize("name", ["A=B", "=", "", "A B", "1", "\u00e9"])
async def test_a_variable_may_have_any_name(context: Context, name: str) -> None:
    await put(context, "TOKEN", "secret value")

    body = {"command": "tr '\\0' '\\n' </proc/$$/environ", "secrets": {name: "TOKEN"}}
    reply = await ask(context, "POST", "/api/secrets/exec", json_body=body)

    assert f"{name}=[REDACTED]" in value(reply)["stdout"].split("\n")


@pytest.mark.parametrize(
    "body",
    [
        b'{"command":"echo a\\u0000b","secrets":{"T":"TOKEN"}}',
        b'{"command":"true","secrets":{"A\\u0000B":"TOKEN"}}',
        b'{"command":"true","secrets":{"T":"WITH_NULL"}}',
    ],
)
async def test_a_null_byte_is_refused_and_nothing_runs_that_was_cut_off_there(context: Context, body: bytes) -> None:
    await put(context, "TOKEN", "secret value")
    await put(context, "WITH_NULL", "ab\0cd")

    status, answer = await exec_raw(context, body)

    assert status == 500
    assert "without null bytes" in answer["error"]


async def test_a_setting_names_a_secret_with_blanks_around_it_or_none(context: Context) -> None:
    await put(context, "KEY", " value ")
    for setting in ("$secret:KEY", "$secret: KEY\t", "KEY"):
        assert await resolve(context.home_path, context.environment, setting) == " value "
    assert await resolve(context.home_path, context.environment, "$secret: ") == ""
    with pytest.raises(SecretError, match="Secret 'OTHER' not found"):
        await resolve(context.home_path, context.environment, "$secret:OTHER")


async def test_a_command_that_cannot_be_started_is_told_in_legacys_words(context: Context) -> None:
    for name, text in (("NOWHERE", "/no/such/folder"), ("BIG", "x" * 200_000)):
        await put(context, name, text)
    assert await run(context, "printf x", PATH="NOWHERE") == {"error": 'Executable not found in $PATH: "sh"'}
    assert await run(context, "printf x", A="BIG") == {"error": "E2BIG: argument list too long, posix_spawn 'sh'"}


async def test_a_text_for_a_map_of_secrets_is_its_units(context: Context) -> None:
    await put(context, "L", "value")
    command = b'{"command":"true","secrets":"%s"}'
    assert (await exec_raw(context, command % b"LL"))[1]["code"] == 0
    assert await exec_raw(context, command % "L😀".encode()) == (500, {"error": "Secret '\ud83d' not found"})


async def test_a_character_that_comes_in_two_pieces_is_one(context: Context) -> None:
    await put(context, "A", "value")
    assert (await run(context, r"printf '\303'; sleep 0.1; printf '\274'", A="A"))["stdout"] == "ü"


async def test_half_a_character_reaches_the_command_marked(context: Context) -> None:
    await put(context, "HALF", "ab\ud800")

    reply = await exec_raw(context, b'{"command":"echo \\ud800 $T | od -An -tx1","secrets":{"T":"HALF"}}')

    assert reply == (200, {"stdout": " ef bf bd 20 61 62 ef bf bd 0a\n", "stderr": "", "code": 0})


@pytest.mark.parametrize(
    ("named", "problem"),
    [
        ("null", "null is not an object (evaluating 'secretName.startsWith')"),
        ("5", "secretName.startsWith is not a function."),
        ("[]", "secretName.startsWith is not a function."),
        ('"toString"', "input cannot be null or undefined"),
    ],
)
async def test_a_name_of_a_secret_that_is_none_fails_in_legacys_words(
    context: Context, named: str, problem: str
) -> None:
    status, answer = await exec_raw(context, b'{"command":"true","secrets":{"T":%b}}' % named.encode())

    assert status == 500
    assert answer["error"].startswith(problem)


@pytest.mark.parametrize("depth", [190, 900, 100_000])
async def test_a_command_that_is_nested_without_end_is_an_error(context: Context, depth: int) -> None:
    await put(context, "TOKEN", "secret value")
    body = b'{"command":%b,"secrets":{"T":"NONE"}}' % (b"[" * depth + b"]" * depth)

    assert (await exec_raw(context, body))[0] == 500


@pytest.mark.parametrize(
    "content",
    [
        b"null", b"5", b'"text"', b"[]", b"{}", b'{"secrets":null}', b'{"secrets":[]}', b'{"secrets":{"TOKEN":null}}',
        b'{"secrets":{"TOKEN":5}}', b'{"secrets":{"TOKEN":{"ciphertext":5}}}',
        b'{"secrets":{"TOKEN":{"ciphertext":""}}}', b'{"secrets":{"TOKEN":{"ciphertext":"\\ud800"}}}', b"[" * 100_000,
    ],
)  # fmt: skip
async def test_a_file_of_any_shape_is_answered_and_raises_nothing(context: Context, content: bytes) -> None:
    context.file.parent.mkdir()
    context.file.write_bytes(content)
    for method, path in (("GET", "/api/secrets"), ("DELETE", "/api/secrets/OTHER"), ("DELETE", "/api/secrets/TOKEN")):
        assert (await ask(context, method, path)).status in (200, 404, 500)
    context.file.write_bytes(content)
    assert (await exec_raw(context, b'{"command":"true","secrets":{"T":"TOKEN"}}'))[0] == 500
    assert (await put(context, "TOKEN", "x")).status in (200, 400)


async def test_names_that_no_shell_takes_are_kept_when_another_one_is_stored(context: Context) -> None:
    context.file.parent.mkdir()
    context.file.write_text('{"secrets":{"half \\ud83d":{"ciphertext":"x"},"\u00e9\\u0000":{}}}')

    assert (await put(context, "A", "x")).status == 200
    assert context.file.read_text().startswith('{\n  "secrets": {\n    "half \\ud83d": {\n      "ciphertext": "x"\n')
    assert await names(context) == ["half \ud83d", "\u00e9\0", "A"]


async def test_a_blank_file_is_written_over(context: Context) -> None:
    context.file.parent.mkdir()
    for blank in ("", " \n"):
        context.file.write_text(blank)
        assert (await put(context, "A", "x")).status == 200

    assert [path.name for path in context.file.parent.iterdir()] == ["secrets.enc"]


async def test_a_place_where_no_file_can_be_is_told_in_legacys_words(context: Context) -> None:
    folder = context.file.parent
    folder.write_text("no folder")
    assert value(await put(context, "A", "x")) == {"error": f"EEXIST: file already exists, mkdir '{folder}'"}

    folder.unlink()
    context.file.mkdir(parents=True)
    told = {"error": f"EISDIR: illegal operation on a directory, open '{context.file}'"}
    assert value(await put(context, "A", "x")) == told


async def test_a_file_that_cannot_be_read_is_not_replaced(context: Context) -> None:
    context.file.mkdir(parents=True)  # unreadable for anybody, root too

    assert (await put(context, "TOKEN", "secret value")).status == 400
    assert os.listdir(context.file.parent) == ["secrets.enc"]


async def test_a_second_damaged_file_does_not_replace_the_first(context: Context) -> None:
    context.file.parent.mkdir()
    for damaged in ("{first", "{second"):
        context.file.write_text(damaged)
        await put(context, "TOKEN", "secret value")

    kept = [path.read_text() for path in sorted(context.file.parent.glob("*.damaged*"))]
    assert kept == ["{first", "{second"]
