"""URL, KEY, a file of ids, how many at once."""

import asyncio
import sys

import aiohttp


async def main(url, key, ids, parallel):
    headers = {"Authorization": f"Bearer {key}"}
    left = iter(ids)
    connector = aiohttp.TCPConnector(limit=parallel)

    async def worker(session):
        for sync in left:
            async with session.post(f"{url}/api/syncs/{sync}/activate", json={"active": False}) as answer:
                answer.raise_for_status()
                await answer.read()

    async with aiohttp.ClientSession(connector=connector, headers=headers) as session:
        await asyncio.gather(*(worker(session) for _ in range(parallel)))


with open(sys.argv[3], encoding="ascii") as file:
    asyncio.run(main(sys.argv[1], sys.argv[2], file.read().split(), int(sys.argv[4])))
