"""Settings of a service, read from the environment once, at start.

Everything that is wrong is listed at once, by the variable's name, with what to
do about it. Values are never printed: a wrong secret is as secret as a right one.
"""

from __future__ import annotations

import base64
import binascii
import functools
from collections.abc import Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self, cast

import pydantic_settings
from pydantic import (
    AfterValidator,
    AliasChoices,
    BeforeValidator,
    Field,
    SecretStr,
    ValidationError,
    create_model,
    model_validator,
)
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from . import transport
from .settings_errors import SettingsError as SettingsError
from .settings_errors import field_of, problem
from .transport import Outside, Plain

DEVELOPMENT_SERVICE_TOKEN = "nexpo-development-service-token"
DEVELOPMENT_SERVICE_KEY = "nexpo-development-service-key"
"""Known to everyone, so refused in production; they let a laptop start with nothing set."""

_MINIMUM_SECRET = 16


class Environment(StrEnum):
    """Where the service runs."""

    DEVELOPMENT = "development"
    TEST = "test"
    PRODUCTION = "production"


def _split(value: object) -> object:
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


def _host_and_port(value: str) -> str:
    host, separator, port = value.rpartition(":")
    if not separator or not host or "/" in host or not port.isdigit() or int(port) > 65535:
        raise ValueError("not of the form host:port")
    return value


def _level(value: object) -> object:
    return value.upper() if isinstance(value, str) else value


Address = Annotated[str, AfterValidator(_host_and_port)]
"""`host:port`, as `127.0.0.1:7233` or `[::1]:7233`; port 0 binds a free one."""

Addresses = Annotated[tuple[Address, ...], NoDecode, BeforeValidator(_split)]
"""Comma-separated addresses."""

Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]
"""Comma-separated names."""

GrpcListener = Annotated[Address, Outside(transport.to_listener)]
"""Where a service's gRPC listens."""

HttpListener = Annotated[Address, Plain("it has no TLS of its own: a proxy in front has")]
"""Where a service's HTTP listens."""

Workers = Annotated[Addresses, Outside(transport.to_workers)]
"""Where the replicas of a worker serve gRPC."""

Level = Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR"], BeforeValidator(_level)]


class Settings(BaseSettings):
    """What every service reads; a service's own settings subclass it.

    A field's variable is its name in capitals, without a prefix. An empty
    variable counts as not set, and line breaks around a value are no part of it.
    A subclass that must check fields against each other overrides `problems`.
    """

    model_config = SettingsConfigDict(
        frozen=True,
        extra="ignore",
        env_ignore_empty=True,
        hide_input_in_errors=True,
        populate_by_name=True,
    )

    service: ClassVar[str] = "nexpo"
    """Name of the service in logs, traces, metrics and health answers."""

    environment: Environment = Environment.DEVELOPMENT
    allow_insecure: Names = ()
    log_level: Level = "INFO"
    temporal_log_level: Level = "WARNING"

    enable_temporal: bool = True
    temporal_address: Annotated[Address, Outside(transport.to_temporal)] = Field(
        default="127.0.0.1:7233",
        validation_alias=AliasChoices("temporal_address", "temporal_server_url"),
    )
    temporal_namespace: str = "default"
    temporal_task_queue: str = Field(default="", pattern=r"^[A-Za-z0-9._-]{0,100}$")
    temporal_cloud_namespace: str = ""
    temporal_cloud_api_key: SecretStr | None = None
    temporal_tls: bool = False
    temporal_tls_cert: Path | None = None
    temporal_tls_key: Path | None = None
    temporal_tls_ca: Path | None = None
    temporal_tls_server_name: str = ""
    temporal_max_concurrent_activities: int = Field(default=200, ge=1, le=10_000)
    temporal_max_concurrent_workflows: int = Field(default=200, ge=2, le=10_000)
    max_cached_workflows: int = Field(default=1000, ge=0, le=100_000)

    time_scale: float = Field(default=1.0, gt=0, le=1)
    shutdown_timeout: float = Field(default=20.0, gt=0, le=3600)
    task_after: float = Field(
        default=300.0,
        gt=0,
        le=86_400,
        description="seconds that an undo, or a step after the pivot, is retried before it"
        " becomes a human's task, too",
    )

    service_token: SecretStr = SecretStr(DEVELOPMENT_SERVICE_TOKEN)
    service_key: SecretStr = SecretStr(DEVELOPMENT_SERVICE_KEY)
    encryption_keys: SecretStr | None = None

    grpc_address: GrpcListener = "127.0.0.1:0"
    grpc_tls_cert: Path | None = None
    grpc_tls_key: Path | None = None
    grpc_tls_ca: Path | None = None
    http_address: HttpListener = "127.0.0.1:0"
    metrics_port: int = Field(default=0, ge=0, le=65535)
    otel_exporter_otlp_endpoint: Annotated[str, Outside(transport.https)] = ""

    @model_validator(mode="before")
    @classmethod
    def _without_line_breaks(cls, values: dict[str, object]) -> dict[str, object]:
        # `echo` puts one behind a secret that an orchestrator then hands on as it is.
        return {
            name: value.strip("\r\n") if isinstance(value, str) else value
            for name, value in values.items()
        }

    @classmethod
    def load(cls, **overrides: object) -> Self:
        """Reads the environment.

        Args:
            overrides: Values by field name that win over the environment.

        Raises:
            SettingsError: Something is wrong; it lists everything that is.
        """
        try:
            settings = cls(**cast(dict[str, Any], overrides))  # checked by pydantic
        except ValidationError as error:
            details = error.errors()
            wrong = [problem(cls, detail) for detail in details]
            raise SettingsError(wrong + _further_problems(cls, details)) from None
        except pydantic_settings.SettingsError as error:
            raise SettingsError([f"{error}; correct its form"]) from None
        problems = settings.problems()
        if problems:
            raise SettingsError(problems)
        return settings

    def problems(self) -> list[str]:
        """What fields that are well-formed each still get wrong together."""
        return [
            *self._production_problems(),
            *self._tls_problems(),
            *self._key_problems(),
        ]

    def queue(self, name: str) -> str:
        """The task queue's name on this Temporal: with the prefix TEMPORAL_TASK_QUEUE."""
        return f"{self.temporal_task_queue}{name}"

    @property
    def production(self) -> bool:
        """Whether development's conveniences are off."""
        return self.environment is Environment.PRODUCTION

    @property
    def temporal_encrypted(self) -> bool:
        """Whether the way to Temporal is encrypted: as it is switched on, or by what needs it."""
        return bool(
            self.temporal_tls
            or self.temporal_tls_cert
            or self.temporal_tls_ca
            or self.temporal_tls_server_name
            or self.temporal_cloud_api_key
        )

    @property
    def temporal_target(self) -> str:
        """Temporal's address; on Temporal Cloud the namespace's own unless one is set."""
        if self.temporal_cloud_namespace and "temporal_address" not in self.model_fields_set:
            return f"{self.temporal_cloud_namespace}.tmprl.cloud:7233"
        return self.temporal_address

    @property
    def namespace(self) -> str:
        """Temporal's namespace: TEMPORAL_CLOUD_NAMESPACE when it is set."""
        return self.temporal_cloud_namespace or self.temporal_namespace

    @property
    def service_keys(self) -> tuple[bytes, ...]:
        """Keys that sign tenants: the first signs, all verify. SERVICE_KEY is "new,old"."""
        parts = self.service_key.get_secret_value().split(",")
        return tuple(part.strip().encode() for part in parts if part.strip())

    @property
    def service_tokens(self) -> tuple[str, ...]:
        """Tokens of the workers' gRPC: the first is sent, all are accepted: "new,old"."""
        parts = self.service_token.get_secret_value().split(",")
        return tuple(part.strip() for part in parts if part.strip())

    @functools.cached_property
    def codec_keys(self) -> Mapping[str, bytes]:
        """Encryption keys by id, in order: the first encrypts, all decrypt.

        Raises:
            ValueError: ENCRYPTION_KEYS is not "id:base64key,id2:...".
        """
        keys: dict[str, bytes] = {}
        raw = self.encryption_keys.get_secret_value() if self.encryption_keys else ""
        for position, part in enumerate(filter(None, map(str.strip, raw.split(","))), start=1):
            key_id, _, encoded = part.partition(":")
            try:
                key = base64.b64decode(encoded, validate=True)
            except binascii.Error:
                raise ValueError(f"key {position} is not base64") from None
            if not key_id or len(key) != 32:
                raise ValueError(f"key {position} is not 'id:' and the base64 of 32 bytes")
            if key_id in keys:
                raise ValueError(f"key {position} repeats the id of another")
            keys[key_id] = key
        return keys

    def _production_problems(self) -> list[str]:
        if not self.production:
            return []
        problems = []
        if self.time_scale != 1:
            problems.append(
                "TIME_SCALE: time-outs cannot be scaled in production; unset it, or set "
                "ENVIRONMENT=test"
            )
        for name, secret, default in (
            ("SERVICE_TOKEN", self.service_token, DEVELOPMENT_SERVICE_TOKEN),
            ("SERVICE_KEY", self.service_key, DEVELOPMENT_SERVICE_KEY),
        ):
            parts = [part.strip() for part in secret.get_secret_value().split(",")]
            if default in parts:
                problems.append(
                    f"{name}: the development default is known to everyone; set a random value "
                    "(openssl rand -base64 32)"
                )
            elif min(map(len, parts)) < _MINIMUM_SECRET:
                problems.append(
                    f"{name}: shorter than {_MINIMUM_SECRET} characters; set a random value "
                    "(openssl rand -base64 32)"
                )
        if self.encryption_keys is None and self.enable_temporal:
            problems.append(
                "ENCRYPTION_KEYS: not set, so payloads would lie in clear text in Temporal's "
                "database; set 'id:key' (key: openssl rand -base64 32)"
            )
        return problems + self._exposed_problems()

    def exposed(self) -> Iterator[tuple[str, str]]:
        """The variables of parts outside that others could read along with, and why."""
        return ((name.upper(), why) for name, why in transport.exposed(self))

    def _exposed_problems(self) -> list[str]:
        allowed = {name.lower() for name in self.allow_insecure}
        return [
            f"{name}: {why}; or allow it with ALLOW_INSECURE={name}"
            for name, why in self.exposed()
            if name.lower() not in allowed
        ]

    def _tls_problems(self) -> list[str]:
        problems = []
        if self.temporal_cloud_namespace and not (
            self.temporal_cloud_api_key or self.temporal_tls_cert
        ):
            problems.append(
                "TEMPORAL_CLOUD_API_KEY: not set, but TEMPORAL_CLOUD_NAMESPACE is; set it, or "
                "TEMPORAL_TLS_CERT and TEMPORAL_TLS_KEY"
            )
        for prefix in ("temporal_tls", "grpc_tls"):
            pair = getattr(self, f"{prefix}_cert"), getattr(self, f"{prefix}_key")
            if (pair[0] is None) != (pair[1] is None):
                missing = f"{prefix}_{'key' if pair[1] is None else 'cert'}".upper()
                problems.append(f"{missing}: not set, but its counterpart is; set both or neither")
            for part in ("cert", "key", "ca"):
                path: Path | None = getattr(self, f"{prefix}_{part}")
                if path is not None and not path.is_file():
                    problems.append(
                        f"{prefix}_{part}".upper()
                        + ": there is no such file; give the path of a PEM file"
                    )
        if self.grpc_tls_ca is not None and self.grpc_tls_cert is None:
            problems.append(
                "GRPC_TLS_CERT: not set, but GRPC_TLS_CA is; mutual TLS needs certificate and key"
            )
        return problems

    def _key_problems(self) -> list[str]:
        problems = []
        for name, values in (
            ("SERVICE_KEY", self.service_keys),
            ("SERVICE_TOKEN", self.service_tokens),
        ):
            if not values:
                problems.append(f"{name}: empty; set a random value (openssl rand -base64 32)")
        try:
            _ = self.codec_keys
        except ValueError as error:
            problems.append(
                f"ENCRYPTION_KEYS: {error}; give 'id:key,id2:key2' (key: openssl rand -base64 32)"
            )
        return problems


def _further_problems(cls: type[Settings], details: list[ErrorDetails]) -> list[str]:
    """What `problems` says when the malformed fields are left aside, so that one
    start lists everything."""
    malformed = {field_of(cls, detail) for detail in details} & set(cls.model_fields)
    types: dict[str, Any] = dict.fromkeys(malformed, (str | None, None))
    try:
        partial = create_model(cls.__name__, __base__=cls, **types)()
        found = partial.problems()
    except Exception:  # a subclass's check may need the very field that is malformed
        return []
    return [line for line in found if line.partition(":")[0].lower() not in malformed]
