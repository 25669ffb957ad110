// bios.asm, assembled by scripts/build-bios.ts: base64, in lines.
// Made by a program: a change here is lost with the next one of the source.

// biome-ignore format: a line of the table is a line of text
export const BIOS_CODE: readonly string[] = [
  'GwBDAEcATgBXAJQAnQCmALEApgHQARoAYALPUB64QACO2Gb/BmwAZoE+bACwABgAcg1mxwZsAAAAAAD+BnAAH1jrBFDkYFhQsCDm',
  'IFjPULAg5qDmIFjPHmpAH4D8AHQcgPwCdCCA/AN0IYD8D3ULoEkAiiZKAIo+YgAfz1Akf6JJAFjr9YkWUADr74sWUAC5Bwbr5h5q',
  'QB+hEAAfzx5qQB+hEwAfz7QBVYnlgE4GAV3PPSDodFQ9Aeh0OYD8iHQnPQAkD4ScAD0BJA+EpgA9AiQPhLIAPQMkD4S8ALSGVYnl',
  'gE4GAV3PLqFgAlWJ5YBmBv5dzy6hYgIuix5kAonBidpVieWAZgb+Xc9mgfpQQU1TdUVmg/kUcj8uOx5mAnM4VldRa/MUgcZoArkK',
  'APzzLqVZX15DZg+32y47HmYCcgNmMdtmuFBBTVNmuRQAAABVieWAZgb+Xc+0hlWJ5YBOBgFdz+SSJPzmkjDkVYnlgGYG/l3P5JIM',
  'AiT+5pIw5FWJ5YBmBv5dz+SS0OgkATDkVYnlgGYG/l3PuwMAMORVieWAZgb+Xc/2xO90FYD8AXQUgPwRdA+A/AJ0E4D8EnQOz/v0',
  '6/xVieWATgZAXc+wAM+A/AB0E4D8AnQsgPwEdElVieWATgYBXc8eakAfixZsAIsObgCgcADGBnAAAB9VieWAZgb+Xc9QsAToQwCI',
  'xbAC6DwAiMGwAOg1AIjGsgBYVYnlgGYG/l3PULAy6CEAiMWwCegaAIjBsAjoEwCIxrAH6AwAiMJYVYnlgGYG/l3P5nDkccOQkJCQ',
  'kJCQkJCQkJA=',
];
