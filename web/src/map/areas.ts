/**
 * One symbol for each area or line: a plant, a shelter's ground, a stretch of road at risk.
 *
 * A style would draw one for each piece that tiles cut it into.
 */

import type { GeoJSONSource, Map as LibreMap } from 'maplibre-gl';

import type { LayerInfo, Overview } from '../types';
import type { Collection } from './overlays';
import { piecesOf, placeOfShape } from './pieces';
import { AREAS, POINTS_FROM_ZOOM, kindOf, sourceOf, type State } from './state';

export class AreaSymbols {
  private readonly layers: LayerInfo[];

  constructor(
    private readonly map: LibreMap,
    private readonly overview: Overview,
  ) {
    this.layers = overview.layers.filter(
      (layer) => layer.geometry !== 'Point' && ['hazard', 'resource'].includes(kindOf(layer)),
    );
  }

  update(state: State): void {
    const source = this.map.getSource<GeoJSONSource>(AREAS);
    if (!source || this.map.getZoom() < POINTS_FROM_ZOOM) return;
    const features: Collection['features'] = [];
    for (const layer of this.layers.filter(({ id }) => state.visible.has(id))) {
      const areas = piecesOf(this.map, sourceOf(this.overview, layer), layer.id);
      for (const [id, shape] of areas) {
        features.push({
          type: 'Feature',
          geometry: { type: 'Point', coordinates: placeOfShape(shape) },
          properties: { ...shape.properties, layer: layer.id, id },
        });
      }
    }
    source.setData({ type: 'FeatureCollection', features });
  }
}
