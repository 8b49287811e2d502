"""The layers of the city map: one file for each."""
