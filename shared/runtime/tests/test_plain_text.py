"""Text of strangers made harmless."""

from __future__ import annotations

import time

import pytest

from nexpo_runtime.plain_text import one_line, paragraphs, without_links


@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        ("  Ada \t Lovelace\r\n", "Ada Lovelace"),
        ("Ada\x00\x1b[31m", "Ada[31m"),
        ("A\u202eda\u200b\ufeff\U000e0041\U000e0100", "Ada"),
        ("Zoe\u0308", "Zoë"),
        ("نیلوفر\u200cها", "نیلوفر\u200cها"),
        ("👩\u200d🚀", "👩\u200d🚀"),
        ("a\u2028b\u2029c\x85d", "a b c d"),
    ],
)
def test_a_line_holds_visible_characters_only(typed: str, shown: str) -> None:
    assert one_line(typed, 80) == shown


def test_a_line_is_cut_at_its_limit() -> None:
    assert one_line("abc def", 4) == "abc"


@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        ("Win at https://evil.example/x!", "Win at!"),
        ("(HTTP://evil.example)", ""),
        ("WWW.evil.example wins", "wins"),
        ("mail eve@evil.example, now", "mail, now"),
        ("evil.example", "evil. example"),
        ("xn--80ak6aa92e.com/a.html", "xn--80ak6aa92e. com/a. html"),
        ("J.R.R.Tolkien", "J.R.R. Tolkien"),
        ("3.5 km, e.g. at 10.30 …", "3.5 km, e.g. at 10.30 …"),
        ("[site](javascript:x) <b>bold</b> <img src=x onerror=y>", "site bold"),
        ("@ada a@b", "@ada a@b"),
        ("Bienvenue, Ada !", "Bienvenue, Ada !"),
        ("1 < 2 > 0", "1 < 2 > 0"),
    ],
)
def test_links_go_and_the_rest_stays(typed: str, shown: str) -> None:
    assert without_links(typed) == shown


@pytest.mark.parametrize("part", ["a@", "a.", "a-", "[", "[a](", "<a", "a.b@", "://", "![", " .a"])
def test_no_text_takes_long(part: str) -> None:
    began = time.process_time()

    without_links(part * 10_000)

    assert time.process_time() - began < 1


def test_paragraphs_stay_and_end_with_a_sentence() -> None:
    text = "One.\r\n\r\n\r\n\r\nTwo\tis here. Three is too much."

    assert paragraphs(text, 30) == "One.\n\nTwo is here."
    assert paragraphs("One.\nTwo.", 30) == "One.\nTwo."
    assert paragraphs("not one sentence", 5) == ""
