"""The database: the embedded cluster, the engine, sessions, and the tables that are no layers."""
