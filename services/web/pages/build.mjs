// Builds the pages into a static folder that any host can serve, with gzip copies beside the files.
//
//   node build.mjs --out build/release/pages --wasm playground.wasm=build/wasm/playground.wasm [--esbuild esbuild]
//                  [--origin https://lvs.example] [--build-string FILE]
//
// A page is a folder of src/ with page.html, page.ts, page.css and texts.ts. In page.html, {{name}} stands for that name
// of the texts' `html` object, {{@file}} for the address of another file of the build, and {{@nav}} for the links to the
// other pages. Every file but the pages
// themselves carries a hash of its content in its name, so browsers may keep it for ever.
import {execFileSync} from "node:child_process";
import {createHash} from "node:crypto";
import {existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync} from "node:fs";
import {dirname, join, resolve} from "node:path";
import {fileURLToPath} from "node:url";
import {gzipSync} from "node:zlib";

const here = dirname(fileURLToPath(import.meta.url));
const src = join(here, "src");

// Where a page's sources lie, what it is called where pages name each other, and what its policy allows it to connect to
// beyond its own origin.
const PAGES = {
  // A page may be loaded from one hub and talk to another; the header of a node says which ones.
  "index.html": {folder: "take_part", label: "Take part", connect: "https: wss: http: ws:"},
  "playground.html": {folder: "playground", label: "Playground"},
  "404.html": {folder: "missing"},
};
const STATIC = {
  "uplot.js": "../../report/uplot/uPlot.iife.min.js", "icon.svg": "src/shared/icon.svg",
  "playground.png": "src/playground/preview.png"};

const options = {out: "", wasm: [], esbuild: "esbuild", origin: "", "build-string": ""};
for (let k = 2; k < process.argv.length; k += 2) {
  const name = process.argv[k].replace(/^--/, "");
  if (!(name in options) || process.argv[k + 1] === undefined) fail(`what is ${process.argv[k]}? See the head of build.mjs`);
  if (name === "wasm") options.wasm.push(process.argv[k + 1]);
  else options[name] = process.argv[k + 1];
}
if (!options.out) fail("--out FOLDER is missing");
const out = resolve(options.out);
// A C++ source that services/base/cmake/WriteBuildString.cmake wrote.
const version = options["build-string"] ? /return "(.*)";/.exec(readFileSync(options["build-string"], "utf8"))[1] : "unknown";

function fail(why) {
  console.error(`pages: ${why}`);
  process.exit(1);
}

// ---- Files ----------------------------------------------------------------------------------------------------------

const assets = {};  // plain name -> name in the folder
const GZIP_BELOW = 0.95;  // a copy that saves less is not worth a file

function write(name, bytes) {
  writeFileSync(join(out, name), bytes);
  const small = gzipSync(bytes, {level: 9});
  if (small.length < GZIP_BELOW * bytes.length) writeFileSync(join(out, `${name}.gz`), small);
}

function writeHashed(name, bytes) {
  const hash = createHash("sha256").update(bytes).digest("hex").slice(0, 10);
  const dot = name.lastIndexOf(".");
  assets[name] = `${name.slice(0, dot)}-${hash}${name.slice(dot)}`;
  write(assets[name], bytes);
}

// Bundles one entry and returns its bytes.
function bundle(entry, ...more) {
  const define = [`--define:ASSETS=${JSON.stringify(assets)}`, `--define:VERSION=${JSON.stringify(version)}`];
  try {
    return execFileSync(options.esbuild, [
      join(src, entry), "--bundle", "--minify", "--charset=utf8", "--target=es2020", "--log-level=warning", "--legal-comments=none",
      ...(entry.endsWith(".ts") ? define : []), ...more], {maxBuffer: 1 << 26});
  } catch (error) {
    fail(`esbuild could not bundle ${entry}${error.stderr ? "" : `: ${error.message}`}`);
  }
}

// ---- Pages ----------------------------------------------------------------------------------------------------------

function policy(allows) {
  return [
    "default-src 'none'", "base-uri 'none'", "form-action 'none'", "style-src 'self'", "script-src 'self' 'wasm-unsafe-eval'",
    "worker-src 'self'", "img-src 'self'", `connect-src 'self'${allows ? ` ${allows}` : ""}`].join("; ");
}

async function textsOf(folder) {
  const code = bundle(`${folder}/texts.ts`, "--format=esm");
  const {html} = await import(`data:text/javascript;base64,${Buffer.from(code).toString("base64")}`);
  return html;
}

// Links to the other pages, for the head of each.
function navigation(current) {
  const links = Object.entries(PAGES).filter(([, {label}]) => label).map(([file, {label}]) => file === current
    ? `<a aria-current="page" href="${file}">${label}</a>` : `<a href="${file === "index.html" ? "./" : file}">${label}</a>`);
  return `<nav aria-label="Pages">${links.join("")}</nav>`;
}

const ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;"};
const escaped = (text) => text.replace(/[&<>"]/g, (c) => ENTITIES[c]);

async function page(file, {folder, connect = ""}) {
  const stem = file.replace(".html", "");
  writeHashed(`${stem}.css`, bundle(`${folder}/page.css`));
  writeHashed(`${stem}.js`, bundle(`${folder}/page.ts`, "--format=iife"));
  const texts = await textsOf(folder), used = new Set();
  const given = {policy: policy(connect), version, origin: options.origin ? `${options.origin.replace(/\/$/, "")}/` : ""};
  const filled = readFileSync(join(src, folder, "page.html"), "utf8").replace(/\{\{(@?)([\w.-]+)\}\}/g, (_, at, name) => {
    if (at && name === "nav") return navigation(file);
    if (at) return assets[name] ?? fail(`${folder}/page.html names ${name}, which is not built`);
    if (name in given) return escaped(given[name]);
    if (!(name in texts)) fail(`${folder}/texts.ts has no text ${name}, which page.html wants`);
    used.add(name);
    // *bold*, and lines that break.
    return escaped(texts[name]).replace(/\*([^*]+)\*/g, "<b>$1</b>").replaceAll("\n", "<br>");
  });
  for (const name of Object.keys(texts)) if (!used.has(name)) fail(`${folder}/texts.ts has a text ${name} that page.html does not use`);
  write(file, filled);
}

rmSync(out, {recursive: true, force: true});
mkdirSync(out, {recursive: true});
for (const [name, path] of Object.entries(STATIC)) writeHashed(name, readFileSync(join(here, path)));
for (const pair of options.wasm) {
  const [name, path] = pair.split("=");
  if (!existsSync(path)) fail(`there is no ${path}; build the preset wasm first`);
  writeHashed(name, readFileSync(path));
}
writeHashed("theme.js", bundle("shared/theme.ts", "--format=iife"));
const workers = readdirSync(src, {withFileTypes: true}).filter((entry) => entry.isDirectory())
  .flatMap((entry) => readdirSync(join(src, entry.name)).filter((name) => name.endsWith("_worker.ts")).map((name) => [entry.name, name]));
for (const [folder, name] of workers) writeHashed(name.replace(".ts", ".js"), bundle(`${folder}/${name}`, "--format=iife"));
for (const [file, of] of Object.entries(PAGES)) await page(file, of);
