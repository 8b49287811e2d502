"""GDAL with nothing but the four drivers that an import needs.

GDAL picks a driver by content: a VRT, a GDALG pipeline or a web service's description, whatever
its name, would be opened and may read other files or the network. Four things keep it from that:

1. Every file is known by its own first bytes before GDAL sees it (`riskmap.ingest.sniff`).
2. What is passed is an absolute path of this machine, without a prefix that means something else.
3. In the child process that reads files all other drivers do not exist (`gdal_environment`).
4. The driver that did open the file is compared with the one that was meant.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final

import pyogrio
from pyogrio.errors import (
    CRSError,
    DataLayerError,
    DataSourceError,
    FeatureError,
    FieldError,
    GeometryError,
)

from riskmap.errors import InputError, SetupError

DRIVERS: Final = frozenset({"ESRI Shapefile", "GPKG", "FlatGeobuf", "OpenFileGDB"})
"""The drivers that may exist where files of others are read."""

GDAL_ERRORS: Final = (
    CRSError,
    DataLayerError,
    DataSourceError,
    FeatureError,
    FieldError,
    GeometryError,
    # What pyogrio makes of names that are not in UTF-8 and of sizes that do not fit.
    UnicodeDecodeError,
    ValueError,
    OverflowError,
    # Of an empty list of layers or fields, and of a CRS that GDAL cannot write, in pyogrio 0.13.
    IndexError,
    TypeError,
    UnboundLocalError,
)

# No .aux.xml beside a file that is only read. For every process: nobody wants them.
pyogrio.set_gdal_config_options({"GDAL_PAM_ENABLED": "NO"})

_SKIP: Final = "GDAL_SKIP"
_CONFIG: Final = {
    # No drivers from shared objects or Python files, no configuration of a user's home.
    "GDAL_DRIVER_PATH": "disable",
    "OGR_DRIVER_PATH": "disable",
    "GDAL_PYTHON_DRIVER_PATH": "",
    "GDAL_CONFIG_FILE": "",
    # No extensions of SQLite, no index files made up for a shapefile without one.
    "OGR_SQLITE_LOAD_EXTENSIONS": "",
    "SHAPE_RESTORE_SHX": "NO",
    "GDAL_PAM_ENABLED": "NO",
    # No grids from the network, no file by network at all.
    "PROJ_NETWORK": "OFF",
    "CPL_VSIL_CURL_ALLOWED_EXTENSIONS": ".none",
    "GDAL_HTTP_MAX_RETRY": "0",
}


def gdal_environment() -> dict[str, str]:
    """Return the environment that a process needs *before* it imports pyogrio.

    Which drivers there are to leave out is what pyogrio says here.
    """
    there = set(pyogrio.list_drivers()) | set(os.environ.get(_SKIP, "").split(","))
    return {**_CONFIG, _SKIP: ",".join(sorted(there - DRIVERS - {""}))}


def confine_gdal() -> None:
    """Take all other drivers away in this process, for good, and see that they are gone.

    For the child process, as its first step: it also does where pyogrio was imported before.

    Raises
    ------
    SetupError
        Another driver is still there, or one of ours is not.
    """
    environment = gdal_environment()
    os.environ.update(environment)
    pyogrio.set_gdal_config_options({key: value or None for key, value in environment.items()})
    if set(pyogrio.list_drivers()) - DRIVERS:
        # Registering again applies the list of drivers to skip; there is no public way to say so.
        pyogrio._ogr._register_drivers()
    left = set(pyogrio.list_drivers())
    if left != DRIVERS:
        raise SetupError("ingest.gdal.drivers", value=", ".join(sorted(left ^ DRIVERS)))


def gdal_path(path: Path) -> str:
    """Return a path as pyogrio takes it for nothing but a path.

    Raises
    ------
    InputError
        It has a character by which pyogrio would cut it in two.
    """
    # Two slashes at the start mean a host; `!` parts an archive from its member, `;` a parameter.
    name = "/" + str(path.resolve()).lstrip("/")
    if "!" in name or ";" in name:
        raise InputError("ingest.file.name", parameter="file", value=path.name)
    if name.startswith("/vsi"):
        raise InputError("ingest.file.remote", parameter="file", value=name[:120])
    return name


def read_info(name: str, driver: str, **options: Any) -> dict[str, Any]:
    """Return what GDAL says of a file, which must have been opened by that driver.

    Raises
    ------
    pyogrio.errors.DataSourceError
        Another driver opened it, or none could.
    """
    info: dict[str, Any] = pyogrio.read_info(name, **options)
    if info["driver"] != driver:
        raise DataSourceError(f"{info['driver']} instead of {driver}")
    return info
