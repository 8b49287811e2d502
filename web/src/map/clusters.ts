/** Keeping the clusters' source in step with the tiles, the filters and the camera. */

import type { Geometry, Point } from 'geojson';
import type { GeoJSONSource, Map as LibreMap, MapGeoJSONFeature } from 'maplibre-gl';

import { LEVELS, type LayerInfo, type LonLat, type Overview } from '../types';
import { COUNT_NAMES, cellOf, merge, zoomOfCell, type Cell } from './cells';
import type { Images } from './images';
import { levelOf } from './pick';
import { middleOf } from './pieces';
import { pointIn, ringsOf } from './rings';
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
    return this.layers
      .filter(({ id }) => state.visible.has(id))
      .flatMap((layer) => {
        const features = this.map.querySourceFeatures(sourceOf(this.overview, layer), {
          sourceLayer: layer.id,
        });
        const counted = features.filter(({ properties }) => 'cell' in properties);
        const others = features.filter(({ properties }) => !('cell' in properties));
        return [
          ...counted.map((feature) => cellFrom(layer, feature)).filter(({ cell, at }) => zoomOfCell(cell, at[0]) === zoom),
          ...shapesAsCells(layer, others, zoom),
        ];
      });
  }

  update(state: State): void {
    const source = this.map.getSource<GeoJSONSource>(CLUSTERS);
    if (!source || this.map.getZoom() >= POINTS_FROM_ZOOM) return;
    const zoom = tileZoom(this.map.getZoom());
    // Between two zooms the marks of the old one stay until all tiles of the new one are here:
    // half of each would count some places twice and others not at all.
    const complete = this.sources.every((name) => this.map.isSourceLoaded(name));
    if (this.shownZoom !== null && zoom !== this.shownZoom && !complete) return;
    const features = merge(
      this.cells(zoom, state),
      state.levels,
      2 ** (this.map.getZoom() - zoom),
    );
    if (complete) this.shownZoom = zoom;
    source.setData({ type: 'FeatureCollection', features });
    const donuts = features.map(({ properties }) => properties.image);
    this.images.prune(new Set(donuts), MOST_DONUTS);
  }
}

type Tiled = Pick<MapGeoJSONFeature, 'geometry' | 'properties' | 'id'>;

function cellFrom(layer: LayerInfo, { geometry, properties, id }: Tiled): Cell {
  const counts = COUNT_NAMES.map((name) => Number(properties[name] ?? 0));
  const single = counts.reduce((sum, n) => sum + n, 0) === 1;
  return {
    layer: layer.id,
    symbol: layer.symbol,
    cell: String(properties['cell']),
    at: (geometry as Point).coordinates as LonLat,
    counts,
    id: single && id !== undefined ? Number(id) : null,
    properties: single ? properties : {},
  };
}

/** Areas and lines are in no cell: each is counted where it lies, once, though several tiles may hold it. */
function shapesAsCells(layer: LayerInfo, features: readonly Tiled[], zoom: number): Cell[] {
  const found = new Map<number, Cell>();
  for (const { geometry, properties, id } of features) {
    if (id === undefined || found.has(Number(id))) continue;
    const at = placeOfTiled(geometry);
    if (!at) continue;
    const level = levelOf(properties);
    found.set(Number(id), {
      layer: layer.id,
      symbol: layer.symbol,
      cell: cellOf(at, zoom),
      at,
      counts: LEVELS.map((key) => (key === level ? 1 : 0)),
      id: Number(id),
      properties,
    });
  }
  return [...found.values()];
}

function placeOfTiled(geometry: Geometry): LonLat | null {
  if (geometry.type === 'Point') return geometry.coordinates as LonLat;
  if (geometry.type === 'LineString') return middleOf(geometry.coordinates);
  if (geometry.type === 'MultiLineString') return middleOf(geometry.coordinates[0] ?? []);
  if (geometry.type !== 'Polygon' && geometry.type !== 'MultiPolygon') return null;
  const [shell] = ringsOf(geometry);
  return shell && shell.length >= 4 ? (pointIn(shell) as LonLat) : null;
}

/** A zoom at which any cluster is apart: from there on, tiles hold the points themselves. */
export const SPLIT_ZOOM = POINTS_FROM_ZOOM + 0.1;
