"""Coordinate reference systems of input and output."""
