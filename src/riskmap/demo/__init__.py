"""The demo city: generated from a seed, on an invented site, marked as synthetic throughout."""
