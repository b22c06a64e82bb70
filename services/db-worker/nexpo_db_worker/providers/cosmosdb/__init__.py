"""Azure Cosmos DB (API for NoSQL), over azure-cosmos.

An account with more than one replica to read from should have Strong or Bounded
Staleness consistency: at Session, a worker may for some milliseconds not find a user
that another worker has just created. No write depends on it: those are decided by
unique keys and etags, which the service checks where it writes.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from nexpo_db_worker.providers.cosmosdb.account import Account
from nexpo_db_worker.providers.cosmosdb.users import CosmosUserStore


@asynccontextmanager
async def open_cosmosdb(
    url: str, key: str, database: str = "nexpo"
) -> AsyncIterator[CosmosUserStore]:
    """Opens the store; the account is met, and given its containers, at the first call.

    Args:
        url: The account's end point, "https://name.documents.azure.com:443/".
        key: One of the account's read-write keys, in base64.
        database: Name of the database; made when missing.
    """
    async with Account.open(url, key, database) as account:
        yield CosmosUserStore(account)
