/** Charts as SVG, each with its figures as a table for those who cannot see it. */

import { h, s } from '../dom';
import { count, people, signed } from '../format';
import { nameOf, t } from '../i18n';
import { type DivisionInfo, LEVELS } from '../types';
import { levelWord } from '../words';

/** Share of the people of a division whom its shelters should hold. */
export const NEED_SHARE = 0.15;

/** Bars are drawn in a box this wide and stretched to the column's width. */
const WIDE = 1000;
const BAR = 14;
const NEED = 20;

function bar(high: number, ...children: SVGElement[]): SVGElement {
  return s(
    'svg',
    { class: 'bar', viewBox: `0 0 ${WIDE} ${high}`, preserveAspectRatio: 'none', 'aria-hidden': 'true' },
    children,
  );
}

function rect(x: number, width: number, colour: string, y = 0, high = BAR): SVGElement {
  return s('rect', { x, y, width: Math.max(0, width), height: high, class: colour });
}

function total(division: DivisionInfo): number {
  return LEVELS.reduce((sum, level) => sum + division.levels[level], 0);
}

/** A stacked bar of levels for each division, those with the most 重大 first. */
export function levelBars(divisions: DivisionInfo[], most: number): HTMLElement {
  const ordered = [...divisions].sort(
    (a, b) => b.levels['1'] - a.levels['1'] || b.levels['2'] - a.levels['2'],
  );
  const widest = Math.max(1, ...divisions.map(total));
  const rows = ordered.slice(0, most).map((division) => {
    let at = 0;
    const parts = LEVELS.map((level) => {
      const width = (WIDE * division.levels[level]) / widest;
      const piece = rect(at, width - 3, `fill-level-${level}`);
      at += width;
      return piece;
    });
    return h(
      'tr',
      {},
      h('th', { scope: 'row' }, nameOf(division, division.code)),
      h('td', { class: 'wide', 'aria-hidden': 'true' }, bar(BAR, ...parts)),
      LEVELS.map((level) => h('td', { class: 'unseen' }, count(division.levels[level]))),
      h('td', { class: 'number' }, count(total(division))),
    );
  });
  return h(
    'table',
    { class: 'bars' },
    h('caption', { class: 'unseen' }, t('stats.levels')),
    h(
      'thead',
      { class: 'unseen' },
      h(
        'tr',
        {},
        h('th', { scope: 'col' }, t('stats.division')),
        h('td', { 'aria-hidden': 'true' }),
        LEVELS.map((level) => h('th', { scope: 'col' }, levelWord(level))),
        h('th', { scope: 'col' }, t('stats.total')),
      ),
    ),
    h('tbody', {}, rows),
  );
}

/** Free places beside the need of each division; the mark is the need, the figure what is over. */
export function capacityBars(divisions: DivisionInfo[], most: number): HTMLElement {
  const known = divisions.map((division) => ({
    division,
    need: division.population === null ? null : Math.round(NEED_SHARE * division.population),
  }));
  const over = ({ division, need }: (typeof known)[number]) =>
    need === null ? null : division.capacity - need;
  const ordered = [...known].sort((a, b) => (over(a) ?? Infinity) - (over(b) ?? Infinity));
  const widest = Math.max(1, ...known.map(({ division, need }) => Math.max(division.capacity, need ?? 0)));
  const rows = ordered.slice(0, most).map((one) => {
    const { division, need } = one;
    const parts = [
      s('rect', { x: 0, y: 4, width: WIDE, height: BAR, class: 'trough' }),
      rect(0, (WIDE * division.capacity) / widest, 'capacity', 4),
    ];
    if (need !== null) parts.push(rect(Math.min((WIDE * need) / widest, WIDE - NEED), NEED, 'need', 0, BAR + 8));
    return h(
      'tr',
      {},
      h('th', { scope: 'row' }, nameOf(division, division.code)),
      h('td', { class: 'wide', 'aria-hidden': 'true' }, bar(BAR + 8, ...parts)),
      h('td', { class: 'unseen' }, people(division.capacity)),
      h('td', { class: 'unseen' }, people(need)),
      h('td', { class: 'number' }, signed(over(one))),
    );
  });
  return h(
    'table',
    { class: 'bars' },
    h('caption', { class: 'unseen' }, t('stats.capacity')),
    h(
      'thead',
      { class: 'unseen' },
      h(
        'tr',
        {},
        h('th', { scope: 'col' }, t('stats.division')),
        h('td', { 'aria-hidden': 'true' }),
        h('th', { scope: 'col' }, t('stats.capacity.have')),
        h('th', { scope: 'col' }, t('stats.capacity.need')),
        h('th', { scope: 'col' }, t('stats.capacity.over')),
      ),
    ),
    h('tbody', {}, rows),
  );
}

/** What the marks of `capacityBars` mean. */
export function capacityKey(): HTMLElement {
  const swatch = (colour: string, width: number) =>
    s('svg', { width, height: 14, 'aria-hidden': 'true' }, rect(0, width, colour));
  return h(
    'p',
    { class: 'key', 'aria-hidden': 'true' },
    swatch('capacity', 8),
    ` ${t('stats.capacity.have')}　`,
    swatch('need', 3),
    ` ${t('stats.capacity.need')}`,
  );
}

/** The next round number at or above: 1, 2 or 5 times a power of ten. */
function roundUp(value: number): number {
  const power = 10 ** Math.floor(Math.log10(Math.max(1, value)));
  return ([1, 2, 5, 10].find((k) => k * power >= value) ?? 10) * power;
}

/** People reached by the minute after the alarm, labelled where the bands end. */
export function curve(byMinute: number[], labelled: number[], wide: number): HTMLElement {
  const [left, right, top, bottom, high] = [58, 26, 22, 26, 156];
  const last = Math.max(1, byMinute.length - 1);
  const most = roundUp(Math.max(...byMinute, 1));
  const x = (minute: number) => left + ((wide - left - right) * minute) / last;
  const y = (value: number) => top + (high - top - bottom) * (1 - value / most);
  const points = byMinute.map((value, minute) => `${x(minute).toFixed(1)},${y(value).toFixed(1)}`);
  const lines = [0, 0.5, 1].map((share) =>
    s(
      'g',
      {},
      s('line', { x1: left, x2: wide - right, y1: y(share * most), y2: y(share * most), class: 'grid' }),
      s('text', { x: left - 6, y: y(share * most) + 4, class: 'axis end' }, people(share * most)),
    ),
  );
  const marks = labelled
    .filter((minute) => minute <= last)
    .map((minute) => {
      const value = byMinute[minute] ?? 0;
      const near = minute === last ? 'end' : minute < last / 2 ? '' : 'middle';
      return s(
        'g',
        {},
        s('line', { x1: x(minute), x2: x(minute), y1: y(value), y2: y(0), class: 'drop' }),
        s('circle', { cx: x(minute), cy: y(value), r: 4, class: 'dot' }),
        s('text', { x: x(minute) + (near === 'end' ? 6 : 0), y: y(value) - 9, class: `value ${near || 'middle'}` }, people(value)),
        s('text', { x: x(minute), y: high - 8, class: 'axis middle' }, String(minute)),
      );
    });
  return h(
    'figure',
    { class: 'curve' },
    s(
      'svg',
      { viewBox: `0 0 ${wide} ${high}`, width: '100%', role: 'img', 'aria-label': t('circle.curve') },
      lines,
      s('text', { x: left, y: high - 8, class: 'axis middle' }, t('circle.minute0')),
      s('polyline', { points: points.join(' '), class: 'line' }),
      marks,
    ),
    h(
      'table',
      { class: 'unseen' },
      h('caption', {}, t('circle.curve')),
      h('tr', {}, h('th', { scope: 'col' }, t('circle.minute')), h('th', { scope: 'col' }, t('circle.people'))),
      byMinute.map((value, minute) => h('tr', {}, h('td', {}, String(minute)), h('td', {}, people(value)))),
    ),
  );
}
