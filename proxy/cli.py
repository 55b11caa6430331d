"""`signet-proxy`: what an operator types. Each command reads settings, asks or acts, prints, and sets the exit code."""

from __future__ import annotations

import gc
import json
import logging
import re
import time
from pathlib import Path
from typing import Any, NoReturn

import click

from proxy import __version__
from proxy.asking import ask
from proxy.operator_error import OperatorError
from proxy.settings import ENVIRONMENT, Settings, process_environment

EXIT_DEGRADED = 1
BACKUP_WITHIN_S = 900.0
_DURATION = re.compile(r"(\d+)([smhd]?)")
_UNIT_S = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400}


class Commands(click.Group):
    """Turns what an operator can mend into one line on stderr and an exit code; anything else is a bug and shows."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except OperatorError as error:
            return _end(ctx, error, error.exit_code)
        except OSError as error:
            return _end(ctx, error, 1)


def _end(ctx: click.Context, error: Exception, code: int) -> NoReturn:
    click.echo(f"Error: {error}", err=True)
    ctx.exit(code)


def _environment_help() -> str:
    width = max(map(len, ENVIRONMENT))
    return "\b\nEnvironment:\n" + "\n".join(f"  {name:{width}}  {meaning}" for name, meaning in ENVIRONMENT.items())


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
@click.version_option(__version__, prog_name="signet-proxy")
def main() -> None:
    """The front door of a Signet memory daemon: forwards to it, and answers migrated route groups itself."""


@main.command(epilog=_environment_help())
@click.option("--take-over", is_flag=True, help="Stop a Signet daemon of the same home that holds the port, then bind.")
def serve(take_over: bool) -> None:
    """Run the proxy, and the legacy daemon behind it, until SIGTERM."""
    gc.disable()  # until the server runs: nearly all that is imported stays, so looking for garbage in it is in vain
    from proxy.home import create_home
    from proxy.observe import Log
    from proxy.serve import serve as run

    settings = Settings.from_env()
    create_home(settings.home_path, settings.logs_path)
    # A service manager appends stderr to a file that nobody rotates; everything is in proxy-<date>.log.
    managed = bool(process_environment().get("NOTIFY_SOCKET") or process_environment().get("XPC_SERVICE_NAME"))
    log = Log(settings.logs_path, to_stream_from=logging.WARNING if managed else logging.INFO)
    log.start()
    try:
        run(settings, take_over_port=take_over)
    finally:
        log.stop()


@main.command()
@click.option("--json", "as_json", is_flag=True, help="Print the whole document of /_proxy/status.")
@click.pass_context
def status(ctx: click.Context, as_json: bool) -> None:
    """What runs, and who answers what and why. Exit code: 0 all well, 1 degraded, 2 no proxy answers."""
    from proxy.status_text import status_lines

    document = ask(Settings.from_env(), "/_proxy/status")
    click.echo(json.dumps(document, indent=2) if as_json else "\n".join(status_lines(document)))
    ctx.exit(EXIT_DEGRADED if document["degraded"] else 0)


@main.command()
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
@click.pass_context
def doctor(ctx: click.Context, as_json: bool) -> None:
    """Look for what is wrong, each with its fix. Exit code: 0 all well, 1 degraded, 2 unusable."""
    from proxy.doctor import examine, report

    findings = examine(Settings.from_env())
    text, code = report(findings, as_json=as_json)
    click.echo(text)
    ctx.exit(code)


@main.group()
def cutover() -> None:
    """Choose who answers each route group. Groups that remember the same things move together."""


@cutover.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print the document of /_proxy/cutover.")
def cutover_list(as_json: bool) -> None:
    """Every group: who answers, what was asked for, how far it may go, and why."""
    from proxy.status_text import cutover_lines

    document = ask(Settings.from_env(), "/_proxy/cutover")
    click.echo(json.dumps(document, indent=2) if as_json else "\n".join(cutover_lines(document)))


@cutover.command("set")
@click.argument("groups", nargs=-1, required=True)
@click.argument("mode", type=click.Choice(["legacy", "shadow", "native"]))
@click.option("--no-backup", is_flag=True, help="Make none before groups that write are answered natively.")
def cutover_set(groups: tuple[str, ...], mode: str, no_backup: bool) -> None:
    """Ask for MODE for GROUPS. Written into .daemon/cutover.yaml; what may not be yet is held back and said."""
    _change({"action": "set", "groups": groups, "mode": mode, "backup": not no_backup}, within_s=BACKUP_WITHIN_S)


@cutover.command("freeze")
@click.argument("groups", nargs=-1, required=True)
@click.option("--reason", default="frozen by the operator", show_default=True, help="Shown until the freeze is lifted.")
def cutover_freeze(groups: tuple[str, ...], reason: str) -> None:
    """Put GROUPS back to legacy at once, also across restarts, until lifted."""
    _change({"action": "freeze", "groups": groups, "reason": reason})


@cutover.command("lift")
@click.argument("groups", nargs=-1, required=True)
def cutover_lift(groups: tuple[str, ...]) -> None:
    """End the freeze of GROUPS."""
    _change({"action": "lift", "groups": groups})


@cutover.command("comparisons")
@click.option("--all", "all_verdicts", is_flag=True, help="Also those that are equal or were left out.")
@click.option("--json", "as_json", is_flag=True, help="Print the document of /_proxy/comparisons.")
def cutover_comparisons(all_verdicts: bool, as_json: bool) -> None:
    """What mode shadow found: numbers by group, and where answers differ, newest first."""
    from proxy.status_text import comparison_lines

    document = ask(Settings.from_env(), "/_proxy/comparisons")
    lines = list(comparison_lines(document, all_verdicts=all_verdicts)) or ["nothing was compared yet"]
    click.echo(json.dumps(document, indent=2) if as_json else "\n".join(lines))


def _change(action: dict[str, Any], within_s: float | None = None) -> None:
    from proxy.status_text import group_lines

    document = ask(Settings.from_env(), "/_proxy/cutover", action, within_s=within_s)
    if document["backup"]:
        click.echo(f"backup made: {document['backup']}")
    click.echo("\n".join(group_lines(document["groups"])))


@main.command()
@click.argument("folder", required=False, type=click.Path(file_okay=False))
def backup(folder: str | None) -> None:
    """Copy database, configuration, secrets and skills into a new folder below FOLDER; default <home>/.daemon/backups.

    While the proxy runs it does the copying, and nothing has to stop.
    """
    from proxy.backup.ask import back_up

    path = back_up(Settings.from_env(), Path(folder).absolute() if folder else None)
    click.echo(path)


@main.command()
@click.argument("backup", type=click.Path(exists=True, file_okay=False, path_type=Path))
def restore(backup: Path) -> None:
    """Put BACKUP in the place of the home, which nobody may use meanwhile. What was there is kept beside."""
    from proxy.backup.restore import restore as put_back

    settings = Settings.from_env()
    restored = put_back(settings, backup.absolute())
    manifest = restored.manifest
    click.echo(f"{manifest.memories:,} memories and {len(manifest.files) - 1} files of {manifest.made_at} are in")
    click.echo(f"{settings.home_path}; what they replaced is in {restored.replaced_path}")


@main.group()
def token() -> None:
    """Bearer tokens for auth.mode team and hybrid."""


def _seconds(ctx: click.Context, option: click.Parameter, text: str | None) -> int | None:
    if text is None:
        return None
    duration = _DURATION.fullmatch(text)
    if duration is None or int(duration[1]) == 0:
        raise click.BadParameter(f"{text!r}: expected a time such as 90, 30m, 12h or 7d")
    return int(duration[1]) * _UNIT_S[duration[2]]


@token.command("create")
@click.option("--role", required=True, type=click.Choice(["admin", "operator", "agent", "readonly"]))
@click.option("--ttl", "ttl_s", callback=_seconds, help="90, 30m, 12h, 7d; default auth.defaultTokenTtlSeconds.")
@click.option("--sub", help="Who the token is for; default token:<role>.")
@click.option("--scope-project", help="Good for this project only.")
@click.option("--scope-agent", help="Good for this agent only.")
@click.option("--scope-user", help="Good for this user only.")
def token_create(
    role: str,
    ttl_s: int | None,
    sub: str | None,
    scope_project: str | None,
    scope_agent: str | None,
    scope_user: str | None,
) -> None:
    """Print a new token and nothing else. It cannot be revoked, except by replacing .daemon/auth-secret."""
    from native_routes.agent_yaml import AuthPolicy
    from native_routes.tokens import mint

    settings = Settings.from_env()
    policy = AuthPolicy.load(settings.home_path)
    if not policy.secret:
        raise click.ClickException(
            policy.problem if policy.problem and policy.mode != "local" else _no_secret(settings, policy.mode)
        )
    if policy.mode == "local":
        click.echo("note: auth.mode is local, so nobody asks for a token yet", err=True)
    wanted = {"project": scope_project, "agent": scope_agent, "user": scope_user}
    scope = {name: value for name, value in wanted.items() if value}
    ttl = ttl_s or policy.default_token_ttl_s
    click.echo(mint(policy.secret, sub=sub or f"token:{role}", role=role, scope=scope, ttl_s=ttl, now_s=time.time()))


def _no_secret(settings: Settings, mode: str) -> str:
    path = settings.daemon_dir_path / "auth-secret"
    if mode == "local":
        return (
            f"{path} does not exist: set auth.mode to team or hybrid in agent.yaml, then start the proxy; it makes one"
        )
    return f"{path} does not exist: start the proxy once with `signet-proxy serve`; it makes one"


@main.group()
def service() -> None:
    """Run the proxy as a service of this user: systemd on Linux, launchd on macOS."""


@service.command("install")
@click.option("--replace", is_flag=True, help="Replace a unit that is not ours; it is kept beside.")
@click.option("--no-take-over", is_flag=True, help="Do not stop a bare Signet daemon that holds the port at start.")
@click.option("--no-start", is_flag=True, help="Write the unit, but neither enable nor start it.")
@click.option("--print", "only_print", is_flag=True, help="Print the unit and change nothing.")
def service_install(replace: bool, no_take_over: bool, no_start: bool, only_print: bool) -> None:
    """Write the unit with the settings now in force, enable and start it."""
    from proxy import service as units

    settings = Settings.from_env()
    unit = units.this_machines(settings, take_over=not no_take_over)
    if only_print:
        click.echo(unit.text, nl=False)
        return
    click.echo("\n".join(units.install(settings, unit, replace=replace, start=not no_start)))


@service.command("uninstall")
def service_uninstall() -> None:
    """Stop and remove our unit. A unit that was replaced stays where it was kept; the path is printed."""
    from proxy import service as units

    click.echo("\n".join(units.uninstall(units.this_machines(Settings.from_env()))))


@service.command("status")
@click.pass_context
def service_status(ctx: click.Context) -> None:
    """Whether the unit is installed, ours, enabled and running. Exit code: 0 all of it, 1 not."""
    from proxy import service as units

    lines, good = units.describe(units.this_machines(Settings.from_env()))
    click.echo("\n".join(lines))
    ctx.exit(0 if good else EXIT_DEGRADED)
