"""What an operator can mend. The command line prints the message and nothing else; any other exception is a bug."""

from __future__ import annotations

SETTINGS_EXIT_CODE = 78  # EX_CONFIG of sysexits(3): a wrong setting is not mended by starting again


class OperatorError(Exception):
    """The message names the cause and the fix; a command that it ends has `exit_code`.

    OperatorError
      SettingsError   a setting is unusable
      HomeError       the home cannot be used (HomeBusy: another proxy has it)
      BindError       the address cannot be bound
      ServeError      the proxy cannot start
      NoProxyError    nothing answers, or not a signet-proxy
      RefusedError    the proxy answered that it will not
      BackupError     a backup cannot be made or used
      ServiceError    the service is not as asked
    """

    exit_code = 1
