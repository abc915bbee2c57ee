// Writes the data that crates/ottla-log/testdata/kafka-4.3.1 was copied from: run it against a fresh
// Apache Kafka, once with "first" and, after a restart of the broker, with "second".
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.ByteArraySerializer;

public class Golden {
    static final long START = 1_700_000_000_000L;

    public static void main(String[] args) throws Exception {
        String servers = args[0];
        if (args[1].equals("first")) {
            createTopics(servers);
            for (String codec : List.of("none", "gzip", "snappy", "lz4", "zstd")) {
                try (var producer = producer(servers, codec, null)) {
                    threeRecords(producer, codec, 0);
                    if (!codec.equals("none")) oneLargeRecord(producer, codec);
                }
            }
            rolled(servers);
            transactions(servers);
            compacted(servers);
        } else {
            try (var producer = producer(servers, "none", null)) {
                threeRecords(producer, "none", 100);
            }
        }
    }

    static void createTopics(String servers) throws Exception {
        try (var admin = Admin.create(Map.of("bootstrap.servers", servers))) {
            var common = Map.of("retention.ms", "-1", "index.interval.bytes", "1");
            for (String name : List.of("none", "gzip", "snappy", "lz4", "zstd", "transactions"))
                create(admin, name, common);
            create(admin, "rolled", Map.of("retention.ms", "-1", "index.interval.bytes", "200", "segment.ms", "1000"));
            create(admin, "compacted", Map.of("cleanup.policy", "compact", "segment.ms", "1000",
                "min.cleanable.dirty.ratio", "0.01", "index.interval.bytes", "1"));
        }
    }

    static void create(Admin admin, String name, Map<String, String> configs) throws Exception {
        admin.createTopics(List.of(new NewTopic(name, 1, (short) 1).configs(configs))).all().get();
    }

    static KafkaProducer<byte[], byte[]> producer(String servers, String codec, String transactionalId) {
        var p = new Properties();
        p.put("bootstrap.servers", servers);
        p.put("compression.type", codec);
        p.put("linger.ms", "60000");
        p.put("batch.size", "500000");
        if (transactionalId != null) p.put("transactional.id", transactionalId);
        return new KafkaProducer<>(p, new ByteArraySerializer(), new ByteArraySerializer());
    }

    static byte[] utf8(String text) {
        return text == null ? null : text.getBytes(StandardCharsets.UTF_8);
    }

    static ProducerRecord<byte[], byte[]> record(String topic, long time, String key, String value) {
        return new ProducerRecord<>(topic, 0, START + time, utf8(key), utf8(value));
    }

    static void threeRecords(KafkaProducer<byte[], byte[]> producer, String topic, long time) {
        producer.send(record(topic, time + 5, "key", "value one"));
        var headers = record(topic, time + 9, "", null);
        headers.headers().add("h", utf8("x")).add("h", utf8("y")).add("n", null);
        producer.send(headers);
        producer.send(record(topic, time + 2, null, ""));
        producer.flush();
    }

    static void oneLargeRecord(KafkaProducer<byte[], byte[]> producer, String topic) {
        producer.send(record(topic, 50, "large", "0123456789abcdef".repeat(10_000)));
        producer.flush();
    }

    static void rolled(String servers) {
        try (var one = producer(servers, "none", null); var two = producer(servers, "none", null)) {
            for (int segment = 0; segment < 3; segment++) {
                for (int batch = 0; batch < 4; batch++) {
                    var producer = batch % 2 == 0 ? one : two;
                    for (int n = 0; n <= segment; n++)
                        producer.send(record("rolled", segment * 5000 + batch, "k" + n, "v".repeat(40)));
                    producer.flush();
                }
            }
        }
    }

    static void transactions(String servers) {
        try (var one = producer(servers, "none", "tx-one"); var two = producer(servers, "none", "tx-two")) {
            one.initTransactions();
            two.initTransactions();
            one.beginTransaction();
            one.send(record("transactions", 0, "a", "1"));
            one.flush();
            two.beginTransaction();
            two.send(record("transactions", 1, "b", "2"));
            two.send(record("transactions", 2, "b", "3"));
            two.flush();
            one.commitTransaction();
            two.abortTransaction();
            one.beginTransaction();
            one.send(record("transactions", 3, "a", "4"));
            one.flush();
            one.abortTransaction();
        }
    }

    static void compacted(String servers) throws Exception {
        try (var producer = producer(servers, "none", null); var other = producer(servers, "zstd", null)) {
            for (int round = 0; round < 3; round++) {
                for (String key : List.of("a", "b", "c"))
                    producer.send(record("compacted", round * 10, key, key + round));
                producer.send(record("compacted", round * 10, "only" + round, "kept"));
                producer.flush();
                other.send(record("compacted", round * 10, "a", "other" + round));
                other.send(record("compacted", round * 10, "z" + round, "kept"));
                other.flush();
            }
            // A batch that compaction leaves nothing of, then a later segment.
            producer.send(record("compacted", 40, "gone", "x"));
            producer.flush();
            other.send(record("compacted", 41, "gone", "y"));
            other.flush();
            producer.send(record("compacted", 9000, "last", "x"));
            producer.flush();
            producer.send(record("compacted", 99000, "last", "y"));
            producer.flush();
            Thread.sleep(8000);
        }
    }
}
