"""The welcome to a new user: by the model, or in plain words when it does not answer."""

from __future__ import annotations

from datetime import timedelta

from nexpo.ai.v1.ai_pb2 import WriteWelcomeRequest
from nexpo.ai.v1.ai_temporal import ai_activities as ai
from nexpo.notifications.v1.notifications_pb2 import SendWelcomeRequest
from nexpo.notifications.v1.notifications_temporal import notification_activities as notifications
from nexpo.users.v1.users_pb2 import TextSource, User
from nexpo_runtime.workflow.saga import Saga

WELCOME_WITHIN = timedelta(seconds=20)
PLAIN_WELCOME = "Hello {name},\n\nwelcome! Your account is ready.\n"

Welcome = tuple[TextSource.ValueType, str]
"""Where a text came from, and the text."""


async def written(saga: Saga, user: User) -> Welcome:
    """The model's text; the plain one when it is down, slow, refuses or is off."""
    request = WriteWelcomeRequest(
        display_name=user.display_name, locale=user.profile.locale, plan=user.profile.plan
    )
    writing = ai.write_welcome(request).limited(WELCOME_WITHIN)
    answer = await saga.optional(saga.step("write welcome text", writing, target="claude"))
    if answer is not None and answer.text:
        return TextSource.TEXT_SOURCE_MODEL, answer.text
    return TextSource.TEXT_SOURCE_TEMPLATE, PLAIN_WELCOME.format(name=user.display_name)


async def sent(saga: Saga, user: User, text: str) -> None:
    """Sends the text; an account is whole without it."""
    request = SendWelcomeRequest(email=user.email, display_name=user.display_name, text=text)
    await saga.optional(
        saga.step("send welcome e-mail", notifications.send_welcome(request), target="mail")
    )
