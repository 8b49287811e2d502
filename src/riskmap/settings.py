"""The settings of one running riskmap, read from the environment (RISKMAP_...)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from riskmap.errors import SetupError

_ADDRESS = re.compile(r"https?://[^\s/?#]+(/[^\s?#]*)?")
# A file of the folder `archives`, or an address that fits into a content policy as it stands.
_ARCHIVE = re.compile(r"[^/\\\s]+\.pmtiles|https://[A-Za-z0-9.:\[\]-]+/[^\s?#;,']*")
# Its host goes into the page's policy: no login, no blank, nothing that would end a source there.
_TILES = re.compile(r"(?P<origin>https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?)/[!-~]*")
_PLACES: Final = ["{x}", "{y}", "{z}"]
# Their values are told to nobody: they hold a key.
_SECRET: Final = frozenset({"RISKMAP_BASEMAP_URL"})


class Settings(BaseSettings):
    """All settings. Built once by `load_settings`, passed in, never built at import."""

    model_config = SettingsConfigDict(
        env_prefix="RISKMAP_",
        frozen=True,
        env_ignore_empty=True,  # `RISKMAP_DATABASE_URL= make run` means: none
    )

    database_url: str | None = Field(
        default=None,
        description="An external PostgreSQL (owner's login); unset: riskmap's own private cluster.",
    )
    api_database_url: str | None = Field(
        default=None,
        description="Login of the API's role there; unset: the owner's login takes on the role.",
    )
    feed_database_url: str | None = Field(
        default=None,
        description="The API's login past a connection pooler, for LISTEN; unset: as above.",
    )
    data_dir: Path = Field(default=Path(".riskmap"), description="Where data live.")
    pg_bin: Path | None = Field(default=None, description="Folder of initdb and postgres.")
    demo: bool = Field(
        default=True,
        description="Load the demo city when the private cluster's database is empty.",
    )
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8000
    public_url: str | None = Field(
        default=None,
        description="Address that callers reach the service at, where a proxy stands before it.",
    )
    workers: Annotated[int, Field(ge=1, le=64)] = 1
    cors_origins: Annotated[list[str], NoDecode] = Field(
        default=[], description="Origins that browsers may call from, separated by commas."
    )
    pool_size: Annotated[int, Field(ge=1, le=200)] = 8
    tile_cache_mb: Annotated[int, Field(ge=0, le=1 << 20)] = Field(
        default=256, description="Memory for ready tiles, MB in each process; 0 keeps none."
    )
    stream_timeout_s: Annotated[float, Field(gt=0, le=86400)] = 60.0
    export_timeout_s: Annotated[float, Field(gt=0, le=86400)] = Field(
        default=600.0, description="Time that a file of all features may take, seconds."
    )
    statement_timeout_s: Annotated[float, Field(gt=0, le=3600)] = 10.0
    import_memory_mb: Annotated[int, Field(ge=128, le=1 << 20)] = Field(
        default=1024, description="Memory of the process that reads a file to import, MB."
    )
    import_minutes: Annotated[int, Field(ge=1, le=10_000)] = Field(
        default=60, description="Time that reading and checking such a file may take."
    )
    import_max_mb: Annotated[int, Field(ge=1, le=1 << 20)] = Field(
        default=2048, description="Size of the largest file to import or to upload, MB."
    )
    tiles_archive: str | None = Field(
        default=None,
        description="Where the page reads tiles: a file in `archives`, or an https address.",
    )
    imports_keep_days: Annotated[int, Field(ge=1, le=36500)] = Field(
        default=30, description="Days that refused rows and lists of problems are kept."
    )

    basemap_url: SecretStr | None = Field(
        default=None,
        description="Raster tiles of others for styles with base=raster: a template with {z}, "
        "{x} and {y}, its key in it.",
    )
    basemap_attribution: str | None = Field(
        default=None, max_length=500, description="What their owner wants to be said beside them."
    )
    basemap_tile_size: Annotated[int, Field(ge=64, le=1024)] = Field(
        default=256, description="Pixels along the side of one of them."
    )
    basemap_datum: Literal["wgs84", "gcj02"] = Field(
        default="wgs84", description="Where they lie: CGCS2000 (Tianditu) counts as wgs84."
    )

    @field_validator("basemap_url")
    @classmethod
    def _template(cls, value: SecretStr | None) -> SecretStr | None:
        if value is None:
            return None
        text = value.get_secret_value()
        if not _TILES.fullmatch(text) or sorted(re.findall(r"\{[^}]*\}", text)) != _PLACES:
            raise ValueError("expected http(s)://host/... with {z}, {x} and {y}, each once")
        return value

    @property
    def basemap_origin(self) -> str | None:
        """Scheme and host of the raster base."""
        if self.basemap_url is None:
            return None
        found = _TILES.fullmatch(self.basemap_url.get_secret_value())
        return None if found is None else found["origin"]

    @field_validator("public_url")
    @classmethod
    def _address(cls, value: str | None) -> str | None:
        if value is not None and not _ADDRESS.fullmatch(value):
            raise ValueError("expected http(s)://host[:port][/path]")
        return None if value is None else value.rstrip("/")

    @field_validator("tiles_archive")
    @classmethod
    def _archive(cls, value: str | None) -> str | None:
        if value is not None and not _ARCHIVE.fullmatch(value):
            raise ValueError("expected a name such as city.pmtiles, or https://host/path")
        return value

    @field_validator("cors_origins", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return [part.strip() for part in value.split(",") if part.strip()]
        return value


def load_settings() -> Settings:
    """Read the environment.

    Raises
    ------
    SetupError
        A variable has a value that cannot be; the message names it.
    """
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors()[0]
        name = "RISKMAP_" + "_".join(str(part) for part in first["loc"][:1]).upper()
        value = "***" if name in _SECRET else first["input"]
        raise SetupError(
            "settings.invalid", parameter=name, reason=first["msg"], value=value
        ) from None
