import assert from 'node:assert/strict';
import { test } from 'node:test';

import { setTexts } from '../src/i18n';
import { coordinates } from '../src/panels/coordinates';
import type { Box } from '../src/types';

const words = {
  'page.go.form': 'form',
  'page.go.swapped': 'swapped',
  'page.go.world': 'world',
  'page.go.outside': 'outside',
};
setTexts({ zh: words, en: words });
const CITY: Box = [119, 35, 120, 36];

test('two numbers in whatever way they are parted', () => {
  for (const text of ['119.5,35.4', '119.5，35.4', ' 119.5  35.4 ', '119.5;35.4', '119.5、35.4']) {
    assert.deepEqual(coordinates(text, CITY), [119.5, 35.4]);
  }
});

test('what is wrong is said', () => {
  for (const text of ['', '119.5', '119.5,35.4,1', 'a,b', '119.5,', 'Infinity,35']) {
    assert.equal(coordinates(text, CITY), 'form');
  }
  assert.equal(coordinates('35.4,119.5', CITY), 'swapped');
  assert.equal(coordinates('30.1,120.2', CITY), 'swapped', 'elsewhere, but swapped all the same');
  assert.equal(coordinates('200,10', CITY), 'world');
  assert.equal(coordinates('121,35.4', CITY), 'outside');
});

test('without a city any place of the world', () => {
  assert.deepEqual(coordinates('-70,-30', null), [-70, -30]);
  assert.equal(coordinates('35,119', null), 'swapped');
});
