"""HTTP: one file for each resource, thin functions."""
