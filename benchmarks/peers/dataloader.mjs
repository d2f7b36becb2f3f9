// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.

// npm's dataloader: 100,000 distinct loads in one tick, through a new loader, as in load_benchmark.cpp.
// Prints lines `name,nanoseconds a load`: the median of the passes after the warm-up.

import DataLoader from 'dataloader';

const loads = 100_000;

async function pass(cache) {
    let batches = 0;
    const loader = new DataLoader(async (keys) => {
        ++batches;
        return keys.slice();
    }, { cache });
    const start = process.hrtime.bigint();
    const promises = [];
    for (let key = 0; key !== loads; ++key) {
        promises.push(loader.load(key));
    }
    await Promise.all(promises);
    const time = Number(process.hrtime.bigint() - start) / loads;
    if (batches !== 1) {
        throw new Error('a tick was not one batch');
    }
    return time;
}

for (const [name, cache] of [['npm_dataloader', false], ['npm_dataloader_that_remembers', true]]) {
    const times = [];
    for (let i = 0; i !== 20; ++i) {
        const time = await pass(cache);
        if (i >= 9) {
            times.push(time);
        }
    }
    times.sort((a, b) => a - b);
    console.log(`${name},${times[times.length >> 1].toFixed(1)}`);
}
