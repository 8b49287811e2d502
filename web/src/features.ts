/**
 * The map on a page of the feature service: a whole layer, a list's features, or the one shown.
 *
 * The page is whole without it. Its element says what to draw: `data-layer`, and `data-items` where
 * it is the features of an address; without that it is the whole layer, from its tiles.
 */

import './map_library';
import { h } from './dom';
import { getLang, readTexts, setLang } from './i18n';
import { createMap } from './map';
import { listedMap } from './map/listed';
import type { Collection } from './map/overlays';
import type { Box, Lang, LayerInfo, LonLat, MapView, Overview, Theme } from './types';
import { LEVELS } from './types';

/** What lies under the features. */
const GROUND = ['context', 'area'];

const dark = matchMedia('(prefers-color-scheme: dark)');
const themeNow = (): Theme => (dark.matches ? 'dark' : 'light');

async function ask<T>(address: string): Promise<T> {
  const answer = await fetch(address, { headers: { 'Accept-Language': getLang() } });
  if (!answer.ok) throw new Error(`${address}: ${answer.status}`);
  return (await answer.json()) as T;
}

/** The overview of the ground, and of the layer where it is drawn from its tiles. */
function only(overview: Overview, ...ids: string[]): Overview {
  const layers = overview.layers.filter(({ id, role }) => GROUND.includes(role) || ids.includes(id));
  return { ...overview, layers };
}

async function draw(place: HTMLElement): Promise<void> {
  const { layer: id = '', items, root = '', box = '' } = place.dataset;
  const [overview, features] = await Promise.all([
    ask<Overview>(`${root}/overview`),
    items === undefined ? null : ask<Collection | Collection['features'][number]>(items),
  ]);
  const layer = overview.layers.find((one) => one.id === id);
  if (!layer) return;
  const onPick = (feature: number) => {
    const chosen = new URLSearchParams(location.search).get('lang');
    location.assign(`${root}/collections/${id}/items/${feature}${chosen ? `?lang=${chosen}` : ''}`);
  };
  place.hidden = false;
  const map =
    features === null
      ? wholeLayer(place, only(overview, id), layer, box.split(',').map(Number) as Box, onPick)
      : listedMap(
          place,
          {
            overview: only(overview),
            layer,
            features: features.type === 'Feature' ? { type: 'FeatureCollection', features: [features] } : features,
            lang: getLang(),
            onPick,
          },
          themeNow(),
        );
  dark.addEventListener('change', () => map.setTheme(themeNow()));
  place.append(zoomButtons(place, (steps) => map.zoomBy(steps)));
  place.querySelector('canvas')?.setAttribute('aria-label', place.getAttribute('aria-label') ?? '');
}

/** Height of a latitude in Mercator's own unit, of which the world is one high. */
function mercator(lat: number): number {
  return 0.5 - Math.log(Math.tan(Math.PI / 4 + (lat * Math.PI) / 360)) / (2 * Math.PI);
}

function middle([west, south, east, north]: Box): LonLat {
  return [(west + east) / 2, (south + north) / 2];
}

/** The zoom at which a box fits with some room around it; the world is 512 px wide at zoom 0. */
function zoomFor(place: HTMLElement, [west, south, east, north]: Box): number {
  const wide = (place.clientWidth * 0.9) / (512 * Math.max((east - west) / 360, 1e-6));
  const high = (place.clientHeight * 0.9) / (512 * Math.max(mercator(south) - mercator(north), 1e-6));
  return Math.min(15, Math.max(0, Math.log2(Math.min(wide, high))));
}

function wholeLayer(
  place: HTMLElement,
  overview: Overview,
  layer: LayerInfo,
  box: Box,
  onPick: (id: number) => void,
): Pick<MapView, 'setTheme' | 'zoomBy'> {
  return createMap(
    place,
    overview,
    {
      lang: getLang(),
      theme: themeNow(),
      visible: new Set(overview.layers.map(({ id }) => id)),
      levels: new Set(LEVELS),
      // A layer that tiles hold from some zoom on is to be seen at the first look.
      camera: { center: middle(box), zoom: Math.max(layer.min_zoom, zoomFor(place, box)) },
      reducedMotion: matchMedia('(prefers-reduced-motion: reduce)').matches,
    },
    {
      onPick: (found) => {
        const mine = found.find((one) => one.layer === layer.id);
        if (mine) onPick(mine.id);
      },
      onMove: () => undefined,
      onPointer: () => undefined,
      onIdle: () => undefined,
      onTrouble: (trouble) => {
        if (trouble === 'webgl') apologise(place);
      },
    },
  );
}

function zoomButtons(place: HTMLElement, zoomBy: (steps: number) => void): HTMLElement {
  const button = (sign: string, label: string | undefined, steps: number): HTMLElement =>
    h('button', { type: 'button', 'aria-label': label, title: label, onclick: () => zoomBy(steps) }, sign);
  const { zoomIn, zoomOut } = place.dataset;
  return h('div', { class: 'zoom' }, button('+', zoomIn, 1), button('−', zoomOut, -1));
}

/** Say that there is no map: the page says the same in words. */
function apologise(place: HTMLElement): void {
  place.hidden = false;
  place.classList.add('trouble');
  place.textContent = place.dataset['trouble'] ?? '';
}

const place = document.querySelector<HTMLElement>('.map[data-layer]');
if (place) {
  readTexts();
  const lang: Lang = document.documentElement.lang === 'en' ? 'en' : 'zh';
  setLang(lang);
  // The wheel scrolls the page; with Ctrl, as when two fingers spread on a touchpad, it zooms.
  const wheel = (event: WheelEvent): void => {
    if (!event.ctrlKey) event.stopPropagation();
  };
  place.addEventListener('wheel', wheel, { capture: true });
  draw(place).catch((error: unknown) => {
    console.warn(error);
    apologise(place);
  });
}
