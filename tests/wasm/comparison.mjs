// Compares what two sides showed, and checks that enough was compared. Both return complaints, one a line; none: equal.

// A run: one entry a case, {cycles: ["state rest", ...], facts}.
export function compare(one, other) {
  const complaints = [];
  if (one.length !== other.length) complaints.push(`${one.length} cases on one side, ${other.length} on the other`);
  for (let index = 0; index < Math.min(one.length, other.length); ++index) {
    const [a, b] = [one[index], other[index]];
    const name = `case ${index} (${a.facts.name})`;
    if (a.cycles.length !== b.cycles.length) {
      complaints.push(`${name}: ${a.cycles.length} cycles on one side, ${b.cycles.length} on the other`);
    }
    const cycle = a.cycles.findIndex((shown, k) => shown !== b.cycles[k]);
    if (cycle >= 0 && cycle < b.cycles.length) {
      const [[state, rest], [stateToo, restToo]] = [a.cycles[cycle].split(' '), b.cycles[cycle].split(' ')];
      const where = [state !== stateToo && 'state', rest !== restToo && 'rest'].filter(Boolean).join(' and ');
      complaints.push(`${name}: ${where} differ from cycle ${cycle + 1} on`);
    }
    for (const key of Object.keys({...a.facts, ...b.facts})) {
      const [fact, factToo] = [JSON.stringify(a.facts[key]), JSON.stringify(b.facts[key])];
      if (fact !== factToo) complaints.push(`${name}: ${key} is ${fact} on one side, ${factToo} on the other`);
    }
  }
  return complaints;
}

// What the cases together must have exercised.
export function gaps(run, {cycles, leastCases}) {
  const complaints = [];
  const demand = (holds, complaint) => holds || complaints.push(complaint);
  const facts = run.map(({facts}) => facts);
  const most = key => Math.max(...facts.map(fact => fact[key]));
  const least = key => Math.min(...facts.map(fact => fact[key]));
  const total = key => facts.reduce((sum, fact) => sum + fact[key], 0);

  demand(run.length >= leastCases, `${run.length} cases; at least ${leastCases} are wanted`);
  for (const [index, {cycles: shown, facts}] of run.entries()) {
    demand(shown.length === cycles, `case ${index} (${facts.name}): ${shown.length} of ${cycles} cycles`);
    // A case that stands still shows the same words again and again; one whose replicas have settled, now and then.
    demand(2 * new Set(shown).size > shown.length, `case ${index} (${facts.name}) stands still`);
    demand(facts.replica_cycles > cycles, `case ${index} (${facts.name}): ${facts.replica_cycles} replica cycles`);
  }
  for (const [key, low, high] of [['value_slots', 1, 8], ['free_coordinates', 0, 4], ['peers', 2, 16]]) {
    demand(least(key) === low && most(key) === high, `${key} from ${least(key)} to ${most(key)}; wanted ${low} to ${high}`);
  }
  demand(most('server_nodes') >= 3, `at most ${most('server_nodes')} server nodes; 3 are wanted`);
  for (const [key, wanted] of [
    ['entered', 1000], ['left', 1000], ['low_power', 1000], ['restarts', 5], ['contributions', 1000], ['frames', 5000],
    ['frames_refused', 100], ['refusals', 1000], ['not_finite', 1000], ['liars_stopped', 100]]) {
    demand(total(key) >= wanted, `${key}: ${total(key)}; at least ${wanted} are wanted`);
  }
  const attacks = facts[0]?.lies.length ?? 0;
  demand(attacks > 0, 'no attack is counted');
  for (let attack = 0; attack < attacks; ++attack) {
    const lies = facts.reduce((sum, fact) => sum + fact.lies[attack], 0);
    demand(lies >= 100, `attack ${attack}: ${lies} lies; at least 100 are wanted`);
  }
  return complaints;
}
