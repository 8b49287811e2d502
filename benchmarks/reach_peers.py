"""Valhalla and OSRM for benchmarks/reach.py: their environment, their files, their processes."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reach_networks import Roads, write_pbf

PYTHON = (3, 12)
# Both have wheels for this Python and newer ones only.
WANTED = ("pyvalhalla>=3.9", "osrm-bindings>=26")


class MissingError(Exception):
    """What a peer needs and this machine has not, by name."""


def find_python() -> Path:
    """Find a Python 3.12: on the path, or among pyenv's versions.

    Raises
    ------
    MissingError
        There is none.
    """
    name = ".".join(map(str, PYTHON))
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    candidates = [shutil.which(f"python{name}"), *sorted(pyenv.glob(f"{name}*/bin/python"))]
    for candidate in filter(None, candidates):
        code = "import sys, venv; print(sys.version_info[:2] == (3, 12))"
        ran = subprocess.run([candidate, "-c", code], capture_output=True, text=True, check=False)
        if ran.stdout.strip() == "True":
            return Path(candidate)
    raise MissingError(f"no Python {name} on the PATH or in {pyenv}: no Valhalla, no OSRM")


@dataclass(frozen=True)
class Environment:
    """A virtual environment with the peers in the cache."""

    cache: Path

    @property
    def python(self) -> Path:
        return self.cache / "peers" / "bin" / "python"

    def make(self) -> dict[str, str]:
        """Make it if it is not there; return the versions of what is in it.

        Raises
        ------
        MissingError
            There is no Python for it, or pip cannot install them.
        """
        stamp = (
            self.cache
            / "peers"
            / f".installed-{hashlib.sha256(repr(WANTED).encode()).hexdigest()[:8]}"
        )
        if not stamp.exists():
            base = find_python()
            self.cache.mkdir(parents=True, exist_ok=True)
            subprocess.run([base, "-m", "venv", "--clear", self.cache / "peers"], check=True)
            pip = [self.python, "-m", "pip", "install", "-q", "--disable-pip-version-check"]
            ran = subprocess.run(
                [*pip, "--only-binary", ":all:", *WANTED],
                capture_output=True,
                text=True,
                check=False,
            )
            if ran.returncode:
                raise MissingError(f"pip cannot install {', '.join(WANTED)}: {ran.stderr[-500:]}")
            stamp.touch()
        code = (
            "import importlib.metadata as m, json; "
            "print(json.dumps({n: m.version(n) for n in ('pyvalhalla', 'osrm-bindings')}))"
        )
        shown = subprocess.run(
            [self.python, "-c", code], capture_output=True, text=True, check=True
        )
        versions: dict[str, str] = json.loads(shown.stdout)
        return versions

    def run(self, *words: object, cwd: Path) -> str:
        """Run a program of the environment.

        Raises
        ------
        MissingError
            It fails; the message has its last words.
        """
        path = f"{self.python.parent}{os.pathsep}{os.environ['PATH']}"
        ran = subprocess.run(
            [self.python, *map(str, words)],
            cwd=cwd, env=os.environ | {"PATH": path}, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if ran.returncode:
            said = (ran.stdout + ran.stderr)[-800:]
            raise MissingError(f"{' '.join(map(str, words[:4]))}: {said}")
        return ran.stdout

    def pbf(self, roads: Roads) -> Path:
        """Return the network as an OSM PBF: its own file, or one written from its arrays."""
        if roads.pbf is not None:
            return roads.pbf
        content = hashlib.sha256()
        for part in (roads.xy, roads.offsets, roads.kmh, roads.from_node, roads.to_node):
            content.update(part.tobytes())
        file = self.cache / f"{content.hexdigest()[:16]}.osm.pbf"
        if not file.exists():
            half = file.with_name(f"half-{file.name}")
            write_pbf(roads, half)
            half.rename(file)
        return file

    def _folder(self, kind: str, pbf: Path, version: str) -> Path:
        return self.cache / f"{kind}-{version}-{hashlib.sha256(pbf.read_bytes()).hexdigest()[:16]}"

    def valhalla(self, pbf: Path, version: str) -> Path:
        """Build tiles unless they are there; return the configuration."""
        folder = self._folder("valhalla", pbf, version)
        config, built = folder / "config.json", folder / "built"
        (folder / "tiles").mkdir(parents=True, exist_ok=True)
        code = (
            "import json, sys; from valhalla import get_config; "
            "c = get_config(tile_extract='', tile_dir=sys.argv[1]); "
            "limits = c['service_limits']; "
            "limits['max_exclude_polygons_length'] = 10_000_000; "
            "limits['max_exclude_polygons_vertices'] = 100_000; "
            "c['mjolnir']['timezone'] = c['mjolnir']['admin'] = ''; "
            "json.dump(c, open(sys.argv[2], 'w'))"
        )
        self.run("-c", code, folder / "tiles", config, cwd=folder)
        if not built.exists():
            began = time.perf_counter()
            self.run("-m", "valhalla", "valhalla_build_tiles", "-c", config, pbf, cwd=folder)
            print(
                f"Valhalla's tiles of {pbf.name}: {time.perf_counter() - began:.0f} s", flush=True
            )
            built.touch()
        return config

    def osrm(self, pbf: Path, version: str) -> Path:
        """Extract and contract unless it is done.

        A folder of its own, where nothing is partitioned or customised: after those contraction
        hierarchies do not load any more.
        """
        folder = self._folder("osrm-ch", pbf, version)
        data, done = folder / "roads.osrm", folder / "done"
        if not done.exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            shutil.copy(pbf, folder / "roads.osm.pbf")
            code = "import osrm, pathlib; print(pathlib.Path(osrm.__file__).parent)"
            home = Path(self.run("-c", code, cwd=folder).strip())
            began = time.perf_counter()
            profile = home / "share" / "profiles" / "car.lua"
            self.run("-m", "osrm", "extract", "-p", profile, "roads.osm.pbf", cwd=folder)
            self.run("-m", "osrm", "contract", "roads.osrm", cwd=folder)
            print(f"OSRM's files of {pbf.name}: {time.perf_counter() - began:.0f} s", flush=True)
            done.touch()
        return data


class Peer:
    """A process that times its own calls."""

    def __init__(self, environment: Environment, kind: str, data: Path) -> None:
        self.kind = kind
        log = (environment.cache / f"{kind}.log").open("w")
        with log:
            self._process = subprocess.Popen(
                [environment.python, Path(__file__).with_name("reach_peer.py"), kind, data],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True,
            )  # fmt: skip
        self._read("ready")

    def ask(self, **asked: Any) -> dict[str, Any]:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        said: dict[str, Any] = json.loads(self._read())
        if "error" in said:
            raise MissingError(f"{self.kind}: {said['error'][:300]}")
        return said

    def _read(self, expected: str | None = None) -> str:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("@") and (expected is None or line[1:].strip() == expected):
                return line[1:]
        raise MissingError(f"{self.kind} ended: see {self.kind}.log in the cache")

    def stop(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()


def isochrone(
    peer: Peer,
    lonlat: Any,
    minutes: tuple[float, ...],
    exclude: Any = None,
    *,
    answer: bool = False,
) -> dict[str, Any]:
    """Ask Valhalla for contours with every part of them, as polygons."""
    request = {
        "locations": [{"lon": float(lonlat[0]), "lat": float(lonlat[1])}],
        "costing": "auto",
        "contours": [{"time": one} for one in minutes],
        "polygons": True,
        "denoise": 0.0,
    }
    if exclude is not None:
        request["exclude_polygons"] = [exclude]
    return peer.ask(call="isochrone", request=request)
