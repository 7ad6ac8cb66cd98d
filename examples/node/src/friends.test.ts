import assert from 'node:assert/strict';
import { test } from 'node:test';

import { decide, parseWords } from './friends.js';

const words = parseWords('# a comment\nspam\n\nÜberfall\n');
const notAllowed = { refuse: { code: 5001, message: 'This remark is not allowed' } };

for (const [name, remark, expected] of [
  ['an ordinary remark is allowed', 'Alice', { allow: {} }],
  ['an empty remark is allowed', '', { allow: {} }],
  ['space around is trimmed', '\u3000 Alice\n', { replaceRemark: { remark: 'Alice' } }],
  ['a next-line character is space', '\x85Alice', { replaceRemark: { remark: 'Alice' } }],
  ['a blank remark is refused', ' \t\u2028', { refuse: { code: 5002, message: 'A remark cannot be blank' } }],
  ['a listed word is refused', 'so much spam', notAllowed],
  ['letter case does not matter', 'ÜBERFALL', notAllowed],
  ['nor does width', 'ＳＰＡＭ', notAllowed],
  ['nor do combining characters', 'U\u0308berfall', notAllowed],
] as const) {
  test(name, () => assert.deepEqual(decide(remark, words), expected));
}
