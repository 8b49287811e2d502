"""Long work with progress, cancel and result, in the database."""
