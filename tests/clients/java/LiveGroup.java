import java.util.List;
import java.util.Map;
import java.util.Set;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.ConsumerGroupDescription;
import org.apache.kafka.clients.admin.MemberToRemove;
import org.apache.kafka.clients.admin.RemoveMembersFromConsumerGroupOptions;
import org.apache.kafka.clients.consumer.Consumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.GroupNotEmptyException;
import org.apache.kafka.common.errors.GroupSubscribedToTopicException;
import org.apache.kafka.common.errors.UnknownMemberIdException;

/** What an operator sees of a group at work, may not do to it, and does. */
final class LiveGroup {
    private static final String GROUP = "group-live";
    private static final Map<String, Object> MEMBER = Map.of(
            "group.id", GROUP,
            "group.instance.id", "one",
            "client.id", "worker",
            "auto.offset.reset", "earliest",
            "enable.auto.commit", false);

    private final Admin admin;
    private final TopicPartition partition;

    LiveGroup(Admin admin, String topic) {
        this.admin = admin;
        this.partition = new TopicPartition(topic, 0);
    }

    void run() throws Exception {
        try (var consumer = Scenarios.consumer(MEMBER)) {
            consumer.subscribe(List.of(partition.topic()));
            Scenarios.poll(consumer, 10);
            consumer.commitSync();
            described(consumer);
            refused();
            var one = new RemoveMembersFromConsumerGroupOptions(Set.of(new MemberToRemove("one")));
            admin.removeMembersFromConsumerGroup(GROUP, one).all().get();
            Scenarios.same("Empty", describe().state().toString());
            Scenarios.same(0, describe().members().size());
            admin.deleteConsumerGroups(List.of(GROUP)).all().get();
        }
    }

    private void described(Consumer<?, ?> consumer) throws Exception {
        var group = describe();
        Scenarios.same("Stable", group.state().toString());
        Scenarios.same("range", group.partitionAssignor());
        Scenarios.same(1, group.members().size());
        var member = group.members().iterator().next();
        Scenarios.same("one", member.groupInstanceId().orElse(null));
        Scenarios.same("worker", member.clientId());
        Scenarios.same(consumer.groupMetadata().memberId(), member.consumerId());
        Scenarios.same(consumer.assignment(), member.assignment().topicPartitions());
    }

    private void refused() {
        var here = Map.of(partition, new OffsetAndMetadata(0));
        Scenarios.fails(GroupNotEmptyException.class,
                () -> admin.deleteConsumerGroups(List.of(GROUP)).all().get());
        Scenarios.fails(GroupSubscribedToTopicException.class,
                () -> admin.deleteConsumerGroupOffsets(GROUP, Set.of(partition)).all().get());
        Scenarios.fails(UnknownMemberIdException.class,
                () -> admin.alterConsumerGroupOffsets(GROUP, here).all().get());
    }

    private ConsumerGroupDescription describe() throws Exception {
        return admin.describeConsumerGroups(List.of(GROUP)).all().get().get(GROUP);
    }
}
