import assert from 'node:assert/strict';
import { test } from 'node:test';

import { type State, begin, get } from '../src/state';
import { LEVELS } from '../src/types';
import { read, written } from '../src/url';

const plain: Partial<State> = {
  lang: 'zh',
  theme: 'light',
  view: 'overview',
  tab: 'attention',
  visible: null,
  levels: new Set(LEVELS),
  camera: null,
  selected: null,
  start: null,
};

function again(chosen: Partial<State>): void {
  begin({ ...plain, ...chosen });
  const said = read(written());
  for (const key of Object.keys(plain) as (keyof State)[]) {
    // A camera that nobody set is the city's own.
    if (key === 'camera' && !chosen.camera) assert.equal(said.camera, undefined);
    else assert.deepEqual(said[key], get()[key], key);
  }
}

test('a hash restores what it was written from', () => {
  again({});
  again({
    lang: 'en',
    theme: 'dark',
    view: 'circle',
    tab: 'list',
    visible: new Set(['some-layer', 'other-layer']),
    levels: new Set(['1', 'null']),
    camera: { center: [119.48213, 35.41207], zoom: 12.4 },
    selected: { layer: 'some-layer', id: 17 },
    start: { at: [119.482134, 35.412071], kind: 'a_kind', team: { layer: 'some-layer', id: 3 } },
  });
});

test('nothing drawn is not the same as nothing chosen', () => {
  again({ visible: new Set(), levels: new Set() });
});

test('a hash that somebody spoiled does no harm', () => {
  for (const hash of ['', '#', '#x/y/z?view=no&id=../..:1&lv=9&at=1&lang=fr&theme=pink', '#99/95/500']) {
    const said = read(hash);
    assert.equal(said.camera, undefined, hash);
    assert.equal(said.view, 'overview');
    assert.equal(said.selected, null);
    assert.equal(said.start, null);
    assert.equal(said.lang, undefined);
  }
});
