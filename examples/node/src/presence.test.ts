import assert from 'node:assert/strict';
import { test } from 'node:test';

import { presence } from './presence.js';

type Call = Parameters<ReturnType<typeof presence>['AfterUserOnline']>[0];

test('the latest time counts', () => {
  const lastSeen = new Map<string, number>();
  const { AfterUserOnline } = presence(lastSeen);
  const answers: unknown[] = [];
  // Delivered twice, and an older one late.
  for (const timeMs of ['2000', '2000', '1000']) {
    AfterUserOnline({ request: { userId: 'u1', timeMs } } as Call, (...answer) => answers.push(answer));
  }
  assert.deepEqual([...lastSeen], [['u1', 2000]]);
  assert.deepEqual(answers, [[null, {}], [null, {}], [null, {}]]);
});
