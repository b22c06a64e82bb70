"""Settings list every problem at once and never print a secret."""

from __future__ import annotations

import base64
import os

import pytest

from nexpo_runtime.settings import Addresses, Settings, SettingsError

KEY = base64.b64encode(bytes(32)).decode()


class GatewaySettings(Settings):
    db_worker_address: Addresses
    public_url: str


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.lower() in {*GatewaySettings.model_fields, "temporal_server_url"}:
            monkeypatch.delenv(name)


def problems_of(settings: type[Settings]) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        settings.load()
    return caught.value.problems


def test_a_laptop_starts_with_nothing_set() -> None:
    settings = Settings.load()
    assert settings.temporal_address == "127.0.0.1:7233"
    assert settings.service_keys


def test_every_malformed_variable_is_listed_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENABLE_TEMPORAL", "maybe")
    monkeypatch.setenv("TEMPORAL_ADDRESS", "http://temporal:7233")
    monkeypatch.setenv("LOG_LEVEL", "loud")
    monkeypatch.setenv("METRICS_PORT", "70000")
    monkeypatch.setenv("ENCRYPTION_KEYS", "malformed")
    monkeypatch.setenv("GRPC_TLS_KEY", "/does/not/exist.pem")
    found = problems_of(GatewaySettings)
    named = {problem.partition(":")[0] for problem in found}
    assert named == {
        "ENABLE_TEMPORAL",
        "TEMPORAL_ADDRESS",
        "LOG_LEVEL",
        "METRICS_PORT",
        "ENCRYPTION_KEYS",
        "GRPC_TLS_CERT",
        "GRPC_TLS_KEY",
        "DB_WORKER_ADDRESS",
        "PUBLIC_URL",
    }
    assert all(";" in problem for problem in found), "each problem says what to do"


def test_the_alias_of_the_address_works(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEMPORAL_SERVER_URL", "temporal.example:7233")
    assert Settings.load().temporal_address == "temporal.example:7233"


def test_an_empty_variable_counts_as_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEMPORAL_ADDRESS", "")
    assert Settings.load().temporal_address == "127.0.0.1:7233"


def test_line_breaks_around_a_variable_are_no_part_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    # `echo key | base64` in a secret of Kubernetes, which hands it on as it is.
    monkeypatch.setenv("TEMPORAL_CLOUD_API_KEY", "key\n")
    monkeypatch.setenv("TEMPORAL_NAMESPACE", "\r\nnexpo\r\n")
    settings = Settings.load()
    assert settings.temporal_cloud_api_key is not None
    assert settings.temporal_cloud_api_key.get_secret_value() == "key"
    assert settings.temporal_namespace == "nexpo"


def test_addresses_are_comma_separated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DB_WORKER_ADDRESS", "10.0.0.1:7001, db:7002")
    monkeypatch.setenv("PUBLIC_URL", "https://nexpo.example")
    assert GatewaySettings.load().db_worker_address == ("10.0.0.1:7001", "db:7002")


def test_production_refuses_what_only_suits_a_laptop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENVIRONMENT", "production")
    monkeypatch.setenv("TIME_SCALE", "0.1")
    named = {problem.partition(":")[0] for problem in problems_of(Settings)}
    assert named == {"TIME_SCALE", "SERVICE_TOKEN", "SERVICE_KEY", "ENCRYPTION_KEYS"}


def test_production_starts_with_secrets_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENVIRONMENT", "production")
    monkeypatch.setenv("SERVICE_TOKEN", "t" * 32)
    monkeypatch.setenv("SERVICE_KEY", "n" * 32 + "," + "o" * 32)
    monkeypatch.setenv("ENCRYPTION_KEYS", f"2026:{KEY}")
    settings = Settings.load()
    assert settings.service_keys == (b"n" * 32, b"o" * 32)
    assert settings.codec_keys == {"2026": bytes(32)}


@pytest.mark.parametrize(
    "value", ["canary-secret", "a:canary-secret", f"a:{KEY},a:{KEY}", f":{KEY}", "a:Y2FuYXJ5"]
)
def test_a_malformed_encryption_key_is_named_and_not_printed(
    monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("ENCRYPTION_KEYS", value)
    [problem] = problems_of(Settings)
    assert problem.startswith("ENCRYPTION_KEYS: key ")
    assert "canary" not in problem
    assert KEY not in problem


def test_secrets_are_not_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SERVICE_TOKEN", "canary-token-of-some-length")
    monkeypatch.setenv("ENCRYPTION_KEYS", f"k:{KEY}")
    settings = Settings.load()
    _ = settings.codec_keys
    shown = f"{settings!r} {settings} {settings.model_dump_json()}"
    assert "canary" not in shown
    assert KEY not in shown


def test_half_a_key_pair_and_missing_files_are_problems(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEMPORAL_TLS_CERT", "/does/not/exist.pem")
    monkeypatch.setenv("GRPC_TLS_CA", "/nor/this.pem")
    named = {problem.partition(":")[0] for problem in problems_of(Settings)}
    assert named == {"TEMPORAL_TLS_KEY", "TEMPORAL_TLS_CERT", "GRPC_TLS_CA", "GRPC_TLS_CERT"}
