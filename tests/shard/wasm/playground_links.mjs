// Playgrounds that every side must repeat: actions are [cycle, kind, a, b] (shard/wasm/playground.h).
const K = {contribute: 0, throw: 1, scatter: 2, cut: 3, loss: 4, attack: 5, kill: 6, start: 7, churn: 8};

export const LINKS = [
  {name: "everything at once", seed: 21, regions: 3, microNodes: 480, cycles: 200, actions: [
    [12, K.contribute, 5e6, 0], [20, K.cut, 1, 0], [25, K.contribute, 1_500_000, 0], [33, K.attack, 1, 300],
    [36, K.scatter, 0, 0], [60, K.cut, 0, 0], [70, K.loss, 500, 0], [75, K.throw, 0, 0], [90, K.kill, 2, 0],
    [100, K.churn, 20, 0], [110, K.start, 2, 0], [120, K.attack, 6, 200], [150, K.attack, 0, 0], [160, K.loss, 0, 0]]},
  {name: "every attack", seed: 5, regions: 2, microNodes: 120, cycles: 160, actions:
    Array.from({length: 15}, (_, k) => [10 * (k + 1), K.attack, k + 1, 250])},
  {name: "all regions die", seed: 77, regions: 5, microNodes: 300, cycles: 140, actions: [
    ...[0, 1, 2, 3, 4].map((region) => [20 + region, K.kill, region, 0]),
    ...[4, 2, 0].map((region, k) => [40 + 5 * k, K.start, region, 0]), [120, K.contribute, 3e6, 0]]},
];
