"""Object storages, one module each."""
