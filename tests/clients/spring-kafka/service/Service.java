package service;

import static harness.Harness.BOOTSTRAP;
import static harness.Harness.ask;
import static harness.Harness.check;
import static harness.Harness.eventually;
import static harness.Harness.same;
import static harness.Harness.scenario;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.CompletableFuture;
import java.util.stream.Collectors;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.utils.AppInfoParser;
import org.springframework.boot.SpringApplication;
import org.springframework.boot.SpringBootVersion;
import org.springframework.boot.autoconfigure.SpringBootApplication;
import org.springframework.context.ConfigurableApplicationContext;
import org.springframework.context.annotation.Bean;
import org.springframework.kafka.config.KafkaListenerEndpointRegistry;
import org.springframework.kafka.config.TopicBuilder;
import org.springframework.kafka.core.KafkaTemplate;
import org.springframework.kafka.listener.MessageListenerContainer;
import org.springframework.kafka.support.SendResult;

/**
 * A service as Spring Boot makes it: a topic as a bean, a listener in a group and a template, all
 * with their defaults; only the address is set. The scenarios start and stop it.
 */
@SpringBootApplication
public class Service {
    private static ConfigurableApplicationContext context;

    @Bean
    NewTopic ordersTopic() {
        return TopicBuilder.name("orders").partitions(3).build();
    }

    public static void main(String[] args) throws Exception {
        System.out.println("version " + SpringBootVersion.getVersion() + ", spring-kafka "
                + KafkaTemplate.class.getPackage().getImplementationVersion() + ", kafka-clients "
                + AppInfoParser.getVersion());
        start();
        scenario("template", Service::template);
        scenario("resume", Service::resume);
        scenario("broker-restart", () -> interrupted("restart"));
        scenario("broker-kill", () -> interrupted("kill"));
        context.close();
        System.exit(0); // whatever hangs after a failure
    }

    /** Returns once the listener has its partitions: by default it reads what comes after that. */
    private static void start() throws Exception {
        context = SpringApplication.run(Service.class,
                "--spring.kafka.bootstrap-servers=" + BOOTSTRAP,
                "--spring.main.banner-mode=off", "--logging.level.root=warn");
        eventually(3, () -> {
            var assigned = listener().getAssignedPartitions();
            return assigned == null ? 0 : assigned.size();
        });
    }

    private static void template() throws Exception {
        settle(send("a", 0, 300));
        eventually(300, () -> received().size());
        for (int key = 0; key < 10; key++) {
            String wanted = "key" + key;
            var values = received().stream().filter(order -> order.key().equals(wanted))
                    .map(ConsumerRecord::value);
            List<String> expected = new ArrayList<>();
            for (int n = key; n < 300; n += 10) {
                expected.add("a" + n);
            }
            same(expected, values.toList());
        }
    }

    /** What comes while the service is away is what it gets once it is back, and nothing else. */
    private static void resume() throws Exception {
        listener().stop();
        settle(send("b", 0, 100));
        same(300, received().size());
        context.close();
        start();
        eventually(values("b", 0, 100), () -> receivedValues());
        same(100, received().size());
    }

    /** The ledger of the harness decides about the topic; the listener has to get all of it. */
    private static void interrupted(String how) throws Exception {
        tell(settle(send(how, 0, 500)));
        var underWay = send(how, 500, 1_000);
        ask(how);
        tell(settle(underWay));
        tell(settle(send(how, 1_000, 1_500)));
        for (ConsumerRecord<String, String> order : readAll()) {
            if (order.value().startsWith(how)) {
                System.out.println("read " + order.partition() + " " + order.offset() + " " + order.value());
            }
        }
        Set<String> wanted = values(how, 0, 1_500);
        eventually(Set.of(), () -> {
            Set<String> missing = new TreeSet<>(wanted);
            missing.removeAll(receivedValues());
            return missing;
        });
        check(context.isRunning(), "the service ended");
    }

    private static void tell(List<SendResult<String, String>> acked) {
        for (SendResult<String, String> result : acked) {
            var at = result.getRecordMetadata();
            String value = result.getProducerRecord().value();
            System.out.println("acked " + at.partition() + " " + at.offset() + " " + value);
        }
    }

    private static MessageListenerContainer listener() {
        var registry = context.getBean(KafkaListenerEndpointRegistry.class);
        return registry.getListenerContainer("orders");
    }

    private static List<CompletableFuture<SendResult<String, String>>> send(
            String prefix, int from, int to) {
        @SuppressWarnings("unchecked")
        KafkaTemplate<String, String> template = context.getBean(KafkaTemplate.class);
        List<CompletableFuture<SendResult<String, String>>> sends = new ArrayList<>();
        for (int n = from; n < to; n++) {
            sends.add(template.send("orders", "key" + n % 10, prefix + n));
        }
        return sends;
    }

    private static <T> List<T> settle(List<CompletableFuture<T>> sends) throws Exception {
        List<T> results = new ArrayList<>();
        for (CompletableFuture<T> send : sends) {
            results.add(send.get());
        }
        return results;
    }

    private static Set<String> values(String prefix, int from, int to) {
        Set<String> values = new TreeSet<>();
        for (int n = from; n < to; n++) {
            values.add(prefix + n);
        }
        return values;
    }

    private static List<ConsumerRecord<String, String>> received() {
        return context.getBean(Orders.class).received();
    }

    private static Set<String> receivedValues() {
        var values = received().stream().map(ConsumerRecord::value);
        return values.collect(Collectors.toCollection(TreeSet::new));
    }

    private static List<ConsumerRecord<String, String>> readAll() {
        List<ConsumerRecord<String, String>> found = new ArrayList<>();
        Map<String, Object> config = Map.of("bootstrap.servers", BOOTSTRAP);
        var text = new StringDeserializer();
        try (var consumer = new KafkaConsumer<>(config, text, text)) {
            var numbers = List.of(0, 1, 2).stream();
            var partitions = numbers.map(n -> new TopicPartition("orders", n)).toList();
            consumer.assign(partitions);
            consumer.seekToBeginning(partitions);
            var ends = consumer.endOffsets(partitions);
            while (partitions.stream().anyMatch(at -> consumer.position(at) < ends.get(at))) {
                consumer.poll(Duration.ofMillis(200)).forEach(found::add);
            }
        }
        return found;
    }
}
