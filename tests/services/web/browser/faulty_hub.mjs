// Serves the pages, and is a hub of which everything may be wrong: what a page says then is the test's matter.
//
//   const hub = await openFaultyHub(folder, {close: [4008, "all places are taken"]});
//   hub.url; hub.dials; hub.close();
import {existsSync, readFileSync} from "node:fs";
import {createServer} from "node:http";
import {extname, join} from "node:path";
import {fromModules} from "./browsers.mjs";

const {WebSocketServer} = fromModules("ws");
const TYPES = {".html": "text/html; charset=utf-8", ".css": "text/css", ".js": "text/javascript", ".wasm": "application/wasm", ".svg": "image/svg+xml"};
const EPOCH_MS = 1_767_225_600_000, PERIOD_US = 100_000;

// `config`: changes to config.json; null: there is none. `before`: script in front of files whose path begins so.
// `aheadMs`: of the hub's clock. Without `close` the hub takes a socket and says nothing.
export async function openFaultyHub(folder, {config = {}, close = null, before = {}, missing = [], aheadMs = 0} = {}) {
  const hub = {dials: 0};
  const server = createServer((request, answer) => {
    const {pathname} = new URL(request.url, "http://hub");
    if (pathname === "/config.json") {
      if (config === null) return answer.writeHead(404).end();
      const us = (Date.now() + aheadMs - EPOCH_MS) * 1000;
      answer.writeHead(200, {"content-type": "application/json", "access-control-allow-origin": "*"});
      return answer.end(JSON.stringify({
        shards: 16, period_us: PERIOD_US, value_slots: 2, free_coordinates: 2, build: "of the test", region: "eu", cycle: Math.floor(us / PERIOD_US),
        cycle_us: us % PERIOD_US, hubs: [], turn: null, origins: [], ...config}));
    }
    const file = join(folder, pathname === "/" ? "index.html" : pathname);
    if (missing.some((start) => pathname.startsWith(start)) || !existsSync(file)) return answer.writeHead(404).end();
    answer.writeHead(200, {"content-type": TYPES[extname(file)] ?? "application/octet-stream"});
    const script = Object.entries(before).find(([start]) => pathname.startsWith(start));
    answer.end(script ? `${script[1]}\n${readFileSync(file, "utf8")}` : readFileSync(file));
  });
  const sockets = new WebSocketServer({server, path: "/peer"});
  sockets.on("connection", (socket) => {
    hub.dials += 1;
    if (close) socket.close(...close);
  });
  await new Promise((ready) => server.listen(0, "127.0.0.1", ready));
  hub.url = `http://127.0.0.1:${server.address().port}/`;
  hub.close = () => {
    for (const socket of sockets.clients) socket.terminate();
    server.closeAllConnections?.();
    server.close();
  };
  return hub;
}
