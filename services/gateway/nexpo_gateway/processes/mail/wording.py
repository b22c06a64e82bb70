"""The wording of e-mails, as plain text and as HTML."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote

from nexpo.notifications.v1.notifications_pb2 import VerificationKind
from nexpo_runtime.plain_text import one_line, paragraphs, without_links

_LONGEST_NAME = 80
_LONGEST_TEXT = 4000

_PAGE = """\
<!doctype html>
<html lang="en">
<body style="margin:0 auto;max-width:34em;padding:2em 1em;font:16px/1.5 sans-serif;color:#222">
{body}
</body>
</html>
"""


@dataclass(frozen=True, slots=True)
class Mail:
    """What a mail says.

    Attributes:
        subject: One line, the same for everyone.
        text: Plain text.
        html: The same as HTML.
    """

    subject: str
    text: str
    html: str


def verification(
    kind: VerificationKind.ValueType, display_name: str, link: str, expire_time: datetime | None
) -> Mail:
    """The mail that asks to confirm an address.

    Args:
        kind: Why it is sent.
        display_name: Whatever the person typed.
        link: Confirms the address.
        expire_time: When the link ends, with time zone; None when that is not known.
    """
    subject, why = _VERIFICATIONS.get(kind, _FIRST)
    until = f"The link works until {_moment(expire_time)}." if expire_time else ""
    ignore = "If you did not sign up, ignore this e-mail: nothing will happen."
    lines = [_greeting(display_name), why, link, until, ignore]
    page = [*map(_paragraph, lines[:2]), _button(link), *map(_paragraph, filter(None, lines[3:]))]
    return Mail(subject, _plain(lines), _PAGE.format(body="\n".join(page)))


def welcome(display_name: str, text: str) -> Mail:
    """The mail that welcomes a new user.

    Args:
        display_name: Whatever the person typed.
        text: What to say; it greets by itself.
    """
    said = paragraphs(text, _LONGEST_TEXT) or _greeting(display_name)
    blocks = said.split("\n\n")
    body = "\n".join(_paragraph(block) for block in blocks)
    return Mail("Welcome", _plain(blocks), _PAGE.format(body=body))


def verification_link(public_url: str, operation: str, token: str) -> str:
    """Where the person confirms the address."""
    return (
        f"{public_url}/verify?operation={quote(operation, safe='')}&token={quote(token, safe='')}"
    )


_FIRST = ("Confirm your e-mail address", "Please confirm your e-mail address with this link:")

_VERIFICATIONS = {
    VerificationKind.VERIFICATION_KIND_REMINDER: (
        "Reminder: confirm your e-mail address",
        "Your e-mail address is still to be confirmed. Please do so with this link:",
    ),
    VerificationKind.VERIFICATION_KIND_RESEND: (
        "Your new link to confirm your e-mail address",
        "Here is the new link that you asked for. Please confirm your e-mail address with it:",
    ),
}


def _greeting(display_name: str) -> str:
    # Strangers may type any address as theirs and any advertisement as their name.
    name = one_line(without_links(display_name), _LONGEST_NAME)
    return f"Hello {name}," if name else "Hello,"


def _moment(time: datetime) -> str:
    return f"{time.day} {time:%B %Y, %H:%M} UTC"


def _plain(blocks: Sequence[str]) -> str:
    return "\n\n".join(filter(None, blocks)) + "\n"


def _paragraph(text: str) -> str:
    return f"<p>{html.escape(text).replace(chr(10), '<br>')}</p>"


def _button(link: str) -> str:
    href = html.escape(link)
    style = (
        "display:inline-block;padding:.6em 1.2em;background:#2457d6;color:#fff;border-radius:6px"
    )
    return (
        f'<p><a href="{href}" style="{style}">Confirm</a></p>\n'
        f'<p style="font-size:13px;word-break:break-all">{href}</p>'
    )
