/** The map's symbols in panels: the same parts, as elements. */

import { s } from './dom';
import { symbolSvg } from './map/symbols';
import { get } from './state';
import type { LevelKey } from './types';

const parser = new DOMParser();

/** A symbol in the theme's colours; without status the mark of the layer as a whole. */
export function mark(symbol: string, status: string | null | undefined, size: number): Node {
  const svg = symbolSvg(symbol, status, get().theme, size);
  return document.importNode(parser.parseFromString(svg, 'image/svg+xml').documentElement, true);
}

/** A level's shape without a glyph. */
export function levelMark(level: LevelKey, size: number): Node {
  return mark('', level, size);
}

/** A ring in level colours around a number, as clusters wear it. */
export function clusterMark(size: number): Node {
  const arc = (from: string, level: string) =>
    s('path', { d: from, fill: 'none', class: `stroke-level-${level}`, 'stroke-width': 4 });
  return s(
    'svg',
    { class: 'cluster', width: size, height: size, viewBox: '0 0 24 24', 'aria-hidden': 'true' },
    s('circle', { cx: 12, cy: 12, r: 10.5, class: 'cluster-ground' }),
    arc('M12 4a8 8 0 0 1 6.9 4', '2'),
    arc('M18.9 8a8 8 0 0 1-6.9 12', '3'),
    arc('M12 20a8 8 0 0 1 0-16', '4'),
    s('text', { x: 12, y: 15.2 }, '9'),
  );
}

/** The dashed ring of what nobody reaches in time. */
export function ringMark(size: number): Node {
  return s(
    'svg',
    { width: size, height: size, viewBox: '0 0 24 24', 'aria-hidden': 'true' },
    s('circle', { cx: 12, cy: 12, r: 9.4, class: 'ring' }),
  );
}
