import assert from 'node:assert/strict';
import { test } from 'node:test';

import type { MultiPolygon, Position } from 'geojson';

import { areaOf, contains, disjoint, outside, parityArea, pointIn, type Ring } from '../src/map/rings';

function square(x: number, y: number, side: number): Ring {
  return [[x, y], [x + side, y], [x + side, y + side], [x, y + side], [x, y]];
}

function disk(...polygons: Ring[][]): MultiPolygon {
  return { type: 'MultiPolygon', coordinates: polygons };
}

/** How many polygons of a shape hold a point, holes taken out. */
function covers(shape: MultiPolygon, at: Position): number {
  return shape.coordinates.filter(
    ([shell, ...holes]) => contains(shell as Ring, at) && !holes.some((hole) => contains(hole, at)),
  ).length;
}

function size(shape: MultiPolygon): number {
  return shape.coordinates.reduce(
    (sum, [shell, ...holes]) =>
      sum + areaOf(shell as Ring) - holes.reduce((cut, hole) => cut + areaOf(hole), 0),
    0,
  );
}

test('a point in a ring lies inside, even of a thin bent one', () => {
  const bent: Ring = [[0, 0], [10, 0], [10, 10], [9, 10], [9, 1], [0, 1], [0, 0]];
  assert.ok(contains(bent, pointIn(bent)));
  assert.equal(areaOf(bent), 19);
});

test('a band is the wide disk without the narrow one', () => {
  const [wide, narrow] = disjoint([disk([square(0, 0, 10)]), disk([square(4, 4, 2)])]);
  assert.deepEqual(wide?.coordinates, [[square(0, 0, 10), square(4, 4, 2)]]);
  assert.deepEqual(narrow?.coordinates, [[square(4, 4, 2)]]);
});

test('a hole of the narrow disk is an island of the band, and a hole of both is neither', () => {
  const narrow = disk([square(2, 2, 8), square(4, 4, 2), square(7, 7, 1)]);
  const wide = disk([square(0, 0, 20), square(7, 7, 1), square(15, 15, 1)]);
  const [band, inner] = disjoint([wide, narrow]) as [MultiPolygon, MultiPolygon];
  assert.equal(covers(band, [5, 5]), 1);
  assert.equal(covers(inner, [5, 5]), 0);
  for (const nowhere of [[7.5, 7.5], [15.5, 15.5]]) {
    assert.equal(covers(band, nowhere) + covers(inner, nowhere), 0);
  }
  assert.equal(size(band) + size(inner), size(wide));
});

test('bands and veil lie side by side: every place is in exactly one', () => {
  const disks = [
    disk([square(0, 0, 20), square(12, 12, 4)], [square(13, 13, 1)], [square(30, 0, 3)]),
    disk([square(1, 1, 9), square(5, 5, 2)], [square(30.5, 0.5, 1)]),
    disk([square(2, 2, 2)]),
  ];
  const all = [...disjoint(disks), outside(disks[0] as MultiPolygon)];
  for (let x = -1.9; x < 36; x += 0.37) {
    for (let y = -1.9; y < 22; y += 0.41) {
      const found = all.reduce((sum, shape) => sum + covers(shape, [x, y]), 0);
      assert.equal(found, 1, `${x} ${y}`);
    }
  }
});

test('rings may touch along an edge', () => {
  const [band] = disjoint([disk([square(0, 0, 4)]), disk([square(0, 0, 2)])]) as [MultiPolygon];
  assert.equal(size(band), 12);
  assert.equal(covers(band, [1, 1]), 0);
  assert.equal(covers(band, [3, 3]), 1);
});

test('a ring in a ring in a ring alternates, whatever the order', () => {
  const rings = [square(2, 2, 1), square(0, 0, 10), square(1, 1, 5)];
  const area = parityArea(rings);
  assert.equal(area.coordinates.length, 2);
  assert.equal(size(area), 100 - 25 + 1);
});
