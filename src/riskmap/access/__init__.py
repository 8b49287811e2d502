"""API keys, roles and restricted fields: what a caller may see and do."""
