// bios.asm, assembled by scripts/build-bios.ts: base64, in lines.
// Made by a program: a change here is lost with the next one of the source.

// biome-ignore format: a line of the table is a line of text
export const BIOS_CODE: readonly string[] = [
  'GQBBAEUATABVAF4AZwByAGcBkQEYACACz1AeuEAAjthm/wZsAGaBPmwAsAAYAHINZscGbAAAAAAA/gZwAB9Y6wRQ5GBYULAg5iBY',
  'z1CwIOag5iBYzx5qQB+hEAAfzx5qQB+hEwAfz7QBVYnlgE4GAV3PPSDodFQ9Aeh0OYD8iHQnPQAkD4ScAD0BJA+EpgA9AiQPhLIA',
  'PQMkD4S8ALSGVYnlgE4GAV3PLqEgAlWJ5YBmBv5dzy6hIgIuix4kAonBidpVieWAZgb+Xc9mgfpQQU1TdUVmg/kUcj8uOx4mAnM4',
  'VldRa/MUgcYoArkKAPzzLqVZX15DZg+32y47HiYCcgNmMdtmuFBBTVNmuRQAAABVieWAZgb+Xc+0hlWJ5YBOBgFdz+SSJPzmkjDk',
  'VYnlgGYG/l3P5JIMAiT+5pIw5FWJ5YBmBv5dz+SS0OgkATDkVYnlgGYG/l3PuwMAMORVieWAZgb+Xc/2xO90FYD8AXQUgPwRdA+A',
  '/AJ0E4D8EnQOz/v06/xVieWATgZAXc+wAM+A/AB0E4D8AnQsgPwEdElVieWATgYBXc8eakAfixZsAIsObgCgcADGBnAAAB9VieWA',
  'Zgb+Xc9QsAToQwCIxbAC6DwAiMGwAOg1AIjGsgBYVYnlgGYG/l3PULAy6CEAiMWwCegaAIjBsAjoEwCIxrAH6AwAiMJYVYnlgGYG',
  '/l3P5nDkccOQkJCQkJCQkJCQkA==',
];
