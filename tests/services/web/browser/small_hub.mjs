// Stands in for a node's gateway until there is one: pages, /config.json, and a hub that introduces tabs and relays. It
// has no server place, no budget and no check.
import {createServer} from "node:http";
import {readFileSync, existsSync, statSync} from "node:fs";
import {extname, join, normalize} from "node:path";
import {fromModules} from "./browsers.mjs";

const {WebSocketServer} = fromModules("ws");
const TYPES = {".html": "text/html; charset=utf-8", ".js": "text/javascript", ".css": "text/css", ".wasm": "application/wasm", ".svg": "image/svg+xml", ".json": "application/json"};

// ---- Protobuf, as far as needed
const varint = value => { let v = BigInt(value); const out = []; do { out.push(Number(v & 127n) | (v > 127n ? 128 : 0)); v >>= 7n; } while (v > 0n); return Buffer.from(out); };
const field = (number, value) => typeof value === "bigint" ? Buffer.concat([varint(number << 3 | 1), (() => { const b = Buffer.alloc(8); b.writeBigUInt64LE(value); return b; })()])
  : typeof value === "number" ? (value === 0 ? Buffer.alloc(0) : Buffer.concat([varint(number << 3), varint(value)]))
  : Buffer.concat([varint(number << 3 | 2), varint(value.length), Buffer.from(value)]);
function* fields(bytes) {
  let at = 0;
  const read = () => { let v = 0n, shift = 0n; for (;;) { const b = bytes[at++]; v |= BigInt(b & 127) << shift; if (b < 128) return v; shift += 7n; } };
  while (at < bytes.length) {
    const key = Number(read()), wire = key & 7, number = key >> 3;
    if (wire === 0) yield [number, read()];
    else if (wire === 1) { yield [number, bytes.readBigUInt64LE(at)]; at += 8; }
    else if (wire === 5) { at += 4; }
    else { const n = Number(read()); yield [number, bytes.subarray(at, at + n)]; at += n; }
  }
}
const get = (bytes, number) => { let found; for (const [n, v] of fields(bytes)) if (n === number) found = v; return found; };
const idOf = bytes => `${get(bytes, 1)}/${get(bytes, 2)}`;

export async function openSmallHub(folder, {shards = 16, port = 0, regions = "eu"} = {}) {
  const EPOCH = 1_767_225_600_000, PERIOD = 100_000, tabs = new Map(), counts = {relayed: 0, offers: 0, messages: 0};
  const server = createServer((request, answer) => {
    const path = new URL(request.url, "http://x").pathname;
    if (path === "/config.json") {
      const us = (Date.now() - EPOCH) * 1000;
      answer.writeHead(200, {"content-type": "application/json", "cache-control": "no-store"});
      return answer.end(JSON.stringify({shards, period_us: PERIOD, value_slots: 2, free_coordinates: 2, build: "test", region: regions, cycle: Math.floor(us / PERIOD), cycle_us: us % PERIOD, hubs: [], turn: null, origins: []}));
    }
    let file = join(folder, normalize(path));
    if (existsSync(file) && statSync(file).isDirectory()) file = join(file, "index.html");
    if (!existsSync(file)) { answer.writeHead(404); return answer.end(); }
    answer.writeHead(200, {"content-type": TYPES[extname(file)] ?? "application/octet-stream",
      "content-security-policy": "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self' data:; connect-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"});
    answer.end(readFileSync(file));
  });
  const sockets = new WebSocketServer({server, path: "/peer"});
  sockets.on("connection", socket => {
    let mine;
    const say = (kind, body) => socket.readyState === 1 && socket.send(field(kind, body));
    socket.on("close", () => { if (mine && tabs.get(mine)?.socket === socket) tabs.delete(mine); });
    socket.on("message", data => {
      counts.messages += 1;
      const bytes = Buffer.from(data), [[kind, body]] = [...fields(bytes)];
      if (kind === 1) say(1, Buffer.concat([field(1, 3), field(2, 3), field(3, "test"), field(4, 7n), field(5, 7n), field(6, regions), field(8, shards), field(9, 2), field(10, 2), field(11, PERIOD), field(12, 4)]));
      else if (kind === 4) say(5, body);
      else if (kind === 7) { const card = get(body, 1); mine = idOf(get(card, 1)); tabs.set(mine, {socket, card}); say(8, Buffer.concat([field(2, shards)])); }
      else if (kind === 9) {
        const known = new Set([mine]); for (const [n, v] of fields(body)) if (n === 5) known.add(idOf(v));
        const cards = [...tabs].filter(([id]) => !known.has(id)).slice(0, 12).map(([, {card}]) => field(2, card));
        say(10, Buffer.concat([field(1, Number(get(body, 1) ?? 0)), ...cards]));
      } else if (kind === 11 || kind === 12 || kind === 14) {
        counts[kind === 14 ? "relayed" : "offers"] += 1;
        const to = tabs.get(idOf(get(body, 1)));
        if (to) to.socket.send(bytes);
      }
    });
  });
  await new Promise(resolve => server.listen(port, "127.0.0.1", resolve));
  return {url: `http://127.0.0.1:${server.address().port}/`, tabs, counts, kill: () => { for (const {socket} of tabs.values()) socket.terminate(); sockets.close(); server.closeAllConnections(); server.close(); }};
}
