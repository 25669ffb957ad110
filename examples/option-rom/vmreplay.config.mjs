// The ROM is held to what it says and does; what SeaBIOS does around it is SeaBIOS's business.

/** @type {import('vmreplay').GateConfig} */
export default {
  build: 'npm run --silent build',
  boots: [
    {
      name: 'hello',
      boot: 'firmware',
      optionRoms: ['hello.rom'],
      untilDebugcon: 'No bootable device',
      hold: {
        events: { only: ['option-rom'], ignore: ['timing'] },
        serial: true,
        budgets: { cycles: { end: 20_000_000 } },
      },
    },
  ],
};
