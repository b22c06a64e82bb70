"""Messages to people."""

from __future__ import annotations

import base64
import hashlib
import hmac
from datetime import UTC

from nexpo.errors.v1.errors_pb2 import Reason
from nexpo.notifications.v1.notifications_pb2 import (
    SendVerificationRequest,
    SendVerificationResponse,
    SendWelcomeRequest,
    SendWelcomeResponse,
)
from nexpo.notifications.v1.notifications_service import NotificationActivitiesBase
from nexpo_runtime.errors import Fault
from nexpo_runtime.telemetry import logs

from . import smtp, wording
from .settings import MailSettings, NotificationSettings
from .wording import Mail

_log = logs.get(__name__)


class Notifications(NotificationActivitiesBase):
    """The activities of nexpo.notifications.v1.NotificationActivities.

    Args:
        settings: How to send mail; tokens are made with the first service key.
    """

    def __init__(self, settings: NotificationSettings) -> None:
        self._mail = settings.mail
        self._service_key = settings.service_keys[0]

    async def send_verification(self, request: SendVerificationRequest) -> SendVerificationResponse:
        """Sends a verification e-mail; its token exists here and in the mail only.

        Raises:
            Fault: MAIL_UNAVAILABLE or MAIL_REFUSED.
        """
        settings = self._on()
        token = make_token(self._service_key, request.key)
        link = wording.verification_link(settings.public_url, request.operation, token)
        expires = request.expire_time.ToDatetime(UTC) if request.HasField("expire_time") else None
        mail = wording.verification(request.kind, request.display_name, link, expires)
        message_id = await self._send(settings, mail, request.email, request.key)
        return SendVerificationResponse(token_digest=digest(token), message_id=message_id)

    async def send_welcome(self, request: SendWelcomeRequest) -> SendWelcomeResponse:
        """Sends the welcome e-mail.

        Raises:
            Fault: MAIL_UNAVAILABLE or MAIL_REFUSED.
        """
        settings = self._on()
        mail = wording.welcome(request.display_name, request.text)
        message_id = await self._send(settings, mail, request.email, request.key)
        return SendWelcomeResponse(message_id=message_id)

    def _on(self) -> MailSettings:
        if self._mail is None:
            raise Fault(Reason.REASON_MAIL_REFUSED, "E-mail is switched off: SMTP_URL is not set.")
        return self._mail

    async def _send(self, settings: MailSettings, mail: Mail, to: str, key: str) -> str:
        message_id = f"<{hashlib.sha256(key.encode()).hexdigest()[:40]}@{settings.domain}>"
        await smtp.send(settings, mail, to, message_id)
        _log.info("mail sent", message_id=message_id)
        return message_id


def make_token(service_key: bytes, key: str) -> str:
    """The secret of a step's link: the same on every attempt, and never recorded.

    Args:
        service_key: Secret of the deployment.
        key: The step's.

    Returns:
        43 characters of URL-safe base64: HMAC-SHA256 under a label of its own,
        so that nothing else that is signed with the key is ever a token.
    """
    made = hmac.digest(service_key, b"nexpo verification token\0" + key.encode(), "sha256")
    return base64.urlsafe_b64encode(made).rstrip(b"=").decode()


def digest(token: str) -> str:
    """SHA-256 (hex) of a token: what a field with `sensitive: digest` becomes at the edge."""
    return hashlib.sha256(token.encode()).hexdigest()
