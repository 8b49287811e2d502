/** The one store: what the reader chose, what the service said, and who wants to know of it. */

import type { CollectionInfo, Item } from './api';
import type {
  Archive,
  Box,
  Circle,
  Coverage,
  Lang,
  LevelKey,
  LonLat,
  Overview,
  Picked,
  Reach,
  Theme,
  View,
} from './types';
import { LEVELS } from './types';

/** Within how many minutes of the alarm a place counts as covered. */
export const COVERED_MINUTES = 15;

export type Tab = 'attention' | 'list' | 'stats';

/** An answer that may still be coming, or may not come; old data stays while the new is asked. */
export interface Loaded<T> {
  data: T | null;
  problem: string | null;
  /** Whether the same question may have an answer later. */
  later: boolean;
  busy: boolean;
}

export const nothing = { data: null, problem: null, later: false, busy: false } as const;

export interface Card {
  collection: CollectionInfo;
  item: Item;
}

export interface Ref {
  layer: string;
  id: number;
}

/** Where a response circle starts: a place, or a team with its kind. */
export interface Start {
  at: LonLat;
  kind: string | null;
  team: Ref | null;
}

export interface State {
  // Chosen by the reader; all of it stands in the URL.
  lang: Lang;
  theme: Theme;
  view: View;
  tab: Tab;
  /** null: not chosen, so what `defaultLayers` says. */
  visible: ReadonlySet<string> | null;
  levels: ReadonlySet<LevelKey>;
  camera: { center: LonLat; zoom: number } | null;
  selected: Ref | null;
  start: Start | null;
  // The moment's.
  chooser: Picked[] | null;
  /** Where the selected feature was clicked: a line or an area has no one place. */
  clicked: LonLat | null;
  bounds: Box | null;
  pointer: LonLat | null;
  railOpen: boolean;
  /** Counts minutes: ages grow while nothing else changes. */
  minute: number;
  // Told by the service.
  overview: Loaded<Overview>;
  /** Where the map's tiles come from; null: from the service. */
  archive: Archive | null;
  /** Of the overview: it passes while nothing else changes. */
  asOf: string | null;
  coverage: Loaded<Coverage>;
  card: Loaded<Card>;
  circle: Loaded<Circle>;
  reach: Loaded<Reach>;
  /** The start's name and fields, where it is a team. */
  startCard: Loaded<Card>;
  /** Since when nothing answers. */
  lostAt: Date | null;
  mapTrouble: 'tiles' | 'webgl' | null;
  tilesBusy: boolean;
}

const state: State = {
  lang: 'zh',
  theme: 'light',
  view: 'overview',
  tab: 'attention',
  visible: null,
  levels: new Set(LEVELS),
  camera: null,
  selected: null,
  start: null,
  chooser: null,
  clicked: null,
  bounds: null,
  pointer: null,
  railOpen: false,
  minute: 0,
  overview: nothing,
  archive: null,
  asOf: null,
  coverage: nothing,
  card: nothing,
  circle: nothing,
  reach: nothing,
  startCard: nothing,
  lostAt: null,
  mapTrouble: null,
  tilesBusy: false,
};

type Key = keyof State;
const listeners: { keys: readonly Key[]; run: () => void }[] = [];
const changed = new Set<Key>();

export function get(): Readonly<State> {
  return state;
}

/** Run now and whenever one of these changes. */
export function follow(keys: readonly Key[], run: () => void): void {
  listeners.push({ keys, run });
  run();
}

/** Run whenever one of these changes. */
export function watch(keys: readonly Key[], run: () => void): void {
  listeners.push({ keys, run });
}

function tell(): void {
  const now = new Set(changed);
  changed.clear();
  for (const { keys, run } of listeners) if (keys.some((key) => now.has(key))) run();
}

/** What holds before anybody follows. */
export function begin(patch: Partial<State>): void {
  Object.assign(state, patch);
}

/** Change something; who follows it hears once, however many changes one event makes. */
export function update(patch: Partial<State>): void {
  if (changed.size === 0) queueMicrotask(tell);
  for (const key of Object.keys(patch) as Key[]) {
    if (state[key] !== patch[key]) changed.add(key);
  }
  Object.assign(state, patch);
}

/** Layers that are drawn until the reader chooses: all with rows but the grid of people. */
export function defaultLayers(overview: Overview): Set<string> {
  const drawn = overview.layers.filter(({ role }) => role !== 'population');
  return new Set(drawn.map(({ id }) => id));
}

/** The layers that are drawn. */
export function visibleLayers(): ReadonlySet<string> {
  const known = state.overview.data;
  return state.visible ?? (known ? defaultLayers(known) : new Set());
}

export function zone(): string {
  return state.overview.data?.city?.time_zone ?? 'Asia/Shanghai';
}
