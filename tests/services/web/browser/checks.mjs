// Cases that run one after the other and go on after a failure.
export class Checks {
  failed = 0;

  async run(name, act) {
    const began = Date.now();
    try {
      await act();
      console.log(`ok    ${name} (${((Date.now() - began) / 1000).toFixed(1)} s)`);
    } catch (error) {
      this.failed += 1;
      console.log(`FAIL  ${name}: ${error.stack ?? error}`);
    }
  }
  expect(holds, what) {
    if (!holds) throw new Error(what);
  }
}
