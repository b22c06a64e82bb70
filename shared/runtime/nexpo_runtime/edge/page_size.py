"""How many entries a page of a list has: one rule for all lists.

Source: AIP-158. More than the largest page is no mistake: the caller gets the
largest and a token for the rest.
"""

from __future__ import annotations

from dataclasses import dataclass

from nexpo.errors.v1.errors_pb2 import Reason

from ..errors import Fault, FieldViolation


@dataclass(frozen=True, slots=True)
class PageSize:
    """The pages of one list.

    Attributes:
        largest: The most entries of a page; the only place that says so.
        default: Entries when the caller does not say.
    """

    largest: int
    default: int = 50

    def of(self, asked: int) -> int:
        """How many a page has. Raises: Fault: INVALID_ARGUMENT: a negative number was asked for."""
        if asked < 0:
            raise Fault(
                Reason.REASON_INVALID_ARGUMENT,
                "One problem in the request: page_size.",
                fields=[FieldViolation("page_size", "must be greater than or equal to 0")],
            )
        return min(asked or self.default, self.largest)
