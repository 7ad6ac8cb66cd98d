// A decision service for openim-bridge. It refuses remarks that contain a listed word, and trims the others; and keeps
// when users were last online.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs, promisify } from 'node:util';

import { Server, ServerCredentials, loadPackageDefinition } from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { ReflectionService } from '@grpc/reflection';
import { HealthImplementation } from 'grpc-health-check';

import { friends, readWords } from './friends.js';
import type { ProtoGrpcType as FriendProto } from './gen/friend.js';
import type { ProtoGrpcType as UserProto } from './gen/user.js';
import { presence } from './presence.js';

// The bridge takes requests of up to 1 MiB unless configured otherwise.
const MAX_MESSAGE_BYTES = 2 << 20;
// The bridge asks for health every 2 s. While it finds out that the service stops, calls are still answered.
const DRAIN_MS = 3_000;
// What then still runs may take this long. No call of the bridge's lasts longer.
const GRACE_MS = 15_000;

// What health tells of; '' is the server as a whole.
const SERVICES = ['', 'openim.bridge.v1.FriendCallbackService', 'openim.bridge.v1.UserCallbackService'];

function log(level: 'INFO' | 'ERROR', msg: string, fields: object = {}): void {
  console.error(JSON.stringify({ time: new Date(), level, msg, ...fields }));
}

/** Flags win over environment variables, which win over defaults. */
function readSettings() {
  const env = (name: string) => process.env[name] || undefined;
  const { values } = parseArgs({
    options: {
      listen: { type: 'string', default: env('LISTEN') ?? '127.0.0.1:50051' },
      words: { type: 'string', default: env('WORDS') ?? '../words.txt' },
      'tls-cert': { type: 'string' },
      'tls-key': { type: 'string' },
      'tls-client-ca': { type: 'string' },
    },
  });
  const cert = values['tls-cert'] ?? env('TLS_CERT');
  const key = values['tls-key'] ?? env('TLS_KEY');
  const clientCa = values['tls-client-ca'] ?? env('TLS_CLIENT_CA');
  if (!cert !== !key) throw new Error('--tls-cert and --tls-key go together');
  if (clientCa && !cert) throw new Error('--tls-client-ca needs --tls-cert and --tls-key');
  return { listen: values.listen, words: values.words, tls: cert && key ? { cert, key, clientCa } : undefined };
}

type Settings = ReturnType<typeof readSettings>;

function credentials({ tls }: Settings): ServerCredentials {
  if (!tls) return ServerCredentials.createInsecure();
  const pair = { cert_chain: readFileSync(tls.cert), private_key: readFileSync(tls.key) };
  return ServerCredentials.createSsl(tls.clientCa ? readFileSync(tls.clientCa) : null, [pair], !!tls.clientCa);
}

async function serve(settings: Settings): Promise<void> {
  const definition = loadSync(['openim/bridge/v1/friend.proto', 'openim/bridge/v1/user.proto'], {
    includeDirs: [fileURLToPath(new URL('proto', import.meta.url))],
    defaults: true,
    oneofs: true,
    longs: String,
  });
  const contract = loadPackageDefinition(definition) as unknown as FriendProto & UserProto;
  const { FriendCallbackService, UserCallbackService } = contract.openim.bridge.v1;

  const server = new Server({ 'grpc.max_receive_message_length': MAX_MESSAGE_BYTES });
  server.addService(FriendCallbackService.service, friends(readWords(settings.words)));
  server.addService(UserCallbackService.service, presence());
  const health = new HealthImplementation();
  for (const service of SERVICES) health.setStatus(service, 'SERVING');
  health.addToServer(server);
  new ReflectionService(definition).addToServer(server);

  const port = await promisify(server.bindAsync.bind(server))(settings.listen, credentials(settings));
  const signal = stopSignal();
  const host = settings.listen.slice(0, settings.listen.lastIndexOf(':'));
  log('INFO', 'listening', { address: `${host}:${port}`, tls: settings.tls !== undefined });

  const received = await signal;
  log('INFO', 'stopping');
  for (const service of SERVICES) health.setStatus(service, 'NOT_SERVING');
  if (received === 'SIGTERM') await new Promise((resolve) => setTimeout(resolve, DRAIN_MS));
  setTimeout(() => server.forceShutdown(), GRACE_MS).unref();
  await promisify(server.tryShutdown.bind(server))();
  log('INFO', 'stopped');
}

/** The first SIGTERM or SIGINT. A second one ends the process at once. */
function stopSignal(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    const signals: NodeJS.Signals[] = ['SIGTERM', 'SIGINT'];
    const stop = (received: NodeJS.Signals) => {
      for (const each of signals) process.off(each, stop);
      resolve(received);
    };
    for (const each of signals) process.on(each, stop);
  });
}

async function main(): Promise<void> {
  let settings;
  try {
    settings = readSettings();
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    process.exit(2);
  }
  try {
    await serve(settings);
  } catch (error) {
    log('ERROR', 'failed', { error: String(error) });
    process.exit(1);
  }
}

await main();
