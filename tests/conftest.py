"""For every test: property tests fail for what they find, never for the machine being slow or for the draw of the day.

The same examples are tried each time, so that a change is judged by what it changed. To look for new ones:
`scripts/test --hypothesis-profile=explore tests/...`.
"""

import signal

from hypothesis import HealthCheck, settings

# A shell ignores these for what it starts in the background, and what tests start would inherit that.
for _number in (signal.SIGINT, signal.SIGQUIT):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, signal.default_int_handler if _number == signal.SIGINT else signal.SIG_DFL)

settings.register_profile(
    "same examples", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("explore", deadline=None, max_examples=2_000, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("same examples")
