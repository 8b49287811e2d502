/** Keeping the clusters' source in step with the tiles, the filters and the camera. */

import type { GeoJSONSource, Map as LibreMap } from 'maplibre-gl';

import { type LayerInfo, type Overview } from '../types';
import { COUNT_NAMES, merge, zoomOfCell, type Cell } from './cells';
import type { Images } from './images';
import { CELLS_TO_ZOOM, CLUSTERS, POINTS_FROM_ZOOM, cityName, groups, sourceOf, type State } from './state';

/** Tiles come in bursts: one merge for those of this long. */
const EVERY_MS = 120;
/** Donuts kept as images; each is at most 72 px square, 21 KB, or 83 KB at twice the resolution. */
const MOST_DONUTS = 600;

export class Clusters {
  private timer: number | undefined;
  private shownZoom: number | null = null;
  private readonly layers: LayerInfo[];
  private readonly sources: string[];

  constructor(
    private readonly map: LibreMap,
    private readonly overview: Overview,
    private readonly images: Images,
    private state: State,
  ) {
    this.layers = overview.layers.filter(({ cluster }) => cluster);
    this.sources = groups(overview).map((_, at) => cityName(at));
    map.on('sourcedata', ({ sourceId, tile }) => {
      if (tile && this.sources.includes(sourceId)) this.schedule();
    });
    map.on('moveend', () => this.schedule());
    map.on('idle', () => this.schedule());
  }

  setState(state: State): void {
    this.state = state;
    this.update();
  }

  private schedule(): void {
    this.timer ??= window.setTimeout(() => {
      this.timer = undefined;
      this.update();
    }, EVERY_MS);
  }

  /** Cells of one zoom in all tiles at hand. Tiles of other zooms stand in while these load. */
  private cells(zoom: number): Cell[] {
    const found: Cell[] = [];
    for (const { id: layer, symbol } of this.layers.filter(({ id }) => this.state.visible.has(id))) {
      const info = this.layers.find(({ id }) => id === layer) as LayerInfo;
      const features = this.map.querySourceFeatures(sourceOf(this.overview, info), {
        sourceLayer: layer,
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
          layer,
          symbol,
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

  private update(): void {
    const source = this.map.getSource<GeoJSONSource>(CLUSTERS);
    if (!source || this.map.getZoom() >= POINTS_FROM_ZOOM) return;
    const zoom = Math.min(CELLS_TO_ZOOM, Math.floor(this.map.getZoom()));
    // Between two zooms the marks of the old one stay until all tiles of the new one are here:
    // half of each would count some places twice and others not at all.
    const complete = this.sources.every((name) => this.map.isSourceLoaded(name));
    if (this.shownZoom !== null && zoom !== this.shownZoom && !complete) return;
    const features = merge(this.cells(zoom), this.state.levels);
    if (complete) this.shownZoom = zoom;
    source.setData({ type: 'FeatureCollection', features });
    const donuts = features.map(({ properties }) => properties.image);
    this.images.prune(new Set(donuts), MOST_DONUTS);
  }
}

/** A zoom at which any cluster is apart: from there on, tiles hold the points themselves. */
export const SPLIT_ZOOM = POINTS_FROM_ZOOM + 0.1;
