"""What a wheel holds beside its code, and that none is packed without it.

An editable install reads page and files where they lie, and needs neither to be there.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PAGE = "src/riskmap/web/static"
FILES = "data/layers"


class Contents(BuildHookInterface):
    """Look for the built page and the demo city's files before a wheel is packed."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Refuse to go on without them: the wheel would show nothing."""
        if self.target_name != "wheel" or version == "editable":
            return
        if not Path(self.root, PAGE, "index.html").is_file():
            self.app.abort(
                "页面尚未构建，不能打包：请先运行 make web\n"
                "The page is not built, so no wheel is packed: run make web first"
            )
        if not Path(self.root, FILES, "manifest.json").is_file():
            self.app.abort(
                "缺少演示市的文件，不能打包：请先运行 make demo-files\n"
                "The demo city's files are missing, no wheel is packed: run make demo-files first"
            )
        build_data["force_include"][str(Path(self.root, FILES))] = "riskmap/_demo_layers"
