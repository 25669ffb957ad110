// A process that makes two traces a boot's baseline by turns, until it is killed: argv is folder, store or -, trace A and
// trace B. Says `ready` when the first round is done.

import { Baselines } from '../../src/gate/baselines.js';
import { factsOf } from '../../src/gate/facts.js';
import { TraceReader } from '../../src/trace/reader.js';

const [directory, store, ...traces] = process.argv.slice(2) as [string, string, string, string];
const baselines = new Baselines(directory, store === '-' ? undefined : store);
const facts = traces.map((trace) => factsOf(TraceReader.open(trace)));
for (let round = 0; ; round++) {
  for (const [i, trace] of traces.entries()) {
    baselines.accept('boot', facts[i]!, trace);
    baselines.clean();
  }
  if (round === 0) console.log('ready');
}
