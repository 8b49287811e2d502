"""For notebooks: the service over HTTP as GeoDataFrames and folium maps."""
