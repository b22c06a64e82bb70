"""How much a workflow hands to Temporal in one workflow task.

Temporal takes 2 MB in one payload and 4 MB in all that a task's completion holds.
What is larger makes the server end the workflow, and nothing would be undone. So
a call that is too large is refused as a fault, which the saga undoes, and many
calls at once are spread over several tasks.
"""

from __future__ import annotations

import asyncio

from temporalio import workflow

from nexpo.errors.v1.errors_pb2 import Reason

from ..errors import Fault

# In bytes of protobuf. As JSON with every letter escaped a text takes up to three times that.
CALL_LIMIT = 600_000
TASK_LIMIT = 1_200_000


class TaskSize:
    """The bytes of one workflow's calls since its current task began."""

    def __init__(self) -> None:
        self._events = 0
        self._bytes = 0

    async def admit(self, size: int) -> None:
        """Counts a call; waits for the next task when this one is full.

        Args:
            size: Bytes of the call's request.

        Raises:
            Fault: MESSAGE_TOO_LARGE: no task could hold it.
        """
        if size > CALL_LIMIT:
            raise Fault(
                Reason.REASON_MESSAGE_TOO_LARGE, "A step's request is larger than it may be."
            )
        while self._used() and self._bytes + size > TASK_LIMIT:  # noqa: ASYNC110  # see below
            # A timer ends the task, and what is asked for after it belongs to the next one.
            await asyncio.sleep(0.001)
        self._bytes += size

    def _used(self) -> int:
        events = workflow.info().get_current_history_length()
        if events != self._events:
            self._events, self._bytes = events, 0
        return self._bytes
