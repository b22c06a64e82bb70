"""In production nobody reads along: every part outside a service is found and put to the test.

The parts are found in the settings themselves. A new one without a rule fails the first test; one
with a rule but without values here fails the second.
"""

from __future__ import annotations

import base64
import importlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from nexpo_runtime.settings import Settings, SettingsError
from nexpo_runtime.transport import Outside, Plain

from ..docs.markdown import ROOT, rows

_LOOKS_OUTSIDE = re.compile(r"(^|_)(url|uri|address|endpoint|host|dsn|server|broker)(_|$)")
_ABOUT_ONE = ("_server_name", "_rate_limit", "_rate_burst")
_ADDRESS = "10.0.0.7:7233"
_WORKERS = "worker-1.example.com:7001,worker-2.example.com:7001"
_TLS = {"grpc_tls_cert": "cert.pem", "grpc_tls_key": "key.pem", "grpc_tls_ca": "ca.pem"}
_POSTGRES = "postgresql://u:p@db.example.com/db"
_SQLSERVER = "mssql://u:p@db.example.com/db"

# By field: values that others can read along with, and settings with which they cannot.
CASES: dict[str, tuple[list[str], list[dict[str, str]]]] = {
    "temporal_address": (
        [_ADDRESS],
        [
            {"temporal_address": _ADDRESS, "temporal_tls": "true"},
            {"temporal_address": _ADDRESS, "temporal_tls_ca": "ca.pem"},
            {"temporal_address": _ADDRESS, "temporal_cloud_api_key": "key"},
            {"temporal_address": _ADDRESS, "enable_temporal": "false"},
        ],
    ),
    "grpc_address": (["0.0.0.0:8450", "[::]:8450"], [{"grpc_address": "0.0.0.0:8450", **_TLS}]),
    **{
        name: ([_WORKERS, f"127.0.0.1:7001,{_WORKERS}"], [{name: _WORKERS, **_TLS}])
        for name in ("db_worker_address", "cloud_worker_address", "ai_worker_address")
    },
    **{
        name: (["http://x.example.com"], [{name: "https://x.example.com"}])
        for name in (
            "anthropic_base_url",
            "cosmosdb_url",
            "otel_exporter_otlp_endpoint",
            "public_url",
            "s3_endpoint_url",
            "supabase_url",
        )
    },
    "smtp_url": (
        ["smtp://mail.example.com", "smtp://u:p@mail.example.com?starttls=never"],
        [
            {"smtp_url": "smtps://mail.example.com"},
            {"smtp_url": "smtp://mail.example.com?starttls=required"},
            {"smtp_url": "smtp://u:p@mail.example.com"},
        ],
    ),
    **{
        name: (
            [
                _POSTGRES,
                *(f"{_POSTGRES}?sslmode={mode}" for mode in ("disable", "prefer", "require")),
                "postgresql://u:p@127.0.0.1,db.example.com/db",
                f"{_POSTGRES}?SSLMODE=verify-full&sslrootcert=ca.pem",
                "postgresql://u:p@127.0.0.1/db?host=db.example.com",
                "postgresql://u:p@db.example.com/db?HOST=/run/postgresql",
            ],
            [
                {name: f"{_POSTGRES}?sslmode=verify-full&sslrootcert=ca.pem"},
                {name: f"{_POSTGRES}?sslmode=verify-ca&sslrootcert=ca.pem"},
                {name: "postgresql://u:p@/db?host=/run/postgresql"},
            ],
        )
        for name in ("database_url", "supabase_database_url")
    },
    "mongodb_url": (
        [
            "mongodb://u:p@a.example.com,127.0.0.1/db",
            "mongodb://a.example.com/?tls=false",
            "mongodb+srv://a.example.com/db?ssl=false",
            "mongodb+srv://a.example.com/db?appName=a;tls=false",
            "mongodb://a.example.com/?tls=true;tlsInsecure=true",
            "mongodb://a.example.com/?tls=true&tlsAllowInvalidCertificates=true",
            "mongodb://a.example.com/?tls=true&tlsInsecure=true",
        ],
        [
            {"mongodb_url": "mongodb://a.example.com/?tls=true&tlsCAFile=ca.pem"},
            {"mongodb_url": "mongodb+srv://a.example.com/db"},
            {"mongodb_url": "mongodb://127.0.0.1,[::1]:27018/db"},
        ],
    ),
    "sqlserver_url": (
        [
            f"{_SQLSERVER}?Encrypt=optional",
            f"{_SQLSERVER}?encrypt=no",
            f"{_SQLSERVER}?TrustServerCertificate=true",
        ],
        [
            {"sqlserver_url": _SQLSERVER},
            {"sqlserver_url": f"{_SQLSERVER}?Encrypt=strict&HostNameInCertificate=a"},
            {"sqlserver_url": "mssql://u:p@localhost/db?Encrypt=optional"},
        ],
    ),
}


def _every_settings() -> list[type[Settings]]:
    """Settings and all that subclass it, of every service there is."""
    for file in ROOT.glob("services/*/nexpo_*/**/settings.py"):
        parts = file.relative_to(ROOT).with_suffix("").parts[2:]
        importlib.import_module(".".join(parts))

    def below(one: type[Settings]) -> Iterator[type[Settings]]:
        yield one
        for other in one.__subclasses__():
            yield from below(other)

    # Not what other tests define, nor the partial copies that find further problems.
    return [
        one
        for one in below(Settings)
        if one.__module__.startswith("nexpo_")
        and getattr(sys.modules[one.__module__], one.__name__, None) is one
    ]


def _marked(kind: type[Outside] | type[Plain]) -> dict[str, type[Settings]]:
    """The fields that are marked so, and a class that has each."""
    return {
        name: settings
        for settings in _every_settings()
        for name, info in settings.model_fields.items()
        if any(isinstance(mark, kind) for mark in info.metadata)
    }


@pytest.fixture(autouse=True)
def _only_what_the_test_sets(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for settings in _every_settings():
        for field in settings.model_fields:
            monkeypatch.delenv(field.upper(), raising=False)
    monkeypatch.chdir(tmp_path)
    for name in ("ca.pem", "cert.pem", "key.pem"):
        Path(name).touch()


def _refused(settings: type[Settings], **values: str) -> dict[str, str]:
    """What production refuses of these values, by the variable."""
    base = {
        "environment": "production",
        "service_token": SecretStr("t" * 32),
        "service_key": SecretStr("k" * 32),
        "encryption_keys": SecretStr("k:" + base64.b64encode(bytes(32)).decode()),
    }
    try:
        settings.load(**(base | values))
    except SettingsError as error:
        return {line.partition(":")[0].lower(): line for line in error.problems}
    return {}


def test_every_field_that_looks_like_a_part_outside_has_a_rule_or_says_why_not() -> None:
    # A class may give a field of its base another type, and lose its mark.
    for settings in _every_settings():
        for name, info in settings.model_fields.items():
            if _LOOKS_OUTSIDE.search(name) and not name.endswith(_ABOUT_ONE):
                marks = [mark for mark in info.metadata if isinstance(mark, Outside | Plain)]
                assert marks, f"{settings.__name__}.{name} has no rule of transport.Outside"
    assert set(_marked(Plain)) == {"http_address"}, "the guide says why, too"


def test_every_rule_has_values_here_and_a_row_in_the_guide() -> None:
    assert set(CASES) == set(_marked(Outside))
    page = Path("docs/guides/security.md")
    shown = {
        name for row in rows(page, "On the way") for name in re.findall(r"`([A-Z_0-9]+)`", row[0])
    }
    assert shown == {name.upper() for name in {**_marked(Outside), **_marked(Plain)}}


@pytest.mark.parametrize("field", CASES)
def test_production_refuses_what_others_could_read_along_with(field: str) -> None:
    settings = _marked(Outside)[field]
    for value in CASES[field][0]:
        found = _refused(settings, **{field: value})
        assert field in found, value
        assert found[field].endswith(f"or allow it with ALLOW_INSECURE={field.upper()}")
        assert ":p@" not in found[field]
        for names in (field.upper(), f"OTHER, {field}"):
            allowed = _refused(settings, **{field: value}, allow_insecure=names)
            assert field not in allowed, value
        assert field in _refused(settings, **{field: value}, allow_insecure="OTHER")


@pytest.mark.parametrize("field", CASES)
def test_production_takes_what_is_encrypted_and_checked_or_stays_on_the_machine(
    field: str,
) -> None:
    settings = _marked(Outside)[field]
    for values in CASES[field][1]:
        assert field not in _refused(settings, **values), values


@pytest.mark.parametrize("field", CASES)
def test_other_environments_take_anything(field: str) -> None:
    settings = _marked(Outside)[field]
    for value in CASES[field][0]:
        assert field not in _refused(settings, **{field: value, "environment": "development"})
