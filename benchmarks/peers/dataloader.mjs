// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.

// npm's dataloader: 100,000 distinct loads in one tick, through a new loader, each awaited by an async function of
// its own, as in load_benchmark.cpp; and the same keys by one loadMany. Prints lines `name,nanoseconds a load`: the
// median of the passes after the warm-up.

import DataLoader from 'dataloader';
import { median, nanoseconds } from './time.mjs';

const keys = Array.from({ length: 100_000 }, (_, key) => key);
let sum = 0;

async function loadEach(loader) {
    const caller = async (key) => {
        sum += await loader.load(key);
    };
    await Promise.all(keys.map(caller));
}

async function loadMany(loader) {
    sum += (await loader.loadMany(keys)).length;
}

async function pass(load, cache) {
    let batches = 0;
    const loader = new DataLoader(async (batch) => {
        ++batches;
        return batch.slice();
    }, { cache });
    const time = await nanoseconds(() => load(loader));
    if (batches !== 1) {
        throw new Error('a tick was not one batch');
    }
    return time / keys.length;
}

async function print(name, load, cache) {
    const times = [];
    for (let i = 0; i !== 20; ++i) {
        const time = await pass(load, cache);
        if (i >= 9) {
            times.push(time);
        }
    }
    console.log(`${name},${median(times).toFixed(1)}`);
}

await print('npm_dataloader', loadEach, false);
await print('npm_dataloader_that_remembers', loadEach, true);
await print('npm_dataloader_many', loadMany, false);
