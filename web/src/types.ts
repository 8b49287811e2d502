/** What the service answers and what the parts of the page say to each other. */

import type { Feature, FeatureCollection, MultiPolygon } from 'geojson';

export type Lang = 'zh' | 'en';
export type Theme = 'light' | 'dark';
/** Risk levels as keys: 1 重大 … 4 低; 'null' is 未评估, which is never low. */
export type LevelKey = '1' | '2' | '3' | '4' | 'null';
export const LEVELS: readonly LevelKey[] = ['1', '2', '3', '4', 'null'];
export type Levels = Record<LevelKey, number>;
export type LonLat = [number, number];
export type Box = [number, number, number, number];
export type View = 'overview' | 'circle';

export interface Both {
  zh: string;
  en: string;
}

export interface City {
  name: string;
  name_en: string | null;
  bbox: Box;
  synthetic: boolean;
  time_zone: string;
}

export interface LayerInfo {
  id: string;
  title: Both;
  role: string;
  geometry: string;
  symbol: string;
  by_risk_level: boolean;
  cluster: boolean;
  min_zoom: number;
  count: number;
  levels: Levels | null;
  people: number | null;
  revision: number | null;
  updated_at: string | null;
}

export interface DivisionInfo {
  code: string;
  name: string;
  name_en: string | null;
  population: number | null;
  levels: Levels;
  capacity: number;
}

export interface Overview {
  as_of: string;
  city: City | null;
  hint: string | null;
  extent: Box | null;
  layers: LayerInfo[];
  shelters: {
    count: number;
    by_status: Record<string, number>;
    capacity: number;
    occupancy: number;
    free: number;
  };
  teams: { count: number; personnel: number; by_status: Record<string, number> };
  divisions: DivisionInfo[];
  roads: { edges: number; km: number; revision: string } | null;
  /** Where tiles may be read instead of at the service, and of which schema they must be. */
  archive: { url: string; schema: string } | null;
  /** That archive, once the page has opened it: all tiles come from there. */
  opened?: Archive | null;
}

/** An archive of tiles that the page reads. */
export interface Archive {
  url: string;
  maxZoom: number;
  generatedAt: string;
  revision: number;
}

export interface Covered {
  count: number;
  covered: number;
}

export interface Uncovered {
  layer: string;
  id: number;
  name: string | null;
  name_en: string | null;
  risk_level: 1 | 2;
  lon: number;
  lat: number;
  people: number | null;
  arrival_s: number | null;
  team: { layer: string; id: number; name: string | null; name_en: string | null } | null;
}

export interface Coverage {
  minutes: number;
  teams: { available: number; away: number };
  total: Covered;
  major: Covered;
  population: Covered;
  layers: Record<string, Covered & { by_risk_level: Record<LevelKey, Covered> }>;
  uncovered: Uncovered[];
  uncovered_count: number;
  method: string;
  network_revision: string;
  /** The roads were changed: a newer revision is being prepared. */
  network_pending: boolean;
  speed_source: string[];
}

export interface Inside {
  count: number;
  by_risk_level?: Levels;
  people?: number;
  people_unknown?: number;
  free?: number;
}

export interface BandProperties {
  minutes: number;
  travel_s: number;
  area_km2: number;
  people: number;
  layers: Record<string, Inside>;
}

export interface Phases {
  kind: string;
  call_handling_s: number;
  turnout_s: number;
  setup_s: number;
  source: string;
}

/** Bands are whole disks, the widest first. */
export interface Circle extends FeatureCollection<MultiPolygon, BandProperties> {
  features: Feature<MultiPolygon, BandProperties>[];
  method: string;
  profile: string;
  phases: Phases;
  people_by_minute: number[];
  starts: { lon: number; lat: number; snapped: LonLat; snap_distance_m: number }[];
  network_revision: string;
  /** The roads were changed: a newer revision is being prepared. */
  network_pending: boolean;
  speed_source: string[];
}

export interface Arrival {
  layer: string;
  id: number;
  name: string | null;
  name_en: string | null;
  kind: string | null;
  personnel: number | null;
  lon: number;
  lat: number;
  arrival_s: number;
  phases: { call_handling_s: number; turnout_s: number; travel_s: number; setup_s: number };
}

export interface Reach {
  minutes: number;
  teams: Arrival[];
  unavailable: Arrival[];
}

/** A feature on the map: which, where, and what its tile told of it. */
export interface Picked {
  layer: string;
  id: number;
  at: LonLat;
  properties: Record<string, unknown>;
}

export interface MapOptions {
  lang: Lang;
  theme: Theme;
  visible: ReadonlySet<string>;
  levels: ReadonlySet<LevelKey>;
  /** Where to start: a camera from the URL, else the city's extent. */
  camera: { center: LonLat; zoom: number } | null;
  reducedMotion: boolean;
}

export interface MapEvents {
  /** Features under a click, the most dangerous first; empty: bare ground. */
  onPick(found: Picked[], at: LonLat): void;
  onMove(center: LonLat, zoom: number, bounds: Box): void;
  onPointer(at: LonLat | null): void;
  /** All tiles in view are here (true) or still coming. */
  onIdle(idle: boolean): void;
  /** Something the reader should know; null: it works again. */
  onTrouble(trouble: 'tiles' | 'webgl' | null): void;
}

/** The map as the panels know it. */
export interface MapView {
  setTheme(theme: Theme): void;
  setLang(lang: Lang): void;
  setVisible(layers: ReadonlySet<string>): void;
  setLevels(levels: ReadonlySet<LevelKey>): void;
  /** Draw bands with veil, minute labels and the start's mark; null takes them away. */
  showCircle(circle: Circle | null): void;
  /** Dashed rings around what nobody reaches in time. */
  showUncovered(places: Uncovered[]): void;
  /** Ring around the selected feature with a name beside it. */
  select(place: { at: LonLat; label: string } | null): void;
  flyTo(at: LonLat, zoom?: number): void;
  fit(box: Box): void;
  home(): void;
  zoomBy(steps: number): void;
  resize(): void;
}
