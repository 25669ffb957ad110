import { join } from 'node:path';
import test from 'ava';
import { divergenceText, explainReplay } from '../../src/diff/replay-report.js';
import { TraceReader } from '../../src/trace/reader.js';
import type { Op } from '../replay/fake-machine.js';
import { recordFake, replayFake } from '../replay/fake-runs.js';
import { withDirectory } from '../trace/sample-trace.js';

/** The report of recording one program and replaying another. */
function explain(recorded: Op[], replayed: Op[]) {
  return withDirectory((directory) => {
    const path = join(directory, 'a.vmr');
    recordFake(path, recorded);
    const found = replayFake(path, replayed).divergence!;
    const reader = TraceReader.open(path);
    try {
      return explainReplay(reader, found, 2);
    } finally {
      reader.close();
    }
  });
}

const hello = [...'hello'].map((c): Op => ({ do: 'out', port: 0x3f8, value: c.charCodeAt(0) }));

test('a divergence is explained with both events, the instruction and the events around', (t) => {
  const report = explain(hello, hello.with(3, { do: 'out', port: 0x3f8, value: 0x21 }));
  t.is(report.index, 3);
  t.is(report.expected!.text, 'uart0 THR: port-write 0x3f8.1 = 0x6c "l"');
  t.is(report.actual!.text, 'uart0 THR: port-write 0x3f8.1 = 0x21 "!"');
  t.deepEqual(report.site, { at: '0x10:0x1003', instruction: { text: 'in al, dx', bytes: 'ec' } });
  t.deepEqual(
    report.before.map(({ index }) => index),
    [1, 2],
  );
  t.deepEqual(
    report.after.map(({ index }) => index),
    [4, 5],
  );
});

test('the report as text begins with event, cycle and sentence', (t) => {
  const text = divergenceText(explain(hello, hello.with(0, { do: 'in', port: 0x3fd })));
  t.regex(
    text,
    /^divergence at event 0, cycle 0: the trace has port-write 0x3f8\.1 = 0x68, and the guest did port-read/,
  );
  t.regex(text, /\n {2}this run: {2}cycle 0, uart0 LSR: port-read 0x3fd\.1/);
});

test('a guest that goes on after the end of the trace is explained too', (t) => {
  const report = explain(hello, [...hello, { do: 'out', port: 0x80, value: 1 }]);
  t.is(report.expected!.kind, 'end');
  t.is(report.actual!.device, 'post');
});
