// Serves a static folder of pages the way that a node does: gzip copies, no caching, the policy that only a header can
// say, "/playground" for playground.html.
//
//   const server = await serve("build/release/pages");
//   server.address;          // http://127.0.0.1:41234/
//   server.requests;         // paths that were asked for
//   server.replace.set("/playground_worker.js", {status: 500});   // faults: answers for paths that begin so
//   server.close();
//
//   node serve.mjs build/release/pages 8000     serves until it is ended
import {existsSync, readFileSync} from "node:fs";
import {createServer} from "node:http";
import {extname, join, resolve} from "node:path";

const TYPES = {
  ".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8",
  ".wasm": "application/wasm", ".svg": "image/svg+xml", ".png": "image/png"};

export async function serve(folder, port = 0) {
  const root = resolve(folder), requests = [], replace = new Map();
  const server = createServer((request, response) => {
    const path = new URL(request.url, "http://x").pathname;
    requests.push(path);
    for (const [start, {status = 200, body = "", type = "text/plain"}] of replace) {
      if (path.startsWith(start)) { response.writeHead(status, {"Content-Type": type}).end(body); return; }
    }
    let file = path === "/" ? "/index.html" : extname(path) === "" ? `${path}.html` : path, status = 200;
    if (file.includes("..") || file.endsWith(".gz") || !existsSync(join(root, file))) { file = "/404.html"; status = 404; }
    const packed = existsSync(join(root, `${file}.gz`)) && /\bgzip\b/.test(request.headers["accept-encoding"] ?? "");
    response.writeHead(status, {
      "Content-Type": TYPES[extname(file)] ?? "application/octet-stream", "Cache-Control": "no-store",
      "Content-Security-Policy": "frame-ancestors 'none'", ...(packed ? {"Content-Encoding": "gzip"} : {})});
    response.end(readFileSync(join(root, packed ? `${file}.gz` : file)));
  });
  await new Promise((ready) => server.listen(port, "127.0.0.1", ready));
  return {address: `http://127.0.0.1:${server.address().port}/`, requests, replace, close: () => server.close()};
}

if (process.argv[1] === new URL(import.meta.url).pathname) {
  const {address} = await serve(process.argv[2], Number(process.argv[3] ?? 8000));
  console.log(address);
}
