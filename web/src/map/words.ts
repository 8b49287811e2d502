/** The catalogue's words as expressions: the number in them is known to the tile only. */

import { t } from '../i18n';
import type { Expression } from './expressions';

/** A text whose `{n}` is an expression. */
export function worded(key: string, n: Expression): Expression {
  // No text holds this character, so it marks the place of the number.
  const [before = '', after = ''] = t(key, { n: '\u0000' }).split('\u0000');
  return ['concat', before, n, after];
}
