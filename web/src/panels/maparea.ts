/** Around the map: buttons, legend, and a sentence where something is not as it should be. */

import { fill, h, part } from '../dom';
import { hour } from '../format';
import { both, t } from '../i18n';
import { follow, get, visibleLayers, zone } from '../state';
import { clusterMark, levelMark, mark, ringMark } from '../symbols';
import { LEVELS } from '../types';
import { groupOf, inOrder, levelWord } from '../words';
import { theMap } from './actions';

/** Up to this zoom the service answers with clusters. */
const CLUSTERED_BELOW_ZOOM = 12;

function button(sign: string, word: string, act: () => void, focus: string): HTMLElement {
  return h(
    'button',
    { type: 'button', 'aria-label': word, title: word, onclick: act, 'data-focus': focus },
    sign,
  );
}

function drawButtons(): void {
  part('map-buttons').hidden = get().mapTrouble === 'webgl';
  part('map-buttons').setAttribute('aria-label', t('map.buttons'));
  fill(
    part('map-buttons'),
    button('＋', t('map.in'), () => theMap()?.zoomBy(1), 'in'),
    button('－', t('map.out'), () => theMap()?.zoomBy(-1), 'out'),
    button('⌂', t('map.home'), () => theMap()?.home(), 'home'),
  );
}

function entry(symbol: Node, word: string): HTMLElement {
  return h('li', {}, symbol, h('span', {}, word));
}

function drawLegend(): void {
  const { overview, levels, view, camera, coverage } = get();
  const visible = visibleLayers();
  const resources = inOrder(overview.data?.layers ?? []).filter(
    (layer) => groupOf(layer) === 'resources' && visible.has(layer.id),
  );
  const circle = view === 'circle' && get().circle.data !== null;
  const clustered = camera !== null && camera.zoom < CLUSTERED_BELOW_ZOOM;
  const swatch = (minutes: number) => h('span', { class: `swatch band-${minutes}` });
  part('legend').setAttribute('aria-label', t('legend'));
  fill(
    part('legend'),
    LEVELS.filter((level) => levels.has(level)).map((level) => entry(levelMark(level, 20), levelWord(level))),
    clustered ? entry(clusterMark(24), t('legend.cluster')) : null,
    h('li', { class: 'gap', 'aria-hidden': 'true' }),
    circle
      ? [
          entry(h('span', { class: 'edge' }), t('legend.edge')),
          entry(swatch(5), '≤5'),
          entry(swatch(10), '5–10'),
          entry(swatch(15), '10–15'),
          coverage.data ? entry(ringMark(20), t('legend.uncovered')) : null,
        ]
      : resources.map((layer) => entry(mark(layer.symbol, undefined, 20), both(layer.title))),
  );
}

/** The one sentence that matters most now. */
function sentence(): string | null {
  const { overview, lostAt, mapTrouble } = get();
  if (lostAt !== null) {
    const at = hour(lostAt, zone());
    return overview.data ? t('trouble.lost.since', { at }) : t('trouble.lost.start', { at });
  }
  if (overview.problem !== null) return overview.problem;
  if (overview.data?.hint) return overview.data.hint;
  if (mapTrouble === 'webgl') return t('trouble.webgl');
  if (mapTrouble === 'tiles') return t('trouble.tiles');
  if (overview.data && overview.data.roads === null) return t('trouble.roads');
  return null;
}

function drawNotice(): void {
  const text = sentence();
  const notice = part('notice');
  if (notice.textContent === (text ?? '')) return;
  notice.hidden = text === null;
  fill(notice, text);
}

function drawBusy(): void {
  const { overview, tilesBusy, circle } = get();
  const busy = (overview.busy && overview.data === null) || tilesBusy || circle.busy;
  part('map-busy').hidden = !busy;
}

export function mapArea(): void {
  follow(['lang', 'mapTrouble'], drawButtons);
  follow(['lang', 'theme', 'overview', 'visible', 'levels', 'view', 'circle', 'camera', 'coverage'], drawLegend);
  follow(['lang', 'overview', 'lostAt', 'mapTrouble'], drawNotice);
  follow(['overview', 'tilesBusy', 'circle'], drawBusy);
}
