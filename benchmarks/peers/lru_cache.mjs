// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.

// npm's lru-cache: a hit, and an awaited hit by fetch(), with the requests of hit_benchmark.cpp; read-through with
// those of load_benchmark.cpp. Prints lines `name,nanoseconds a request`.
//
//   node lru_cache.mjs HIT-KEYS READ-THROUGH-KEYS   (files written by zipf_keys)

import { readFileSync } from 'node:fs';
import { LRUCache } from 'lru-cache';
import { median, nanoseconds } from './time.mjs';

function readKeys(file) {
    const bytes = readFileSync(file);
    return new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
}

// `pass` returns how many requests it made.
async function print(name, passes, pass) {
    const times = [];
    for (let i = 0; i !== passes; ++i) {
        let requests = 0;
        const time = await nanoseconds(async () => {
            requests = await pass();
        });
        if (i >= passes >> 1) { // after the warm-up
            times.push(time / requests);
        }
    }
    console.log(`${name},${median(times).toFixed(2)}`);
}

const hits = readKeys(process.argv[2]);
const requests = readKeys(process.argv[3]).subarray(0, 1 << 20);
const fetchMethod = async (key) => key + 1;

const cache = new LRUCache({ max: 32_768, fetchMethod });
for (let key = 0; key !== 32_768; ++key) {
    cache.set(key, key + 1);
}
let sum = 0;
await print('lru_cache', 20, () => {
    for (let i = 0; i !== hits.length; ++i) {
        sum += cache.get(hits[i]);
    }
    return hits.length;
});
await print('lru_cache_fetch', 10, async () => {
    for (let i = 0; i !== hits.length; ++i) {
        sum += await cache.fetch(hits[i]);
    }
    return hits.length;
});
await print('lru_cache_read_through', 2, async () => {
    const small = new LRUCache({ max: 65_536, fetchMethod });
    for (let i = 0; i !== requests.length; ++i) {
        sum += await small.fetch(requests[i]);
    }
    return requests.length;
});
if (Number.isNaN(sum)) {
    throw new Error('a value was missing');
}
