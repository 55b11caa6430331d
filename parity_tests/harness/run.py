"""Runs a scenario against one side and tells what was seen: one observation for each case, and one for the end."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from native_routes import GROUPS
from parity_tests.harness import http, tree
from parity_tests.harness.answers import case_tree, event_tree, parse_json
from parity_tests.harness.embedder import Embedder
from parity_tests.harness.faketime import Clock, half_past_eleven
from parity_tests.harness.forms import Moment
from parity_tests.harness.homes import build
from parity_tests.harness.homes.configs import config_text
from parity_tests.harness.names import Names, sql_time
from parity_tests.harness.noise import sort_key
from parity_tests.harness.observation import Observation, Surroundings
from parity_tests.harness.rules import Rule
from parity_tests.harness.scenario import (
    Hear,
    Listen,
    Restart,
    Scenario,
    Send,
    SetEmbedder,
    Step,
    Together,
    WaitFor,
    WriteFile,
)
from parity_tests.harness.side import Side, SideKind
from parity_tests.harness.tree import Object, Tree
from parity_tests.harness.watch import Watch, in_shared_order
from proxy.match import Matcher

MATCHER: Final = Matcher(GROUPS)
NO_ROUTE: Final = "(no route)"
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_SILENCE_S: Final = 0.15
_END_STILL_S: Final = 0.15  # a last chance for a commit that comes after its answer


class StepFailed(Exception):
    """A scenario cannot go on: a wait ran out, nothing answered, a value to keep is missing."""


def route_of(method: str, target: str) -> tuple[str, str]:
    """Group and route as declared, ("", "GET (no route)") for a target that has none."""
    match = MATCHER.match(method, target.encode("utf-8", "surrogateescape"))
    if match.group is None or match.route is None:
        return "", f"{method} {NO_ROUTE}"
    return match.group.name, f"{method} {match.route.path}"


@dataclass(slots=True)
class Run:
    """One scenario on one side. Enter it, then `observe`."""

    scenario: Scenario
    kind: SideKind
    base_s: int | None = None  # None = the real clock; the native side's is set to a time of day that suits
    keep_folder: Path | None = None  # for reading after a failure
    _stack: ExitStack = field(default_factory=ExitStack)
    _out: list[Observation] = field(default_factory=list)
    _streams: dict[str, http.Connection] = field(default_factory=dict)
    _embedder: Embedder = field(init=False)
    _names: Names = field(init=False)
    _side: Side = field(init=False)
    _surroundings: Surroundings = field(init=False)
    _watch: Watch = field(init=False)

    def observe(self) -> list[Observation]:
        """Raises StepFailed, SideError and what the snapshot raises."""
        with self._stack:
            self._prepare()
            for step in self.scenario.steps:
                self._step(step)
            self._end()
            self._after()
        return self._out

    def _prepare(self) -> None:
        folder = Path(tempfile.mkdtemp(prefix="parity-"))
        self._stack.callback(shutil.rmtree, folder, ignore_errors=True)
        start_s = half_past_eleven() if self.kind.is_native and self.base_s is None else self.base_s
        clock = Clock(start_s)
        base_s = start_s if start_s is not None else int(time.time())
        self._embedder = self._stack.enter_context(Embedder(self._first_behaviour()))
        self._names = Names(base_s, build.SECRET, fixed=self._embedder_names())
        self._side = Side(self.kind, folder / "user", clock, self._environment())
        stamps = self._fill_home(base_s) if self.kind.owns_home else {}
        self._stack.enter_context(self._side)
        if self.kind.front is not None:
            self._side.public = self._stack.enter_context(self.kind.front(self._side))
        host, port = self._side.address
        self._names.fixed = self._embedder_names() | {"address": f"{host}:{port}", "port": str(port)}
        self._surroundings = self._name_surroundings(stamps)
        self._watch = Watch(self._side.user_home, sql_time(int(self._side.booted_s)))
        self._stack.callback(self._watch.close)
        if self.kind.owns_home:
            self._watch.open(self.scenario.quiet_ms / 1000)

    def _embedder_names(self) -> dict[str, str]:
        return {"embedder": self._embedder.url, "embedder_port": str(self._embedder.port)}

    def _first_behaviour(self) -> str:
        return "ok" if self.scenario.embedder == "down" else self.scenario.embedder

    def _environment(self) -> dict[str, str]:
        return {name: self._names.fill(value) for name, value in self.scenario.environment.items()}

    def _fill_home(self, base_s: int) -> dict[str, str]:
        scenario = self.scenario
        home = build.build(scenario.home, base_s)
        build.clone(home, self._side.home, self._names.fill(scenario.seed))
        config = config_text(scenario.config) if scenario.config is not None else home.design.config
        texts = {"agent.yaml": config + scenario.config_extra} | dict(scenario.files)
        for path, text in texts.items():
            self._write(path, text)
        return dict(home.stamps)

    def _name_surroundings(self, stamps: dict[str, str]) -> Surroundings:
        side = self._side
        out = Surroundings(stamps=stamps)
        out.name(str(side.user_home), "user-home")
        out.name(str(side.home), "home")
        for host in ("127.0.0.1", "localhost"):
            for port in {side.port, side.address[1]}:
                out.name(f"{host}:{port}", f"{host} and port")
        out.name(f"127.0.0.1:{self._embedder.port}", "embedder")
        out.numbers[("port", str(side.port))] = "port"
        if side.pid is not None:
            out.numbers[("pid", str(side.pid))] = "pid"
        return out

    def _step(self, step: Step) -> None:
        match step:
            case Send():
                self._record_sends((step,), [self._exchange(step)])
            case Together():
                self._record_sends(step.sends, self._at_once(step.sends))
            case WaitFor():
                self._wait(step)
            case Listen():
                self._listen(step)
            case Hear():
                self._hear(step)
            case WriteFile():
                self._write(step.path, step.text, step.link_to)
                self._watch.accept_file(f".agents/{step.path}")
            case SetEmbedder():
                self._embedder.behave(step.behaviour)
            case Restart():
                self._restart()

    def _exchange(self, send: Send) -> tuple[Observation, http.Answer]:
        target = self._names.fill(send.target)
        body = None if send.body is None else self._names.fill_bytes(send.body)
        started = self._side.now_s()
        try:
            with http.connect(self._side.address) as connection:
                connection.send(send.method, target, self._fields(send), body)
                answer = connection.read_answer(send.method, send.events)
        except (OSError, http.NoAnswer) as error:
            answer = http.Answer(0, f"no answer: {type(error).__name__}", "", (), b"")
        moment = Moment(started, self._side.now_s(), self._side.booted_s, build.SECRET)
        # The route of the request as the scenario writes it, so that every side and recording agrees on it.
        route = route_of(send.method, target)[1]
        request = tree.of({"method": send.method, "target": send.target, "headers": [list(p) for p in send.headers]})
        if isinstance(request, Object) and send.body is not None:
            request.pairs.append(("body", send.body.decode("utf-8", "backslashreplace")))
        seen = case_tree(answer, send.method, self._surroundings, self._digests(route))
        return Observation(self._case(send.number), route, moment, seen, request), answer

    def _fields(self, send: Send) -> list[tuple[str, str]]:
        given = [(name, self._names.fill(value)) for name, value in send.headers]
        if any(name.lower() == "host" for name, _ in given) or send.host == "":
            return given
        host = self._names.fill(send.host) if send.host is not None else self._names.fixed["address"]
        return [("Host", host), *given]

    def _digests(self, route: str) -> list[Rule]:
        return [rule for rule in self.scenario.rules if rule.kind == "digest" and rule.route == route]

    def _at_once(self, sends: Sequence[Send]) -> list[tuple[Observation, http.Answer]]:
        with ThreadPoolExecutor(len(sends)) as pool:
            return list(pool.map(self._exchange, sends))

    def _record_sends(self, sends: Sequence[Send], seen: list[tuple[Observation, http.Answer]]) -> None:
        for send, (observation, answer) in zip(sends, seen, strict=True):
            self._keep(send, answer, observation)
        observations = [observation for observation, _ in seen]
        if len(seen) > 1:
            trees = sorted((observation.tree for observation in observations), key=sort_key)
            observations = [
                Observation(one.case, one.route, one.moment, seen_tree, one.request)
                for one, seen_tree in zip(observations, trees, strict=True)
            ]
        self._out += observations
        if any(send.method not in _SAFE for send in sends):
            self._note_effects(together=len(sends) > 1)

    def _keep(self, send: Send, answer: http.Answer, observation: Observation) -> None:
        for name, where in send.keep.items():
            try:
                value = tree.pointer(parse_json(answer.body), where)
            except (KeyError, ValueError):
                shown = tree.stringify(observation.tree)[:300]
                raise StepFailed(f"{observation.case}: nothing to keep at {where}: {shown}") from None
            self._names.kept[name] = value if isinstance(value, str) else tree.stringify(value)

    def _note_effects(self, *, together: bool = False) -> None:
        """Adds what changed since the last look to the latest case."""
        effects = self._effects(together=together)
        if effects.pairs and isinstance(self._out[-1].tree, Object):
            self._out[-1].tree.pairs.append(("effects", effects))

    def _effects(self, *, together: bool = False, still_s: float = 0.0) -> Object:
        parts: list[tuple[str, Tree]] = []
        if self.kind.owns_home:
            parts += self._watch.row_changes(max(still_s, self.scenario.quiet_ms / 1000)).pairs
        if calls := self._embedder.take_calls():
            parts.append(("calls", calls))
        named = self._surroundings.tree(Object(parts))
        if together and isinstance(named, Object):
            named = in_shared_order(named)
        return named if isinstance(named, Object) else Object([])

    def _wait(self, step: WaitFor) -> None:
        deadline = time.monotonic() + step.within_s
        send = Send(0, "", step.method, step.target, step.headers)
        while True:
            observation, answer = self._exchange(send)
            try:
                if tree.plain(tree.pointer(parse_json(answer.body), step.pointer)) == step.equals:
                    break
            except (KeyError, ValueError):
                pass
            if time.monotonic() > deadline:
                shown = tree.stringify(observation.tree)[:300]
                raise StepFailed(
                    f"{self.scenario.name}: {step.target} never had {step.pointer} {step.equals!r}: {shown}"
                )
            time.sleep(0.02)
        if self._out:
            self._note_effects()

    def _listen(self, step: Listen) -> None:
        connection = self._stack.enter_context(http.connect(self._side.address))
        fields = self._fields(Send(0, "", step.method, step.target, step.headers))
        connection.send(step.method, self._names.fill(step.target), fields, None)
        connection.read_head()
        self._streams[step.name] = connection

    def _hear(self, step: Hear) -> None:
        started = self._side.now_s()
        connection = self._streams.pop(step.name)
        version, status, reason, fields = connection.read_head()
        connection.sock.settimeout(step.within_s)
        try:
            events = list(connection.events(step.events))
        except http.NoAnswer as error:
            raise StepFailed(f"{self._case(step.number)}: {step.events} events were expected: {error}") from error
        silent = connection.is_silent_for(_SILENCE_S)
        connection.sock.close()
        seen = case_tree(http.Answer(status, reason, version, fields, b"", cut=True), "GET", self._surroundings, [])
        if isinstance(seen, Object):
            seen.pairs.append(("events", [event_tree(event, self._surroundings) for event in events]))
            seen.pairs.append(("silent_after", silent))
        moment = Moment(started, self._side.now_s(), self._side.booted_s, build.SECRET)
        request = tree.of({"method": step.route_method, "target": step.route_target, "events": step.events})
        route = route_of(step.route_method, step.route_target)[1]
        self._out.append(Observation(self._case(step.number), route, moment, seen, request))

    def _write(self, name: str, text: str | None, link_to: str | None = None) -> None:
        path = self._side.home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if link_to is not None:
            path.symlink_to(link_to)
        elif text is None:
            path.unlink()
        else:
            path.write_text(self._names.fill(config_text(text) if name == "agent.yaml" else text))

    def _restart(self) -> None:
        if self._out:
            self._note_effects()
        self._watch.close()
        self._side.restart()
        self._surroundings.numbers[("pid", str(self._side.pid))] = "pid"
        self._watch.reopen()

    def _end(self) -> None:
        now = self._side.now_s()
        effects = self._effects(still_s=_END_STILL_S)
        parts: list[tuple[str, Tree]] = [("effects", effects)]
        if self.kind.owns_home:
            parts.append(("files", self._surroundings.tree(self._watch.file_changes())))
        moment = Moment(now, now, self._side.booted_s, build.SECRET)
        self._out.append(Observation(f"{self.scenario.name}#end", "end", moment, Object(parts)))

    def _after(self) -> None:
        """Stops the side. It must still be running, end in order, and change nothing more; a case only if it does.

        Raises SideError.
        """
        if not self.kind.owns_home:
            return
        self._watch.accept_files()
        self._side.stop()
        effects, changed = self._effects(), self._surroundings.tree(self._watch.file_changes())
        now = self._side.now_s()
        if effects.pairs or (isinstance(changed, Object) and changed.pairs):
            seen = Object([("effects", effects), ("files", changed)])
            moment = Moment(now, now, self._side.booted_s, build.SECRET)
            self._out.append(Observation(f"{self.scenario.name}#stopped", "end", moment, seen))

    def _case(self, number: int) -> str:
        return f"{self.scenario.name}#{number}"
