"""Styles for everybody: MapLibre documents, their sprite and legend, from the declarations.

The room lies within tiles, since a style draws what tiles hold: from which zoom points are single,
what the counts of a cell are called, how the roads' layer is named.
"""
