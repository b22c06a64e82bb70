"""A stand-in for Azure Cosmos DB (API for NoSQL): `python -m nexpo_standins.cosmosdb`.

It speaks the REST protocol of version 2020-07-15 as the azure-cosmos SDK for Python
uses it, and keeps its data in one SQLite file. A write is answered after it was
fsync'd, so nothing that was acknowledged is lost when the process is killed.

What it does as the service does: HMAC signatures and their clock are checked; items
have `_rid`, `_etag`, `_ts`; If-Match and If-None-Match; unique keys hold inside one
logical partition, with a missing path as null; hierarchical partition keys; batches
are atomic; queries with parameters, continuation tokens, and ORDER BY only where the
indexing policy allows it; the change feed in its latest-version mode, per container,
partition key or feed range; session tokens; time to live; status, substatus and shape
of errors. The limits of names, items (2 MB) and batches (100 operations) hold.

What it is not: not fast and not big: a query reads the whole partition. There is one
physical partition and one region, so nothing splits, fails over or is stale. Nothing
is metered: it answers 429 only when told to (see `faults`). Of SQL it knows what
`query.sql` lists and answers 400 to the rest; that goes for cross-partition queries
with ORDER BY, TOP, OFFSET or COUNT too, which the service serves by query plans. There
are no stored procedures, triggers, functions, users, permissions, offers, conflicts, no
partial updates (patch), no full-fidelity change feed, no addressing by `_rid`, and no
TLS: it listens on 127.0.0.1 only.
"""
