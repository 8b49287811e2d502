/**
 * Bands as disjoint areas. Translucent disks that lie on each other would change colour.
 *
 * Everything here stands on one fact: rings that do not cross bound an area by parity. A place is
 * inside when an odd number of rings goes around it. The difference of a disk and one inside it,
 * and the world without a disk, are the parity areas of all their rings together.
 */

import type { MultiPolygon, Polygon, Position } from 'geojson';

export type Ring = Position[];

/** Twice the signed area is not needed: the absolute one, in square degrees. */
export function areaOf(ring: Ring): number {
  let twice = 0;
  for (let i = 0, j = ring.length - 1; i < ring.length; j = i++) {
    const [a, b] = [ring[j] as Position, ring[i] as Position];
    twice += (a[0] as number) * (b[1] as number) - (b[0] as number) * (a[1] as number);
  }
  return Math.abs(twice) / 2;
}

/** x where the ring's edges cross the height y, ascending; each edge has its lower end only. */
function crossings(ring: Ring, y: number): number[] {
  const found: number[] = [];
  for (let i = 0, j = ring.length - 1; i < ring.length; j = i++) {
    const [ax, ay] = ring[j] as [number, number];
    const [bx, by] = ring[i] as [number, number];
    if (ay > y !== by > y) found.push(ax + ((y - ay) / (by - ay)) * (bx - ax));
  }
  return found.sort((a, b) => a - b);
}

export function contains(ring: Ring, [x, y]: Position): boolean {
  return crossings(ring, y as number).filter((at) => at < (x as number)).length % 2 === 1;
}

/** A point inside a ring and away from its edge, where it may touch others. */
export function pointIn(ring: Ring): Position {
  const heights = [...new Set(ring.map(([, y]) => y as number))].sort((a, b) => a - b);
  let best: { width: number; at: Position } = { width: -1, at: ring[0] as Position };
  // A few heights between vertices are enough: the widest stretch lies well inside.
  for (const part of [0.5, 0.3, 0.7]) {
    const below = Math.min(Math.floor(part * (heights.length - 1)), heights.length - 2);
    if (below < 0) break;
    const y = ((heights[below] as number) + (heights[below + 1] as number)) / 2;
    const xs = crossings(ring, y);
    for (let i = 0; i + 1 < xs.length; i += 2) {
      const [left, right] = [xs[i] as number, xs[i + 1] as number];
      if (right - left > best.width) best = { width: right - left, at: [(left + right) / 2, y] };
    }
  }
  return best.at;
}

interface Placed {
  ring: Ring;
  area: number;
  inside: Position;
  box: [number, number, number, number];
}

function placed(ring: Ring): Placed {
  const xs = ring.map(([x]) => x as number);
  const ys = ring.map(([, y]) => y as number);
  return {
    ring,
    area: areaOf(ring),
    inside: pointIn(ring),
    box: [Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)],
  };
}

/** The same corners, wherever the ring begins and whichever way it goes. */
function fingerprint(ring: Ring): string {
  return ring
    .slice(1)
    .map(([x, y]) => `${x},${y}`)
    .sort()
    .join(' ');
}

/** A hole that two disks share bounds nothing: pairs of equal rings go. */
function withoutPairs(rings: readonly Ring[]): Ring[] {
  const kept = new Map<string, Ring>();
  for (const ring of rings) {
    const key = fingerprint(ring);
    if (kept.has(key)) kept.delete(key);
    else kept.set(key, ring);
  }
  return [...kept.values()];
}

/** The area that rings bound by parity. They may touch but not cross; the order does not matter. */
export function parityArea(rings: readonly Ring[]): MultiPolygon {
  const all = withoutPairs(rings.filter((ring) => ring.length >= 4))
    .map(placed)
    .filter(({ area }) => area > 0)
    .sort((a, b) => b.area - a.area);
  const polygons = new Map<Placed, Ring[]>();
  all.forEach((one, at) => {
    const [x, y] = one.inside as [number, number];
    // Larger rings come first; of rings that do not cross, one around a point of ours is around us.
    const around = all
      .slice(0, at)
      .filter(
        ({ box, ring }) =>
          x > box[0] && x < box[2] && y > box[1] && y < box[3] && contains(ring, one.inside),
      );
    if (around.length % 2 === 0) {
      polygons.set(one, [one.ring]);
    } else {
      // The smallest around us is the shell that we are a hole of.
      polygons.get(around[around.length - 1] as Placed)?.push(one.ring);
    }
  });
  return { type: 'MultiPolygon', coordinates: [...polygons.values()] };
}

export function ringsOf(shape: Polygon | MultiPolygon): Ring[] {
  return shape.type === 'Polygon' ? shape.coordinates : shape.coordinates.flat();
}

/** Nested disks, the widest first, as disjoint areas in the same order. */
export function disjoint(disks: readonly MultiPolygon[]): MultiPolygon[] {
  return disks.map((disk, at) => {
    const next = disks[at + 1];
    return parityArea([...ringsOf(disk), ...(next ? ringsOf(next) : [])]);
  });
}

const WORLD: Ring = [
  [-180, -85],
  [180, -85],
  [180, 85],
  [-180, 85],
  [-180, -85],
];

/** Everything outside of an area. */
export function outside(area: MultiPolygon): MultiPolygon {
  return parityArea([WORLD, ...ringsOf(area)]);
}
