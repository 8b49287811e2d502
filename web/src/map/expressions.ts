/** Expressions that several layers share. */

import type { ExpressionSpecification, FilterSpecification } from 'maplibre-gl';

import { levelColour, tokens } from '../tokens';
import { LEVELS, type Lang, type LevelKey, type Theme } from '../types';

export type Expression = ExpressionSpecification;

/** The level of a feature as a key; a tile leaves null out. */
export const LEVEL: Expression = ['to-string', ['coalesce', ['get', 'risk_level'], 'null']];

/** One value for each level. */
export function byLevel<T extends string | number>(value: (level: LevelKey) => T): Expression {
  const pairs = LEVELS.slice(0, -1).flatMap((level) => [level, value(level)]);
  return ['match', LEVEL, ...pairs, value('null')] as unknown as Expression;
}

export function levelColours(theme: Theme): Expression {
  return byLevel((level) => levelColour(theme, level));
}

/** Edge of an area: 未评估 in the ink of its dashes, as its own grey is too pale. */
export function levelEdges(theme: Theme): Expression {
  return byLevel((level) => (level === 'null' ? tokens[theme].ink2 : levelColour(theme, level)));
}

export function inLevels(levels: Iterable<LevelKey>): Expression {
  return ['in', LEVEL, ['literal', [...levels]]];
}

export function geometryIs(...types: ('Point' | 'LineString' | 'Polygon')[]): Expression {
  return ['in', ['geometry-type'], ['literal', types.flatMap((type) => [type, `Multi${type}`])]];
}

export function all(...filters: Expression[]): FilterSpecification {
  return ['all', ...filters] as FilterSpecification;
}

/** Drawn later lies on top: 重大 last. */
export const DANGER_ORDER: Expression = byLevel((level) =>
  level === 'null' ? 0 : 5 - Number(level),
);

/** The name in the reader's language. */
export function nameIn(lang: Lang): Expression {
  return lang === 'en'
    ? ['coalesce', ['get', 'name_en'], ['get', 'name'], '']
    : ['coalesce', ['get', 'name'], ['get', 'name_en'], ''];
}

/** A zoom-interpolated number: [zoom, value, zoom, value, ...]. */
export function byZoom(base: number, ...stops: (number | Expression)[]): Expression {
  return ['interpolate', ['exponential', base], ['zoom'], ...stops] as unknown as Expression;
}
