"""A stand-in for SQL Server: its wire protocol in front of a PostgreSQL.

It is: a TDS 7.4 server (MS-TDS), which real drivers cannot tell from SQL Server.
With a certificate it encrypts as SQL Server does: all or the log-in alone, with the
handshake inside PRELOGIN packets, or strictly, with TLS first (TDS 8.0). Log-in,
batches, sp_executesql with typed parameters, transactions (requests of the
transaction manager and BEGIN, COMMIT, ROLLBACK), XACT_ABORT, lock time-outs,
cancellation, application locks, and T-SQL's error numbers: 2627, 2601, 547, 515,
1205, 1222, 208, 2812, 18456 and more. Each session has one connection to a
PostgreSQL, so what it acknowledged is committed there: it may be killed at any
moment and loses nothing.

It is not: T-SQL. sqlglot translates the statements that it knows; procedures,
variables, IF, WHILE, TRY, MERGE, triggers in T-SQL, MARS and bulk load are
answered with a clear error. Comparisons are case-sensitive whatever the database's
collation would be, BIT is kept as smallint, names become lower case, and locks are
PostgreSQL's. So it tests the driver, parameters, types, errors and transactions of
its user, and not whether SQL Server accepts the SQL: point TEST_SQLSERVER_URL at a
real server for that.

A trigger on the PostgreSQL table can make it refuse: RAISE EXCEPTION arrives as
error 50000, with ERRCODE check_violation as 547, and with HINT 'error 40501' as any
number that SQL Server might send.

    python -m nexpo_standins.sqlserver --port 1433 --database-url postgres://... \
        --user sa --password secret [--database nexpo] [--certificate PEM --key PEM]
"""
