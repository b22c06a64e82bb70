"""Which environment variables each service gets in the embedded stack."""

import base64
import hashlib
import json
import os
import secrets
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from nexpo_dev import servers
from nexpo_dev.memory import Memory
from nexpo_dev.service import Service

Reach = Callable[[str, str, str], str]
"""(service, server's name, server's URL) -> the URL for that service, perhaps of a proxy."""

# Nothing else of the caller's environment reaches a service: the DATABASE_URL of another project
# must not be written to by chance.
_INHERITED = (
    *("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "TZ"),
    *("LOG_LEVEL", "TEMPORAL_LOG_LEVEL", "OTEL_EXPORTER_OTLP_ENDPOINT"),
)


@dataclass(frozen=True)
class Servers:
    """Every server that the services use."""

    temporal: servers.TemporalServer
    postgres: servers.PostgresServer
    mongodb: servers.MongoServer
    cosmosdb: servers.CosmosServer
    sqlserver: servers.SqlServer
    supabase: servers.SupabaseServer
    object_storage: servers.ObjectStorageServer
    claude: servers.ClaudeServer
    mailbox: servers.MailboxServer


class Secrets:
    """The stack's secrets: random, made at the first start, kept with mode 0600.

    Attributes:
        api_key: the key of the tenant `dev`, which may do everything.
        api_keys_file: the gateway's file, with that key's digest.
        shared: variables that all services get.
    """

    def __init__(self, folder: Path, memory: Memory) -> None:
        self.api_key = memory.text("api_key", lambda: f"nexpo-dev-{secrets.token_urlsafe(24)}")
        self.api_keys_file = folder / "api-keys.json"
        self.shared = {
            "SERVICE_TOKEN": memory.secret("service_token"),
            "SERVICE_KEY": memory.secret("service_key"),
            "ENCRYPTION_KEYS": memory.text("encryption_keys", _encryption_key),
        }
        if not self.api_keys_file.exists():
            digest = hashlib.sha256(self.api_key.encode()).hexdigest()
            key = {"name": "development", "tenant": "dev", "sha256": digest, "permissions": ["*"]}
            self.api_keys_file.touch(mode=0o600)
            self.api_keys_file.write_text(json.dumps({"keys": [key]}, indent=2))


def environment(
    service: str,
    enabled: Collection[str],
    all_servers: Servers,
    services: Mapping[str, Service],
    known: Secrets,
    reach: Reach,
) -> dict[str, str]:
    """The whole environment of a service, but for where it listens.

    Args:
        service: its name.
        enabled: names of the servers that run; providers of the others are switched off.
        all_servers: where they are.
        services: where the others are.
        known: the secrets.
        reach: turns a URL into the one to use.
    """
    temporal = all_servers.temporal
    settings = {
        **{name: os.environ[name] for name in _INHERITED if name in os.environ},
        **known.shared,
        "ENVIRONMENT": "development",
        "ENABLE_TEMPORAL": _flag("temporal" in enabled),
        "TEMPORAL_ADDRESS": reach(service, "temporal", temporal.url),
        "TEMPORAL_NAMESPACE": temporal.namespace,
    }
    match service:
        case "gateway":
            return settings | _gateway(all_servers, services, known, reach)
        case "db-worker":
            return settings | _db_worker(enabled, all_servers, reach)
        case "cloud-worker":
            return settings | _cloud_worker(enabled, all_servers, reach)
        case "ai-worker":
            return settings | _ai_worker(enabled, all_servers, reach)
        case _:
            raise ValueError(f"There is no service {service!r}.")


def _gateway(
    all_servers: Servers, services: Mapping[str, Service], known: Secrets, reach: Reach
) -> dict[str, str]:
    workers = {name: worker for name, worker in services.items() if name != "gateway"}
    return {
        **{
            f"{name.upper().replace('-', '_')}_ADDRESS": reach("gateway", name, worker.grpc_address)
            for name, worker in workers.items()
        },
        "API_KEYS_FILE": str(known.api_keys_file),
        "PUBLIC_URL": services["gateway"].url,
        "SMTP_URL": reach("gateway", "mailbox", all_servers.mailbox.smtp_url),
        "MAIL_FROM": "Nexpo <no-reply@nexpo.example>",
    }


def _db_worker(enabled: Collection[str], all_servers: Servers, reach: Reach) -> dict[str, str]:
    def at(name: str, url: str) -> str:
        return reach("db-worker", name, url)

    stores = ("postgres", "mongodb", "cosmosdb", "sqlserver", "supabase")
    return {
        **{f"ENABLE_{store.upper()}": _flag(store in enabled) for store in stores},
        "AUTHORITY_STORE": "postgres",
        "DATABASE_URL": at("postgres", all_servers.postgres.url),
        "MONGODB_URL": at("mongodb", all_servers.mongodb.url),
        "COSMOSDB_URL": at("cosmosdb", all_servers.cosmosdb.url),
        "COSMOSDB_KEY": all_servers.cosmosdb.key,
        "SQLSERVER_URL": at("sqlserver", all_servers.sqlserver.url),
        "SUPABASE_URL": at("supabase", all_servers.supabase.url),
        "SUPABASE_KEY": all_servers.supabase.key,
        "SUPABASE_DATABASE_URL": all_servers.supabase.database_url,
    }


def _cloud_worker(enabled: Collection[str], all_servers: Servers, reach: Reach) -> dict[str, str]:
    storage = all_servers.object_storage
    return {
        "ENABLE_OBJECT_STORAGE": _flag("object_storage" in enabled),
        "S3_ENDPOINT_URL": reach("cloud-worker", "object_storage", storage.url),
        "S3_BUCKET": storage.bucket,
        "S3_REGION": storage.region,
        "S3_ACCESS_KEY_ID": storage.access_key_id,
        "S3_SECRET_ACCESS_KEY": storage.secret_access_key,
    }


def _ai_worker(enabled: Collection[str], all_servers: Servers, reach: Reach) -> dict[str, str]:
    return {
        "ENABLE_CLAUDE": _flag("claude" in enabled),
        "ANTHROPIC_API_KEY": all_servers.claude.api_key,
        "ANTHROPIC_BASE_URL": reach("ai-worker", "claude", all_servers.claude.url),
    }


def _flag(value: bool) -> str:
    return "true" if value else "false"


def _encryption_key() -> str:
    return "dev:" + base64.b64encode(secrets.token_bytes(32)).decode()
