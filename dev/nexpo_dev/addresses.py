"""What `make up` prints: where everything is, how to log in, and what to try."""

from dataclasses import dataclass

from nexpo_dev.stack import Stack


@dataclass(frozen=True)
class Address:
    """One line for a person.

    Attributes:
        name: what it is.
        url: where it is, with credentials.
        note: what else to know.
    """

    name: str
    url: str
    note: str = ""


def addresses(stack: Stack) -> list[Address]:
    """Every address of a stack, the most wanted first."""
    at = stack.servers
    services = stack.services.values()
    return [
        Address("REST API", stack.gateway.url, "header: authorization: Bearer API-KEY"),
        Address("gRPC API", stack.gateway.grpc_address, "reflection is on; same header"),
        Address("API key", stack.api_key, "tenant dev, may do everything; for this machine only"),
        Address("Temporal Web UI", at.temporal.ui_url),
        Address("Temporal", at.temporal.url, f"namespace {at.temporal.namespace}"),
        Address("Mailbox", f"{at.mailbox.url}/mails", f"SMTP: {at.mailbox.smtp_url}"),
        Address("PostgreSQL", at.postgres.url),
        Address("MongoDB", at.mongodb.url, "SecantusDB"),
        Address("Cosmos DB", at.cosmosdb.url, f"stand-in; key {at.cosmosdb.key}"),
        Address("SQL Server", at.sqlserver.url, "stand-in"),
        Address("Supabase", at.supabase.url, f"PostgREST; service key {at.supabase.key}"),
        Address("Supabase's database", at.supabase.database_url),
        Address(
            "Object storage",
            at.object_storage.url,
            f"bucket {at.object_storage.bucket}; access key {at.object_storage.access_key_id}; "
            f"secret key {at.object_storage.secret_access_key}",
        ),
        Address("Claude", at.claude.url, f"stand-in; key {at.claude.api_key}"),
        *(
            Address(f"{one.name} health", f"{one.url}/health", f"log: {one.log}")
            for one in services
        ),
    ]
