// A real Chromium for the tests of the pages: what a page did that it must not do is collected, and checks are counted.
import {mkdirSync} from "node:fs";
import {createRequire} from "node:module";
import {join} from "node:path";
import {pathToFileURL} from "node:url";
import {serve} from "./serve.mjs";

export const WAIT_MS = 60_000;  // on a machine that is busy with other things

export const CHROMIUM = "/usr/bin/chromium", FIREFOX = "/usr/bin/firefox-esr";

// `modules`: the folder that has node_modules. `folder`: the pages.
export async function start({folder, modules}) {
  const require = createRequire(join(modules, "node_modules", "of-tests.js"));
  const {default: puppeteer} = await import(pathToFileURL(require.resolve("puppeteer-core")).href);
  const axe = require("axe-core").source;
  const server = await serve(folder);
  const browser = await puppeteer.launch({
    executablePath: CHROMIUM, headless: true, protocolTimeout: 2 * WAIT_MS, args: ["--no-sandbox", "--hide-scrollbars"]});
  const complaints = [];
  let checks = 0;

  return {
    server, complaints, puppeteer,
    count: () => checks,
    holds(what, holds, found = "") {
      ++checks;
      if (!holds) { complaints.push(`${what}${found === "" ? "" : `: ${found}`}`); console.error(`FAILED ${complaints.at(-1)}`); }
    },
    // Opens a page in a profile of its own, so that nothing is remembered from the one before.
    async open(path, {width = 1280, height = 900, features = [], before = null, expects = null} = {}) {
      const context = await browser.createBrowserContext();
      const page = await context.newPage();
      page.setDefaultTimeout(WAIT_MS);
      const wrong = [];
      page.on("console", (message) => {
        if (["error", "warn", "assert"].includes(message.type())) wrong.push(`console.${message.type()}: ${message.text()}`);
      });
      page.on("pageerror", (error) => wrong.push(`error: ${error.message}`));
      page.on("request", (request) => {
        if (!request.url().startsWith(server.address) && !request.url().startsWith("data:")) wrong.push(`request to ${request.url()}`);
      });
      await page.setViewport({width, height, deviceScaleFactor: 1, isMobile: width < 600, hasTouch: width < 600});
      const session = await page.createCDPSession();
      await session.send("Emulation.setEmulatedMedia", {features});
      if (before) await page.evaluateOnNewDocument(before);
      await page.goto(server.address + path, {waitUntil: "load"});
      return Object.assign(page, {
        wrong,
        text: (selector) => page.$eval(selector, (element) => element.textContent),
        attribute: (selector, name) => page.$eval(selector, (element, key) => element.getAttribute(key), name),
        until: (test, ...rest) => page.waitForFunction(test, {polling: 50, timeout: WAIT_MS}, ...rest),
        click: (selector) => page.$eval(selector, (element) => element.click()),
        async violations() {
          await page.evaluate(axe);
          const found = await page.evaluate(() => window.axe.run(document, {resultTypes: ["violations"]}));
          return found.violations.map(({id, nodes}) => `${id}: ${nodes.map((node) => node.target.join(" ")).slice(0, 3).join(", ")}`);
        },
        async leave() {
          const unexpected = expects ? wrong.filter((line) => !expects.test(line)) : wrong;
          for (const line of unexpected) { complaints.push(`${path}: ${line}`); console.error(`FAILED ${path}: ${line}`); }
          await context.close();
        },
      });
    },
    async close() {
      await browser.close();
      server.close();
    },
  };
}

export function screens(folder) {
  if (!folder) return async () => {};
  mkdirSync(folder, {recursive: true});
  return (page, name) => page.screenshot({path: join(folder, `${name}.png`)});
}
