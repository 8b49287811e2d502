/**
 * One name for each division in view.
 *
 * Tiles cut a district into pieces, and a style would name every piece. So the pieces in view are
 * put together: the name stands at their common centre of mass, or in the largest piece when the
 * centre lies outside, and it stays there until it leaves the view.
 */

import type { Position } from 'geojson';
import type { GeoJSONSource, LngLatBounds, Map as LibreMap } from 'maplibre-gl';

import type { LayerInfo, LonLat, Overview } from '../types';
import { EMPTY, type Collection } from './overlays';
import { areaOf, contains, pointIn } from './rings';
import { NAMES, kindOf, sourceOf, type State } from './state';

/** Names of divisions: which level from which zoom to which. */
export const NAME_ZOOMS = [
  { level: 'district', from: 0, to: 12.5 },
  { level: 'street', from: 11.5, to: 24 },
  { level: 'community', from: 14.5, to: 24 },
] as const;

interface Piece {
  ring: Position[];
  area: number;
}

interface Named {
  properties: Record<string, unknown>;
  pieces: Piece[];
}

interface Candidate {
  at: LonLat;
  area: number;
  properties: Record<string, unknown>;
}

/** A name of five characters of 17 px, and its two lines. */
const APART_X_PX = 96;
const APART_Y_PX = 42;

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

/** The part of a ring's box that is on the screen decides, not what tiles hold beyond it. */
function inView(ring: Position[], view: LngLatBounds): boolean {
  return ring.some(([x, y]) => view.contains([x as number, y as number]));
}

export class DivisionNames {
  private readonly layers: LayerInfo[];
  private kept = new Map<string, LonLat>();
  private keptZoom = -1;

  constructor(
    private readonly map: LibreMap,
    private readonly overview: Overview,
  ) {
    this.layers = overview.layers.filter((layer) => kindOf(layer) === 'division');
  }

  update(state: State): void {
    const source = this.map.getSource<GeoJSONSource>(NAMES);
    if (!source) return;
    const zoom = this.map.getZoom();
    const levels = NAME_ZOOMS.filter(({ from, to }) => zoom >= from && zoom < to);
    const view = this.map.getBounds();
    if (Math.floor(zoom) !== this.keptZoom) this.kept = new Map();
    this.keptZoom = Math.floor(zoom);
    const candidates: Candidate[] = [];
    const still = new Map<string, LonLat>();
    for (const layer of this.layers.filter(({ id }) => state.visible.has(id))) {
      for (const { level } of levels) {
        for (const [id, { properties, pieces }] of this.pieces(layer, level)) {
          const key = `${layer.id}/${id}`;
          const old = this.kept.get(key);
          const seen = pieces.filter(({ ring }) => inView(ring, view));
          const at = old && view.contains(old) ? old : placeOf(seen.length ? seen : pieces);
          still.set(key, at);
          const area = pieces.reduce((sum, piece) => sum + piece.area, 0);
          candidates.push({ at, area, properties });
        }
      }
    }
    this.kept = still;
    source.setData({ ...EMPTY, features: this.apart(candidates) });
  }

  /** Names far enough from each other, those of large divisions first. */
  private apart(candidates: Candidate[]): Collection['features'] {
    const taken: { x: number; y: number }[] = [];
    const kept: Collection['features'] = [];
    for (const { at, properties } of candidates.sort((a, b) => b.area - a.area)) {
      const { x, y } = this.map.project(at);
      if (taken.some((other) => Math.abs(other.x - x) < APART_X_PX && Math.abs(other.y - y) < APART_Y_PX)) {
        continue;
      }
      taken.push({ x, y });
      // A copy: a tile's properties have no prototype, and MapLibre cannot send such to its worker.
      kept.push({
        type: 'Feature',
        geometry: { type: 'Point', coordinates: at },
        properties: { ...properties },
      });
    }
    return kept;
  }

  private pieces(layer: LayerInfo, level: string): Map<string | number, Named> {
    const found = new Map<string | number, Named>();
    const features = this.map.querySourceFeatures(sourceOf(this.overview, layer), {
      sourceLayer: layer.id,
      filter: ['==', ['get', 'level'], level],
    });
    for (const { geometry, properties, id } of features) {
      const polygons =
        geometry.type === 'Polygon'
          ? [geometry.coordinates]
          : geometry.type === 'MultiPolygon'
            ? geometry.coordinates
            : [];
      const key = id ?? String(properties['name']);
      const one: Named = found.get(key) ?? { properties, pieces: [] };
      for (const [shell] of polygons) {
        if (shell && shell.length >= 4) one.pieces.push({ ring: shell, area: areaOf(shell) });
      }
      if (one.pieces.some(({ area }) => area > 0)) found.set(key, one);
    }
    return found;
  }
}
