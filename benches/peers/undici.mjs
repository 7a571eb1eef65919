// URL, KEY, a file of ids, how many at once, and where undici is.
import { readFileSync } from 'node:fs';

const [url, key, list, parallel, where] = process.argv.slice(2);
const { Pool } = (await import(where)).default;
const ids = readFileSync(list, 'ascii').trim().split('\n').values();
const pool = new Pool(url, { connections: Number(parallel) });
const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' };

async function worker() {
  for (const id of ids) {
    const answer = await pool.request({ path: `/api/syncs/${id}/activate`, method: 'POST', headers, body: '{"active": false}' });
    if (answer.statusCode !== 200) throw new Error(`status ${answer.statusCode}`);
    await answer.body.dump();
  }
}

await Promise.all(Array.from({ length: Number(parallel) }, worker));
await pool.close();
