import static harness.Harness.BOOTSTRAP;
import static harness.Harness.ask;
import static harness.Harness.check;
import static harness.Harness.eventually;
import static harness.Harness.same;
import static harness.Harness.scenario;

import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.Future;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.serialization.LongDeserializer;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;
import org.apache.kafka.common.utils.AppInfoParser;
import org.apache.kafka.common.utils.Utils;
import org.apache.kafka.streams.CloseOptions;
import org.apache.kafka.streams.CloseOptions.GroupMembershipOperation;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StoreQueryParameters;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.errors.InvalidStateStoreException;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.state.QueryableStoreTypes;

/**
 * A Kafka Streams application that counts words: a repartition topic, a store with its changelog,
 * at least once, which is the default.
 */
public final class WordCount {
    private static final String APPLICATION = "word-count";
    private static final String STORE = "counts-store";
    private static final int WORDS = 50;

    private final Path state;
    private final Admin admin = Admin.create(Map.of("bootstrap.servers", BOOTSTRAP));
    private final KafkaProducer<String, String> producer = new KafkaProducer<>(
            Map.of("bootstrap.servers", BOOTSTRAP), new StringSerializer(), new StringSerializer());
    private final Map<String, Long> sent = new TreeMap<>();
    private int lines;
    private KafkaStreams streams;

    private WordCount(Path state) {
        this.state = state;
    }

    public static void main(String[] args) throws Exception {
        System.out.println("version " + AppInfoParser.getVersion());
        var application = new WordCount(Files.createTempDirectory("ottla-streams-"));
        application.run();
        System.exit(0); // whatever hangs after a failure
    }

    private void run() throws Exception {
        var topics = List.of(new NewTopic("lines", 3, (short) 1), new NewTopic("counts", 3, (short) 1));
        admin.createTopics(topics).all().get();
        start();
        scenario("count", this::count);
        scenario("internal-topics", this::internalTopics);
        scenario("app-restart", this::restarted);
        scenario("broker-restart", () -> interrupted("restart"));
        scenario("broker-kill", () -> interrupted("kill"));
        streams.close(Duration.ofSeconds(10));
        Utils.delete(state.toFile());
    }

    private void start() {
        var builder = new StreamsBuilder();
        builder.stream("lines", Consumed.with(Serdes.String(), Serdes.String()))
                .flatMapValues(line -> List.of(line.split(" ")))
                .groupBy((key, word) -> word, Grouped.with("words", Serdes.String(), Serdes.String()))
                .count(Materialized.as(STORE))
                .toStream()
                .to("counts", Produced.with(Serdes.String(), Serdes.Long()));
        var config = new Properties();
        config.put(StreamsConfig.APPLICATION_ID_CONFIG, APPLICATION);
        config.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, BOOTSTRAP);
        config.put(StreamsConfig.STATE_DIR_CONFIG, state.toString());
        config.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, 200); // and what it caches goes out
        config.put(StreamsConfig.DEFAULT_KEY_SERDE_CLASS_CONFIG, Serdes.StringSerde.class);
        config.put(StreamsConfig.DEFAULT_VALUE_SERDE_CLASS_CONFIG, Serdes.LongSerde.class);
        streams = new KafkaStreams(builder.build(), config);
        streams.start();
    }

    private void count() throws Exception {
        produce(1_000);
        eventually(sent, this::stored);
        eventually(sent, this::output);
    }

    private void internalTopics() throws Exception {
        String changelog = APPLICATION + "-" + STORE + "-changelog";
        String repartition = APPLICATION + "-words-repartition";
        Set<String> topics = admin.listTopics().names().get();
        check(topics.containsAll(Set.of(changelog, repartition)), "found " + topics);
        same("compact", config(changelog, "cleanup.policy"));
        same("delete", config(repartition, "cleanup.policy"));
        same("-1", config(repartition, "retention.ms"));
        // What was read is purged: the application deletes the records before its commits.
        eventually(true, () -> firstOffsets(repartition).stream().anyMatch(first -> first > 0));
    }

    /** Closed with lines unread and its store gone, it goes on from its commits and the changelog. */
    private void restarted() throws Exception {
        produce(500);
        // By default an instance leaves its group without a word, and is missed 45 s later.
        var leaving = CloseOptions.groupMembershipOperation(GroupMembershipOperation.LEAVE_GROUP);
        check(streams.close(leaving.withTimeout(Duration.ofSeconds(30))), "did not close");
        Utils.delete(state.toFile());
        produce(500);
        start();
        eventually(sent, this::stored);
        eventually(sent, this::output);
    }

    /** What is counted twice is allowed; nothing may be missed, and the application lives on. */
    private void interrupted(String how) throws Exception {
        produce(500);
        List<Future<?>> underWay = send(500);
        ask(how);
        settle(underWay);
        produce(500);
        eventually(List.of(), () -> missing(stored()));
        eventually(stored(), this::output);
        same(KafkaStreams.State.RUNNING, streams.state());
        long doubled = total(stored()) - total(sent);
        System.out.println("after " + how + ", " + doubled + " words in all were counted twice");
        sent.putAll(stored());
    }

    private List<String> missing(Map<String, Long> found) {
        var words = sent.keySet().stream();
        return words.filter(word -> found.getOrDefault(word, 0L) < sent.get(word)).toList();
    }

    private static long total(Map<String, Long> counts) {
        return counts.values().stream().mapToLong(Long::longValue).sum();
    }

    private void produce(int count) throws Exception {
        settle(send(count));
    }

    private static void settle(List<Future<?>> sends) throws Exception {
        for (Future<?> send : sends) {
            send.get();
        }
    }

    /** Lines of three words each. */
    private List<Future<?>> send(int count) {
        List<Future<?>> sends = new ArrayList<>();
        for (int end = lines + count; lines < end; lines++) {
            int line = lines;
            var numbers = IntStream.of(line, 7 * line, line / 3);
            List<String> words = numbers.mapToObj(n -> "word" + n % WORDS).toList();
            words.forEach(word -> sent.merge(word, 1L, Long::sum));
            var text = String.join(" ", words);
            sends.add(producer.send(new ProducerRecord<>("lines", "key" + line, text)));
        }
        return sends;
    }

    /** What the store answers; nothing while it is being restored. */
    private Map<String, Long> stored() {
        Map<String, Long> found = new TreeMap<>();
        try {
            var type = QueryableStoreTypes.<String, Long>keyValueStore();
            var query = StoreQueryParameters.fromNameAndType(STORE, type);
            try (var all = streams.store(query).all()) {
                all.forEachRemaining(entry -> found.put(entry.key, entry.value));
            }
        } catch (InvalidStateStoreException e) {
            return Map.of();
        }
        return found;
    }

    /** The newest count of each word in the output topic. */
    private Map<String, Long> output() {
        Map<String, Long> found = new TreeMap<>();
        Map<String, Object> config = Map.of("bootstrap.servers", BOOTSTRAP);
        var words = new StringDeserializer();
        try (var consumer = new KafkaConsumer<>(config, words, new LongDeserializer())) {
            var numbers = IntStream.range(0, 3);
            var partitions = numbers.mapToObj(n -> new TopicPartition("counts", n)).toList();
            consumer.assign(partitions);
            consumer.seekToBeginning(partitions);
            var ends = consumer.endOffsets(partitions);
            while (partitions.stream().anyMatch(at -> consumer.position(at) < ends.get(at))) {
                for (ConsumerRecord<String, Long> record : consumer.poll(Duration.ofMillis(200))) {
                    found.put(record.key(), record.value());
                }
            }
        }
        return found;
    }

    private String config(String topic, String name) throws Exception {
        var resource = new ConfigResource(ConfigResource.Type.TOPIC, topic);
        return admin.describeConfigs(List.of(resource)).all().get().get(resource).get(name).value();
    }

    private List<Long> firstOffsets(String topic) throws Exception {
        var earliest = IntStream.range(0, 3).boxed().collect(Collectors.toMap(
                n -> new TopicPartition(topic, n), n -> OffsetSpec.earliest()));
        return admin.listOffsets(earliest).all().get().values().stream().map(at -> at.offset()).toList();
    }
}
