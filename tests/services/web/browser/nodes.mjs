// Server nodes of the program, each a process with a hub.
//
//   const servers = await openServers(lvs, ["eu", "us", "asia"]);
//   servers[0].url;  servers[0].status();  servers[0].kill();          // kill -9
//   const fresh = await openServer(lvs, {region: "eu", ports: servers[0].ports});  // empty, at the same addresses
import {execFile, spawn} from "node:child_process";
import {mkdtempSync, openSync, readFileSync, writeFileSync} from "node:fs";
import {createServer} from "node:net";
import {tmpdir} from "node:os";
import {join} from "node:path";
import {promisify} from "node:util";
import {until} from "./browsers.mjs";

const run = promisify(execFile);

export async function freePorts(count) {
  const held = await Promise.all(Array.from({length: count}, () => new Promise((ready) => {
    const server = createServer().listen(0, "127.0.0.1", () => ready(server));
  })));
  const ports = held.map((server) => server.address().port);
  await Promise.all(held.map((server) => new Promise((closed) => server.close(closed))));
  return ports;
}

export async function openServer(lvs, {region, boot = [], ports, web = {}, microNodes = 16, shards = 16} = {}) {
  const folder = mkdtempSync(join(tmpdir(), `lvs-${region}-`)), file = join(folder, "node.yaml"), log = join(folder, "log");
  const [peer, control, health, http] = ports ?? await freePorts(4);
  writeFileSync(file, `region: ${region}
listen: 127.0.0.1:${peer}
control_listen: 127.0.0.1:${control}
health_listen: 127.0.0.1:${health}
web_listen: 127.0.0.1:${http}
web: ${JSON.stringify({places: 16, ...web})}
boot: ${JSON.stringify(boot)}
state: {shards: ${shards}, value_slots: 2, free_coordinates: 2}
population: {micro_nodes: ${microNodes}, shards_per_node: 4}
period: 100ms
`);
  const child = spawn(lvs, ["node", "--config", file], {stdio: ["ignore", openSync(log, "w"), openSync(log, "a")]});
  const server = {
    ports: [peer, control, health, http], region, child, peer: `127.0.0.1:${peer}`, url: `http://127.0.0.1:${http}/`,
    log: () => readFileSync(log, "utf8"),
    kill() { child.kill("SIGKILL"); },
    async status() {
      const {stdout} = await run(lvs, ["status", "--node", `127.0.0.1:${control}`, "--format", "json"]).catch((error) => error);
      const said = JSON.parse(stdout);
      return (said.nodes ?? said)[0].status;
    },
  };
  process.on("exit", () => child.kill("SIGKILL"));
  try {
    await until(`${region} serves its pages`, async () => {
      if (child.exitCode !== null) throw new Error("the node has ended");
      return (await fetch(`${server.url}config.json`)).ok;
    }, 20_000);
  } catch (error) {
    throw new Error(`${error.message}\n${server.log()}`);
  }
  return server;
}

// Each knows the addresses of all hubs.
export async function openServers(lvs, regions, {web = {}, ...options} = {}) {
  const servers = [], ports = await Promise.all(regions.map(() => freePorts(4)));
  const hubs = ports.map((of) => `ws://127.0.0.1:${of[3]}/peer`);
  for (const [n, region] of regions.entries()) {
    servers.push(await openServer(lvs, {region, ports: ports[n], boot: servers.map((one) => one.peer), web: {hubs, origins: ["*"], ...web}, ...options}));
  }
  return servers;
}
