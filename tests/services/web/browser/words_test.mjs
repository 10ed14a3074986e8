// What the page says when something is wrong: a sentence that says what to do, for each of the things that may be.
//
//   node words_test.mjs PAGES_FOLDER
import {openBrowser, openPage, SKIPPED, stateOf, until} from "./browsers.mjs";
import {openFaultyHub} from "./faulty_hub.mjs";

const [folder] = process.argv.slice(2);
const text = (page, id) => page.evaluate((name) => {
  const element = document.getElementById(name);
  return element.hidden ? "" : element.textContent;
}, id);

// `hub`: what is wrong with it. `lacks`: script in front of the page's own. `expects`: of the text of an element.
const CASES = [
  {name: "no WebAssembly", lacks: "delete window.WebAssembly", expects: {problem: /cannot run WebAssembly.*Use a current/}},
  {name: "no WebAssembly in the worker", hub: {before: {"/tab_worker": "WebAssembly.validate = () => false;"}}, expects: {problem: /lacks WebAssembly SIMD.*Update it/}},
  {name: "no worker", lacks: "window.Worker = class { constructor() { throw new Error('none'); } }", expects: {problem: /gives the page no worker.*reload/}},
  {name: "no WebRTC", lacks: "delete window.RTCPeerConnection", expects: {notice: /WebRTC is missing or switched off.*a hub relays.*use a current browser/}},
  {name: "no IndexedDB", query: "?keep=1", hub: {before: {"/tab_worker": "Object.defineProperty(self, 'indexedDB', {value: undefined});"}},
    expects: {notice: /no IndexedDB.*Leave private mode/}},
  {name: "IndexedDB fails", query: "?keep=1", hub: {before: {"/tab_worker": "indexedDB.open = () => { throw new Error('the disk is full'); };"}},
    expects: {notice: /cannot be kept here \(the disk is full\).*Free some space/}},
  {name: "the visitor's clock is behind", hub: {aheadMs: 3_600_000}, expects: {notice: /Your clock is 60 min behind.*goes by the hub's.*set your clock/}},
  {name: "the visitor's clock is ahead", hub: {aheadMs: -20_000}, expects: {notice: /Your clock is 20 s ahead/}},
  {name: "full hub", hub: {close: [4008, "all places are taken"]}, expects: {problem: /as many tabs as it serves.*need not do anything/}},
  {name: "origin that is not allowed", hub: {close: [4007, "the origin http://x is not allowed"]}, expects: {problem: /does not take this page.*Open the page at the hub's own address.*web\.origins/}},
  {name: "old build", hub: {close: [4009, "protocol 4 is spoken here, and 3 there"]}, expects: {problem: /another build or another network.*protocol 4.*Reload the page/}},
  {name: "the hub drains", hub: {close: [4014, "the node is draining"]}, expects: {problem: /does not answer.*go on alone.*asked again/}},
  {name: "no network at the address", hub: {config: null}, expects: {problem: /config\.json could not be read \(status 404\).*reload the page; or ask who runs/}},
  {name: "another kind of network", hub: {config: {shards: 7000}}, expects: {problem: /does not describe a network of this kind/}},
  {name: "shards that no tab can place", hub: {config: {shards: 10}}, expects: {problem: /shards must be a multiple of 4/}},
  {name: "no core", hub: {missing: ["/tab-"]}, expects: {problem: /tab-.*could not be loaded \(HTTP 404\).*reload the page/}},
  {name: "no worker script", hub: {missing: ["/tab_worker"]}, expects: {problem: /tab_worker.*could not be loaded.*reload/}},
  {name: "the worker dies", after: (page) => page.evaluate(() => globalThis.lvs.crash()), expects: {problem: /has stopped.*Reload the page/}},
  {name: "a worker that says nothing", hub: {before: {"/tab_worker": "self.fetch = () => new Promise(() => {});"}},
    expects: {notice: /has not answered for ten seconds.*reload the page/}},
  {name: "an amount that is none", after: (page) => page.evaluate(() => {
    document.getElementById("amount").value = "lots";
    document.getElementById("contribute").click();
  }), expects: {"amount-wrong": /amount above 0.*at most 1,000 VU/}},
  {name: "an amount above the bound", after: (page) => page.evaluate(() => {
    document.getElementById("amount").value = "1000.000001";
    document.getElementById("contribute").click();
  }), expects: {"amount-wrong": /at most 1,000 VU/}},
];

const browser = await openBrowser("chromium");
if (!browser) {
  console.error("skipped: there is no /usr/bin/chromium (Debian: chromium)");
  process.exit(SKIPPED);
}
let failed = 0;
for (const {name, hub: wrong, lacks, query = "", after, expects} of CASES) {
  const hub = await openFaultyHub(folder, wrong);
  try {
    const page = await openPage(browser, `${hub.url}${query}`, {first: lacks});
    if (after) {
      await until("the node runs", async () => (await stateOf(page))?.cycle > 0, 20_000);
      await after(page);
    }
    for (const [id, words] of Object.entries(expects)) {
      await until(`${id} says ${words}, not "${await text(page, id)}"`, async () => words.test(await text(page, id)), 15_000);
    }
    await page.close();
    console.log(`ok    ${name}`);
  } catch (error) {
    failed += 1;
    console.log(`FAIL  ${name}: ${error.message}`);
  } finally {
    hub.close();
  }
}
await browser.close();
process.exit(failed === 0 ? 0 : 1);
