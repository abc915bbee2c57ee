package service;

import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.springframework.kafka.annotation.KafkaListener;
import org.springframework.stereotype.Component;

/** The listener of the service, with Spring's defaults: a container that commits after each batch. */
@Component
public class Orders {
    private final List<ConsumerRecord<String, String>> received = new CopyOnWriteArrayList<>();

    @KafkaListener(id = "orders", groupId = "service", topics = "orders")
    public void order(ConsumerRecord<String, String> order) {
        received.add(order);
    }

    List<ConsumerRecord<String, String>> received() {
        return received;
    }
}
