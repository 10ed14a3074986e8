// Makes the picture that a shared link shows (services/web/pages/src/playground/preview.png): the playground itself, with
// its heading, 1200 x 630, in at most 256 colours.
//
//   LVS_WEB_MODULES=build/release/web_modules node preview.mjs PAGES OUT.png
import {writeFileSync} from "node:fs";
import {createRequire} from "node:module";
import {join} from "node:path";
import {pathToFileURL} from "node:url";
import {crc32, deflateSync, inflateSync} from "node:zlib";
import {CHROMIUM} from "./browser.mjs";
import {serve} from "./serve.mjs";

const [folder, out] = process.argv.slice(2);
const WIDTH = 1200, HEIGHT = 630, COLOURS = 256;
const STYLE = `
  .brand, .legend, .player, .actions, .tiles, .below, .verdict, .view, .lead b { display: none !important; }
  main { max-width: none; padding: 0; height: ${HEIGHT}px; position: relative; overflow: hidden; }
  header { position: absolute; left: 64px; top: 150px; width: 470px; z-index: 2; }
  .title { display: block; margin: 0; } h1 { font-size: 54px; } .lead { font-size: 21px; margin-top: 28px; width: 400px; }
  .play { display: block; margin: 0; position: absolute; left: 500px; top: -15px; width: 740px; }
  .sky { border: 0; } #swarm { height: 660px !important; }`;

const server = await serve(folder);
const require = createRequire(join(process.env.LVS_WEB_MODULES, "node_modules", "of-tests.js"));
const {default: puppeteer} = await import(pathToFileURL(require.resolve("puppeteer-core")).href);
const browser = await puppeteer.launch({executablePath: CHROMIUM, headless: true, args: ["--no-sandbox", "--hide-scrollbars"]});
const page = await browser.newPage();
await page.setBypassCSP(true);
await page.setViewport({width: WIDTH, height: HEIGHT});
await page.goto(`${server.address}playground?theme=light#n=960&seed=21`);
await page.addStyleTag({content: STYLE});
await page.mouse.click(5, 5);
await page.evaluate(() => { document.querySelector("[data-view=rings]").click(); document.querySelector("[data-time=real]").click(); });
await page.waitForFunction(() => document.querySelector("#verdict strong").textContent === "Agreed");
// The innermost disc has widened by then.
await new Promise((done) => setTimeout(done, 5000));
const png = await page.screenshot();
await browser.close();
server.close();
writeFileSync(out, indexed(Buffer.from(png)));

function indexed(picture) {
  const chunks = [];
  for (let at = 8; at < picture.length;) {
    const length = picture.readUInt32BE(at);
    chunks.push({type: picture.toString("latin1", at + 4, at + 8), data: picture.subarray(at + 8, at + 8 + length)});
    at += 12 + length;
  }
  const head = chunks[0].data, channels = {2: 3, 6: 4}[head[9]];
  const raw = inflateSync(Buffer.concat(chunks.filter(({type}) => type === "IDAT").map(({data}) => data)));
  const stride = WIDTH * channels, pixels = Buffer.alloc(HEIGHT * stride);
  for (let y = 0; y < HEIGHT; ++y) {
    const filter = raw[y * (stride + 1)];
    for (let x = 0; x < stride; ++x) {
      const a = x < channels ? 0 : pixels[y * stride + x - channels], b = y === 0 ? 0 : pixels[(y - 1) * stride + x];
      const c = x < channels || y === 0 ? 0 : pixels[(y - 1) * stride + x - channels];
      const [pa, pb, pc] = [Math.abs(b - c), Math.abs(a - c), Math.abs(a + b - 2 * c)];
      const paeth = pa <= pb && pa <= pc ? a : pb <= pc ? b : c;
      pixels[y * stride + x] = raw[y * (stride + 1) + 1 + x] + [0, a, b, (a + b) >> 1, paeth][filter];
    }
  }
  // The most frequent colours, at least a step of 8 apart; every other one becomes the nearest of them.
  const colourAt = (k) => pixels[k] << 16 | pixels[k + 1] << 8 | pixels[k + 2], counts = new Map(), steps = new Set();
  for (let k = 0; k < pixels.length; k += channels) counts.set(colourAt(k), (counts.get(colourAt(k)) ?? 0) + 1);
  const palette = [...counts].sort((a, b) => b[1] - a[1]).map(([colour]) => colour).filter((colour) => {
    const step = colour & 0xf8f8f8;
    return !steps.has(step) && steps.add(step);
  }).slice(0, COLOURS);
  const parts = (colour) => [colour >> 16, colour >> 8 & 255, colour & 255];
  const apart = (a, b) => parts(a).reduce((sum, part, k) => sum + (part - parts(b)[k]) ** 2, 0);
  const nearest = new Map([...counts.keys()].map((colour) =>
    [colour, palette.reduce((best, one, k) => apart(one, colour) < apart(palette[best], colour) ? k : best, 0)]));
  const rows = Buffer.alloc(HEIGHT * (WIDTH + 1));
  for (let y = 0; y < HEIGHT; ++y) for (let x = 0; x < WIDTH; ++x) rows[y * (WIDTH + 1) + 1 + x] = nearest.get(colourAt((y * WIDTH + x) * channels));
  const header = Buffer.from(head);
  header[8] = 8;
  header[9] = 3;
  const chunk = (type, data) => {
    const named = Buffer.concat([Buffer.from(type, "latin1"), data]), length = Buffer.alloc(4), sum = Buffer.alloc(4);
    length.writeUInt32BE(data.length);
    sum.writeUInt32BE(crc32(named));
    return Buffer.concat([length, named, sum]);
  };
  return Buffer.concat([picture.subarray(0, 8), chunk("IHDR", header), chunk("PLTE", Buffer.from(palette.flatMap((colour) => parts(colour)))),
    chunk("IDAT", deflateSync(rows, {level: 9})), chunk("IEND", Buffer.alloc(0))]);
}
