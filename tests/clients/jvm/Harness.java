package harness;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.Objects;
import java.util.concurrent.Callable;

/** What the scenarios of applications in Java are made of. */
public final class Harness {
    public static final String BOOTSTRAP = System.getenv("BOOTSTRAP_SERVERS");

    /** Only a broker that does not answer takes as long. */
    private static final long WITHIN_MS = 60_000;

    private static final BufferedReader STDIN =
            new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));

    private Harness() {}

    @FunctionalInterface
    public interface Action {
        void run() throws Exception;
    }

    public static void scenario(String name, Action action) {
        try {
            action.run();
            System.out.println("ok " + name);
        } catch (Exception | AssertionError e) {
            System.out.println("FAIL " + name + " " + String.valueOf(e).replace('\n', ' '));
            e.printStackTrace();
        }
    }

    /** Has the harness do something to the broker, and returns once it is done. */
    public static void ask(String what) {
        System.out.println(what);
        try {
            same("done", STDIN.readLine());
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    public static void check(boolean condition, String otherwise) {
        if (!condition) {
            throw new AssertionError(otherwise);
        }
    }

    public static void same(Object expected, Object found) {
        check(Objects.equals(expected, found), "expected " + expected + ", found " + found);
    }

    /** Waits until {@code found} gives {@code expected}, and tells what it gave last otherwise. */
    public static void eventually(Object expected, Callable<?> found) throws Exception {
        long deadline = System.currentTimeMillis() + WITHIN_MS;
        Object last = found.call();
        while (!Objects.equals(expected, last)) {
            check(System.currentTimeMillis() < deadline, "expected " + expected + ", found " + last);
            Thread.sleep(20);
            last = found.call();
        }
    }
}
