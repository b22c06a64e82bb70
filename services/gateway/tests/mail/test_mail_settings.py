"""SMTP_URL, MAIL_FROM and PUBLIC_URL."""

from __future__ import annotations

import pytest

from nexpo_gateway.processes.mail.settings import (
    MailSettings,
    NotificationSettings,
    Tls,
    parse_public_url,
    parse_smtp_url,
)
from nexpo_runtime.settings import SettingsError


def _parsed(url: str) -> MailSettings:
    return parse_smtp_url(url, "Nexpo <no-reply@nexpo.example>", "https://nexpo.example/app/")


@pytest.mark.parametrize(
    ("url", "host", "port", "tls"),
    [
        ("smtp://127.0.0.1:1025", "127.0.0.1", 1025, Tls.OFFERED),
        ("smtp://mail.example", "mail.example", 25, Tls.OFFERED),
        ("smtp://u:p@mail.example", "mail.example", 587, Tls.REQUIRED),
        ("smtp://u:p@localhost", "localhost", 587, Tls.OFFERED),
        ("smtp://u:p@mail.example?starttls=never", "mail.example", 587, Tls.NEVER),
        ("smtp://mail.example?starttls=required", "mail.example", 25, Tls.REQUIRED),
        ("smtps://u:p@mail.example", "mail.example", 465, Tls.IMPLICIT),
    ],
)
def test_a_password_is_sent_in_the_clear_only_when_asked_for(
    url: str, host: str, port: int, tls: Tls
) -> None:
    settings = _parsed(url)

    assert (settings.host, settings.port, settings.tls) == (host, port, tls)


def test_user_and_password_may_hold_any_character() -> None:
    settings = _parsed("smtps://a%40b:p%2Fw%3A%25@mail.example")

    assert (settings.username, settings.password) == ("a@b", "p/w:%")
    assert "p/w" not in repr(settings)


@pytest.mark.parametrize(
    "url",
    [
        "mail.example:25",
        "http://mail.example",
        "smtp://",
        "smtp://mail.example:port",
        "smtp://:secret-password@mail.example",
        "smtp://mail.example/inbox",
        "smtp://mail.example?tls=1",
        "smtps://mail.example?starttls=never",
    ],
)
def test_what_is_no_smtp_url_is_refused_without_quoting_it(url: str) -> None:
    with pytest.raises(ValueError, match=r".+") as failed:
        _parsed(url)

    assert "secret-password" not in str(failed.value)
    assert "mail.example" not in str(failed.value)


def test_everything_wrong_is_listed_at_once() -> None:
    with pytest.raises(SettingsError) as failed:
        NotificationSettings.load(smtp_url="nowhere", mail_from="Nobody", public_url="nexpo")

    named = [problem.partition(":")[0] for problem in failed.value.problems]
    assert named == ["SMTP_URL", "MAIL_FROM", "PUBLIC_URL"]


def test_without_smtp_url_nothing_else_is_asked_for_and_mail_is_off() -> None:
    settings = NotificationSettings.load()

    assert settings.mail is None
    assert settings.mail_state() == "off: SMTP_URL is not set"


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("https://nexpo.example", ""),
        ("https://nexpo.example/", ""),
        ("https://nexpo.example/app", "/app"),
        ("https://nexpo.example:8443/a/b-c.d_~1/", "/a/b-c.d_~1"),
        ("http://[::1]:8080", ""),
    ],
)
def test_public_url_may_have_a_path(url: str, path: str) -> None:
    settings = NotificationSettings.load(public_url=url)

    assert settings.public_path == path
    assert parse_public_url(url).endswith(path or url.rstrip("/"))


@pytest.mark.parametrize(
    "url",
    [
        "nexpo.example",
        "ftp://nexpo.example",
        "https://",
        "https:///path",
        "https://nexpo.example:port",
        "https://nexpo.example:0",
        "https://nexpo.example:70000",
        "https://user:secret@nexpo.example",
        "https://nexpo.example/?a=b",
        "https://nexpo.example?",
        "https://nexpo.example/#here",
        "https://nexpo.example/a b",
        "https://nexpo.example/a//b",
        "https://nexpo.example/../a",
        "https://nexpo.example/{a}",
        "https://nexpo.example/%61",
        "https://nexpö.example",
        "https://nexpo.example/\na",
    ],
)
@pytest.mark.parametrize("smtp_url", [None, "smtp://mail.example"])
def test_a_public_url_that_no_link_can_begin_with_is_refused_with_the_mend(
    url: str, smtp_url: str | None
) -> None:
    with pytest.raises(SettingsError) as failed:
        NotificationSettings.load(public_url=url, smtp_url=smtp_url)

    [problem] = failed.value.problems
    assert problem.startswith("PUBLIC_URL: ")
    assert "give https://host" in problem
    assert "secret" not in problem


def test_a_path_in_public_url_is_kept_without_a_second_slash() -> None:
    assert _parsed("smtp://mail.example").public_url == "https://nexpo.example/app"
