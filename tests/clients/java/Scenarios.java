import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Properties;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.Config;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.ConfigEntry.ConfigSource;
import org.apache.kafka.clients.admin.ConsumerGroupListing;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.clients.consumer.Consumer;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.consumer.OffsetOutOfRangeException;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.Producer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.GroupIdNotFoundException;
import org.apache.kafka.common.errors.InvalidConfigurationException;
import org.apache.kafka.common.errors.InvalidPartitionsException;
import org.apache.kafka.common.errors.RecordTooLargeException;
import org.apache.kafka.common.errors.TopicExistsException;
import org.apache.kafka.common.errors.UnknownTopicOrPartitionException;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/**
 * The scenarios of tests/src/clients.rs with the Java client. One source for all versions of
 * kafka-clients.
 */
public final class Scenarios {
    private static final String BOOTSTRAP = System.getenv("BOOTSTRAP_SERVERS");
    private static final BufferedReader STDIN =
            new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));

    private final Admin admin;

    private Scenarios(Admin admin) {
        this.admin = admin;
    }

    public static void main(String[] args) throws Exception {
        if (System.getenv("MEMBER_GROUP") != null) {
            Member.run();
            return;
        }
        if (System.getenv("READ_TOPIC") != null) {
            readBelowEnd(System.getenv("READ_TOPIC"), System.getenv("READ_ISOLATION"), 1_000_000)
                    .forEach(System.out::println);
            return;
        }
        Properties version = new Properties();
        version.load(Admin.class.getResourceAsStream("/kafka/kafka-version.properties"));
        System.out.println("version " + version.getProperty("version"));
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", BOOTSTRAP))) {
            Scenarios scenarios = new Scenarios(admin);
            scenario("connect", scenarios::connect);
            scenario("create-topic", scenarios::createTopic);
            for (String codec : List.of("none", "gzip", "snappy", "lz4", "zstd")) {
                scenario("produce-" + codec, () -> scenarios.produce(codec));
            }
            scenario("acks-0", () -> scenarios.acks("0"));
            scenario("acks-1", () -> scenarios.acks("1"));
            scenario("acks-all", () -> scenarios.acks("all"));
            scenario("idempotence", scenarios::idempotence);
            scenario("consume-beginning", scenarios::consumeBeginning);
            scenario("consume-end", scenarios::consumeEnd);
            scenario("consume-offset", scenarios::consumeOffset);
            scenario("consume-timestamp", scenarios::consumeTimestamp);
            scenario("unknown-topic", scenarios::unknownTopic);
            scenario("auto-create", scenarios::autoCreate);
            scenario("oversize-record", scenarios::oversizeRecord);
            scenario("delete-records", scenarios::deleteRecords);
            scenario("create-partitions", scenarios::createPartitions);
            scenario("delete-topic", scenarios::deleteTopic);
            scenario("describe-configs", scenarios::describeConfigs);
            scenario("alter-configs", scenarios::alterConfigs);
            scenario("log-dirs", scenarios::logDirs);
            System.out.println("n/a dump-log the library reads no files");
            scenario("group-admin", scenarios::groupAdmin);
            scenario("group-live", () -> {
                String topic = scenarios.topic("group-live", 2);
                send(topic, 0, 10);
                new LiveGroup(admin, topic).run();
            });
            scenario("restart", () -> scenarios.interrupted("restart"));
            scenario("kill", () -> scenarios.interrupted("kill"));
            scenario("transactions", scenarios::transactions);
            scenario("transactions-compacted", scenarios::transactionsCompacted);
        }
    }

    private void connect() throws Exception {
        var cluster = admin.describeCluster();
        same(1, cluster.nodes().get().size());
        check(cluster.controller().get() != null, "no controller");
        check(!cluster.clusterId().get().isEmpty(), "no cluster id");
    }

    private void createTopic() throws Exception {
        NewTopic topic = new NewTopic("created", 3, (short) 1).configs(Map.of("retention.ms", "60000"));
        var created = admin.createTopics(List.of(topic));
        created.all().get();
        same(3, created.numPartitions("created").get());
        same("60000", created.config("created").get().get("retention.ms").value());
        TopicDescription description = describe("created");
        same(created.topicId("created").get(), description.topicId());
        description.partitions().forEach(partition -> same(1, partition.leader().id()));
        fails(TopicExistsException.class, () -> admin.createTopics(List.of(topic)).all().get());
    }

    /** Keys, values and headers of every kind, null and empty and repeated ones included. */
    private void produce(String codec) throws Exception {
        String topic = topic("produce-" + codec, 3);
        List<ProducerRecord<String, String>> sent = new ArrayList<>();
        for (int i = 0; i < 300; i++) {
            String value = i % 50 == 0 ? null : "value " + i + " of a compressible text ".repeat(i % 7);
            var record = new ProducerRecord<>(topic, null, 1_700_000_000_000L + i, "key " + i % 10, value);
            record.headers().add("trace", ("id " + i).getBytes(StandardCharsets.UTF_8));
            record.headers().add("trace", null).add("empty", new byte[0]);
            sent.add(record);
        }
        Map<String, Object> config = Map.of("acks", "all", "compression.type", codec, "linger.ms", 20);
        Map<TopicPartition, Map<Long, ProducerRecord<String, String>>> acked = new HashMap<>();
        try (var producer = producer(config)) {
            List<Future<RecordMetadata>> answers = sent.stream().map(producer::send).toList();
            for (int i = 0; i < sent.size(); i++) {
                RecordMetadata answer = answers.get(i).get();
                var partition = new TopicPartition(topic, answer.partition());
                acked.computeIfAbsent(partition, p -> new HashMap<>()).put(answer.offset(), sent.get(i));
            }
        }
        List<ConsumerRecord<String, String>> read = readAll(topic);
        same(sent.size(), read.size());
        for (var record : read) {
            var partition = new TopicPartition(record.topic(), record.partition());
            var expected = acked.get(partition).get(record.offset());
            same(expected.key(), record.key());
            same(expected.value(), record.value());
            same(expected.timestamp(), record.timestamp());
            same(List.of(expected.headers().toArray()), List.<Header>of(record.headers().toArray()));
        }
    }

    /** What was not acknowledged by all replicas may become readable a moment later. */
    private void acks(String acks) throws Exception {
        String topic = topic("acks-" + acks, 1);
        try (var producer = producer(Map.of("acks", acks, "enable.idempotence", acks.equals("all")))) {
            for (int i = 0; i < 100; i++) {
                long offset = producer.send(new ProducerRecord<>(topic, "k", "v" + i)).get().offset();
                same(acks.equals("0") ? -1L : (long) i, offset);
            }
        }
        try (var consumer = consumer(Map.of("auto.offset.reset", "earliest"))) {
            consumer.assign(List.of(new TopicPartition(topic, 0)));
            same(numbered(0, 100), values(poll(consumer, 100)));
        }
    }

    private void idempotence() throws Exception {
        String topic = topic("idempotence", 1);
        Map<String, Object> config = Map.of(
                "enable.idempotence", true, "max.in.flight.requests.per.connection", 5, "batch.size", 100);
        try (var producer = producer(config)) {
            List<Future<RecordMetadata>> answers = new ArrayList<>();
            for (int i = 0; i < 2000; i++) {
                answers.add(producer.send(new ProducerRecord<>(topic, "k", "v" + i)));
            }
            for (int i = 0; i < 2000; i++) {
                same((long) i, answers.get(i).get().offset());
            }
        }
        same(numbered(0, 2000), values(readAll(topic)));
    }

    private void consumeBeginning() throws Exception {
        String topic = topic("consume-beginning", 1);
        send(topic, 0, 50);
        try (var consumer = consumer(Map.of("auto.offset.reset", "earliest"))) {
            consumer.assign(List.of(new TopicPartition(topic, 0)));
            same(numbered(0, 50), values(poll(consumer, 50)));
        }
    }

    private void consumeEnd() throws Exception {
        String topic = topic("consume-end", 1);
        send(topic, 0, 50);
        var partition = new TopicPartition(topic, 0);
        try (var consumer = consumer(Map.of())) {
            consumer.assign(List.of(partition));
            consumer.seekToEnd(List.of(partition));
            same(50L, consumer.position(partition));
            send(topic, 50, 60);
            same(numbered(50, 60), values(poll(consumer, 10)));
        }
    }

    private void consumeOffset() throws Exception {
        String topic = topic("consume-offset", 1);
        send(topic, 0, 50);
        var partition = new TopicPartition(topic, 0);
        try (var consumer = consumer(Map.of())) {
            consumer.assign(List.of(partition));
            consumer.seek(partition, 33);
            same(numbered(33, 50), values(poll(consumer, 17)));
        }
    }

    private void consumeTimestamp() throws Exception {
        String topic = topic("consume-timestamp", 1);
        long start = System.currentTimeMillis() - 60_000;
        try (var producer = producer(Map.of())) {
            for (int i = 0; i < 50; i++) {
                producer.send(new ProducerRecord<>(topic, 0, start + 100 * i, "k", "v" + i)).get();
            }
        }
        var partition = new TopicPartition(topic, 0);
        try (var consumer = consumer(Map.of())) {
            var found = consumer.offsetsForTimes(Map.of(partition, start + 2_950)).get(partition);
            same(30L, found.offset());
            same(start + 3_000, found.timestamp());
            consumer.assign(List.of(partition));
            consumer.seek(partition, found.offset());
            same(numbered(30, 50), values(poll(consumer, 20)));
            check(consumer.offsetsForTimes(Map.of(partition, start + 5_000)).get(partition) == null,
                    "an offset for a time after the last record");
        }
    }

    private void unknownTopic() throws Exception {
        fails(UnknownTopicOrPartitionException.class, () -> describe("unknown"));
        fails(UnknownTopicOrPartitionException.class,
                () -> admin.deleteTopics(List.of("unknown")).all().get());
        try (var consumer = consumer(Map.of("allow.auto.create.topics", false))) {
            check(consumer.partitionsFor("unknown").isEmpty(), "partitions of an unknown topic");
        }
        check(!admin.listTopics().names().get().contains("unknown"), "the topic was created");
    }

    private void autoCreate() throws Exception {
        send("auto-created", 0, 1);
        same(numbered(0, 1), values(readAll("auto-created")));
    }

    private void oversizeRecord() throws Exception {
        String topic = topic("oversize", 1, Map.of("max.message.bytes", "10000"));
        try (var producer = producer(Map.of())) {
            producer.send(new ProducerRecord<>(topic, "k", "v0")).get();
            String large = "x".repeat(20_000);
            fails(RecordTooLargeException.class,
                    () -> producer.send(new ProducerRecord<>(topic, "k", large)).get());
            same(1L, producer.send(new ProducerRecord<>(topic, "k", "v1")).get().offset());
        }
        same(numbered(0, 2), values(readAll(topic)));
    }

    private void deleteRecords() throws Exception {
        String topic = topic("delete-records", 1);
        send(topic, 0, 50);
        var partition = new TopicPartition(topic, 0);
        var deleted = admin.deleteRecords(Map.of(partition, RecordsToDelete.beforeOffset(20)));
        same(20L, deleted.lowWatermarks().get(partition).get().lowWatermark());
        same(numbered(20, 50), values(readAll(topic)));
        try (var consumer = consumer(Map.of("auto.offset.reset", "none"))) {
            consumer.assign(List.of(partition));
            consumer.seek(partition, 10);
            fails(OffsetOutOfRangeException.class, () -> poll(consumer, 1));
        }
    }

    private void createPartitions() throws Exception {
        String topic = topic("create-partitions", 1);
        admin.createPartitions(Map.of(topic, NewPartitions.increaseTo(3))).all().get();
        eventually(() -> describe(topic).partitions().size() == 3, "three partitions");
        try (var producer = producer(Map.of())) {
            same(0L, producer.send(new ProducerRecord<>(topic, 2, "k", "v0")).get().offset());
        }
        fails(InvalidPartitionsException.class,
                () -> admin.createPartitions(Map.of(topic, NewPartitions.increaseTo(2))).all().get());
    }

    private void deleteTopic() throws Exception {
        String topic = topic("delete-topic", 1);
        send(topic, 0, 10);
        Uuid first = describe(topic).topicId();
        admin.deleteTopics(List.of(topic)).all().get();
        eventually(() -> !admin.listTopics().names().get().contains(topic), "the topic gone");
        topic("delete-topic", 1);
        eventually(() -> admin.listTopics().listings().get().stream()
                .anyMatch(listed -> listed.name().equals(topic) && !listed.topicId().equals(first)),
                "a new topic id");
        send(topic, 90, 91);
        same(numbered(90, 91), values(readAll(topic)));
    }

    private void describeConfigs() throws Exception {
        String name = topic("describe-configs", 1, Map.of("max.message.bytes", "12345"));
        var topic = new ConfigResource(ConfigResource.Type.TOPIC, name);
        ConfigEntry set = configs(topic).get("max.message.bytes");
        same("12345", set.value());
        same(ConfigSource.DYNAMIC_TOPIC_CONFIG, set.source());
        ConfigEntry untouched = configs(topic).get("cleanup.policy");
        same("delete", untouched.value());
        same(ConfigSource.DEFAULT_CONFIG, untouched.source());
        var broker = new ConfigResource(ConfigResource.Type.BROKER, "1");
        same("1", configs(broker).get("node.id").value());
        check(configs(broker).get("node.id").isReadOnly(), "node.id can be altered");
    }

    private void alterConfigs() throws Exception {
        var topic = new ConfigResource(ConfigResource.Type.TOPIC, topic("alter-configs", 1));
        alter(topic, "retention.ms", "123456", AlterConfigOp.OpType.SET);
        eventually(() -> configs(topic).get("retention.ms").value().equals("123456"), "the value set");
        alter(topic, "retention.ms", "", AlterConfigOp.OpType.DELETE);
        eventually(() -> configs(topic).get("retention.ms").value().equals("604800000"), "the default");
        fails(InvalidConfigurationException.class,
                () -> alter(topic, "retention.ms", "soon", AlterConfigOp.OpType.SET));
        fails(InvalidConfigurationException.class,
                () -> alter(topic, "retentoin.ms", "1", AlterConfigOp.OpType.SET));
        // The default of all brokers shows through in the topics.
        var brokers = new ConfigResource(ConfigResource.Type.BROKER, "");
        alter(brokers, "message.max.bytes", "654321", AlterConfigOp.OpType.SET);
        eventually(() -> configs(topic).get("max.message.bytes").value().equals("654321"), "the broker's");
        alter(brokers, "message.max.bytes", "", AlterConfigOp.OpType.DELETE);
        eventually(() -> configs(topic).get("max.message.bytes").value().equals("1048588"), "the default");
    }

    private void logDirs() throws Exception {
        String topic = topic("log-dirs", 1);
        send(topic, 0, 50);
        var dirs = admin.describeLogDirs(List.of(1)).allDescriptions().get().get(1).values();
        same(1, dirs.size());
        var dir = dirs.iterator().next();
        check(dir.replicaInfos().get(new TopicPartition(topic, 0)).size() > 0, "no bytes in the partition");
        check(dir.usableBytes().getAsLong() < dir.totalBytes().getAsLong(), "no use of the volume");
    }

    /** A group that only ever commits: listed, described, read, reset and deleted. */
    private void groupAdmin() throws Exception {
        String topic = topic("group-admin", 1);
        String group = "group-admin";
        send(topic, 0, 50);
        var partition = new TopicPartition(topic, 0);
        try (var consumer = consumer(Map.of("group.id", group, "enable.auto.commit", false))) {
            consumer.assign(List.of(partition));
            consumer.commitSync(Map.of(partition, new OffsetAndMetadata(20, "noted")));
            same("noted", consumer.committed(Set.of(partition)).get(partition).metadata());
        }
        check(groups().contains(group), "not listed");
        var described = admin.describeConsumerGroups(List.of(group)).all().get().get(group);
        same(0, described.members().size());
        same(20L, committed(group, partition).offset());
        admin.alterConsumerGroupOffsets(group, Map.of(partition, new OffsetAndMetadata(5))).all().get();
        same(5L, committed(group, partition).offset());
        admin.deleteConsumerGroupOffsets(group, Set.of(partition)).all().get();
        same(null, committed(group, partition));
        admin.alterConsumerGroupOffsets(group, Map.of(partition, new OffsetAndMetadata(5))).all().get();
        admin.deleteConsumerGroups(List.of(group)).all().get();
        check(!groups().contains(group), "still listed");
        fails(GroupIdNotFoundException.class,
                () -> admin.deleteConsumerGroups(List.of(group)).all().get());
    }

    private List<String> groups() throws Exception {
        return admin.listConsumerGroups().all().get().stream().map(ConsumerGroupListing::groupId).toList();
    }

    private OffsetAndMetadata committed(String group, TopicPartition partition) throws Exception {
        return admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get().get(partition);
    }

    /** The ledger of the harness decides about this one. */
    private void interrupted(String how) throws Exception {
        String topic = topic(how, 3);
        try (var producer = producer(Map.of("enable.idempotence", true, "batch.size", 500))) {
            sendToLedger(producer, topic, 0, 500);
            producer.flush();
            sendToLedger(producer, topic, 500, 1000);
            ask(how);
            sendToLedger(producer, topic, 1000, 1500);
            producer.flush();
        }
        for (var record : readAll(topic)) {
            System.out.println("read " + record.partition() + " " + record.offset() + " " + record.value());
        }
    }

    private static void sendToLedger(Producer<String, String> producer, String topic, int from, int to) {
        for (int i = from; i < to; i++) {
            String value = "value-" + i;
            producer.send(new ProducerRecord<>(topic, "key-" + i % 100, value), (answer, error) -> {
                if (error == null) {
                    System.out.println("acked " + answer.partition() + " " + answer.offset() + " " + value);
                }
            });
        }
    }

    /** Whole fetches, and ones that begin and end within transactions. */
    private void transactions() throws Exception {
        List<Written> all = written("transactions", Map.of());
        List<String> committed = all.stream().filter(Written::isCommitted).map(Written::place).toList();
        check(committed.size() * 3 < all.size() * 2, "too few that are not committed: " + committed.size());
        for (int fetch : List.of(1_000_000, 3_000)) {
            sameList(committed, readBelowEnd("transactions", "read_committed", fetch));
            sameList(all.stream().map(Written::place).toList(),
                    readBelowEnd("transactions", "read_uncommitted", fetch));
        }
    }

    /** The newest committed record of each key is there, and none that was aborted. */
    private void transactionsCompacted() throws Exception {
        List<Written> all = written("compacted", Map.of("cleanup.policy", "compact"));
        List<String> committed = all.stream().filter(Written::isCommitted).map(Written::place).toList();
        Map<String, String> newest = new HashMap<>();
        all.stream().filter(Written::isCommitted).forEach(one -> newest.put(one.key, one.place()));
        for (int fetch : List.of(1_000_000, 3_000)) {
            List<String> read = readBelowEnd("compacted", "read_committed", fetch);
            check(read.size() < committed.size() / 2, "nothing was compacted: " + read.size());
            sameList(committed.stream().filter(Set.copyOf(read)::contains).toList(), read);
            Set<String> missing = new TreeSet<>(newest.values());
            missing.removeAll(read);
            same(Set.of(), missing);
        }
    }

    /** A record of a topic that the harness wrote into; see tests/src/clients/script.rs. */
    private static final class Written {
        private final String fate;
        private final String offset;
        private final String key;
        private final String value;

        Written(String... words) {
            fate = words[0];
            offset = words[1];
            key = words[2];
            value = words[3];
        }

        boolean isCommitted() {
            return fate.equals("committed");
        }

        String place() {
            return offset + " " + key + " " + value;
        }
    }

    /** Makes a topic with one record and has the harness write transactions behind it. */
    private List<Written> written(String how, Map<String, String> config) throws Exception {
        admin.createTopics(List.of(new NewTopic(how, 1, (short) 1).configs(config))).all().get();
        send(how, 0, 1);
        System.out.println(how + " " + how);
        List<Written> all = new ArrayList<>();
        all.add(new Written("committed", "0", "k", "v0"));
        for (String line = readLine(); line != null && !line.equals("done"); line = readLine()) {
            all.add(new Written(line.split(" ")));
        }
        return all;
    }

    /** What a reader of partition 0 gets up to the end that it is told, at most so much a fetch. */
    private static List<String> readBelowEnd(String topic, String isolation, int fetchBytes) {
        Map<String, Object> config = Map.of("isolation.level", isolation,
                "max.partition.fetch.bytes", fetchBytes, "fetch.max.bytes", fetchBytes);
        try (var consumer = consumer(config)) {
            TopicPartition partition = new TopicPartition(topic, 0);
            consumer.assign(List.of(partition));
            consumer.seekToBeginning(List.of(partition));
            long end = consumer.endOffsets(List.of(partition)).get(partition);
            List<String> read = new ArrayList<>();
            long deadline = System.nanoTime() + Duration.ofSeconds(60).toNanos();
            while (consumer.position(partition) < end && System.nanoTime() < deadline) {
                for (var record : consumer.poll(Duration.ofMillis(200))) {
                    read.add(record.offset() + " " + record.key() + " " + record.value());
                }
            }
            return read;
        }
    }

    // What the scenarios are made of.

    interface Action {
        void run() throws Exception;
    }

    private interface Condition {
        boolean holds() throws Exception;
    }

    private static void scenario(String name, Action action) {
        try {
            action.run();
            System.out.println("ok " + name);
        } catch (Exception | AssertionError error) {
            System.out.println("FAIL " + name + " " + error.toString().replace('\n', ' '));
        }
    }

    /** Like same, with the first difference alone. */
    private static void sameList(List<String> expected, List<String> found) {
        for (int i = 0; i < Math.min(expected.size(), found.size()); i++) {
            same(expected.get(i), found.get(i));
        }
        same(expected.size(), found.size());
    }

    private static void ask(String what) {
        System.out.println(what);
        same("done", readLine());
    }

    /** The next line from the harness, or null when it has gone. */
    static String readLine() {
        try {
            return STDIN.readLine();
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
    }

    private static void check(boolean condition, String otherwise) {
        if (!condition) {
            throw new AssertionError(otherwise);
        }
    }

    static void same(Object expected, Object found) {
        check(Objects.equals(expected, found), "expected " + expected + ", found " + found);
    }

    static void fails(Class<? extends Exception> expected, Action action) {
        try {
            action.run();
        } catch (Exception error) {
            Throwable cause = error instanceof ExecutionException ? error.getCause() : error;
            check(expected.isInstance(cause), "expected " + expected.getSimpleName() + ", found " + cause);
            return;
        }
        throw new AssertionError("expected " + expected.getSimpleName() + ", found success");
    }

    /** What an answer promises may reach the metadata that is asked next a moment later. */
    private static void eventually(Condition condition, String what) throws Exception {
        long deadline = System.nanoTime() + Duration.ofSeconds(30).toNanos();
        while (!condition.holds()) {
            check(System.nanoTime() < deadline, "expected " + what);
            Thread.sleep(20);
        }
    }

    private String topic(String name, int partitions) throws Exception {
        return topic(name, partitions, Map.of());
    }

    private String topic(String name, int partitions, Map<String, String> configs) throws Exception {
        admin.createTopics(List.of(new NewTopic(name, partitions, (short) 1).configs(configs))).all().get();
        return name;
    }

    private TopicDescription describe(String topic) throws Exception {
        return admin.describeTopics(List.of(topic)).allTopicNames().get().get(topic);
    }

    private Map<String, ConfigEntry> configs(ConfigResource resource) throws Exception {
        Config config = admin.describeConfigs(List.of(resource)).all().get().get(resource);
        Map<String, ConfigEntry> entries = new HashMap<>();
        config.entries().forEach(entry -> entries.put(entry.name(), entry));
        return entries;
    }

    private void alter(ConfigResource resource, String key, String value, AlterConfigOp.OpType how)
            throws Exception {
        var operation = new AlterConfigOp(new ConfigEntry(key, value), how);
        admin.incrementalAlterConfigs(Map.of(resource, Set.of(operation))).all().get();
    }

    private static Producer<String, String> producer(Map<String, Object> config) {
        Map<String, Object> all = new HashMap<>(config);
        all.put("bootstrap.servers", BOOTSTRAP);
        return new KafkaProducer<>(all, new StringSerializer(), new StringSerializer());
    }

    static Consumer<String, String> consumer(Map<String, Object> config) {
        Map<String, Object> all = new HashMap<>(config);
        all.put("bootstrap.servers", BOOTSTRAP);
        return new KafkaConsumer<>(all, new StringDeserializer(), new StringDeserializer());
    }

    private static void send(String topic, int from, int to) throws Exception {
        try (var producer = producer(Map.of("acks", "all"))) {
            for (int i = from; i < to; i++) {
                producer.send(new ProducerRecord<>(topic, "k", "v" + i)).get();
            }
        }
    }

    static List<ConsumerRecord<String, String>> poll(Consumer<String, String> consumer, int count) {
        List<ConsumerRecord<String, String>> records = new ArrayList<>();
        long deadline = System.nanoTime() + Duration.ofSeconds(30).toNanos();
        while (records.size() < count && System.nanoTime() < deadline) {
            consumer.poll(Duration.ofMillis(200)).forEach(records::add);
        }
        return records;
    }

    /** Everything between beginning and end of all partitions, in order of offsets. */
    private static List<ConsumerRecord<String, String>> readAll(String topic) {
        try (var consumer = consumer(Map.of())) {
            List<TopicPartition> partitions = consumer.partitionsFor(topic).stream()
                    .map(info -> new TopicPartition(topic, info.partition()))
                    .toList();
            consumer.assign(partitions);
            consumer.seekToBeginning(partitions);
            Collection<Long> ends = consumer.endOffsets(partitions).values();
            Collection<Long> beginnings = consumer.beginningOffsets(partitions).values();
            long count = sum(ends) - sum(beginnings);
            List<ConsumerRecord<String, String>> records = poll(consumer, (int) count);
            records.sort(Comparator.comparing(ConsumerRecord::offset));
            return records;
        }
    }

    private static long sum(Collection<Long> numbers) {
        return numbers.stream().mapToLong(Long::longValue).sum();
    }

    private static List<String> values(List<ConsumerRecord<String, String>> records) {
        return records.stream().map(ConsumerRecord::value).toList();
    }

    private static List<String> numbered(int from, int to) {
        List<String> values = new ArrayList<>();
        for (int i = from; i < to; i++) {
            values.add("v" + i);
        }
        return values;
    }
}
