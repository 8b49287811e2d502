/** The page: texts, store, panels, map, keys, and the URL that restores it all. */

import './map_library';
import { readTexts, setLang } from './i18n';
import { keepFresh, loadCard, loadStart, reload } from './load';
import { back, show, theMap } from './panels/actions';
import { kpis } from './panels/kpis';
import { left } from './panels/left';
import { mapArea } from './panels/maparea';
import { right } from './panels/right';
import { status } from './panels/status';
import { top } from './panels/top';
import { remember, remembered } from './remember';
import { stage } from './stage';
import { begin, follow, get, update, watch } from './state';
import { read, written } from './url';

function wear(): void {
  const { lang, theme } = get();
  setLang(lang);
  document.documentElement.lang = lang === 'zh' ? 'zh-CN' : 'en';
  document.documentElement.dataset.theme = theme;
  remember({ lang, theme });
}

function keys(event: KeyboardEvent): void {
  if (event.ctrlKey || event.altKey || event.metaKey) return;
  const typing = event.target instanceof HTMLInputElement && event.target.type === 'text';
  if (event.key === 'Escape') {
    if (typing) (event.target as HTMLInputElement).blur();
    else back();
  } else if (event.key === 'F6') {
    event.preventDefault();
    nextRegion();
  } else if (typing) {
    return;
  } else if (event.key === '/') {
    event.preventDefault();
    document.getElementById('go-input')?.focus();
  } else if (event.key === '1') {
    show('overview');
  } else if (event.key === '2') {
    show('circle');
  }
}

/** What F6 goes through. */
const REGIONS = ['#views button', '#left button, #left input', '#map canvas', '#right button'];

/** Focus the next region that has something to focus. */
function nextRegion(): void {
  const firsts = REGIONS.map((selector) =>
    [...document.querySelectorAll<HTMLElement>(selector)].find((one) => one.offsetParent !== null),
  );
  const boxes = ['#top', '#left', '#map-area', '#right'];
  const here = boxes.findIndex((box) => document.activeElement?.closest(box));
  for (let step = 1; step <= firsts.length; step += 1) {
    const next = firsts[(here + step + firsts.length) % firsts.length];
    if (next) {
      next.focus();
      return;
    }
  }
}

function keepUrl(): void {
  watch(
    ['camera', 'view', 'tab', 'selected', 'start', 'visible', 'levels', 'lang', 'theme'],
    () => history.replaceState(null, '', written()),
  );
  addEventListener('hashchange', () => {
    const said = read(location.hash);
    update(said);
    if (said.camera) theMap()?.flyTo(said.camera.center, said.camera.zoom);
  });
}

readTexts();
begin({ ...remembered(), ...read(location.hash) });
follow(['lang', 'theme'], wear);
watch(['lang'], reload);
follow(['selected'], loadCard);
follow(['start'], loadStart);
top();
left();
kpis();
mapArea();
right();
status();
stage();
keepUrl();
addEventListener('keydown', keys);
setInterval(() => update({ minute: get().minute + 1 }), 60_000);
void keepFresh();

