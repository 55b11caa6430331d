"""Prints the path of the Bun that would run the legacy daemon; exit code 1 and the fix when there is none."""

import sys

from proxy.legacy.find import LegacyNotFound, find_bun
from proxy.settings import Settings, process_environment

try:
    print(find_bun(Settings.from_env().bun_path, process_environment()))
except LegacyNotFound as error:
    sys.exit(str(error))
