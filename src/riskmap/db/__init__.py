"""PostgreSQL: the private cluster, sessions, tables, change feed and history."""
