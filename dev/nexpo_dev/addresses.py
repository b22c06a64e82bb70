"""What `make up` prints: where everything is, how to log in, and what to try."""

from collections.abc import Sequence
from dataclasses import dataclass

from nexpo_dev.stack import Stack


@dataclass(frozen=True)
class Address:
    """Something that a person may want to reach.

    Attributes:
        name: what it is.
        url: where it is, with credentials.
        notes: what else to know, a line each.
    """

    name: str
    url: str
    notes: Sequence[str] = ()


def addresses(stack: Stack) -> list[Address]:
    """Every address of a stack, the most wanted first."""
    at = stack.servers
    storage = at.object_storage
    storage_keys = [
        f"bucket: {storage.bucket}, region: {storage.region}",
        f"access key: {storage.access_key_id}",
        f"secret key: {storage.secret_access_key}",
    ]
    return [
        Address("REST API", stack.gateway.url, ["header: authorization: Bearer API-KEY"]),
        Address("gRPC API", stack.gateway.grpc_address, ["the same header; reflection is on"]),
        Address("API key", stack.api_key, ["tenant dev, may do everything, on this machine only"]),
        Address("Temporal Web UI", at.temporal.ui_url),
        Address("Temporal", at.temporal.url, [f"namespace: {at.temporal.namespace}"]),
        Address("Mailbox", f"{at.mailbox.url}/mails", [f"SMTP: {at.mailbox.smtp_url}"]),
        Address("PostgreSQL", at.postgres.url),
        Address("MongoDB", at.mongodb.url, ["SecantusDB"]),
        Address("Cosmos DB", at.cosmosdb.url, ["our stand-in", f"key: {at.cosmosdb.key}"]),
        Address("SQL Server", at.sqlserver.url, ["our stand-in"]),
        Address("Supabase", at.supabase.url, ["PostgREST", f"service key: {at.supabase.key}"]),
        Address("Supabase's database", at.supabase.database_url),
        Address("Object storage", storage.url, ["SeaweedFS, S3 API", *storage_keys]),
        Address("Claude", at.claude.url, ["our stand-in", f"key: {at.claude.api_key}"]),
        *(Address(f"{one.name} metrics", one.metrics_url) for one in stack.services.values()),
        *(
            Address(f"{one.name} health", f"{one.url}/health", [f"log: {one.log}"])
            for one in stack.services.values()
        ),
    ]
