// A sealed replay for those who look into it: run to any cycle, read without leaving a trace. The events of the trace
// are followed as in any replay; recorded state hashes are not held against it, which would cost more than the run.

import * as L from '../cpu/layout.js';
import { peekMemory, peekTranslation } from '../cpu/peek.js';
import { saveProcessor } from '../cpu/snapshot.js';
import { MODE_64BIT, MODE_CS32 } from '../cpu/state.js';
import type { OpenProbe, Probe, ProbeState } from '../diff/probe.js';
import type { MemoryRuns } from '../trace/memory-runs.js';
import type { TraceReader } from '../trace/reader.js';
import type { SiteCode } from '../trace/sink.js';
import { type SealedMachine, sealedMachine } from './sealed-machine.js';
import { translateHotCode } from './tier.js';

/** Runs that go further than this gain from translated code, in cycles. */
const LONG = 20_000_000;
const SEGMENTS = 6;
const REGISTERS = 16;

/** Machines of one trace; its initial memory is decoded once. @throws TraceError */
export function probesOf(reader: TraceReader): OpenProbe {
  let memory: readonly MemoryRuns[] | undefined;
  return async () => {
    memory ??= [...reader.memoryRuns()];
    const probe = new SealedProbe(reader, sealedMachine(reader, undefined, memory));
    if ((reader.summary?.cycles ?? 0) > LONG) await translateHotCode(probe.machine.cpu);
    return probe;
  };
}

class SealedProbe implements Probe {
  #ended = false;

  constructor(
    private readonly reader: TraceReader,
    readonly machine: SealedMachine,
  ) {
    const { cpu, player } = machine;
    cpu.bus = player;
    player.milestone('entry');
  }

  get cycle(): number {
    return this.machine.cpu.now;
  }

  get ended(): boolean {
    return this.#ended || this.machine.player.divergence !== undefined;
  }

  runTo(cycle: number): void {
    const { cpu, player, handoff } = this.machine;
    while (!this.ended && cpu.now < cycle) {
      let end = cpu.runUntil(cycle);
      if (end.reason === 'breakpoint') {
        player.catchUp(cpu.now);
        const passed = handoff.reached();
        if (passed === undefined) continue;
        end = passed;
      }
      const resets = end.reason === 'reset' || end.reason === 'triple-fault';
      if (resets && this.reader.header.rom.length > 0 && !player.atEnd) cpu.reset();
      else if (end.reason !== 'until-cycle' || player.stopped) this.#ended = true;
    }
  }

  fingerprint(): Uint8Array {
    const saved = saveProcessor(this.machine.cpu);
    // How many instructions it took is no state that the guest can see.
    saved.fill(0, L.INSTRUCTIONS - L.REGS, L.INSTRUCTIONS - L.REGS + 8);
    return saved;
  }

  state(): ProbeState {
    const { state } = this.machine.cpu;
    return {
      cs: state.selector(L.CS),
      rip: state.rip,
      registers: Array.from({ length: REGISTERS }, (_, n) => state.reg(n)),
      bases: Array.from({ length: SEGMENTS }, (_, n) => state.base(n)),
      rflags: state.eflags,
      bits: state.mode & MODE_64BIT ? 64 : state.mode & MODE_CS32 ? 32 : 16,
    };
  }

  code(): SiteCode | undefined {
    const { rip, bases, bits } = this.state();
    const linear = bits === 64 ? rip : BigInt.asUintN(32, rip + bases[1]!);
    const { state, physical } = this.machine.cpu;
    const bytes = peekMemory(state, physical, linear, 15);
    return bytes.length === 0 ? undefined : { bits, bytes };
  }

  translate(linear: bigint): number | undefined {
    const { state, physical } = this.machine.cpu;
    return peekTranslation(state, physical, linear);
  }

  memory(): Uint8Array {
    const { state, physical } = this.machine.cpu;
    return state.u8.subarray(L.GUEST, L.GUEST + physical.ramSize);
  }

  bytes(address: number, length: number): Uint8Array {
    const { state, physical } = this.machine.cpu;
    const out = new Uint8Array(length);
    for (let done = 0; done < length; ) {
      const at = address + done;
      const some = Math.min(length - done, 4096 - (at % 4096));
      const host = at < 0x1_0000_0000 ? physical.host[Math.floor(at / 4096)]! : 0;
      if (host !== 0) out.set(state.u8.subarray(host + (at % 4096), host + (at % 4096) + some), done);
      done += some;
    }
    return out;
  }
}
