// The rule: remarks that contain a listed word are refused, the others trimmed.
import { readFileSync } from 'node:fs';

import { status } from '@grpc/grpc-js';

import type { BeforeSetFriendRemarkResponse } from './gen/openim/bridge/v1/BeforeSetFriendRemarkResponse.js';
import type { FriendCallbackServiceHandlers } from './gen/openim/bridge/v1/FriendCallbackService.js';

// The service's own codes, of the 5000 to 9899 that are free for it.
const CODE_NOT_ALLOWED = 5001;
const CODE_BLANK = 5002;

// The rpcs that are implemented here. To all others, grpc-js answers UNIMPLEMENTED.
type Handlers = Pick<FriendCallbackServiceHandlers, 'BeforeSetFriendRemark'>;

export function friends(words: readonly string[]): Handlers {
  return {
    BeforeSetFriendRemark(call, callback) {
      // Past its deadline, or cancelled: nobody reads the answer. To all that the rule waits for, such as a database,
      // give an AbortSignal that the call's event "cancelled" fires.
      if (call.cancelled) {
        callback({ code: status.CANCELLED });
        return;
      }
      callback(null, decide(call.request.remark, words));
    },
  };
}

/** The remark alone decides, so a call that is repeated gets the same answer. */
export function decide(remark: string, words: readonly string[]): BeforeSetFriendRemarkResponse {
  const text = searchable(remark);
  if (words.some((word) => text.includes(word))) {
    return { refuse: { code: CODE_NOT_ALLOWED, message: 'This remark is not allowed' } };
  }
  const trimmed = trim(remark);
  if (trimmed === remark) {
    // Also the empty remark, which removes the one that was set.
    return { allow: {} };
  }
  if (trimmed === '') {
    // It cannot be replaced: an empty replacement is an invalid reply.
    return { refuse: { code: CODE_BLANK, message: 'A remark cannot be blank' } };
  }
  return { replaceRemark: { remark: trimmed } };
}

/**
 * Trims what has Unicode's property White_Space: `String.trim` leaves U+0085, and takes U+FEFF. A loop, since a regular
 * expression for the end takes quadratic time where a remark is full of spaces.
 */
function trim(text: string): string {
  const space = /\p{White_Space}/u;
  let start = 0;
  let end = text.length;
  while (start < end && space.test(text.charAt(start))) start++;
  while (start < end && space.test(text.charAt(end - 1))) end--;
  return text.slice(start, end);
}

/**
 * Makes ＳＰＡＭ, Spam and spam equal: compatibility characters taken apart (NFKD), each character in lower case, and put
 * together again (NFKC), so that a word is not found in half of a Hangul syllable. Case folding proper (ß and ss) and
 * letters that merely look alike are left out.
 */
function searchable(text: string): string {
  return Array.from(text.normalize('NFKD'), (character) => character.toLowerCase())
    .join('')
    .normalize('NFKC');
}

/** One word a line. Empty lines and those that begin with # are passed over. */
export function parseWords(text: string): string[] {
  return text
    .split('\n')
    .map(trim)
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map(searchable);
}

export function readWords(path: string): string[] {
  return parseWords(readFileSync(path, 'utf8'));
}
