/** Words of the field that several panels say. */

import { getLang, t } from './i18n';
import { minutes, people } from './format';
import type { LayerInfo, LevelKey } from './types';

export function levelWord(level: LevelKey): string {
  switch (level) {
    case '1':
      return t('level.major');
    case '2':
      return t('level.serious');
    case '3':
      return t('level.general');
    case '4':
      return t('level.low');
    case 'null':
      return t('level.none');
  }
}

/** The level of a property; what is no level is not assessed. */
export function levelOf(value: unknown): LevelKey {
  return value === 1 || value === 2 || value === 3 || value === 4 ? (`${value}` as LevelKey) : 'null';
}

/** Groups of the layer list, by declared role. */
export type Group = 'hazards' | 'resources' | 'context';

export function groupOf(layer: LayerInfo): Group {
  switch (layer.role) {
    case 'hazard':
    case 'source':
    case 'enterprise':
      return 'hazards';
    case 'shelter':
    case 'team':
    case 'depot':
      return 'resources';
    default:
      return 'context';
  }
}

/** Points before areas before lines, and teams before shelters before depots. */
export function inOrder(layers: LayerInfo[]): LayerInfo[] {
  const resources = ['team', 'shelter', 'depot'];
  const rank = ({ role, cluster, by_risk_level }: LayerInfo) =>
    resources.includes(role) ? resources.indexOf(role) : cluster ? 0 : by_risk_level ? 1 : 2;
  return [...layers].sort((a, b) => rank(a) - rank(b));
}

/** Units as the other language writes them. */
const UNITS_EN: Record<string, string> = {
  人: 'people',
  户: 'households',
  年: 'a',
  万元: '×10,000 yuan',
  'm²/人': 'm² a person',
};

export function unit(name: string): string {
  return getLang() === 'en' ? (UNITS_EN[name] ?? name) : name;
}

/** 17.4 分, or that nobody comes. */
export function arrival(seconds: number | null): string {
  return seconds === null ? t('arrival.none') : t('arrival.minutes', { n: minutes(seconds) });
}

/** 威胁 126 人 */
export function threatened(number: number | null): string | null {
  return number === null ? null : t('threatened', { n: people(number) });
}
