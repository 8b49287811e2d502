/** The paths that symbols are made of, in a box of 24 by 24. */

import type { LevelKey } from '../types';

const CIRCLE = 'M12 2.6a9.4 9.4 0 1 1 0 18.8 9.4 9.4 0 1 1 0-18.8z';

/** Outline of each level and its scale: the more dangerous, the larger. */
export const LEVEL_SHAPES: Record<LevelKey, { d: string; scale: number }> = {
  '1': { d: 'M8 2h8l6 6v8l-6 6H8l-6-6V8z', scale: 1.15 },
  '2': { d: 'M12 1.2 22.8 12 12 22.8 1.2 12z', scale: 1.08 },
  '3': { d: 'M12 2.2 23 21.2H1z', scale: 1 },
  '4': { d: CIRCLE, scale: 0.86 },
  null: { d: CIRCLE, scale: 0.84 },
};

/** What stands on a level's shape, filled with the glyph's colour. */
export const HAZARD_GLYPHS: Record<string, string> = {
  geohazard:
    'M6.4 17.4h11.2L9.4 7.6z' +
    'M14.3 7.4a1.3 1.3 0 1 1 0 2.6 1.3 1.3 0 1 1 0-2.6z' +
    'M16.9 10.9a1.1 1.1 0 1 1 0 2.2 1.1 1.1 0 1 1 0-2.2z',
  flask: 'M10.2 6.2h3.6v4l4 7.6H6.2l4-7.6z',
  enterprise: 'M6.4 17.4v-7l3.8 2.3v-2.3l3.8 2.3V6.8h3.4v10.6z',
  risk: 'M10.7 6.6h2.6l-.5 7h-1.6zM12 14.9a1.35 1.35 0 1 1 0 2.7 1.35 1.35 0 1 1 0-2.7z',
};

/** Glyphs that are drawn with a line; floods are areas on the map, marks only in lists. */
export const HAZARD_LINES: Record<string, string> = {
  'flash-flood': 'M8 10.4 12 7l4 3.4M6.4 14.4q1.4-1.8 2.8 0t2.8 0 2.8 0 2.8 0M7.4 17.4q1.2-1.5 2.3 0t2.3 0 2.3 0 2.3 0',
  'flood-impact': 'M6.4 11q1.4-1.8 2.8 0t2.8 0 2.8 0 2.8 0M6.4 14.2q1.4-1.8 2.8 0t2.8 0 2.8 0 2.8 0M7.4 17.4q1.2-1.5 2.3 0t2.3 0 2.3 0 2.3 0',
};

/** Square with a radius of 5.5: everything that helps. */
export const SQUARE =
  'M7 1.5h10a5.5 5.5 0 0 1 5.5 5.5v10a5.5 5.5 0 0 1-5.5 5.5H7a5.5 5.5 0 0 1-5.5-5.5V7A5.5 5.5 0 0 1 7 1.5z';

/** Glyphs on the square: filled parts, and lines in the square's colour cut into them. */
export const RESOURCE_GLYPHS: Record<string, { fill: string; cut: string }> = {
  shelter: { fill: 'M12 4.6 20 11.6h-2.2v7.2h-3.9v-4.6h-3.8v4.6H6.2v-7.2H4z', cut: '' },
  team: {
    fill: 'M12 4.2l6.8 2.1v5.4c0 4-2.7 6.6-6.8 8.1-4.1-1.5-6.8-4.1-6.8-8.1V6.3z',
    cut: 'M8.6 11.9l2.5 2.5 4.4-4.7',
  },
  depot: {
    fill: 'M12 4l7.2 3.7v8.6L12 20l-7.2-3.7V7.7z',
    cut: 'M5.4 8.2 12 11.5l6.6-3.3M12 11.5v7.7',
  },
};

/** A slash from corner to corner of the square. */
export const SLASH = 'M4.2 19.8 19.8 4.2';

/** Ring of a place that nobody reaches in time, 24 box as all others. */
export const RING = CIRCLE;
