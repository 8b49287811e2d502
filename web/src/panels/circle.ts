/** The response circle: who and what is inside each band, and who reaches its middle. */

import { h } from '../dom';
import { MISSING, clock, count, lonLat, minutes, people, revision } from '../format';
import { getLang, listed, nameOf, other, t } from '../i18n';
import { loadStart } from '../load';
import { COVERED_MINUTES, type Start, get } from '../state';
import { mark } from '../symbols';
import type { Arrival, Circle, Inside, LayerInfo, Uncovered } from '../types';
import { groupOf, inOrder } from '../words';
import { back, select, show } from './actions';
import { layerTitle, symbolOf, uncoveredRow } from './attention';
import { cardName } from './card';
import { curve } from './charts';
import { busyBar, closeButton, link, section, trouble, twin } from './pieces';

/** Arrivals and uncovered places before the reader asks for all. */
const FIRST_ARRIVALS = 8;
const FIRST_UNCOVERED = 3;
let allArrivals = false;

function head(start: Start): HTMLElement {
  const card = get().startCard.data;
  const fields = card?.collection.fields ?? [];
  const words = ['kind', 'duty_status'].map((name) => {
    const value = card?.item.properties[name];
    return fields.find((field) => field.name === name)?.values?.find(({ code }) => code === value)?.label;
  });
  const crew = card?.item.properties.personnel;
  return h(
    'header',
    { class: 'head' },
    start.team ? h('span', { class: 'mark' }, mark(symbolOf(start.team.layer), undefined, 36)) : null,
    h(
      'div',
      {},
      h('h2', {}, card ? cardName(card) : t('circle.place')),
      h(
        'p',
        {},
        [
          ...words,
          typeof crew === 'number' ? t('circle.crew', { n: count(crew) }) : null,
          start.team ? null : lonLat(start.at),
        ]
          .filter(Boolean)
          .join(' · '),
      ),
    ),
    closeButton(() => back()),
  );
}

/** 接警 + 出动 + 行驶, to scale, of the widest band. */
function phasesBar(circle: Circle): HTMLElement {
  const { call_handling_s, turnout_s, setup_s } = circle.phases;
  const travel = circle.features[0]?.properties.travel_s ?? 0;
  const pieces: [string, string, number][] = [
    ['call', t('circle.call'), call_handling_s],
    ['turnout', t('circle.turnout'), turnout_s],
    ['travel', t('circle.travel'), travel],
    ['setup', t('circle.setup'), setup_s],
  ];
  const bar = h(
    'ul',
    { class: 'phases' },
    pieces
      .filter(([, , seconds]) => seconds > 0)
      .map(([name, word, seconds]) =>
        h(
          'li',
          { class: name, 'data-s': seconds },
          `${word} ${name === 'travel' ? '≤ ' : ''}${clock(seconds)}`,
          name === 'travel' ? ` · ${profile(circle.profile)}` : null,
        ),
      ),
  );
  // To scale, but wide enough for the words.
  for (const piece of bar.children) {
    (piece as HTMLElement).style.flexGrow = (piece as HTMLElement).dataset.s ?? '1';
  }
  return bar;
}

/** How a journey is made, in words where the profile is one of ours. */
function profile(name: string): string {
  switch (name) {
    case 'emergency':
      return t('profile.emergency');
    case 'ordinary':
      return t('profile.ordinary');
    case 'motorcycle':
      return t('profile.motorcycle');
    case 'walk':
      return t('profile.walk');
    default:
      return name;
  }
}

/** Differences of nested disks: what is in each band and in none before it. */
function rings(disks: (number | undefined)[]): number[] {
  const known = disks.map((value) => value ?? 0);
  return [...known.map((value, i) => value - (known[i - 1] ?? 0)), known.at(-1) ?? 0];
}

function bands(circle: Circle): HTMLElement {
  const disks = [...circle.features].reverse();
  const layers = inOrder(get().overview.data?.layers ?? []);
  const inside = (layer: LayerInfo): Inside[] =>
    disks.map(({ properties }) => properties.layers[layer.id] ?? { count: 0 });
  const total = disks.at(-1)?.properties.people ?? 0;
  // Chinese readers count large numbers in 万, and then all figures of the line.
  const inWan = getLang() === 'zh' && total >= 10_000;
  const person = (value: number) => (inWan ? (value / 10_000).toFixed(1) : count(Math.round(value)));
  const row = (name: string, values: string[]) =>
    h(
      'tr',
      {},
      h('th', { scope: 'row' }, name),
      values.map((value) => h('td', { class: 'number' }, value)),
    );
  const counted = layers.filter((layer) => disks.some(({ properties }) => layer.id in properties.layers));
  return h(
    'table',
    { class: 'plain bands' },
    h('caption', { class: 'unseen' }, t('circle.inside')),
    h(
      'thead',
      {},
      h(
        'tr',
        {},
        h('td', {}),
        disks.map(({ properties }, i) => {
          const from = disks[i - 1]?.properties.minutes;
          return h(
            'th',
            { scope: 'col', class: 'number' },
            h('span', { class: `swatch band-${properties.minutes}` }),
            ` ${from === undefined ? `≤${properties.minutes}` : `${from}–${properties.minutes}`}`,
          );
        }),
        h('th', { scope: 'col', class: 'number' }, t('circle.total')),
      ),
    ),
    h(
      'tbody',
      {},
      row(
        inWan ? t('circle.people.wan') : t('circle.people'),
        rings(disks.map(({ properties }) => properties.people)).map(person),
      ),
      counted
        .filter((layer) => groupOf(layer) === 'hazards')
        .map((layer) => row(layerTitle(layer.id), rings(inside(layer).map((one) => one.count)).map(count))),
      counted
        .filter((layer) => groupOf(layer) === 'resources')
        .flatMap((layer) => {
          const lines = [row(layerTitle(layer.id), rings(inside(layer).map((one) => one.count)).map(count))];
          if (inside(layer).some((one) => one.free !== undefined)) {
            const free = rings(inside(layer).map((one) => one.free));
            lines.push(row(t('circle.free', { layer: layerTitle(layer.id) }), free.map(count)));
          }
          return lines;
        }),
    ),
  );
}

function arrivalRow(team: Arrival, order: number | null): HTMLElement {
  const { call_handling_s, turnout_s, travel_s, setup_s } = team.phases;
  const phases = [
    `${t('circle.call')} ${clock(call_handling_s)}`,
    `${t('circle.turnout')} ${clock(turnout_s)}`,
    `${t('circle.travel')} ${clock(travel_s)}`,
    setup_s > 0 ? `${t('circle.setup')} ${clock(setup_s)}` : null,
  ];
  return h(
    'li',
    {},
    h(
      'button',
      {
        type: 'button',
        class: 'item',
        'data-focus': `arrival-${team.layer}:${team.id}`,
        onclick: () => select(team, [team.lon, team.lat], true),
      },
      h('span', { class: 'order' }, order === null ? '' : String(order)),
      h(
        'span',
        { class: 'what' },
        h('b', {}, nameOf(team, t('unnamed', { id: team.id }))),
        h('span', {}, phases.filter(Boolean).join(' + ')),
      ),
      h(
        'span',
        { class: 'side' },
        h('b', {}, t('arrival.minutes', { n: minutes(team.arrival_s) })),
        h('span', {}, team.personnel === null ? '' : t('circle.crew', { n: count(team.personnel) })),
      ),
    ),
  );
}

function arrivals(redraw: () => void): HTMLElement {
  const { reach } = get();
  const teams = reach.data?.teams ?? [];
  const away = reach.data?.unavailable ?? [];
  const shown = allArrivals ? teams : teams.slice(0, FIRST_ARRIVALS);
  return section(
    twin(t('circle.reach', { minutes: COVERED_MINUTES }), other('circle.reach', { minutes: COVERED_MINUTES })),
    busyBar(reach.busy),
    trouble(reach, loadStart),
    reach.data && teams.length === 0
      ? h('p', { class: 'empty' }, t('circle.reach.none', { minutes: COVERED_MINUTES }))
      : null,
    h('ol', { class: 'items' }, shown.map((team, i) => arrivalRow(team, i + 1))),
    shown.length < teams.length
      ? h(
          'p',
          { class: 'more' },
          link(
            t('circle.reach.all', { n: count(teams.length) }),
            () => {
              allArrivals = true;
              redraw();
            },
            'all-arrivals',
          ),
        )
      : null,
    away.length > 0
      ? h(
          'details',
          { class: 'away' },
          h('summary', { 'data-focus': 'away' }, t('circle.away', { n: count(away.length) })),
          h('ul', { class: 'items' }, away.map((team) => arrivalRow(team, null))),
        )
      : null,
  );
}

/** The uncovered places that lie nearest, by plain distance: enough to choose which to show. */
function nearest(places: Uncovered[], [lon, lat]: [number, number]): Uncovered[] {
  const shrink = Math.cos((lat * Math.PI) / 180);
  const far = (place: Uncovered) => Math.hypot((place.lon - lon) * shrink, place.lat - lat);
  return [...places].sort((a, b) => far(a) - far(b)).slice(0, FIRST_UNCOVERED);
}

function uncovered(start: Start): HTMLElement | null {
  const { data } = get().coverage;
  if (!data || data.uncovered.length === 0) return null;
  return section(
    twin(t('circle.uncovered', { minutes: COVERED_MINUTES }), other('circle.uncovered', { minutes: COVERED_MINUTES })),
    h('ul', { class: 'items' }, nearest(data.uncovered, start.at).map((place) => uncoveredRow(place, true))),
    h(
      'p',
      { class: 'more' },
      link(t('attention.all', { n: count(data.uncovered_count) }), () => show('overview'), 'uncovered-all'),
    ),
  );
}

function method(circle: Circle): HTMLElement {
  const ways = circle.method === 'network_free_flow' ? t('method.free_flow') : circle.method;
  return h(
    'p',
    { class: 'method' },
    t('circle.method', {
      method: ways,
      profile: profile(circle.profile),
      speeds: listed(circle.speed_source) || MISSING,
      network: revision(circle.network_revision),
      phases: circle.phases.source,
    }),
  );
}

export function circlePanel(redraw: () => void): (Node | null)[] {
  const { start, circle } = get();
  if (!start) {
    return [h('header', { class: 'head' }, h('h2', {}, t('view.circle'))), h('p', { class: 'empty' }, t('circle.how'))];
  }
  const { data } = circle;
  const widest = data?.features[0]?.properties;
  return [
    head(start),
    busyBar(circle.busy),
    trouble(circle, loadStart),
    data && section(twin(t('circle.phases'), other('circle.phases')), phasesBar(data)),
    data && section(twin(t('circle.inside'), other('circle.inside')), bands(data)),
    data &&
      section(
        twin(t('circle.curve'), other('circle.curve')),
        curve(data.people_by_minute, data.features.map(({ properties }) => properties.minutes), 384),
      ),
    data && widest
      ? h(
          'p',
          { class: 'unseen', 'aria-live': 'polite' },
          t('circle.said', { minutes: widest.minutes, people: people(widest.people) }),
        )
      : null,
    circle.problem === null ? arrivals(redraw) : null,
    uncovered(start),
    data && method(data),
  ];
}
