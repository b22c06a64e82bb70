"""SQL Server, over python-tds."""

from nexpo_db_worker.providers.sqlserver.users import SqlServerUserStore, open_sqlserver

__all__ = ["SqlServerUserStore", "open_sqlserver"]
