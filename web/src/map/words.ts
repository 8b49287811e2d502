/** The few words that the map itself writes, in its own language and not the panels'. */
import type { Lang } from '../types';

export function freePlaces(lang: Lang): string {
  return lang === 'zh' ? '空余' : 'Free';
}

export function minutesLabel(lang: Lang, minutes: number): string {
  return lang === 'zh' ? `${minutes} 分钟` : `${minutes} min`;
}
