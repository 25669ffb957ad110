// Writes the JSON schema of a gate's configuration, made from the description that checks it. A test holds the committed
// file against it.

import { writeFileSync } from 'node:fs';
import { packageFile } from '../bin/package.js';
import { jsonSchema } from '../src/gate/config-schema.js';

writeFileSync(packageFile('schemas/gate-config-1.json'), `${JSON.stringify(jsonSchema(), null, 2)}\n`);
