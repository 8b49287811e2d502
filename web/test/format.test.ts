import assert from 'node:assert/strict';
import { test } from 'node:test';

import { MISSING, clock, count, hour, minutes, moment, people, percent, revision, signed } from '../src/format';
import { setLang } from '../src/i18n';

test('numbers as PAGE.md writes them', () => {
  setLang('zh');
  assert.equal(count(5506), '5,506');
  assert.equal(people(444_000), '44.4 万');
  assert.equal(people(9_999), '9,999');
  assert.equal(signed(-3150), '−3,150');
  assert.equal(signed(910), '+910');
  assert.equal(minutes(1044), '17.4');
  assert.equal(clock(65), '1:05');
  setLang('en');
  assert.equal(people(444_000), '444,000');
});

test('what is missing is a dash, never 0', () => {
  for (const shown of [count, people, minutes, clock, signed]) {
    assert.equal(shown(null), MISSING);
    assert.equal(shown(undefined), MISSING);
    assert.equal(shown(Number.NaN), MISSING);
    assert.notEqual(shown(0), MISSING);
  }
  assert.equal(percent(null, 10), MISSING);
  assert.equal(percent(0, 0), MISSING);
  assert.equal(moment('no time', 'Asia/Shanghai'), MISSING);
});

test('not whole is never 100.0, and some is never 0.0', () => {
  assert.equal(percent(99_999, 100_000), '99.9');
  assert.equal(percent(100_000, 100_000), '100.0');
  assert.equal(percent(1, 100_000), '0.1');
  assert.equal(percent(0, 100_000), '0.0');
  assert.equal(percent(914, 1000), '91.4');
});

test('times in the time zone of the city, whatever that of the browser', () => {
  assert.equal(moment('2026-11-22T16:30:00Z', 'Asia/Shanghai'), '2026-11-23 00:30');
  assert.equal(hour(new Date('2026-11-22T16:30:00Z'), 'Europe/Berlin'), '17:30');
});

test('a revision by its day', () => {
  assert.equal(revision('3408-20261122T184519046469'), '2026-11-22');
  assert.equal(revision('2026-10'), '2026-10');
});
