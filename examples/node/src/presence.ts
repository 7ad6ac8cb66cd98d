// An after callback: when each user was last seen online.
import type { UserCallbackServiceHandlers } from './gen/openim/bridge/v1/UserCallbackService.js';

type Handlers = Pick<UserCallbackServiceHandlers, 'AfterUserOnline'>;

/**
 * OpenIM tells it afterwards, and the bridge delivers it: perhaps twice, since it retries, and not always in order. So
 * the latest time counts, whatever comes when.
 *
 * `lastSeen` has Unix milliseconds by user ID. A service of several pods keeps it in a database.
 */
export function presence(lastSeen = new Map<string, number>()): Handlers {
  return {
    AfterUserOnline({ request: { userId, timeMs } }, callback) {
      lastSeen.set(userId, Math.max(lastSeen.get(userId) ?? 0, Number(timeMs)));
      // The answer only says that it need not be delivered again.
      callback(null, {});
    },
  };
}
