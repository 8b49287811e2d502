/** Keeping the clusters' source in step with the tiles, the filters and the camera. */

import type { GeoJSONSource, Map as LibreMap } from 'maplibre-gl';

import type { LayerInfo, Overview } from '../types';
import { COUNT_NAMES, merge, zoomOfCell, type Cell } from './cells';
import type { Images } from './images';
import { CELLS_TO_ZOOM, CLUSTERS, POINTS_FROM_ZOOM, cityName, groups, sourceOf, type State } from './state';

/** Donuts kept as images: at most 72 px square, drawn at twice that, 83 KB each. */
const MOST_DONUTS = 400;

/** Zoom of the tiles that hold the cells of a camera's zoom. */
function tileZoom(zoom: number): number {
  return Math.min(CELLS_TO_ZOOM, Math.floor(zoom));
}

export class Clusters {
  private shownZoom: number | null = null;
  private readonly layers: LayerInfo[];
  private readonly sources: string[];

  constructor(
    private readonly map: LibreMap,
    private readonly overview: Overview,
    private readonly images: Images,
  ) {
    this.layers = overview.layers.filter(({ cluster }) => cluster);
    this.sources = groups(overview).map((_, at) => cityName(at));
  }

  /** Whether the marks on the map are still those of another zoom. */
  isBehind(): boolean {
    const zoom = this.map.getZoom();
    return zoom < POINTS_FROM_ZOOM && this.shownZoom !== tileZoom(zoom);
  }

  /** Cells of one zoom in all tiles at hand. Tiles of other zooms stand in while these load. */
  private cells(zoom: number, state: State): Cell[] {
    const found: Cell[] = [];
    for (const info of this.layers.filter(({ id }) => state.visible.has(id))) {
      const features = this.map.querySourceFeatures(sourceOf(this.overview, info), {
        sourceLayer: info.id,
        filter: ['has', 'cell'],
      });
      for (const { geometry, properties, id } of features) {
        if (geometry.type !== 'Point') continue;
        const at = geometry.coordinates as [number, number];
        const cell = String(properties['cell']);
        if (zoomOfCell(cell, at[0]) !== zoom) continue;
        const counts = COUNT_NAMES.map((name) => Number(properties[name] ?? 0));
        const single = counts.reduce((sum, n) => sum + n, 0) === 1;
        found.push({
          layer: info.id,
          symbol: info.symbol,
          cell,
          at,
          counts,
          id: single && id !== undefined ? Number(id) : null,
          properties: single ? properties : {},
        });
      }
    }
    return found;
  }

  update(state: State): void {
    const source = this.map.getSource<GeoJSONSource>(CLUSTERS);
    if (!source || this.map.getZoom() >= POINTS_FROM_ZOOM) return;
    const zoom = tileZoom(this.map.getZoom());
    // Between two zooms the marks of the old one stay until all tiles of the new one are here:
    // half of each would count some places twice and others not at all.
    const complete = this.sources.every((name) => this.map.isSourceLoaded(name));
    if (this.shownZoom !== null && zoom !== this.shownZoom && !complete) return;
    const features = merge(this.cells(zoom, state), state.levels);
    if (complete) this.shownZoom = zoom;
    source.setData({ type: 'FeatureCollection', features });
    const donuts = features.map(({ properties }) => properties.image);
    this.images.prune(new Set(donuts), MOST_DONUTS);
  }
}

/** A zoom at which any cluster is apart: from there on, tiles hold the points themselves. */
export const SPLIT_ZOOM = POINTS_FROM_ZOOM + 0.1;
