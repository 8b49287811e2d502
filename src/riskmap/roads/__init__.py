"""The road network: read from files, frozen as arrays, snapped to."""
