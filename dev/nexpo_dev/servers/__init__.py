"""Every server of the embedded stack: `async with postgres(folder) as server:`.

Each keeps its port, its secrets and its data in its folder, waits until it answers, and is gone
when the block ends or this process dies. `await server.kill()` and `await server.start()` in
between lose nothing that was acknowledged.
"""

from nexpo_dev.servers.postgresql import PostgresServer
from nexpo_dev.servers.process import StartError
from nexpo_dev.servers.seaweedfs import ObjectStorageServer
from nexpo_dev.servers.secantus import MongoServer
from nexpo_dev.servers.server import Server
from nexpo_dev.servers.stand_ins import ClaudeServer, CosmosServer, MailboxServer, SqlServer
from nexpo_dev.servers.supabase_project import SupabaseServer
from nexpo_dev.servers.temporal_dev import TemporalServer

claude = ClaudeServer
cosmosdb = CosmosServer
mailbox = MailboxServer
mongodb = MongoServer
object_storage = ObjectStorageServer
postgres = PostgresServer
sqlserver = SqlServer
supabase = SupabaseServer
temporal = TemporalServer

__all__ = [
    "ClaudeServer",
    "CosmosServer",
    "MailboxServer",
    "MongoServer",
    "ObjectStorageServer",
    "PostgresServer",
    "Server",
    "SqlServer",
    "StartError",
    "SupabaseServer",
    "TemporalServer",
    "claude",
    "cosmosdb",
    "mailbox",
    "mongodb",
    "object_storage",
    "postgres",
    "sqlserver",
    "supabase",
    "temporal",
]
