import assert from 'node:assert/strict';
import { test } from 'node:test';

import { placeOf } from '../src/map/pieces';
import { areaOf, contains, type Ring } from '../src/map/rings';

function piece(ring: Ring): { ring: Ring; area: number } {
  return { ring, area: areaOf(ring) };
}

function box(x: number, y: number, width: number, height: number): Ring {
  return [[x, y], [x + width, y], [x + width, y + height], [x, y + height], [x, y]];
}

test('the name stands in the middle of what tiles have cut apart', () => {
  const [x, y] = placeOf([piece(box(120, 30, 1, 2)), piece(box(121, 30, 3, 2))]);
  assert.ok(Math.abs(x - 122) < 1e-9 && Math.abs(y - 31) < 1e-9, `${x} ${y}`);
});

test('where the middle lies outside, it stands in the largest piece', () => {
  const bend: Ring = [[0, 0], [10, 0], [10, 1], [1, 1], [1, 10], [0, 10], [0, 0]];
  assert.ok(contains(bend, placeOf([piece(bend)])));
});
