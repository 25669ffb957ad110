// An initial file system that loads kernel modules before it does its work: busybox, the modules behind those that they
// depend on, a list of them in /modules, and the script that is process 1.

import { writeCpio } from '../../src/fetch/cpio.js';

/** Names that a module needs loaded before it: its .modinfo section says. */
function dependencies(module: Uint8Array): string[] {
  const text = Buffer.from(module).toString('latin1');
  const depends = /\0depends=([^\0]*)\0/.exec(text)?.[1] ?? '';
  return depends.split(',').filter((name) => name !== '');
}

/** Every module behind those that it depends on. */
function loadingOrder(modules: ReadonlyMap<string, Uint8Array>, without: readonly string[]): string[] {
  const order: string[] = [];
  const plain = (name: string) => name.replaceAll('-', '_');
  const byName = new Map([...modules.keys()].map((file) => [plain(file.replace(/\.ko$/, '')), file]));
  const visit = (file: string) => {
    if (order.includes(file)) return;
    for (const name of dependencies(modules.get(file)!)) {
      const other = byName.get(plain(name));
      if (other !== undefined) visit(other);
    }
    order.push(file);
  };
  for (const file of modules.keys()) if (!without.includes(file)) visit(file);
  return order;
}

export interface ModuleInitramfs {
  busybox: Uint8Array;
  /** Names that busybox is called by. */
  applets: readonly string[];
  /** Files of /lib by name. */
  modules: ReadonlyMap<string, Uint8Array>;
  /** Modules that are not in the list /modules. */
  unlisted?: readonly string[];
  /** The script of process 1. */
  init: string;
  /** Further files: path and text. */
  files?: Readonly<Record<string, string>>;
}

export function moduleInitramfs({ busybox, applets, modules, unlisted, init, files }: ModuleInitramfs): Uint8Array {
  const text = (data: string) => new TextEncoder().encode(data);
  return writeCpio([
    { type: 'directory', path: 'bin' },
    { type: 'directory', path: 'dev' },
    { type: 'character', path: 'dev/console', major: 5, minor: 1 },
    { type: 'character', path: 'dev/null', major: 1, minor: 3, mode: 0o666 },
    { type: 'directory', path: 'lib' },
    { type: 'directory', path: 'proc' },
    { type: 'directory', path: 'sys' },
    { type: 'file', path: 'bin/busybox', data: busybox, mode: 0o755 },
    ...applets.map((name) => ({ type: 'link' as const, path: `bin/${name}`, target: 'busybox' })),
    ...[...modules].map(([name, data]) => ({ type: 'file' as const, path: `lib/${name}`, data })),
    { type: 'file', path: 'modules', data: text(loadingOrder(modules, unlisted ?? []).join('\n')) },
    ...Object.entries(files ?? {}).map(([path, content]) => ({ type: 'file' as const, path, data: text(content) })),
    { type: 'file', path: 'init', data: text(init), mode: 0o755 },
  ]);
}
