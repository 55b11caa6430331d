# Sourced by the other scripts, from the top of the checkout: functions that make .venv and legacy_ts/node_modules when
# they are missing or out of date. Only what is locked is installed.

fail() {
    printf '%s\n' "$*" >&2
    exit 1
}

find_python() {
    for candidate in "${PYTHON:-}" python3.13 python3.12 python3.11 python3 python; do
        [ -n "$candidate" ] && command -v "$candidate" >/dev/null 2>&1 || continue
        "$candidate" -c 'import sys, venv; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 || continue
        printf '%s\n' "$candidate"
        return
    done
    fail "no Python 3.11 or newer with venv was found; install one (Debian: python3 python3-venv) or set PYTHON=/path/to/python3"
}

install_python_packages() {
    lock=$1
    stamp=.venv/installed-from
    wanted="$(cat "$lock" pyproject.toml | cksum) $PWD"
    [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ] && return
    # What serve needs is part of what the tests need, so an environment for tests serves as well.
    dev="$(cat requirements-dev.lock pyproject.toml | cksum) $PWD"
    [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$dev" ] && return
    python=$(find_python) || exit 1
    printf 'signet-proxy: installing %s into .venv\n' "$lock" >&2
    [ -x .venv/bin/python ] || "$python" -m venv .venv || fail "cannot make .venv with $python"
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r "$lock" >&2 ||
        fail "cannot install $lock; is a Python package index reachable?"
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e . >&2 ||
        fail "cannot install this checkout into .venv"
    printf '%s' "$wanted" >"$stamp"
}

install_legacy_packages() {
    stamp=legacy_ts/node_modules/installed-from
    wanted=$(cat legacy_ts/package.json legacy_ts/bun.lock | cksum)
    [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ] && return
    bun=$(.venv/bin/python scripts/find_bun.py) || return 1
    printf 'signet-proxy: installing the packages of legacy_ts\n' >&2
    (cd legacy_ts && "$bun" install --frozen-lockfile >&2) || return 1
    printf '%s' "$wanted" >"$stamp"
}
