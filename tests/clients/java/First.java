import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.serialization.StringDeserializer;

/** Fresh groups one after another, as tests/src/first_record.rs directs them. */
final class First {
    private First() {}

    public static void main(String[] args) throws Exception {
        List<String> topics = List.of(System.getenv("FIRST_TOPIC"));
        var lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            String[] told = line.split(" ");
            Map<String, Object> config = Map.of(
                    "bootstrap.servers", told[0], "group.id", told[1], "auto.offset.reset", "earliest");
            long took;
            long started = System.nanoTime();
            try (var consumer = new KafkaConsumer<>(config, new StringDeserializer(), new StringDeserializer())) {
                consumer.subscribe(topics);
                while (consumer.poll(Duration.ofSeconds(1)).isEmpty()) {}
                took = System.nanoTime() - started;
            }
            System.out.println("first " + took / 1000);
        }
    }
}
