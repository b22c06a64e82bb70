"""The catalogue's words for what goes wrong with a database; no driver's text in them."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass

from nexpo.errors.v1.errors_pb2 import Reason
from nexpo_runtime.errors import Fault

_SENTENCES = {
    Reason.REASON_STORE_UNAVAILABLE: "{} cannot be reached now.",
    Reason.REASON_STORE_THROTTLED: "{} asks for fewer requests.",
    Reason.REASON_STORE_DENIED: "{} does not accept the service's credential.",
    Reason.REASON_STORE_REFUSED: "{} refused the write.",
    Reason.REASON_FENCED: "The step was undone before, so it must not land.",
}

_REPEAT_S = 60.0

_log = logging.getLogger(__name__)
_logged: dict[tuple[str, int, str], float] = {}


@dataclass(frozen=True, slots=True)
class Origin:
    """The database that a fault comes from.

    Attributes:
        id: Its id: "postgres", "eu".
        title: Its name for people: "PostgreSQL".
    """

    id: str
    title: str

    @property
    def name(self) -> str:
        """Its name in the contract."""
        return f"databases/{self.id}"

    def fault(
        self,
        reason: Reason.ValueType,
        cause: BaseException | None = None,
        *,
        sentence: str = "",
        mend: str = "",
    ) -> Fault:
        """A fault of the database.

        Args:
            reason: Why.
            cause: The driver's error. Only its type, code and notes are logged, once
                a minute: its text may quote the data.
            sentence: For a person, with {} for the title; needed for reasons that are not
                the databases' own.
            mend: What an operator must do, for the log.
        """
        if cause is not None:
            self._report(reason, cause, mend)
        text = (sentence or _SENTENCES[reason]).format(self.title)
        return Fault(reason, text, metadata={"database": self.name})

    def _report(self, reason: Reason.ValueType, cause: BaseException, mend: str) -> None:
        codes = (getattr(cause, name, None) for name in ("sqlstate", "code", "number"))
        code = next(filter(None, codes), None)
        origin = f"{type(cause).__name__}, code {code}" if code else type(cause).__name__
        origin = " ".join([origin, *getattr(cause, "__notes__", ())])  # ours: see migrations
        if mend:
            origin += f": {mend}"
        now = time.monotonic()
        if now - _logged.get((self.id, reason, origin), -_REPEAT_S) >= _REPEAT_S:
            _logged[self.id, reason, origin] = now
            _log.warning("%s: %s, from %s", self.title, Reason.Name(reason), origin)
