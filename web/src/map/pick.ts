/** Which features lie under the pointer. */

import type { MapGeoJSONFeature, Map as LibreMap, Point } from 'maplibre-gl';

import type { LayerInfo, LevelKey, LonLat, Overview, Picked } from '../types';
import { LEVELS } from '../types';
import { AREAS, CLUSTERS, isPickable, type State } from './state';

/** Symbols may be missed by this much. */
const REACH_PX = 3;

export interface Cluster {
  at: LonLat;
  total: number;
}

export interface Found {
  /** The most dangerous first. */
  picked: Picked[];
  cluster: Cluster | null;
}

export class Picker {
  private readonly byId: Map<string, LayerInfo>;

  constructor(
    private readonly map: LibreMap,
    overview: Overview,
  ) {
    this.byId = new Map(overview.layers.filter(isPickable).map((layer) => [layer.id, layer]));
  }

  layer(id: string): LayerInfo | undefined {
    return this.byId.get(id);
  }

  /** Style layers are named `<layer>/<part>`. */
  private styleLayers(symbols: boolean): string[] {
    const parts = symbols ? /\/(symbol(-area)?(-\d)?|dot|line)$/ : /\/(fill|ground)$/;
    return this.map
      .getLayersOrder()
      .filter((id) => {
        const layer = id.slice(0, id.indexOf('/'));
        return parts.test(id) && (this.byId.has(layer) || (symbols && layer === CLUSTERS));
      });
  }

  at(point: Point, at: LonLat): Found {
    const reach: [[number, number], [number, number]] = [
      [point.x - REACH_PX, point.y - REACH_PX],
      [point.x + REACH_PX, point.y + REACH_PX],
    ];
    const hits = [
      ...this.map.queryRenderedFeatures(reach, { layers: this.styleLayers(true) }),
      ...this.map.queryRenderedFeatures(point, { layers: this.styleLayers(false) }),
    ];
    const top = hits[0];
    if (top && top.source === CLUSTERS && top.properties['layer'] == null) {
      return { picked: [], cluster: { at: place(top, at), total: Number(top.properties['total']) } };
    }
    const picked = new Map<string, Picked & { order: number }>();
    for (const hit of hits) {
      const one = this.picked(hit, at);
      if (one && !picked.has(`${one.layer}/${one.id}`)) picked.set(`${one.layer}/${one.id}`, one);
    }
    const sorted = [...picked.values()].sort((a, b) => a.order - b.order);
    return { picked: sorted.map(({ order: _, ...rest }) => rest), cluster: null };
  }

  private picked(hit: MapGeoJSONFeature, at: LonLat): (Picked & { order: number }) | null {
    // What we have put together from tiles says itself what it is.
    const ours = hit.source === CLUSTERS || hit.source === AREAS;
    const layer = ours ? hit.properties['layer'] : hit.sourceLayer;
    const id = ours ? hit.properties['id'] : hit.id;
    const info = this.byId.get(String(layer));
    if (!info || id == null) return null;
    const { image: _, order: __, total: ___, layer: ____, id: _____, ...own } = hit.properties;
    const properties = ours ? own : hit.properties;
    return {
      layer: info.id,
      id: Number(id),
      at: place(hit, at),
      properties,
      order: orderOf(info, properties, hit.geometry.type === 'Point'),
    };
  }
}

/** Where a feature is: its point, or for lines and areas where the pointer is. */
function place(hit: MapGeoJSONFeature, at: LonLat): LonLat {
  return hit.geometry.type === 'Point' ? (hit.geometry.coordinates as LonLat) : at;
}

export function levelOf(properties: Record<string, unknown>): LevelKey {
  const level = String(properties['risk_level'] ?? 'null');
  return LEVELS.find((key) => key === level) ?? 'null';
}

/** By level, points before areas; then faults and what has no level, then help. */
function orderOf(layer: LayerInfo, properties: Record<string, unknown>, isPoint: boolean): number {
  const rank = layer.by_risk_level ? LEVELS.indexOf(levelOf(properties)) : LEVELS.length;
  return 2 * rank + (isPoint ? 0 : 1);
}

/** What a hover says of a feature: its name and its layer. */
export function preview(found: Picked, layer: LayerInfo, state: State): string {
  const title = layer.title[state.lang];
  const { name, name_en: english } = found.properties as { name?: string; name_en?: string };
  const own = state.lang === 'en' ? (english ?? name) : (name ?? english);
  return own ? `${own}\n${title}` : title;
}
