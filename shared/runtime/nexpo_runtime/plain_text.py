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

# Every pattern is linear in its text: no part of one can match what its neighbour matches.
_MARKDOWN_LINK = re.compile(r"!?\[([^\[\]\n]*)\]\([^()\n]*\)")
_TAG = re.compile(r"</?[A-Za-z!][^<>]*>")
_WORD = re.compile(r"[ \t]*\S+")
_DOT_IN_HOST = re.compile(r"(?<=[\w-])\.(?=[^\W\d_]{2})")

_SCHEMES = ("www.", "mailto:", "tel:", "data:", "javascript:")
_OPENING = "([{<\"'«„“"
_CLOSING = ".,;:!?…"


def one_line(text: str, limit: int) -> str:
    """A single line of visible characters.

    Args:
        text: Anything.
        limit: The most characters to keep.

    Returns:
        It in NFC, without control and invisible characters, spaces and line
        breaks as single spaces, cut at the limit; perhaps empty.
    """
    visible = "".join(map(_visible, unicodedata.normalize("NFC", text)))
    return " ".join(visible.split())[:limit].strip()


def without_links(text: str) -> str:
    """The text without markup, addresses and links; what a link was called stays.

    Mail programs make links of bare host names, too, so these get a space
    behind their dots: "R.Tolkien" survives that, "evil.example" does not.
    """
    text = _TAG.sub("", _MARKDOWN_LINK.sub(r"\1", text))
    text = _WORD.sub(lambda word: _without_link(word.group()), text)
    return _DOT_IN_HOST.sub(". ", text).strip()


def paragraphs(text: str, limit: int) -> str:
    """Paragraphs of plain text, cut behind the last sentence that fits.

    Args:
        text: Anything.
        limit: The most characters to keep.

    Returns:
        Lines as `one_line` makes them, at most one empty line between two;
        empty when not one sentence fits.
    """
    lines = [one_line(line, len(line)) for line in text.splitlines()]
    joined = re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()
    if len(joined) <= limit:
        return joined
    return whole_sentences(joined[:limit])


def whole_sentences(text: str) -> str:
    """The text without the sentence that was cut off at its end; perhaps empty."""
    end = max(text.rfind(mark) for mark in _SENTENCE_ENDS)
    return text[: end + 1].strip()


def _without_link(word: str) -> str:
    bare = word.strip()
    address = "." in bare.partition("@")[2]
    if "://" in bare or address or bare.lstrip(_OPENING).lower().startswith(_SCHEMES):
        # What ended the sentence stays.
        return bare[len(bare.rstrip(_CLOSING)) :]
    return word


def _visible(character: str) -> str:
    category = unicodedata.category(character)
    if character in _JOINERS:
        return character
    # U+E0100 and following are variation selectors: invisible, and able to carry hidden text.
    if category == "Cf" or "\U000e0100" <= character <= "\U000e01ef":
        return ""
    if category[0] in "CZ":
        return " " if character.isspace() else ""
    return character
