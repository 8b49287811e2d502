/** The URL's hash restores everything the reader chose: `#z/lat/lon?view&id&ly&lv&lang&theme`. */

import { type Ref, type Start, type State, type Tab, get } from './state';
import { LEVELS, type LevelKey, type LonLat, type View } from './types';

const TABS: readonly Tab[] = ['attention', 'list', 'stats'];
const VIEWS: readonly View[] = ['overview', 'circle'];

function oneOf<T extends string>(value: string | null, known: readonly T[]): T | null {
  return known.find((one) => one === value) ?? null;
}

export function place(text: string | null): LonLat | null {
  const numbers = (text ?? '').split(',').map(Number);
  const [lon, lat] = numbers;
  if (numbers.length !== 2 || lon === undefined || lat === undefined) return null;
  return Math.abs(lon) <= 180 && Math.abs(lat) <= 90 ? [lon, lat] : null;
}

function ref(text: string | null): Ref | null {
  const found = /^([a-z][a-z0-9-]*):(\d{1,15})$/.exec(text ?? '');
  return found ? { layer: found[1] as string, id: Number(found[2]) } : null;
}

function write({ layer, id }: Ref): string {
  return `${layer}:${id}`;
}

/** What a hash says; parts that are missing or wrong are left out. */
export function read(hash: string): Partial<State> {
  const [spot = '', query = ''] = hash.replace(/^#/, '').split('?');
  const asked = new URLSearchParams(query);
  const said: Partial<State> = {};
  const [zoom, lat, lon] = spot.split('/').map(Number);
  const center = place(`${lon},${lat}`);
  if (center && zoom !== undefined && zoom >= 0 && zoom <= 24) said.camera = { center, zoom };
  said.view = oneOf(asked.get('view'), VIEWS) ?? 'overview';
  said.tab = oneOf(asked.get('tab'), TABS) ?? 'attention';
  said.selected = ref(asked.get('id'));
  const layers = asked.get('ly');
  said.visible = layers === null ? null : new Set(layers.split(',').filter(Boolean));
  const levels = asked.get('lv');
  said.levels = new Set(
    levels === null ? LEVELS : LEVELS.filter((level) => levels.split(',').includes(level)),
  );
  const at = place(asked.get('at'));
  said.start = at && { at, kind: asked.get('kind'), team: ref(asked.get('team')) };
  const lang = oneOf(asked.get('lang'), ['zh', 'en'] as const);
  if (lang) said.lang = lang;
  const theme = oneOf(asked.get('theme'), ['light', 'dark'] as const);
  if (theme) said.theme = theme;
  return said;
}

function startParts(start: Start): [string, string][] {
  const parts: [string, string][] = [['at', start.at.map((x) => x.toFixed(6)).join(',')]];
  if (start.kind) parts.push(['kind', start.kind]);
  if (start.team) parts.push(['team', write(start.team)]);
  return parts;
}

/** The hash of the state; what is as always is left out, language and theme never. */
export function written(): string {
  const now = get();
  const parts: [string, string][] = [['view', now.view]];
  if (now.tab !== 'attention') parts.push(['tab', now.tab]);
  if (now.selected) parts.push(['id', write(now.selected)]);
  if (now.start) parts.push(...startParts(now.start));
  if (now.visible) parts.push(['ly', [...now.visible].sort().join(',')]);
  const levels: LevelKey[] = LEVELS.filter((level) => now.levels.has(level));
  if (levels.length < LEVELS.length) parts.push(['lv', levels.join(',')]);
  parts.push(['lang', now.lang], ['theme', now.theme]);
  const spot = now.camera
    ? `${now.camera.zoom.toFixed(2)}/${now.camera.center[1].toFixed(5)}/${now.camera.center[0].toFixed(5)}`
    : '';
  // Ids, codes and numbers need no escapes, so the hash stays readable.
  return `#${spot}?${parts.map(([name, value]) => `${name}=${encodeURIComponent(value).replaceAll('%2C', ',').replaceAll('%3A', ':')}`).join('&')}`;
}
