# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
# shellcheck shell=bash disable=SC2034
#
# javac and java: compile and run a program with threads, collections, streams, compression and
# direct buffers.

programs=(java javac)
limit=90

workload() {
    cat >Work.java <<'JAVA'
import java.nio.ByteBuffer;
import java.util.*;
import java.util.concurrent.*;
import java.util.regex.*;
import java.util.stream.*;
import java.util.zip.*;

public class Work {
    static String work(int seed) {
        TreeMap<String, List<Integer>> map = new TreeMap<>();
        Random random = new Random(seed);
        for (int i = 0; i < 40000; i++) {
            map.computeIfAbsent("k" + random.nextInt(997), k -> new ArrayList<>()).add(random.nextInt());
        }
        String text = map.entrySet().stream().map(e -> e.getKey() + "=" + e.getValue().size())
            .collect(Collectors.joining(";"));
        Matcher matcher = Pattern.compile("k(\\d+)7=").matcher(text);
        int hits = 0;
        while (matcher.find()) hits++;
        CRC32 crc = new CRC32();
        crc.update(text.getBytes());
        return hits + " " + crc.getValue();
    }
    public static void main(String[] args) throws Exception {
        ExecutorService pool = Executors.newFixedThreadPool(4);
        List<Future<String>> futures = new ArrayList<>();
        for (int i = 0; i < 12; i++) { int n = i; futures.add(pool.submit(() -> work(n))); }
        for (Future<String> f : futures) System.out.println(f.get());
        pool.shutdown();
        long sum = 0;
        for (int i = 0; i < 300; i++) {
            ByteBuffer buffer = ByteBuffer.allocateDirect(10000 + i * 37);
            buffer.putLong(8 * i, i);
            Deflater deflater = new Deflater();
            deflater.setInput(new byte[5000]);
            deflater.finish();
            sum += deflater.deflate(new byte[6000]) + buffer.getLong(8 * i);
            deflater.end();
        }
        System.out.println(sum);
    }
}
JAVA
    javac -J-Xmx256m Work.java
    java -Xmx256m Work
    java -Xmx64m -XX:+UseSerialGC Work
}
