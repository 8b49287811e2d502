import assert from 'node:assert/strict';
import { test } from 'node:test';

import { cellOf, merge, placeInCell, zoomOfCell, type Cell } from '../src/map/cells';
import { LEVELS, type LevelKey } from '../src/types';

const ALL = new Set(LEVELS);

function cell(layer: string, name: string, counts: number[], id: number | null = null): Cell {
  return { layer, symbol: layer, cell: name, at: [123, 35], counts, id, properties: id ? { name: 'one' } : {} };
}

test('cells are those of the tiles: column of tile x times 8', () => {
  // Tile 1/1/0 is the north-east quarter of the world: its corners at the equator and at 180 degrees.
  assert.equal(cellOf([0.001, 0.001], 1), '8:7');
  assert.equal(cellOf([179.999, 85.05], 1), '15:0');
  assert.equal(cellOf([-180, -85.05], 0), '0:7');
});

test('a cell tells the zoom of its grid, in both hemispheres', () => {
  for (const [lon, lat] of [[122.36, 34.56], [123.64, 35.5], [-51.2, -30], [0.01, 51.5]] as [number, number][]) {
    for (let zoom = 4; zoom <= 11; zoom++) {
      assert.equal(zoomOfCell(cellOf([lon, lat], zoom), lon), zoom);
    }
  }
});

test('layers merge by cell, and nothing is lost or counted twice', () => {
  const marks = merge(
    [
      cell('a', '10:10', [1, 0, 2, 0, 0]),
      cell('b', '10:10', [0, 3, 0, 0, 1]),
      cell('b', '11:10', [0, 0, 0, 4, 0]),
    ],
    ALL,
  );
  assert.deepEqual(marks.map(({ properties }) => properties.image).sort(), [
    'donut/0,0,0,4,0',
    'donut/1,3,2,0,1',
  ]);
  assert.equal(marks.reduce((sum, { properties }) => sum + properties.total, 0), 11);
});

test('levels that are not chosen are not counted', () => {
  const cells = [cell('a', '10:10', [1, 2, 3, 4, 5]), cell('a', '11:10', [0, 0, 0, 6, 0])];
  const marks = merge(cells, new Set<LevelKey>(['1', 'null']));
  assert.deepEqual(marks.map(({ properties }) => properties.image), ['donut/1,0,0,0,5']);
});

test('one point alone is itself; one chosen of several is a cluster of one', () => {
  const [single] = merge([cell('a', '10:10', [0, 1, 0, 0, 0], 7)], ALL);
  assert.equal(single?.properties.image, 'hazard/a/2/16');
  assert.equal(single?.properties.id, 7);
  assert.equal(single?.properties['name'], 'one');
  assert.deepEqual(single?.geometry.coordinates, [123, 35]);
  const [among] = merge([cell('a', '10:10', [1, 0, 3, 0, 0])], new Set<LevelKey>(['1']));
  assert.equal(among?.properties.image, 'donut/1,0,0,0,0');
  assert.equal(among?.properties.id, null);
});

test('a mark stays whole in its cell', () => {
  const [lon, lat] = [122.9, 35.1] as const;
  const name = cellOf([lon, lat], 9);
  for (const radius of [0, 22, 32]) {
    const at = placeInCell(name, [lon, lat], radius, 1);
    assert.equal(cellOf(at, 9), name);
  }
  // Half a cell of 64 px: only its centre is left, 0.5 / (8 * 512) of the world from its edge.
  const [x] = placeInCell(name, [lon, lat], 32, 1);
  const part = (((x + 180) / 360) * 8 * 512) % 1;
  assert.ok(Math.abs(part - 0.5) < 1e-6, `${part}`);
});
