// The playground in a real Chromium: it does what it says, for the eye, by keyboard, for a screen reader and on a phone,
// and a link repeats bit for bit what the core computes.
//
//   LVS_WEB_MODULES=... node playground_page_test.mjs PAGES WASM [FOLDER FOR SCREENSHOTS]
//
// LVS_WEB_MODULES names the folder with node_modules (tests/services/web/browser/browser_test.sh). Exit code 77: skipped.
import {existsSync, readFileSync, readdirSync, statSync} from "node:fs";
import {join} from "node:path";
import {LINKS} from "../../../shard/wasm/playground_links.mjs";
import {CHROMIUM, FIREFOX, screens, start} from "./browser.mjs";

const [folder, wasm, pictures] = process.argv.slice(2);
for (const [needed, cure] of [[CHROMIUM, "apt-get install chromium"], [join(folder, "playground.html"), "the build says what the pages lack"]]) {
  if (!existsSync(needed)) {
    console.error(`skipped: there is no ${needed}; ${cure}`);
    process.exit(77);
  }
}
const test = await start({folder, modules: process.env.LVS_WEB_MODULES});
const {holds, open} = test;
const picture = screens(pictures);
const LETTERS = ["c", "d", "s", "p", "l", "a", "k", "r", "g"];

const cycleIs = (page, cycle) => page.until((wanted) => document.getElementById("t-cycle").textContent.replace(",", "") === String(wanted), cycle);
const wordIs = (page, word) => page.until((wanted) => document.querySelector("#verdict strong").textContent === wanted, word);
const ready = (page) => page.until(() => document.getElementById("hash").textContent.length === 16);
async function agreed(page) {
  await page.click("[data-time=real]");
  await wordIs(page, "Agreed");
}
async function paused(page) {
  await ready(page);
  await page.click("[data-time=pause]");
}
const hashOf = (page) => page.text("#hash");
const CANVAS_COUNTER = () => {
  window.drawn = 0;
  const clear = CanvasRenderingContext2D.prototype.clearRect;
  CanvasRenderingContext2D.prototype.clearRect = function (...box) {
    if (this.canvas.id === "swarm") ++window.drawn;
    return clear.apply(this, box);
  };
};

// The same link in Node: the state that the page must show.
function hashInNode({seed, regions, microNodes, cycles, actions}) {
  const core = new WebAssembly.Instance(new WebAssembly.Module(readFileSync(wasm)), {}).exports;
  core._initialize();
  core.playground_start(seed, regions, microNodes);
  for (let cycle = 0; cycle < cycles; ++cycle) {
    for (const [at, kind, a, b] of actions) if (at === cycle) core.playground_do(kind, a, b);
    core.playground_step();
  }
  return BigInt.asUintN(64, core.playground_hash()).toString(16).padStart(16, "0");
}
const linkTo = ({seed, microNodes, cycles, actions}, hash) => `#n=${microNodes}&seed=${seed}&e=` +
  actions.map(([at, kind, a, b]) => `${at}${LETTERS[kind]}${b > 0 ? `${a}.${b}` : a > 0 ? a : ""}`).join(",") + `&to=${cycles}&hash=${hash}`;

// Each of these gives the same answer on every run; none of them looks at a clock.
const CASES = {
  async "agrees, and a contribution reaches everybody"() {
    const page = await open("playground");
    await ready(page);
    await picture(page, "1-start-light");
    await agreed(page);
    await page.keyboard.press("c");
    await wordIs(page, "Spreading");
    await picture(page, "2-contribution-light");
    await wordIs(page, "Agreed");
    holds("the value has the contribution", (await page.text("#t-value")).startsWith("1,205"), await page.text("#t-value"));
    holds("the log says when it was over", /known to all after \d+ cycles/.test(await page.text("#log")), await page.text("#log"));
    await page.leave();
  },

  async "every key does what its button does"() {
    const page = await open("playground");
    await agreed(page);
    for (const [key, word] of [["p", "cut off"], ["l", "lost"], ["a", "begin to lie"], ["k", "dies"], ["g", "leaves"]]) {
      await page.keyboard.press(key);
      await page.until((letter) => document.querySelector(`[data-do=${letter}]`).ariaChecked === "true", key);
      holds(`${key} is told`, (await page.text("#log li")).includes(word), await page.text("#log li"));
      await page.keyboard.press(key);
      await page.until((letter) => document.querySelector(`[data-do=${letter}]`).ariaChecked === "false", key);
    }
    for (const [key, word] of [["d", "thrown out"], ["s", "scattered"]]) {
      await page.keyboard.press(key);
      await page.until((wanted) => document.querySelector("#log li").textContent.includes(wanted), word);
    }
    await page.keyboard.press("Space");
    holds("space pauses", (await page.attribute("[data-time=pause]", "aria-pressed")) === "true");
    await page.keyboard.press("v");
    holds("v shows the plane", (await page.attribute("[data-view=plane]", "aria-pressed")) === "true");
    await page.leave();
  },

  async "steps, goes back and branches"() {
    const page = await open("playground#n=240&seed=4");
    await paused(page);
    const hashes = [await hashOf(page)];
    for (let cycle = 1; cycle <= 5; ++cycle) {
      await page.keyboard.press(".");
      await cycleIs(page, cycle);
      hashes.push(await hashOf(page));
    }
    holds("every cycle is another state", new Set(hashes).size === 6);
    await page.keyboard.press(",");
    await cycleIs(page, 4);
    holds("one cycle back is the state of before", (await hashOf(page)) === hashes[4]);
    await page.$eval("#scrubber", (range) => { range.value = "2"; range.dispatchEvent(new Event("input")); });
    await cycleIs(page, 2);
    holds("the scrubber shows the state of its cycle", (await hashOf(page)) === hashes[2]);
    await page.keyboard.press("s");
    await page.until(() => document.querySelector("#log li").textContent.includes("scattered"));
    await page.keyboard.press(".");
    await cycleIs(page, 3);
    holds("another action makes another history", (await hashOf(page)) !== hashes[3]);
    holds("what came later did not happen", (await page.$eval("#scrubber", (range) => range.max)) === "3");
    await page.leave();
  },

  async "links repeat bit for bit"() {
    for (const link of LINKS.filter(({regions}) => regions === 3)) {
      const hash = hashInNode(link), page = await open(`playground${linkTo(link, hash)}`);
      await paused(page);
      holds("the scrubber ends where the link does", (await page.$eval("#scrubber", (range) => range.max)) === String(link.cycles));
      await page.$eval("#scrubber", (range) => { range.value = range.max; range.dispatchEvent(new Event("input")); });
      await page.until(() => /same state|another one/.test(document.getElementById("log").textContent));
      holds(`${link.name}: the same state in Chromium as in Node`, (await page.text("#log")).includes("same state"), await page.text("#log"));
      await page.leave();
    }
    const page = await open("playground#n=240&seed=4&e=&to=2&hash=0123456789abcdef");
    await page.until(() => !document.getElementById("hint").hidden);
    holds("another state is said", (await page.text("#hint")).includes("another state"), await page.text("#hint"));
    await page.leave();
  },

  async "Firefox repeats the same link to the same state"() {
    if (!existsSync(FIREFOX)) { console.log("no Firefox here: apt-get install firefox-esr"); return; }
    const other = await test.puppeteer.launch({
      browser: "firefox", protocol: "webDriverBiDi", executablePath: FIREFOX, headless: true, protocolTimeout: 120_000});
    try {
      const page = await other.newPage(), wrong = [];
      page.on("console", (message) => { if (message.type() === "error") wrong.push(message.text()); });
      await page.goto(`${test.server.address}playground${linkTo(LINKS[0], hashInNode(LINKS[0]))}`);
      await page.waitForFunction(() => document.getElementById("hash").textContent.length === 16, {timeout: 60_000});
      await page.evaluate((cycle) => {
        document.querySelector("[data-time=pause]").click();
        const range = document.getElementById("scrubber");
        range.value = String(cycle);
        range.dispatchEvent(new Event("input"));
      }, LINKS[0].cycles);
      await page.waitForFunction(() => /same state|another one/.test(document.getElementById("log").textContent), {timeout: 60_000});
      const log = await page.$eval("#log", (list) => list.textContent);
      holds("the same state in Firefox as in Node", log.includes("same state"), log);
      holds("no error in Firefox", wrong.length === 0, wrong.join("; "));
      if (pictures) await page.screenshot({path: join(pictures, "10-firefox.png")});
    } finally {
      await other.close();
    }
  },

  async "the link that the page gives is the one that it reads"() {
    const page = await open("playground#n=240&seed=9", {before: () => {
      Object.defineProperty(navigator, "clipboard", {value: {writeText: async (text) => { window.copied = text; }}});
    }});
    await agreed(page);
    await page.keyboard.press("c");
    await page.keyboard.press("a");
    await page.until(() => document.querySelector("[data-do=a]").ariaChecked === "true");
    await page.click("[data-time=pause]");
    await page.click("#copy");
    await page.until(() => /Copied|address bar/.test(document.getElementById("copy").textContent));
    const given = await page.evaluate(() => location.hash), hash = await hashOf(page);
    holds("the link has the state", given.includes(hash), given);
    holds("it was copied", (await page.evaluate(() => window.copied)).endsWith(given));
    const to = Number(new URLSearchParams(given.slice(1)).get("to"));
    const again = await open(`playground${given}`);
    await ready(again);
    await again.click("[data-time=real]");
    await again.until(() => document.getElementById("log").textContent.includes("same state"));
    holds("it replays", (await again.text("#log")).includes(`cycle ${to}`), await again.text("#log"));
    await again.leave();
    await page.leave();
  },

  async "broken links begin without what cannot be read"() {
    const page = await open("playground#n=500&seed=-3&e=5x1,nonsense,4c5000000&to=zz&hash=<b>");
    await page.until(() => !document.getElementById("hint").hidden);
    holds("it says so", (await page.text("#hint")).includes("could not be read"));
    await ready(page);
    await page.leave();
  },

  async "a region dies and comes back"() {
    const page = await open("playground?theme=dark#n=480&seed=21");
    await agreed(page);
    await page.click("[data-do=k]");
    await page.until(() => document.querySelector("#verdict span").textContent.includes("Europe is dead"));
    await picture(page, "3-dead-dark");
    await page.click("[data-do=k]");
    await page.until(() => document.getElementById("log").textContent.includes("everything is back"));
    await page.leave();
  },

  async "when all regions are dead, nothing is left"() {
    const page = await open("playground#n=240&seed=2");
    await agreed(page);
    for (const region of [0, 1, 2]) {
      await page.click(`#regions [data-value="${region}"]`);
      await page.click("[data-do=k]");
    }
    await wordIs(page, "Gone");
    await page.keyboard.press("c");
    await page.until(() => document.getElementById("hint").textContent.includes("no region is alive"));
    await page.leave();
  },

  async "liars are left outside, and what they do is chosen"() {
    const page = await open("playground#n=960&seed=21", {width: 1600, height: 1000});
    await agreed(page);
    await page.select("#share", "400");
    await page.keyboard.press("a");
    await page.until(() => document.querySelector("#verdict span").textContent.includes("384 of 960 lie"));
    await picture(page, "4-liars-light");
    await page.select("#lie", "3");
    await page.until(() => document.querySelector("#log li").textContent.includes("something huge"));
    await page.leave();
  },

  async "a cut has two sides"() {
    const page = await open("playground?theme=dark#n=480&seed=21", {width: 1600, height: 1000});
    await agreed(page);
    await page.keyboard.press("p");
    await page.keyboard.press("c");
    await wordIs(page, "Apart");
    await page.until(() => document.querySelector("#verdict span").textContent.includes("1,205 VU, the others 1,200"));
    await picture(page, "5-cut-dark");
    await page.leave();
  },

  async "amounts that cannot be are refused with the reason"() {
    const page = await open("playground");
    await ready(page);
    for (const [amount, why] of [["", "Enter an amount"], ["abc", "Enter an amount"], ["0", "Enter an amount"], ["2e9", "Enter an amount"],
      ["900000", "may earn 1,000 VU"]]) {
      await page.$eval("#amount", (input, value) => { input.value = value; }, amount);
      await page.click("[data-do=c]");
      if (why.startsWith("may")) await page.click("[data-time=step]");
      await page.until((wanted) => document.getElementById("hint").textContent.includes(wanted), why);
      holds(`${amount} is said to be wrong`, true);
    }
    await page.leave();
  },

  async "single-letter keys can be switched off"() {
    const page = await open("playground");
    await paused(page);
    await page.keyboard.press("?");
    await page.until(() => document.querySelector("dialog.keys").open);
    holds("the help passes axe", (await page.violations()).length === 0, (await page.violations()).join("; "));
    await picture(page, "6-keys-light");
    await page.click("#letters");
    await page.keyboard.press("Escape");
    const before = await page.text("#log");
    await page.keyboard.press("s");
    await page.keyboard.press("c");
    await page.keyboard.press("Space");  // not a letter: it goes on
    await page.until(() => document.querySelector("[data-time=pause]").ariaPressed === "false");
    holds("letters do nothing now", !(await page.text("#log")).includes("scattered"), before);
    holds("buttons do not name them", await page.$eval(".do kbd", (key) => getComputedStyle(key).display === "none"));
    await page.leave();
  },

  async "the keyboard reaches everything, in order, with a focus that is seen"() {
    const page = await open("playground");
    await paused(page);
    await page.evaluate(() => { document.activeElement.blur(); scrollTo(0, 0); });
    const reached = [];
    for (let k = 0; k < 60; ++k) {
      await page.keyboard.press("Tab");
      const at = await page.evaluate(() => {
        const e = document.activeElement, style = getComputedStyle(e);
        return e === document.body ? null : {
          name: e.id || e.dataset.do || e.dataset.time || e.dataset.view || e.dataset.value || e.tagName.toLowerCase(),
          seen: style.outlineStyle !== "none" || e.id === "amount" || e.classList.contains("skip")};
      });
      if (!at) break;
      reached.push(at.name);
      holds(`${at.name} shows its focus`, at.seen);
    }
    for (const name of ["keys", "theme", "swarm", "rings", "pause", "scrubber", "c", "amount", "d", "s", "p", "k", "a", "share", "lie", "l", "g", "copy"]) {
      holds(`Tab reaches ${name}`, reached.includes(name), reached.join(" "));
    }
    holds("the link past the head comes first", reached[0] === "a");
    await page.focus("#swarm");
    await page.keyboard.press("ArrowRight");
    holds("an arrow key chooses me first", (await page.text("#card")).startsWith("You"), await page.text("#card"));
    await page.keyboard.press("ArrowRight");
    holds("and then the next", (await page.text("#card")).startsWith("Replica 9"), await page.text("#card"));
    holds("a voice hears it", (await page.text("#said")).startsWith("Replica 9"));
    await page.keyboard.press("Escape");
    holds("Escape lets go", await page.$eval("#card", (card) => card.hidden));
    await page.leave();
  },

  async "a screen reader has the picture as a table"() {
    const page = await open("playground#n=240&seed=4");
    await agreed(page);
    await page.click("#table summary");
    const rows = await page.$$eval("#table tbody tr", (all) => all.map((row) => row.textContent));
    holds("a row a region", rows.length === 3 && rows[0].startsWith("Europe80"), rows.join(" | "));
    holds("the canvas is described", /240 replicas in Europe/.test(await page.text("#said")), await page.text("#said"));
    await page.leave();
  },

  async "axe finds nothing, in light and dark, on every page"() {
    for (const path of ["playground", "404"]) {
      for (const theme of ["light", "dark"]) {
        const page = await open(`${path}?theme=${theme}`, {expects: path === "404" ? /404/ : null});
        if (path === "playground") { await agreed(page); await page.click("[data-do=p]"); await wordIs(page, "Apart"); }
        const found = await page.violations();
        holds(`${path}, ${theme}: axe`, found.length === 0, found.join("; "));
        await page.leave();
      }
    }
  },

  async "no width scrolls sideways"() {
    for (const [width, height] of [[320, 640], [375, 812], [560, 900], [768, 1024], [900, 700], [1000, 800], [1280, 900], [1920, 1080]]) {
      for (const path of ["playground", "404"]) {
        const page = await open(path, {width, height, expects: path === "404" ? /404/ : null});
        if (path === "playground") {
          await agreed(page);
          await page.click("[data-do=p]");
          await wordIs(page, "Apart");
        }
        const wide = await page.evaluate(() => document.documentElement.scrollWidth);
        holds(`${path} at ${width} px`, wide <= width, `${wide} px wide`);
        if (path === "playground") await picture(page, `7-width-${width}`);
        await page.leave();
      }
    }
  },

  async "reduced motion: a cycle is one picture, and rest draws nothing"() {
    const page = await open("playground#n=240&seed=4", {features: [{name: "prefers-reduced-motion", value: "reduce"}], before: CANVAS_COUNTER});
    await paused(page);
    const frames = () => page.evaluate(() => new Promise((done) => {
      // Two frames for what was asked for; then whatever else is drawn.
      requestAnimationFrame(() => requestAnimationFrame(() => requestAnimationFrame(() => done(window.drawn))));
    }));
    await frames();
    for (const [what, most] of [["s", 6], [".", 6], ["c", 6], [".", 6], ["p", 6]]) {
      const before = await frames();
      await page.keyboard.press(what);
      await frames();
      await page.evaluate(() => new Promise((done) => setTimeout(done, 300)));
      const drawn = await frames() - before;
      holds(`${what} is drawn at once`, drawn >= 1 && drawn <= most, `${drawn} frames`);
    }
    const rest = await frames();
    await page.evaluate(() => new Promise((done) => setTimeout(done, 500)));
    holds("rest draws nothing", await frames() === rest);
    await page.leave();
  },

  async "forced colours show every sign"() {
    const page = await open("playground", {features: [{name: "forced-colors", value: "active"}]});
    await agreed(page);
    await page.keyboard.press("a");
    await page.until(() => document.querySelector("#verdict span").textContent.includes("lie"));
    const inked = await page.$eval("#swarm", (canvas) => {
      const {data} = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
      let dots = 0;
      for (let k = 3; k < data.length; k += 4) dots += data[k] > 0 ? 1 : 0;
      return dots;
    });
    holds("the swarm is drawn", inked > 2000, `${inked} pixels`);
    await picture(page, "8-forced-colours");
    await page.leave();
  },

  async "what goes wrong is a sentence that says what to do"() {
    const worker = readdirSync(folder).find((name) => /^playground_worker-.*\.js$/.test(name));
    const code = readFileSync(join(folder, worker), "utf8"), type = "text/javascript";
    const trap = "const start = WebAssembly.instantiateStreaming; WebAssembly.instantiateStreaming = async (...all) => { const made = await start(...all);" +
      " let steps = 0; return {instance: {exports: {...made.instance.exports, playground_step() { if (++steps > 3) throw new Error('unreachable'); made.instance.exports.playground_step(); }}}}; };";
    const faults = [
      ["no worker script", "/playground_worker", {status: 500}, /playground_worker.*could not be loaded.*reload/i, /500/],
      ["no core", "/playground-", null, null, null],
      ["no SIMD", "/playground_worker", {type, body: `WebAssembly.validate = () => false;${code}`}, /lacks WebAssembly SIMD.*Update it/],
      ["the core stops", "/playground_worker", {type, body: trap + code}, /has stopped \(unreachable\).*Reload/],
    ];
    for (const [what, path, answer, sentence, expects = null] of faults) {
      if (answer) test.server.replace.set(path, answer);
      else test.server.replace.set(readdirSync(folder).find((name) => name.endsWith(".wasm")).replace(/^/, "/"), {status: 404});
      const page = await open("playground", {expects: expects ?? /404/});
      await page.until(() => !document.getElementById("problem").hidden);
      const said = await page.text("#problem");
      holds(`${what} is said`, (sentence ?? /\.wasm could not be loaded \(HTTP 404\).*reload/).test(said), said);
      test.server.replace.clear();
      await page.leave();
    }
    const page = await open("playground", {before: () => { delete window.WebAssembly; }});
    await page.until(() => !document.getElementById("problem").hidden);
    holds("no WebAssembly is said", /cannot run WebAssembly/.test(await page.text("#problem")), await page.text("#problem"));
    await page.leave();
  },

  async "the theme follows the system, then the visitor"() {
    const dark = [{name: "prefers-color-scheme", value: "dark"}];
    const page = await open("playground", {features: dark});
    await agreed(page);
    const theme = () => page.evaluate(() => document.documentElement.dataset.theme);
    holds("dark where the system is", await theme() === "dark");
    await picture(page, "9-calm-dark");
    await page.click("#theme");
    holds("light by the button", await theme() === "light");
    await page.reload();
    holds("and after a reload", await theme() === "light");
    await page.leave();
  },

  async "what is shared has a title, a sentence and a picture, and nothing else is asked for"() {
    const page = await open("playground");
    await ready(page);
    const meta = await page.$$eval("meta[property^=og]", (all) => Object.fromEntries(all.map((one) => [one.getAttribute("property"), one.content])));
    for (const name of ["og:title", "og:description", "og:image"]) holds(`${name} is there`, (meta[name] ?? "").length > 10, meta[name]);
    const image = readFileSync(join(folder, meta["og:image"].replace(/^.*\//, "")));
    holds("the picture is 1200 x 630", image.readUInt32BE(16) === 1200 && image.readUInt32BE(20) === 630);
    holds("the policy is strict", /default-src 'none'.*script-src 'self' 'wasm-unsafe-eval'/.test(
      await page.$eval("meta[http-equiv=Content-Security-Policy]", (policy) => policy.content)));
    holds("no script and no style stands in the page", await page.evaluate(() =>
      document.querySelectorAll("script:not([src]), style").length === 0 && document.querySelectorAll("[onclick],[onload]").length === 0));
    await page.leave();
  },

  async "the files are small"() {
    const size = (pattern) => readdirSync(folder).filter((name) => pattern.test(name)).reduce((sum, name) => sum + statSync(join(folder, name)).size, 0);
    const code = size(/^(playground|theme).*\.(js|css|html)\.gz$/), core = size(/^playground-.*\.wasm\.gz$/), chart = size(/^uplot.*\.gz$/);
    console.log(`with gzip: page ${code} bytes, chart ${chart}, core ${core}`);
    holds("page", code < 40_000, `${code} bytes`);
    holds("core", core < 120_000, `${core} bytes`);
  },
};

const only = process.env.ONLY ?? "";  // part of a name, for whoever works on one case
for (const [name, run] of Object.entries(CASES).filter(([of]) => of.includes(only))) {
  const before = test.complaints.length;
  try {
    await run();
  } catch (error) {
    test.complaints.push(`${name}: ${error.message}`);
    console.error(`FAILED ${name}: ${error.stack}`);
  }
  console.log(`${test.complaints.length === before ? "passed" : "FAILED"}: ${name}`);
}
await test.close();
console.log(`${test.count()} checks, ${test.complaints.length} complaints`);
process.exitCode = test.complaints.length > 0 || (only === "" && test.count() < 100) ? 1 : 0;
