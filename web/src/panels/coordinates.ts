/** Read what people type as coordinates. */

import { t } from '../i18n';
import type { Box, LonLat } from '../types';

function within([west, south, east, north]: Box, [lon, lat]: LonLat): boolean {
  return lon >= west && lon <= east && lat >= south && lat <= north;
}

/** The place, or a sentence on what is wrong with it. */
export function coordinates(text: string, city: Box | null): LonLat | string {
  const numbers = text
    .trim()
    .split(/[\s,，;；、]+/)
    .filter(Boolean)
    .map(Number);
  const [lon, lat] = numbers;
  if (numbers.length !== 2 || lon === undefined || lat === undefined || !numbers.every(Number.isFinite)) {
    return t('go.form');
  }
  const place: LonLat = [lon, lat];
  const swapped: LonLat = [lat, lon];
  const world: Box = [-180, -90, 180, 90];
  const inside = (at: LonLat) => within(city ?? world, at);
  if (inside(place)) return place;
  if (inside(swapped)) return t('go.swapped');
  if (!within(world, place)) return within(world, swapped) ? t('go.swapped') : t('go.world');
  return t('go.outside', { box: (city ?? world).join(', ') });
}
