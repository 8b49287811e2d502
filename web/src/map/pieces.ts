/** Areas and lines that tiles have cut into pieces, put together again by their id. */

import type { Position } from 'geojson';
import type { FilterSpecification, Map as LibreMap } from 'maplibre-gl';

import type { LonLat } from '../types';
import { areaOf, contains, pointIn } from './rings';

export interface Piece {
  ring: Position[];
  area: number;
}

export interface Pieces {
  properties: Record<string, unknown>;
  pieces: Piece[];
  lines: Position[][];
}

/** The middle vertex of a line: a place on it, near enough to its middle for a symbol. */
export function middleOf(line: Position[]): LonLat {
  return line[Math.floor(line.length / 2)] as LonLat;
}

/** Where the symbol of an area or a line stands. */
export function placeOfShape({ pieces, lines }: Pieces): LonLat {
  if (pieces.length) return placeOf(pieces);
  return middleOf(lines.reduce((best, line) => (line.length > best.length ? line : best)));
}

/** Centre of mass of a ring. */
function centreOf(ring: Position[]): LonLat {
  const [x0, y0] = ring[0] as [number, number];
  let [twice, x, y] = [0, 0, 0];
  for (let i = 1; i < ring.length; i++) {
    // Relative to the first corner: far from the origin the products would cancel digits.
    const [ax, ay] = [(ring[i - 1] as number[])[0]! - x0, (ring[i - 1] as number[])[1]! - y0];
    const [bx, by] = [(ring[i] as number[])[0]! - x0, (ring[i] as number[])[1]! - y0];
    const cross = ax * by - bx * ay;
    twice += cross;
    x += (ax + bx) * cross;
    y += (ay + by) * cross;
  }
  return twice === 0 ? [x0, y0] : [x0 + x / (3 * twice), y0 + y / (3 * twice)];
}

/** Where the name of a division stands, of whose shape these pieces are in view. */
export function placeOf(pieces: readonly Piece[]): LonLat {
  const whole = pieces.reduce((sum, { area }) => sum + area, 0);
  let [x, y] = [0, 0];
  for (const { ring, area } of pieces) {
    const [cx, cy] = centreOf(ring);
    x += (cx * area) / whole;
    y += (cy * area) / whole;
  }
  if (pieces.some(({ ring }) => contains(ring, [x, y]))) return [x, y];
  const largest = pieces.reduce((best, piece) => (piece.area > best.area ? piece : best));
  return pointIn(largest.ring) as LonLat;
}

/** The areas and lines of a layer in the tiles at hand, by id. */
export function piecesOf(
  map: LibreMap,
  source: string,
  sourceLayer: string,
  filter?: FilterSpecification,
): Map<number, Pieces> {
  const found = new Map<number, Pieces>();
  const features = map.querySourceFeatures(source, { sourceLayer, ...(filter ? { filter } : {}) });
  for (const { geometry, properties, id } of features) {
    if (id === undefined) continue;
    const polygons =
      geometry.type === 'Polygon'
        ? [geometry.coordinates]
        : geometry.type === 'MultiPolygon'
          ? geometry.coordinates
          : [];
    const one: Pieces = found.get(Number(id)) ?? { properties, pieces: [], lines: [] };
    for (const [shell] of polygons) {
      const area = shell && shell.length >= 4 ? areaOf(shell) : 0;
      if (shell && area > 0) one.pieces.push({ ring: shell, area });
    }
    if (geometry.type === 'LineString') one.lines.push(geometry.coordinates);
    if (geometry.type === 'MultiLineString') one.lines.push(...geometry.coordinates);
    if (one.pieces.length || one.lines.length) found.set(Number(id), one);
  }
  return found;
}
