import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.serialization.StringSerializer;

/**
 * Into a topic of each compression.type, a batch of three records in each codec of a producer:
 * what the broker stores is compared with what Kafka stores (recompressed.txt).
 */
public final class Recompressed {
    private static final List<String> TYPES =
            List.of("producer", "uncompressed", "gzip", "snappy", "lz4", "zstd");
    private static final List<String> CODECS = List.of("none", "gzip", "snappy", "lz4", "zstd");
    private static final long START = 1_700_000_000_000L;

    public static void main(String[] args) throws Exception {
        String bootstrap = System.getenv("BOOTSTRAP_SERVERS");
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", bootstrap))) {
            // The records are old: they may not be deleted for it.
            var topics = TYPES.stream().map(type ->
                    new NewTopic("recompressed-" + type, 1, (short) 1)
                            .configs(Map.of("compression.type", type, "retention.ms", "-1")));
            admin.createTopics(topics.toList()).all().get();
        }
        for (String codec : CODECS) {
            // Nothing leaves before the flush, so that three records are one batch.
            Map<String, Object> config = Map.of("bootstrap.servers", bootstrap,
                    "compression.type", codec, "linger.ms", 600_000, "batch.size", 1_000_000);
            var text = new StringSerializer();
            try (var producer = new KafkaProducer<>(config, text, text)) {
                for (String type : TYPES) {
                    for (int n = 0; n < 3; n++) {
                        var record = new ProducerRecord<String, String>("recompressed-" + type, 0,
                                START + 10 * n, n == 1 ? null : "key" + n,
                                n == 2 ? null : codec + "-to-" + type + "x".repeat(100 * n));
                        record.headers().add(new RecordHeader("n", new byte[] {(byte) ('0' + n)}));
                        producer.send(record);
                    }
                    producer.flush();
                }
            }
        }
    }
}
