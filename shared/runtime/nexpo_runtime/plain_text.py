"""Text of strangers made harmless before it is shown, mailed or put into a prompt.

Names come from whoever signs up and model answers from whatever a name made of
them. Neither may hide characters, break out of its line or carry a link into an
e-mail that we send.
"""

from __future__ import annotations

import re
import unicodedata

_JOINERS = "\u200c\u200d"
"""Invisible, but part of how names are written in several scripts."""

_SENTENCE_ENDS = ".!?…。！？।؟"

_MARKDOWN_LINK = re.compile(r"!?\[([^\]\n]*)\]\([^)\n]*\)")
_TAG = re.compile(r"</?[A-Za-z!][^<>]*>")
_LINK = re.compile(
    r"""
    \b[a-z][a-z0-9+.-]*://\S*          # with a scheme
    | \b(?:mailto|tel|javascript|data):\S+
    | \bwww\.\S+
    | \S+@\S+\.\S+                     # an address
    | (?:\b[\w-]+\.)+[^\W\d_]{2,}\b(?:[:/]\S*)?   # a bare host, which mail programs link
    """,
    re.IGNORECASE | re.VERBOSE,
)


def one_line(text: str, limit: int) -> str:
    """A single line of visible characters.

    Args:
        text: Anything.
        limit: The most characters to keep.

    Returns:
        It in NFC, control and invisible characters and line breaks as single
        spaces, cut at the limit; perhaps empty.
    """
    visible = "".join(map(_visible, unicodedata.normalize("NFC", text)))
    return " ".join(visible.split())[:limit].strip()


def without_links(text: str) -> str:
    """The text without links, markup and addresses; what a link was called stays."""
    text = _TAG.sub("", _MARKDOWN_LINK.sub(r"\1", text))
    return re.sub(r"[ \t]{2,}", " ", _LINK.sub("", text)).strip()


def paragraphs(text: str, limit: int) -> str:
    """Paragraphs of plain text, cut behind the last sentence that fits.

    Args:
        text: Anything.
        limit: The most characters to keep.

    Returns:
        Lines as `one_line` makes them, at most one empty line between two;
        empty when not one sentence fits.
    """
    lines = [one_line(line, limit) for line in text.splitlines()]
    joined = re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()
    if len(joined) <= limit:
        return joined
    return whole_sentences(joined[:limit])


def whole_sentences(text: str) -> str:
    """The text without the sentence that was cut off at its end; perhaps empty."""
    end = max(text.rfind(mark) for mark in _SENTENCE_ENDS)
    return text[: end + 1].strip()


def _visible(character: str) -> str:
    category = unicodedata.category(character)
    if character in _JOINERS:
        return character
    # U+E0100 and following are variation selectors: invisible, and able to carry hidden text.
    if category == "Cf" or "\U000e0100" <= character <= "\U000e01ef":
        return ""
    return " " if category[0] in "CZ" else character
