"""For notebooks: the service over HTTP as GeoDataFrames and folium maps.

>>> from riskmap.client import Client
>>> city = Client("http://127.0.0.1:8000")
>>> city.layers()
>>> shelters = city.read("shelters", open_status="open")
>>> circle = city.circle((120.38, 36.07))
>>> city.map(shelters, circle=circle)
"""

from riskmap.client.client import Client
from riskmap.client.http import ServiceError
from riskmap.client.imports import ImportRefusedError

__all__ = ["Client", "ImportRefusedError", "ServiceError"]
