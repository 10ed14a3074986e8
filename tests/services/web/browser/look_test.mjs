// The page "take part" for everybody: contrast, keyboard, names, a phone, 320 pixels, reduced motion. Pictures of each
// are left in a folder, to be looked at.
//
//   node look_test.mjs LVS PICTURES_FOLDER
import {mkdirSync, readFileSync} from "node:fs";
import {join} from "node:path";
import {fromModules, openBrowser, openPage, SKIPPED, stateOf, until} from "./browsers.mjs";
import {Checks} from "./checks.mjs";
import {openServer} from "./nodes.mjs";

const [lvs, pictures] = process.argv.slice(2);
const browser = await openBrowser("chromium");
if (!browser) {
  console.error("skipped: there is no /usr/bin/chromium (Debian: chromium)");
  process.exit(SKIPPED);
}
mkdirSync(pictures, {recursive: true});
const CONTRAST = 4.5, SMALLEST = 24;
const checks = new Checks();
const server = await openServer(lvs, {region: "eu"});
const others = [];
for (let n = 0; n < 4; ++n) {
  others.push(await openPage(browser, `${server.url}?micro=${2 + n}&region=${["us", "asia", "eu"][n % 3]}${n === 1 ? "&relay=1" : ""}`, {visible: true, width: 400, height: 300}));
}

// Texts whose colour is too near to what is behind them.
const faint = (page, least) => page.evaluate((limit) => {
  const probe = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
  const rgba = (colour) => {
    probe.clearRect(0, 0, 1, 1);
    probe.fillStyle = colour;
    probe.fillRect(0, 0, 1, 1);
    return [...probe.getImageData(0, 0, 1, 1).data].map((part) => part / 255);
  };
  const over = (top, under) => top.slice(0, 3).map((part, k) => part * top[3] + under[k] * (1 - top[3]));
  const behind = (element) => {
    const layers = [];
    for (let at = element; at; at = at.parentElement) layers.unshift(rgba(getComputedStyle(at).backgroundColor));
    return layers.reduce((under, layer) => over(layer, under), [1, 1, 1]);
  };
  const light = (rgb) => rgb.map((c) => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4).reduce((sum, c, k) => sum + c * [0.2126, 0.7152, 0.0722][k], 0);
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const element = node.parentElement;
    if (!node.data.trim() || !element.checkVisibility?.() || element.closest(".unseen, .skip, script, noscript, option, :disabled")) continue;
    const under = behind(element), [a, b] = [light(over(rgba(getComputedStyle(element).color), under)), light(under)];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < limit) found.push(`"${node.data.trim().slice(0, 40)}" has ${ratio.toFixed(2)}`);
  }
  return found;
}, least);

// What axe-core finds, which knows far more rules.
const axe = readFileSync(fromModules.resolve("axe-core/axe.min.js"), "utf8");
const violations = async (page) => {
  await page.evaluate(axe);
  return page.evaluate(async () => {
    const {violations: found} = await globalThis.axe.run(document, {resultTypes: ["violations"]});
    return found.map(({id, nodes}) => `${id}: ${nodes.slice(0, 3).map(({target}) => target.join(" ")).join(", ")}`);
  });
};

// Controls that have no name or are too small for a finger.
const unnamed = (page, least) => page.evaluate((smallest) => {
  const found = [];
  for (const control of document.querySelectorAll("button, input, select, a, summary, canvas, [role=region], table")) {
    if (!control.checkVisibility?.() || control.closest("dialog:not([open]), .skip")) continue;
    const name = control.getAttribute("aria-label") || control.textContent.trim() || control.labels?.[0]?.textContent || control.getAttribute("aria-labelledby") || control.querySelector?.("th")?.textContent;
    const box = control.getBoundingClientRect();
    if (!name) found.push(`${control.tagName} ${control.id} has no name`);
    if (/BUTTON|INPUT|SELECT/.test(control.tagName) && box.height < smallest) found.push(`${control.tagName} ${control.id || control.textContent} is ${box.height} px high`);
  }
  return found;
}, least);

const FORMS = [
  {name: "light", width: 1280, height: 900}, {name: "dark", width: 1440, height: 900, dark: true},
  {name: "phone", width: 390, height: 844, scale: 2, touch: true}, {name: "phone-dark", width: 390, height: 844, scale: 2, touch: true, dark: true},
  {name: "narrow", width: 320, height: 640, scale: 2, touch: true}, {name: "calm", width: 1024, height: 768, calm: true},
];
for (const form of FORMS) {
  await checks.run(`${form.name}, ${form.width} pixels wide`, async () => {
    const page = await openPage(browser, `${server.url}?micro=3&region=eu`, form);
    await page.bringToFront();
    await until("it is linked", async () => (await stateOf(page))?.links >= 2 && (await stateOf(page)).ready, 40_000);
    await page.evaluate(() => document.getElementById("contribute").click());
    await until("the gift is held", async () => (await stateOf(page)).gifts[0].holders >= 2, 20_000);
    await new Promise((resolve) => setTimeout(resolve, 3500));
    await page.screenshot({path: join(pictures, `${form.name}.png`)});
    await page.screenshot({path: join(pictures, `${form.name}-whole.png`), fullPage: true});
    await page.evaluate(() => document.getElementById("throw").click());
    await new Promise((resolve) => setTimeout(resolve, 250));  // it comes home within a second
    await page.screenshot({path: join(pictures, `${form.name}-thrown.png`)});
    await page.evaluate(() => { document.querySelector("details").open = true; });
    const problems = [...await faint(page, CONTRAST), ...await unnamed(page, SMALLEST), ...await violations(page)];
    const [wide, window] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
    if (wide > window) problems.push(`the page is ${wide} px wide`);
    if (form.calm && await page.evaluate(() => document.getAnimations().length) > 0) problems.push("something moves");
    checks.expect(problems.length === 0 && page.faults.length === 0, [...problems, ...page.faults].join("\n"));
    await page.close();
  });
}
await checks.run("all that can be clicked is reached by the keyboard, and seen to be", async () => {
  const page = await openPage(browser, `${server.url}?micro=3`, {width: 1280, height: 900});
  await page.bringToFront();
  await until("its replicas are there", async () => (await stateOf(page))?.shards.every((shard) => shard.replicas > 0), 20_000);
  const wanted = await page.evaluate(() => [...document.querySelectorAll("button, input, select, canvas[tabindex]")]
    .filter((one) => one.checkVisibility() && !one.closest("dialog")).map((one) => one.id || one.textContent.trim()));
  const reached = new Set();
  for (let n = 0; n < wanted.length + 12; ++n) {
    await page.keyboard.press("Tab");
    const [name, outlined] = await page.evaluate(() => {
      const style = getComputedStyle(document.activeElement);
      return [document.activeElement.id || document.activeElement.textContent.trim(), style.outlineStyle !== "none" && style.outlineWidth !== "0px"];
    });
    if (wanted.includes(name)) checks.expect(outlined, `${name} is not seen to have the focus`);
    reached.add(name);
  }
  checks.expect(wanted.every((name) => reached.has(name)), `not reached: ${wanted.filter((name) => !reached.has(name)).join(", ")}`);
  await page.focus("#swarm");
  await page.keyboard.press("ArrowRight");
  const card = await page.evaluate(() => document.getElementById("card").innerText);
  checks.expect(/Yours/.test(card), `the arrow keys show "${card}"`);
  await page.keyboard.press("Escape");
  await page.keyboard.press("v");
  checks.expect(await page.evaluate(() => document.querySelector("[data-view=plane]").getAttribute("aria-pressed")) === "true", "V does not change the view");
  await page.keyboard.press("?");
  checks.expect(await page.evaluate(() => document.querySelector("dialog").open), "there is no help behind ?");
  await page.screenshot({path: join(pictures, "keys.png")});
});
await browser.close();
process.exit(checks.failed === 0 ? 0 : 1);
