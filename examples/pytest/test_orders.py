from confluent_kafka import Consumer, Producer, TopicPartition


def test_an_order_is_read_back(ottla):
    producer = Producer({"bootstrap.servers": ottla})
    producer.produce("orders", key="o-1", value="created")
    assert producer.flush(10) == 0

    consumer = Consumer({"bootstrap.servers": ottla, "group.id": "test"})
    consumer.assign([TopicPartition("orders", 0, 0)])
    assert consumer.poll(10).value() == b"created"
    consumer.close()


def test_every_test_has_a_broker_of_its_own(ottla):
    topics = Producer({"bootstrap.servers": ottla}).list_topics(timeout=10).topics
    assert "orders" not in topics
