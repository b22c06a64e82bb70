"""Faults that are switched on from outside, to see how callers bear them.

    POST /_fault {"kind": "status", "status": 529, "times": 2}
    GET /_fault       what is switched on, in the order in which it strikes
    DELETE /_fault    all well again

Kinds: `status` (answers with that HTTP status; with `retry_after` seconds and
`code`), `slow` (answers well, after `seconds`), `stall` (begins the stream, then
is silent for `seconds`), `truncate` (ends the stream, or the body, in the
middle), `nonsense` (200, but no JSON), `reset` (closes the connection before an
answer), `cut` (closes it half-way through), `error_event` (an overloaded_error
in the middle of the stream), `empty` (no content), `refusal` (stop_reason
refusal). `times` is for how many requests; without it, until it is cleared.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

KINDS = (
    "status",
    "slow",
    "stall",
    "truncate",
    "nonsense",
    "reset",
    "cut",
    "error_event",
    "empty",
    "refusal",
)


@dataclass(slots=True)
class FaultSetting:
    """One fault.

    Attributes:
        kind: One of KINDS.
        status: HTTP status, for `status`.
        retry_after: Seconds for the header retry-after, or None.
        code: For `error.details.error_code`, or None.
        seconds: How long, for `slow` and `stall`.
        times: For how many requests yet; None until it is cleared.
    """

    kind: str
    status: int = 529
    retry_after: float | None = None
    code: str | None = None
    seconds: float = 0.0
    times: int | None = None

    @classmethod
    def parse(cls, body: object) -> FaultSetting:
        """Reads the body of POST /_fault. Raises: ValueError."""
        if not isinstance(body, dict) or body.get("kind") not in KINDS:
            raise ValueError(f"kind must be one of {', '.join(KINDS)}")
        try:
            setting = cls(**body)
        except TypeError as error:
            raise ValueError(str(error)) from None
        if setting.times is not None and setting.times < 1:
            raise ValueError("times must be at least 1")
        return setting

    def to_json(self) -> Mapping[str, object]:
        """What GET /_fault shows."""
        return asdict(self)


class Faults:
    """The faults that are switched on; the first that is left strikes next."""

    def __init__(self) -> None:
        self._settings: list[FaultSetting] = []

    def add(self, setting: FaultSetting) -> None:
        """Switches one more on, behind the others."""
        self._settings.append(setting)

    def clear(self) -> None:
        """Switches all off."""
        self._settings.clear()

    def listed(self) -> list[Mapping[str, object]]:
        """What is on."""
        return [setting.to_json() for setting in self._settings]

    def take(self) -> FaultSetting | None:
        """The fault for the next request, or None."""
        if not self._settings:
            return None
        setting = self._settings[0]
        if setting.times is not None:
            setting.times -= 1
            if setting.times == 0:
                self._settings.pop(0)
        return setting
