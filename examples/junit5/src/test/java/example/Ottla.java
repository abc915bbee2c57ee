package example;

import java.util.Optional;
import java.util.regex.Pattern;
import org.junit.jupiter.api.extension.*;

/** A broker in memory, on a free port, gone after each test. */
public class Ottla implements BeforeEachCallback, AfterEachCallback {
    private static final Pattern ADDRESS = Pattern.compile("\"address\":\"([^\"]+)\"");
    private Process broker;
    private String address;

    /** For {@code bootstrap.servers}. */
    public String bootstrapServers() {
        return address;
    }

    @Override
    public void beforeEach(ExtensionContext context) throws Exception {
        String binary = Optional.ofNullable(System.getenv("OTTLA_BIN")).orElse("ottla");
        broker = new ProcessBuilder(binary, "serve", "--in-memory", "--listen", "127.0.0.1:0", "--ready-json")
                .redirectError(ProcessBuilder.Redirect.INHERIT)
                .start();
        var ready = ADDRESS.matcher(broker.inputReader().readLine());
        if (!ready.find()) {
            throw new IllegalStateException("the ready line has no address");
        }
        address = ready.group(1);
    }

    @Override
    public void afterEach(ExtensionContext context) throws Exception {
        broker.destroy();
        broker.waitFor();
    }
}
