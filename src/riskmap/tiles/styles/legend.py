"""What each symbol means: entries for programs, and a picture for people."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, Final

from riskmap.catalog.shapes import LEVELS, LOOK_OF_STATE, LOOKS, SQUARE, Level, Part
from riskmap.catalog.spec import RISK_LEVELS, Layer, Text
from riskmap.catalog.symbols import hazard_parts, resource_parts, svg, swatch_parts
from riskmap.catalog.tokens import TOKENS, Theme
from riskmap.features.summary import STATUS
from riskmap.i18n import say
from riskmap.tiles.styles import marks
from riskmap.tiles.styles.ground import Look
from riskmap.tiles.styles.kinds import Kind, kind_of

# Symbols are drawn in the box of 24 that their paths are in.
_SYMBOL_PX: Final = 24
# Bands of the response circle: minutes, opacity of the fill, width of the edge in px. They are
# rings that do not lie on each other: stacked, their colours would shift.
BANDS: Final = ((5, 0.34, 1.8), (10, 0.24, 2.2), (15, 0.17, 3.4))


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line of the legend.

    Parameters
    ----------
    drawing
        The symbol as SVG elements in a box of 24 by 24.
    images
        Names in the sprite: of the entry's only image, or by level.
    more
        What else a program may want: colours, shapes, sizes.
    """

    id: str
    label: Text
    drawing: str
    images: str | dict[str, str] | None = None
    note: Text | None = None
    more: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Section:
    """Lines that belong together."""

    id: str
    title: Text
    entries: tuple[Entry, ...]


def _text(key: str, **values: object) -> Text:
    return Text(say(key, "zh", **values), say(key, "en", **values))


def sections(name: str, layers: Sequence[Layer], theme: Theme) -> list[Section]:
    """Return the legend of a style."""
    by_kind = {kind: [one for one in layers if kind_of(one) is kind] for kind in Kind}
    hazards = by_kind[Kind.HAZARD]
    areas = [*by_kind[Kind.ZONE], *by_kind[Kind.FAULT]]
    context = [*by_kind[Kind.DIVISION], *by_kind[Kind.POPULATION], *by_kind[Kind.COVER]]
    found = [
        Section("level", _text("legend.level"), tuple(_levels(hazards, areas, theme))),
        Section(
            "hazard",
            _text("legend.hazard"),
            (*_layers([*hazards, *areas], theme), *_cluster(hazards, theme)),
        ),
        Section(
            "resource", _text("legend.resource"), tuple(_layers(by_kind[Kind.RESOURCE], theme))
        ),
        Section("state", _text("legend.state"), tuple(_states(by_kind[Kind.RESOURCE], theme))),
        Section("band", _text("legend.band"), tuple(_bands(theme)) if name != "base" else ()),
        Section("context", _text("legend.context"), tuple(_layers(context, theme))),
    ]
    return [section for section in found if section.entries]


def _levels(hazards: Sequence[Layer], areas: Sequence[Layer], theme: Theme) -> Iterable[Entry]:
    if not any(layer.style.by_risk_level for layer in (*hazards, *areas)):
        return
    labels: dict[Level, Text] = {
        level: Text(value.zh, value.en) for level, value in zip(LEVELS, RISK_LEVELS, strict=False)
    }
    labels["null"] = _text("legend.null")
    t = TOKENS[theme]
    for level in LEVELS:
        parts = hazard_parts("", level, theme, _SYMBOL_PX, halo=False)
        yield Entry(
            id=f"level/{level}",
            label=labels[level],
            drawing=svg(parts),
            images=f"hazard/{hazards[0].style.symbol}/{level}/16" if hazards else None,
            note=_text("legend.null.note") if level == "null" else None,
            more={
                "risk_level": None if level == "null" else int(level),
                "colour": t[f"level-{level}"],
                "outline": t["ink2" if level == "null" else "outline"],
                "path": parts[0].d,
                "scale": parts[0].scale,
                "dash": list(parts[0].dash),
            },
        )


def _layers(layers: Iterable[Layer], theme: Theme) -> Iterable[Entry]:
    for layer in layers:
        symbol = layer.style.symbol
        mark = "cover" if kind_of(layer) is Kind.COVER else symbol
        images: str | dict[str, str] | None = None
        match kind_of(layer):
            case Kind.HAZARD:
                images = {level: f"hazard/{symbol}/{level}/28" for level in LEVELS}
            case Kind.RESOURCE:
                images = f"resource/{symbol}/solid/22"
            case Kind.ZONE:
                pattern = "waves" if symbol == "flood-impact" else "hatch"
                images = {level: f"{pattern}/{level}" for level in LEVELS}
            case Kind.FAULT:
                images = "tick"
            case _:
                pass
        yield Entry(
            id=f"layer/{layer.id}",
            label=layer.title,
            drawing=svg(swatch_parts(mark, theme)),
            images=images,
            more={"layer": layer.id, "by_risk_level": layer.style.by_risk_level},
        )


def _cluster(hazards: Sequence[Layer], theme: Theme) -> Iterable[Entry]:
    if not any(layer.tile.cluster for layer in hazards):
        return
    # 12 of an octant each: a ring as it might be.
    shares: tuple[tuple[Level, int], ...] = (("4", 27), ("3", 13), ("2", 5), ("1", 2))
    ground = marks.donut(theme)
    arcs = "".join(marks.arc(level, steps, theme).body for level, steps in shares)
    scale = _SYMBOL_PX / ground.width
    drawing = (
        f'<g transform="scale({scale:g})">{ground.body}<g transform="translate(2 2)">{arcs}</g></g>'
    )
    yield Entry(
        id="cluster",
        label=_text("legend.cluster"),
        drawing=drawing,
        images="donut",
        note=_text("legend.cluster.note"),
        more={},
    )


def _states(resources: Sequence[Layer], theme: Theme) -> Iterable[Entry]:
    """Return the looks, each with all states of the layers that wear it."""
    labels: dict[str, list[Text]] = {}
    symbol = ""
    for layer in resources:
        field = layer.field(STATUS.get(layer.role, ""))
        if field is None:
            continue
        symbol = symbol or layer.style.symbol
        for value in field.values:
            look = LOOK_OF_STATE.get(str(value.code), "unknown")
            labels.setdefault(look, []).append(Text(value.zh, value.en))
        labels.setdefault("unknown", []).append(_text("legend.unknown"))
    for look in LOOKS:
        if look not in labels:
            continue
        yield Entry(
            id=f"state/{look}",
            label=Text(
                "、".join(dict.fromkeys(one.zh for one in labels[look])),
                ", ".join(dict.fromkeys(one.en for one in labels[look])),
            ),
            drawing=svg(resource_parts(symbol, look, theme, _SYMBOL_PX, halo=False)),
            images=f"resource/{symbol}/{look}/22",
            more={},
        )


def _bands(theme: Theme) -> Iterable[Entry]:
    t = TOKENS[theme]
    before = 0
    for minutes, opacity, width in BANDS:
        key = "legend.band.first" if before == 0 else "legend.band.next"
        colour = t[f"band-{minutes}"]
        # All edges wear the colour of the narrowest band.
        parts = [
            Part(d=SQUARE, fill=colour, opacity=opacity),
            Part(d=SQUARE, stroke=t["band-5"], width=width),
        ]
        yield Entry(
            id=f"band/{minutes}",
            label=_text(key, from_=before, to=minutes),
            drawing=svg(parts),
            more={
                "to_minutes": minutes,
                "colour": colour,
                "opacity": opacity,
                "edge": t["band-5"],
                "edge_width": width,
            },
        )
        before = minutes


def as_json(name: str, layers: Sequence[Layer], theme: Theme) -> dict[str, Any]:
    """Return the legend for programs, with both languages."""
    return {
        "style": name,
        "theme": theme,
        "sections": [
            {
                "id": section.id,
                "title": _both(section.title),
                "entries": [_entry(entry) for entry in section.entries],
            }
            for section in sections(name, layers, theme)
        ],
    }


def _both(text: Text) -> dict[str, str]:
    return {"zh": text.zh, "en": text.en}


def _entry(entry: Entry) -> dict[str, Any]:
    found: dict[str, Any] = {"id": entry.id, "label": _both(entry.label), **entry.more}
    if entry.images is not None:
        found["image" if isinstance(entry.images, str) else "images"] = entry.images
    if entry.note is not None:
        found["note"] = _both(entry.note)
    return found


_COLUMN_PX: Final = 320
_PAD_PX: Final = 20
_ROW_PX: Final = 32
_HEAD_PX: Final = 34
_TITLE_PX: Final = 44
_FONT: Final = "'Noto Sans CJK SC','PingFang SC','Microsoft YaHei',sans-serif"


def as_svg(name: str, layers: Sequence[Layer], look: Look) -> str:
    """Return the legend as a picture: the reader's language large, the other one small."""
    t = TOKENS[look.theme]
    found = sections(name, layers, look.theme)
    columns = _columns(found)
    high = max(sum(map(_height, column)) for column in columns) + _TITLE_PX + _PAD_PX
    wide = len(columns) * _COLUMN_PX + 2 * _PAD_PX
    body = [_words(_PAD_PX, 32, _text("legend.title").in_(look.lang), 17, t["ink"], bold=True)]
    for at, column in enumerate(columns):
        x, y = _PAD_PX + at * _COLUMN_PX, _TITLE_PX
        for section in column:
            body.append(_section(section, x, y, look))
            y += _height(section)
    title = escape(say("legend.title", look.lang))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{wide}" height="{high}" '
        f'viewBox="0 0 {wide} {high}" role="img" aria-label="{title}" font-family="{_FONT}">'
        f'<rect width="{wide}" height="{high}" fill="{t["panel"]}"/>{"".join(body)}</svg>'
    )


def _height(section: Section) -> int:
    return _HEAD_PX + _ROW_PX * len(section.entries)


def _columns(found: list[Section]) -> list[list[Section]]:
    """Return the sections in two columns, or in one where they are few: dangers lead the first."""
    left = [section for section in found if section.id in ("level", "hazard")]
    right = [section for section in found if section not in left]
    return [column for column in (left, right) if column]


def _section(section: Section, x: int, y: int, look: Look) -> str:
    t = TOKENS[look.theme]
    line = f'<path d="M{x} {y + 27.5}h{_COLUMN_PX - _PAD_PX}" stroke="{t["line"]}"/>'
    parts = [_words(x, y + 20, section.title.in_(look.lang), 13, t["ink2"], bold=True), line]
    for at, entry in enumerate(section.entries):
        top = y + _HEAD_PX + at * _ROW_PX
        small = entry.label.en if look.lang == "zh" else entry.label.zh
        if entry.note is not None:
            small += f" · {entry.note.in_(look.lang)}"
        parts += [
            f'<g transform="translate({x} {top})">{entry.drawing}</g>',
            _words(x + 36, top + 11, entry.label.in_(look.lang), 13, t["ink"]),
            _words(x + 36, top + 25, small, 11, t["ink3"]),
        ]
    return "".join(parts)


def _words(x: float, y: float, text: str, px: int, colour: str, *, bold: bool = False) -> str:
    weight = ' font-weight="700"' if bold else ""
    return (
        f'<text x="{x:g}" y="{y:g}" font-size="{px}" fill="{colour}"{weight}>{escape(text)}</text>'
    )
