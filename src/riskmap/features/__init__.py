"""Reading features: query, the one WHERE builder, statements, streaming."""
