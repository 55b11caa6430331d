"""The legacy daemon: found, started, watched and stopped by us (SupervisedLegacy), or run by somebody else and only
forwarded to (AttachedLegacy). The rest of the proxy sees the Legacy protocol."""

from proxy.legacy.attached import AttachedLegacy
from proxy.legacy.policy import RestartPolicy
from proxy.legacy.status import Death, Legacy, LegacyState, LegacyStatus
from proxy.legacy.supervised import SupervisedLegacy

__all__ = [
    "AttachedLegacy",
    "Death",
    "Legacy",
    "LegacyState",
    "LegacyStatus",
    "RestartPolicy",
    "SupervisedLegacy",
]
