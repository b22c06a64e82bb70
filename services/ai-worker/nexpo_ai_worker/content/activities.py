"""Texts written by Claude."""

from __future__ import annotations

from nexpo.ai.v1.ai_pb2 import WriteWelcomeRequest, WriteWelcomeResponse
from nexpo.ai.v1.ai_service import AiActivitiesBase

from ..claude.client import Claude
from . import welcome


class AiActivities(AiActivitiesBase):
    """The activities of nexpo.ai.v1.AiActivities."""

    def __init__(self, claude: Claude) -> None:
        self._claude = claude

    async def write_welcome(self, request: WriteWelcomeRequest) -> WriteWelcomeResponse:
        """Writes the welcome text for a new user.

        Raises:
            Fault: MODEL_UNAVAILABLE, MODEL_REFUSED or MODEL_DISABLED.
        """
        prompt = welcome.prompt(request.display_name, request.locale, request.plan)
        answer = await self._claude.ask(prompt, request.key)
        return WriteWelcomeResponse(
            text=welcome.text(answer),
            model=answer.model,
            input_tokens=answer.input_tokens,
            output_tokens=answer.output_tokens,
        )
