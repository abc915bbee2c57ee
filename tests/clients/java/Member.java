import java.time.Duration;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.CooperativeStickyAssignor;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.consumer.RangeAssignor;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;

/** A member of a consumer group, as tests/src/clients/groups/group.rs directs it. */
final class Member implements ConsumerRebalanceListener {
    private static final Map<String, String> TOLD = System.getenv();

    static void run() throws Exception {
        AtomicBoolean leave = new AtomicBoolean();
        Thread listener = new Thread(() -> {
            Scenarios.readLine();
            leave.set(true);
        });
        listener.setDaemon(true);
        listener.start();
        String topic = TOLD.get("MEMBER_TOPIC");
        try (var consumer = new KafkaConsumer<>(config(), new StringDeserializer(), new StringDeserializer())) {
            if (TOLD.containsKey("MEMBER_PATTERN")) {
                consumer.subscribe(Pattern.compile(topic), new Member());
            } else {
                consumer.subscribe(List.of(topic), new Member());
            }
            while (!leave.get()) {
                Map<TopicPartition, OffsetAndMetadata> reached = new HashMap<>();
                for (ConsumerRecord<String, String> record : consumer.poll(Duration.ofMillis(100))) {
                    var at = new TopicPartition(record.topic(), record.partition());
                    System.out.println("read " + place(at) + " " + record.offset());
                    reached.put(at, new OffsetAndMetadata(record.offset() + 1));
                }
                if (!reached.isEmpty()) {
                    Thread.sleep(20);
                    commit(consumer, reached);
                }
            }
        }
    }

    private static Map<String, Object> config() {
        int session = Integer.parseInt(TOLD.get("MEMBER_SESSION_MS"));
        boolean cooperative = TOLD.containsKey("MEMBER_COOPERATIVE");
        Class<?> assignor = cooperative ? CooperativeStickyAssignor.class : RangeAssignor.class;
        Map<String, Object> config = new HashMap<>(Map.of(
                "bootstrap.servers", TOLD.get("BOOTSTRAP_SERVERS"),
                "group.id", TOLD.get("MEMBER_GROUP"),
                "partition.assignment.strategy", assignor.getName(),
                "session.timeout.ms", session,
                "heartbeat.interval.ms", session / 10,
                "auto.offset.reset", "earliest",
                "enable.auto.commit", false,
                "max.poll.records", 10,
                "metadata.max.age.ms", 500));
        if (TOLD.containsKey("MEMBER_INSTANCE")) {
            config.put("group.instance.id", TOLD.get("MEMBER_INSTANCE"));
        }
        return config;
    }

    private static void commit(KafkaConsumer<?, ?> consumer, Map<TopicPartition, OffsetAndMetadata> reached) {
        try {
            consumer.commitSync(reached);
        } catch (KafkaException error) {
            System.out.println("not committed: " + error);
            return;
        }
        reached.forEach((at, offset) -> System.out.println("committed " + place(at) + " " + offset.offset()));
    }

    @Override
    public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
        report("assigned", partitions);
    }

    @Override
    public void onPartitionsRevoked(Collection<TopicPartition> partitions) {
        report("revoked", partitions);
    }

    private static void report(String word, Collection<TopicPartition> partitions) {
        if (!partitions.isEmpty()) {
            String places = partitions.stream().map(Member::place).collect(Collectors.joining(" "));
            System.out.println(word + " " + places);
        }
    }

    private static String place(TopicPartition at) {
        return at.topic() + ":" + at.partition();
    }
}
