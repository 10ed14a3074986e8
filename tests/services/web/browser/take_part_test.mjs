// Two tabs of one browser and a server node: they link, agree, and give each other what they got; all that the page
// offers works; and the native build computes what the browser computed.
//
//   node take_part_test.mjs BROWSER LVS LVS_TAB_REPLAY PAGES_FOLDER
import {execFileSync} from "node:child_process";
import {mkdtempSync, writeFileSync} from "node:fs";
import {tmpdir} from "node:os";
import {join} from "node:path";
import {openBrowser, openPage, SKIPPED, stateOf, until} from "./browsers.mjs";
import {Checks} from "./checks.mjs";
import {openFaultyHub} from "./faulty_hub.mjs";
import {openServer} from "./nodes.mjs";

const [name, lvs, replay, pages] = process.argv.slice(2);
const browser = await openBrowser(name);
if (!browser) {
  console.error(`skipped: ${name} is not installed (Debian: chromium, firefox-esr)`);
  process.exit(SKIPPED);
}
const checks = new Checks();
const server = await openServer(lvs, {region: "eu", web: {origins: ["*"]}});
// Of ten micro-nodes on four groups, so that the two tabs share shards.
const a = await openPage(browser, `${server.url}?micro=10&record=1`, {visible: true});
const b = await openPage(browser, `${server.url}?micro=10&region=us`, {visible: true});
const click = (page, id) => page.evaluate((element) => document.getElementById(element).click(), id);
const totals = (state) => state.shards.reduce((sum, shard) => sum + shard.total_vu_0 + shard.total_vu_1, 0);

await checks.run("they find each other through the hub and link directly", async () => {
  for (const page of [a, b]) {
    await until("a link", async () => {
      const state = await stateOf(page);
      return state?.hub === "welcome" && state.links === 1 && state.relayed === 0 && state.ready;
    }, 30_000);
  }
});
await checks.run("the server gives both a place", async () => {
  for (const page of [a, b]) await until("a place", async () => (await stateOf(page)).served, 30_000);
});
await checks.run("a node that is thrown out comes home", async () => {
  const {cycle} = await stateOf(a);
  await click(a, "throw");
  await until("it is back", async () => {
    const state = await stateOf(a);
    return state.cycle > cycle + 20 && state.agreed && (await stateOf(b)).agreed;
  }, 30_000);
});
await checks.run("a contribution reaches the other tab and the server, to the micro-unit", async () => {
  await a.evaluate(() => {
    const amount = document.getElementById("amount");
    amount.value = "2.500001";
    amount.dispatchEvent(new Event("input"));
  });
  await click(a, "contribute");
  await until("both hold it", async () => {
    const [mine, other] = [await stateOf(a), await stateOf(b)];
    return mine.gifts[0]?.holders >= 2 && Math.round(totals(mine) * 1e6) === 2_500_001 && Math.round(totals(other) * 1e6) === 2_500_001;
  }, 20_000);
  await until("the server holds it", async () => String((await server.status()).ledger?.total_uvu?.[0]) === "2500001", 20_000);
});
await checks.run("an amount by the keyboard, and the words for it", async () => {
  await a.bringToFront();
  await a.focus("#swarm");
  await a.keyboard.press("c");
  await until("a second gift is held by others", async () => (await stateOf(a)).gifts[1]?.holders >= 2, 20_000);
  const log = await a.evaluate(() => document.getElementById("log").innerText);
  checks.expect(/You contribute 2\.500001 VU to shard \d+.*held by \d/s.test(log), log);
});
await checks.run("links are cut and come back", async () => {
  await click(a, "cut");
  await until("no link", async () => (await stateOf(a)).links === 0, 10_000);
  await until("linked again", async () => (await stateOf(a)).links === 1, 40_000);
});
await checks.run("one micro-node, and ten again", async () => {
  await a.evaluate(() => document.querySelector("#micro [data-value='1']").click());
  await until("four shards", async () => (await stateOf(a)).tab.micro_nodes === 1, 10_000);
  await a.evaluate(() => document.querySelector("#micro [data-value='10']").click());
  await until("ten", async () => (await stateOf(a)).tab.micro_nodes === 10, 10_000);
});
await checks.run("the native build reaches every state of the browser", async () => {
  const file = join(mkdtempSync(join(tmpdir(), "lvs-replay-")), "recording");
  writeFileSync(file, await a.evaluate(() => globalThis.lvs.recording()));
  console.log(`      ${execFileSync(replay, [file], {encoding: "utf8"}).trim()}`);
});
await checks.run("a page that is closed says goodbye", async () => {
  await b.close({runBeforeUnload: false});
  await until("the other knows", async () => (await stateOf(a)).links === 0, 10_000);
});
await checks.run("a tab that was hidden comes back without a burst", async () => {
  const show = (hidden) => a.evaluate((on) => {
    Object.defineProperty(document, "hidden", {get: () => on, configurable: true});
    document.dispatchEvent(new Event("visibilitychange"));
  }, hidden);
  await show(true);
  const before = await stateOf(a);
  await until("cycles are skipped", async () => (await stateOf(a)).tab.skipped > before.tab.skipped + 40, 60_000);
  await show(false);
  const {tab} = await stateOf(a);
  await until("ten more cycles", async () => (await stateOf(a)).tab.cycles >= tab.cycles + 10, 20_000);
  const after = (await stateOf(a)).tab;
  checks.expect(after.cycles - tab.cycles <= after.cycle - tab.cycle + 1, "cycles were made up for");
  checks.expect(after.messages_sent - tab.messages_sent < 100, `${after.messages_sent - tab.messages_sent} messages at once`);
});
await checks.run("a ledger that was kept is back after a reload, before there is any peer", async () => {
  const alone = await openFaultyHub(pages), page = await openPage(browser, `${alone.url}?micro=2&keep=1`, {visible: true});
  await until("it holds its shards", async () => (await stateOf(page))?.shards.every((shard) => shard.replicas > 0), 30_000);
  await click(page, "contribute");
  await until("it is kept", async () => (await stateOf(page)).cached === 1, 20_000);
  const {held} = await stateOf(page);
  await page.evaluate(() => new Promise((resolve) => { setTimeout(resolve, 1500); }));  // it is written within a second
  await page.reload();
  await until("it is back", async () => {
    const state = await stateOf(page);
    return state?.links === 0 && !state.served && totals(state) === 5 && state.held.join() === held.join();
  }, 20_000);
  await page.close();
  alone.close();
});
await checks.run("a tab whose hub is full goes to another one", async () => {
  const {host} = new URL(server.url), web = {tabs_max: 1, hubs: [`ws://${host}/peer`]};
  const full = await openServer(lvs, {region: "eu", boot: [server.peer], web});
  const first = await openPage(browser, full.url, {visible: true});
  await until("the place is taken", async () => (await stateOf(first))?.hub === "welcome", 20_000);
  const other = await openPage(browser, full.url, {visible: true, hosts: [host]});
  await until("it is told", async () => (await other.evaluate(() => document.getElementById("problem").textContent)).includes("as many tabs as it serves"), 20_000);
  await until("another hub takes it", async () => {
    const state = await stateOf(other);
    return state.hub === "welcome" && state.hubName === host;
  }, 60_000);
  await first.close();
  await other.close();
  full.kill();
});
await checks.run("nothing went wrong, and nobody else was asked", async () => {
  checks.expect(a.faults.length === 0, a.faults.join("\n"));
  checks.expect(b.faults.length === 0, b.faults.join("\n"));
});
await browser.close();
process.exit(checks.failed === 0 ? 0 : 1);
