// SPDX-License-Identifier: MIT
// duckdb.mjs FILES - the questions of duckdb.sql to the JSON files that a pattern names; without
// FILES /var/log/tcpshim/*/*.json. A table a question, or with --json all as one object.
//
// It and duckdb.sql lie in a folder where `npm install @duckdb/node-api` was said.
import { readFileSync } from 'node:fs';
import { DuckDBInstance } from '@duckdb/node-api';

const asked = process.argv.slice(2).filter((word) => word !== '--json');
const files = asked[0] ?? '/var/log/tcpshim/*/*.json';
const connection = await (await DuckDBInstance.create()).connect();
await connection.run(`SET VARIABLE files = '${files.replaceAll("'", "''")}'`);

const answers = {};
const sql = readFileSync(new URL('duckdb.sql', import.meta.url), 'utf8');
for (const statement of sql.split(/;\n/).filter((text) => text.trim())) {
  const reader = await connection.runAndReadAll(statement);
  const name = /^-- (\w+)\n/.exec(statement.trimStart())?.[1];
  if (name) answers[name] = reader.getRowObjectsJson();
}
if (process.argv.includes('--json')) {
  console.log(JSON.stringify(answers));
} else {
  for (const [name, rows] of Object.entries(answers)) {
    console.log(`\n${name}`);
    console.table(rows);
  }
}
