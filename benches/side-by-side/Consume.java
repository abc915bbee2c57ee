import java.time.Duration;
import java.util.List;
import java.util.Properties;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/** Reads a partition from its beginning by assignment, without a group, and prints how fast. */
public class Consume {
    public static void main(String[] args) {
        var properties = new Properties();
        properties.put("bootstrap.servers", args[0]);
        var wanted = Long.parseLong(args[2]);
        var bytes = new ByteArrayDeserializer();
        try (var consumer = new KafkaConsumer<>(properties, bytes, bytes)) {
            var partition = new TopicPartition(args[1], 0);
            consumer.assign(List.of(partition));
            // The first pass warms the client up.
            for (var pass = 0; pass < 4; pass++) {
                consumer.seekToBeginning(List.of(partition));
                long count = 0;
                long size = 0;
                var started = System.nanoTime();
                while (count < wanted) {
                    for (var record : consumer.poll(Duration.ofSeconds(10))) {
                        count++;
                        size += record.value().length;
                    }
                }
                var seconds = (System.nanoTime() - started) / 1e9;
                if (pass > 0) {
                    System.out.printf("%d records, %.1f MB/s%n", count, size / seconds / 1e6);
                }
            }
        }
    }
}
