/** Title, views, the box for coordinates, clock, language, theme, and the banner of made-up data. */

import { fill, h, part } from '../dom';
import { day, hour, lonLat, weekday } from '../format';
import { nameOf, other, t } from '../i18n';
import { follow, get, update, zone } from '../state';
import type { View } from '../types';
import { fly, show, theMap } from './actions';
import { coordinates } from './coordinates';
import { twin } from './pieces';

function drawTitle(): void {
  const beside = other('title');
  fill(part('title'), h('h1', {}, t('title')), h('p', { lang: beside.lang }, beside.text));
  const city = get().overview.data?.city;
  document.title = city ? `${nameOf(city, '')} · ${t('title')}` : t('title');
}

function drawViews(): void {
  const tab = (view: View, word: string, key: string) =>
    h(
      'button',
      {
        type: 'button',
        'data-focus': view,
        'aria-current': get().view === view ? 'page' : null,
        'aria-keyshortcuts': key,
        onclick: () => show(view),
      },
      word,
    );
  part('views').setAttribute('aria-label', t('views'));
  fill(part('views'), tab('overview', t('view.overview'), '1'), tab('circle', t('view.circle'), '2'));
}

function go(input: HTMLInputElement, said: HTMLElement): void {
  const found = coordinates(input.value, get().overview.data?.city?.bbox ?? null);
  const wrong = typeof found === 'string';
  input.setAttribute('aria-invalid', String(wrong));
  said.hidden = !wrong;
  said.textContent = wrong ? found : '';
  if (typeof found === 'string') return;
  fly(found);
  theMap()?.select({ at: found, label: lonLat(found) });
  input.blur();
}

function drawGo(): void {
  const form = part('go');
  const typed = form.querySelector('input')?.value ?? '';
  const said = h('p', { id: 'go-said', role: 'alert', hidden: true });
  const input = h('input', {
    id: 'go-input',
    type: 'text',
    inputmode: 'text',
    autocomplete: 'off',
    spellcheck: 'false',
    'data-focus': 'go',
    'aria-label': t('go'),
    'aria-describedby': 'go-said',
    'aria-keyshortcuts': '/',
    placeholder: t('go'),
    value: typed,
    oninput: () => {
      said.hidden = true;
    },
    onblur: () => {
      said.hidden = true;
    },
  });
  form.onsubmit = (event) => {
    event.preventDefault();
    go(input, said);
  };
  fill(form, input, h('kbd', { 'aria-hidden': 'true' }, '/'), said);
}

function drawClock(): void {
  const now = new Date();
  const where = zone();
  fill(
    part('clock'),
    h('strong', {}, hour(now, where)),
    h('span', {}, `${day(now, where)} ${weekday(now, where)}`),
  );
  part('clock').title = where;
}

function drawTools(): void {
  const { lang, theme } = get();
  fill(
    part('tools'),
    h(
      'button',
      {
        type: 'button',
        'data-focus': 'lang',
        title: t('lang.switch'),
        onclick: () => update({ lang: lang === 'zh' ? 'en' : 'zh' }),
      },
      h('span', { class: lang === 'zh' ? 'on' : null }, '中'),
      ' / ',
      h('span', { class: lang === 'en' ? 'on' : null }, 'EN'),
      h('span', { class: 'unseen' }, ` ${t('lang.switch')}`),
    ),
    h(
      'button',
      {
        type: 'button',
        'data-focus': 'theme',
        title: theme === 'light' ? t('theme.dark') : t('theme.light'),
        onclick: () => update({ theme: theme === 'light' ? 'dark' : 'light' }),
      },
      h('span', { 'aria-hidden': 'true' }, '◐'),
      h('span', { class: 'word' }, ` ${t('theme')}`),
    ),
  );
}

function drawBanner(): void {
  const banner = part('banner');
  const synthetic = get().overview.data?.city?.synthetic ?? false;
  banner.hidden = !synthetic;
  banner.setAttribute('aria-label', t('synthetic'));
  fill(
    banner,
    synthetic && h('p', {}, h('span', { 'aria-hidden': 'true' }, '▲ '), twin(t('banner'), other('banner'))),
  );
}

export function top(): void {
  follow(['lang', 'overview'], drawTitle);
  follow(['lang', 'view'], drawViews);
  follow(['lang'], drawGo);
  follow(['lang', 'overview'], drawClock);
  follow(['lang', 'theme'], drawTools);
  follow(['lang', 'overview'], drawBanner);
  setInterval(drawClock, 1000);
}
