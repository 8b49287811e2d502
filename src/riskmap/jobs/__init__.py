"""Long work with progress, cancel and result, kept in the database."""
