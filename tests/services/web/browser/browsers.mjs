// Drives Debian's Chromium and Firefox. puppeteer-core is found under LVS_WEB_MODULES (browser_test.sh).
//
//   const browser = await openBrowser("chromium");           // undefined: it is not installed
//   const page = await openPage(browser, url, {width: 1280, height: 900});
//   await until("they agree", async () => (await stateOf(page)).spread < 1e-4, 20_000);
import {existsSync, mkdtempSync} from "node:fs";
import {createRequire} from "node:module";
import {tmpdir} from "node:os";
import {join} from "node:path";

const modules = process.env.LVS_WEB_MODULES;
if (!modules) throw new Error("LVS_WEB_MODULES must name the folder with node_modules");
export const fromModules = createRequire(join(modules, "node_modules", "of-tests.js"));
const puppeteer = fromModules("puppeteer-core");

const PATHS = {chromium: "/usr/bin/chromium", firefox: "/usr/bin/firefox-esr"};

export const SKIPPED = 77;

export async function openBrowser(name) {
  if (!existsSync(PATHS[name])) return undefined;
  const userDataDir = mkdtempSync(join(tmpdir(), `lvs-${name}-`));
  if (name === "chromium") {
    return puppeteer.launch({
      executablePath: PATHS.chromium, headless: true, userDataDir, acceptInsecureCerts: true, protocolTimeout: 120_000,
      args: [
        "--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking", "--disable-component-update",
        "--disable-sync", "--no-first-run", "--mute-audio",
        // Connections between pages of one machine, and to hubs at other ports of it.
        "--allow-loopback-in-peer-connection", "--disable-features=LocalNetworkAccessChecks,LocalNetworkAccessChecksWebSockets",
        // The pages of a test stand for tabs of many visitors: each is in front.
        "--disable-background-timer-throttling", "--disable-backgrounding-occluded-windows", "--disable-renderer-backgrounding",
      ],
    });
  }
  return puppeteer.launch({
    browser: "firefox", protocol: "webDriverBiDi", executablePath: PATHS.firefox, headless: true, userDataDir,
    acceptInsecureCerts: true, protocolTimeout: 120_000,
    extraPrefsFirefox: {"media.peerconnection.ice.loopback": true, "media.peerconnection.ice.obfuscate_host_addresses": false},
  });
}

// A page whose errors, and whose requests to others than its own host and `hosts`, are collected in `page.faults`.
export async function openPage(browser, url, {width = 1280, height = 900, dark = false, calm = false, scale = 1, touch = false, visible = false, first, hosts = []} = {}) {
  const page = await browser.newPage();
  page.faults = [];
  page.on("pageerror", error => page.faults.push(`page: ${error.message}`));
  page.on("console", message => {
    if (message.type() === "error") page.faults.push(`console: ${message.text()}`);
  });
  const home = new URL(url).host;
  page.on("request", request => {
    const {protocol, host} = new URL(request.url());
    if (/^(https?|wss?):$/.test(protocol) && host !== home && !hosts.includes(host)) page.faults.push(`asks ${request.url()}`);
  });
  await page.setViewport({width, height, deviceScaleFactor: scale, hasTouch: touch, isMobile: touch});
  const features = [
    {name: "prefers-color-scheme", value: dark ? "dark" : "light"},
    {name: "prefers-reduced-motion", value: calm ? "reduce" : "no-preference"},
  ];
  await page.emulateMediaFeatures(features).catch(() => {});  // Firefox has none of it over BiDi
  // Only one page of a window is seen. The others are drawn nothing, but their nodes are to run as if they were.
  if (visible) await page.evaluateOnNewDocument('Object.defineProperty(document, "hidden", {get: () => false, configurable: true})');
  if (first) await page.evaluateOnNewDocument(first);
  await page.goto(url, {waitUntil: "domcontentloaded"});
  return page;
}

// What the page says about its node: the same object that its own drawing is made from.
export const stateOf = page => page.evaluate(() => globalThis.lvs?.state);

export async function until(what, holds, ms) {
  const end = Date.now() + ms;
  let last;
  for (;;) {
    try {
      last = await holds();
      if (last) return last;
    } catch (error) {
      last = error;
    }
    if (Date.now() > end) throw new Error(`not within ${ms / 1000} s: ${what}${last instanceof Error ? ` (${last.message})` : ""}`);
    await new Promise(resolve => setTimeout(resolve, 100));
  }
}
