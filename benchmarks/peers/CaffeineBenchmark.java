// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.

// Caffeine: a hit, synchronous and asynchronous, on one thread and on two, with the requests of
// hit_benchmark.cpp; read-through with those of load_benchmark.cpp. Prints lines `name,nanoseconds a request`.
//
//   java -cp caffeine.jar CaffeineBenchmark.java HIT-KEYS OTHER-HIT-KEYS READ-THROUGH-KEYS

import com.github.benmanes.caffeine.cache.AsyncLoadingCache;
import com.github.benmanes.caffeine.cache.Caffeine;
import com.github.benmanes.caffeine.cache.LoadingCache;
import java.lang.management.ManagementFactory;
import java.lang.management.ThreadMXBean;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CyclicBarrier;
import java.util.function.ToLongFunction;

public class CaffeineBenchmark {
    static final int RESIDENT = 32_768;
    static final int CAPACITY = 65_536;
    static final int ROUNDS = 5;
    static final int PASSES = 4; // through all requests, a round
    static final ThreadMXBean THREADS = ManagementFactory.getThreadMXBean();
    static volatile long sink;

    /** As in the C++ programs: one thread is timed by its processor time, several by the clock on the wall. */
    static long now(boolean alone) {
        return alone ? THREADS.getCurrentThreadCpuTime() : System.nanoTime();
    }

    /** Boxed beforehand, and one object a key: making them is no part of a look-up. */
    static Long[] readKeys(String file, int distinct) throws Exception {
        var ints = ByteBuffer.wrap(Files.readAllBytes(Path.of(file))).order(ByteOrder.LITTLE_ENDIAN).asIntBuffer();
        Long[] boxed = new Long[distinct];
        Arrays.setAll(boxed, i -> (long) i);
        Long[] keys = new Long[ints.remaining()];
        Arrays.setAll(keys, i -> boxed[ints.get(i)]);
        return keys;
    }

    static void pass(Long[] keys, ToLongFunction<Long> lookUp) {
        long sum = 0;
        for (Long key : keys) {
            sum += lookUp.applyAsLong(key);
        }
        sink = sum;
    }

    /** Nanoseconds a request and thread: the median of five rounds, after as many to warm up. */
    static void hits(String name, Long[][] sequences, ToLongFunction<Long> lookUp) throws Exception {
        for (int threads = 1; threads <= 2; ++threads) {
            var barrier = new CyclicBarrier(threads);
            double[][] times = new double[threads][ROUNDS];
            Thread[] workers = new Thread[threads];
            for (int t = 0; t != threads; ++t) {
                int self = t;
                boolean alone = threads == 1;
                workers[t] = new Thread(() -> {
                    try {
                        for (int round = -ROUNDS; round != ROUNDS; ++round) {
                            barrier.await();
                            long start = now(alone);
                            for (int i = 0; i != PASSES; ++i) {
                                pass(sequences[self], lookUp);
                            }
                            if (round >= 0) {
                                double time = now(alone) - start;
                                times[self][round] = time / PASSES / sequences[self].length;
                            }
                        }
                    } catch (Exception e) {
                        throw new RuntimeException(e);
                    }
                });
                workers[t].start();
            }
            double sum = 0;
            for (int t = 0; t != threads; ++t) {
                workers[t].join();
                Arrays.sort(times[t]);
                sum += times[t][ROUNDS / 2];
            }
            System.out.printf("%s/threads:%d,%.2f%n", name, threads, sum / threads);
        }
    }

    interface MakeCache {
        ToLongFunction<Long> make();
    }

    /** One pass from an empty cache on, after a shorter one to warm up. */
    static void readThrough(String name, Long[] requests, MakeCache cache) {
        pass(Arrays.copyOf(requests, requests.length / 4), cache.make());
        long start = now(true);
        pass(requests, cache.make());
        System.out.printf("%s,%.2f%n", name, (double) (now(true) - start) / requests.length);
    }

    public static void main(String[] files) throws Exception {
        Long[][] sequences = {readKeys(files[0], RESIDENT), readKeys(files[1], RESIDENT)};

        LoadingCache<Long, Long> cache = Caffeine.newBuilder().maximumSize(RESIDENT).build(key -> key + 1);
        AsyncLoadingCache<Long, Long> async = Caffeine.newBuilder().maximumSize(RESIDENT)
                .buildAsync((key, executor) -> CompletableFuture.completedFuture(key + 1));
        for (long key = 0; key != RESIDENT; ++key) {
            cache.get(key);
            async.get(key).join();
        }
        hits("caffeine", sequences, cache::get);
        hits("caffeine_async", sequences, key -> async.get(key).join());

        Long[] requests = readKeys(files[2], 1_000_000);
        readThrough("caffeine_read_through", requests, () -> {
            LoadingCache<Long, Long> small = Caffeine.newBuilder().maximumSize(CAPACITY).build(key -> key + 1);
            return small::get;
        });
        readThrough("caffeine_async_read_through", requests, () -> {
            AsyncLoadingCache<Long, Long> small = Caffeine.newBuilder().maximumSize(CAPACITY)
                    .buildAsync((key, executor) -> CompletableFuture.completedFuture(key + 1));
            return key -> small.get(key).join();
        });
    }
}
