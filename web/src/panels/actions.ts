/** What a reader can do, from wherever it is done. */

import type { Card, Ref, Start } from '../state';
import { get, nothing, update, visibleLayers } from '../state';
import type { Box, LevelKey, LonLat, MapView, Picked, View } from '../types';
import type { Geometry, Position } from 'geojson';

let map: MapView | null = null;

export function useMap(view: MapView | null): void {
  map = view;
}

export function theMap(): MapView | null {
  return map;
}

/** The zoom at which a place stands by itself: clusters end at 11, names begin at 15. */
const PLACE_ZOOM = 14;

export function fly(at: LonLat): void {
  const zoom = get().camera?.zoom ?? 0;
  map?.flyTo(at, Math.max(zoom, PLACE_ZOOM));
}

/** Open a feature's card; `flyTo` where it was chosen off the map. */
export function select(ref: Ref, at: LonLat | null, flyTo = false): void {
  update({ selected: ref, clicked: at, chooser: null, railOpen: false });
  if (flyTo && at) fly(at);
}

export function choose(found: Picked[]): void {
  update({ chooser: found, selected: null });
}

export function drawCircle(start: Start): void {
  update({ view: 'circle', start, selected: null, chooser: null, railOpen: false });
}

export function show(view: View): void {
  update({ view, selected: null, chooser: null });
}

/** Step back by one: what is open above what. Says whether there was anything. */
export function back(): boolean {
  const now = get();
  if (now.railOpen) update({ railOpen: false });
  else if (now.chooser) update({ chooser: null });
  else if (now.selected) update({ selected: null, card: nothing });
  else if (now.view === 'circle' && now.start) update({ start: null });
  else if (now.view === 'circle') update({ view: 'overview' });
  else return false;
  return true;
}

export function toggleLevel(level: LevelKey): void {
  const levels = new Set(get().levels);
  if (!levels.delete(level)) levels.add(level);
  update({ levels });
}

export function toggleLayer(layer: string): void {
  const visible = new Set(visibleLayers());
  if (!visible.delete(layer)) visible.add(layer);
  update({ visible });
}

function positions(geometry: Geometry): Position[] {
  switch (geometry.type) {
    case 'Point':
      return [geometry.coordinates];
    case 'MultiPoint':
    case 'LineString':
      return geometry.coordinates;
    case 'MultiLineString':
    case 'Polygon':
      return geometry.coordinates.flat();
    case 'MultiPolygon':
      return geometry.coordinates.flat(2);
    case 'GeometryCollection':
      return geometry.geometries.flatMap(positions);
  }
}

export function boxOf(geometry: Geometry): Box {
  let [west, south, east, north] = [180, 90, -180, -90];
  for (const [lon = 0, lat = 0] of positions(geometry)) {
    west = Math.min(west, lon);
    south = Math.min(south, lat);
    east = Math.max(east, lon);
    north = Math.max(north, lat);
  }
  return [west, south, east, north];
}

/** Where to put the ring of a feature: a point itself, the vertex nearest the middle of others. */
export function placeOf(geometry: Geometry | null): LonLat | null {
  if (!geometry) return null;
  const [west, south, east, north] = boxOf(geometry);
  if (east < west) return null;
  const middle: LonLat = [(west + east) / 2, (south + north) / 2];
  if (geometry.type.endsWith('Polygon')) return middle;
  let best: LonLat | null = null;
  let least = Infinity;
  for (const [lon = 0, lat = 0] of positions(geometry)) {
    const far = Math.hypot(lon - middle[0], lat - middle[1]);
    if (far < least) [best, least] = [[lon, lat], far];
  }
  return best;
}

/** Where a card's circle starts: the feature if it is a point, else where it was clicked. */
export function startOf(card: Card, role: string): Start | null {
  const { geometry, properties, id } = card.item;
  const at = geometry?.type === 'Point' ? placeOf(geometry) : (get().clicked ?? placeOf(geometry));
  if (!at) return null;
  const team = role === 'team';
  return {
    at,
    kind: team && typeof properties.kind === 'string' ? properties.kind : null,
    team: team ? { layer: card.collection.id, id } : null,
  };
}
