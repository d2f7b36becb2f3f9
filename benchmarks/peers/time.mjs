// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.

// Nanoseconds that `pass` takes: by the clock on the wall or by the processor time of all threads of the process,
// whichever is less. The one includes what other programs on the machine take, the other what V8 does aside.
export async function nanoseconds(pass) {
    const cpu = process.cpuUsage();
    const start = process.hrtime.bigint();
    await pass();
    const wall = Number(process.hrtime.bigint() - start);
    const { user, system } = process.cpuUsage(cpu);
    return Math.min(wall, 1000 * (user + system));
}

export function median(numbers) {
    return numbers.sort((a, b) => a - b)[numbers.length >> 1];
}
