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
import { piecesOf, placeOf } from './pieces';
import { NAMES, kindOf, sourceOf, type State } from './state';

/** Names of divisions: which level from which zoom to which. */
export const NAME_ZOOMS = [
  { level: 'district', from: 0, to: 12.5 },
  { level: 'street', from: 11.5, to: 24 },
  { level: 'community', from: 14.5, to: 24 },
] as const;

interface Candidate {
  at: LonLat;
  area: number;
  properties: Record<string, unknown>;
}

/** A name of five characters of 17 px, and its two lines. */
const APART_X_PX = 96;
const APART_Y_PX = 42;

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
        for (const [id, { properties, pieces }] of piecesOf(this.map, sourceOf(this.overview, layer), layer.id, [
            '==',
            ['get', 'level'],
            level,
          ])) {
          const key = `${layer.id}/${id}`;
          const old = this.kept.get(key);
          if (pieces.length === 0) continue;
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
}
