"""Names of roads: two invented syllables, so that no real street is meant."""

from __future__ import annotations

from typing import Final

import numpy as np

_SYLLABLES: Final = (
    *(("澜", "lan"), ("栖", "qi"), ("岚", "lan"), ("澄", "cheng"), ("霁", "ji"), ("砚", "yan")),
    *(("榆", "yu"), ("汀", "ting"), ("鹭", "lu"), ("筠", "yun"), ("璟", "jing"), ("浔", "xun")),
    *(("芷", "zhi"), ("翊", "yi"), ("曦", "xi"), ("岫", "xiu"), ("棠", "tang"), ("沅", "yuan")),
    *(("朔", "shuo"), ("漪", "yi"), ("霖", "lin"), ("槿", "jin"), ("崤", "xiao"), ("珩", "heng")),
    *(("苇", "wei"), ("泠", "ling"), ("樾", "yue"), ("晏", "yan"), ("阡", "qian"), ("穗", "sui")),
    *(("荻", "di"), ("玥", "yue"), ("溯", "su"), ("聆", "ling"), ("梓", "zi"), ("绮", "qi")),
    *(("蔚", "wei"), ("屿", "yu"), ("冉", "ran"), ("旻", "min"), ("浦", "pu"), ("衍", "yan")),
)
_KIND: Final = {
    "motorway": ("高速", "Expressway"),
    "trunk": ("大道", "Avenue"),
    "primary": ("大道", "Avenue"),
    "secondary": ("路", "Road"),
    "tertiary": ("街", "Street"),
}


class Names:
    """Gives every road another name."""

    def __init__(self, rng: np.random.Generator) -> None:
        count = len(_SYLLABLES)
        pairs = rng.permutation(count * (count - 1))
        # The second syllable is never the first again.
        self._pairs = [divmod(int(pair), count - 1) for pair in pairs]
        self._next = 0

    def tags(self, road_class: str) -> dict[str, str]:
        """Return the tags `name` and `name:en` of the next road of a class."""
        turn, row = divmod(self._next, len(self._pairs))
        self._next += 1
        i, j = self._pairs[row]
        first, second = _SYLLABLES[i], _SYLLABLES[j + (j >= i)]
        zh, en = _KIND[road_class]
        # After 1,722 names the same begin again with a direction.
        side_zh, side_en = (("", ""), ("东", " East"), ("西", " West"), ("北", " North"))[turn % 4]
        stem = (first[1] + second[1]).capitalize()
        return {"name": first[0] + second[0] + side_zh + zh, "name:en": f"{stem}{side_en} {en}"}
