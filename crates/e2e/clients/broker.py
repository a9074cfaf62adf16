"""kafka-python and confluent-kafka (librdkafka) against a broker: create, delete, list, produce, consume in a group."""

import sys
import time

from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin import NewTopic as ConfluentTopic
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer
from kafka.admin import NewTopic

BOOTSTRAP = sys.argv[1]


def with_kafka_python():
    admin = KafkaAdminClient(bootstrap_servers=BOOTSTRAP)
    topic = f"python-{time.time_ns()}"
    admin.create_topics([NewTopic(topic, 3, 1)])
    assert topic in admin.list_topics()
    assert len(admin.describe_topics([topic])[0]["partitions"]) == 3
    producer = KafkaProducer(bootstrap_servers=BOOTSTRAP)
    for number in range(1000):
        producer.send(topic, key=b"%d" % number, value=b"value %d" % number)
    producer.flush()
    consumer = KafkaConsumer(
        topic, bootstrap_servers=BOOTSTRAP, group_id=f"group-{topic}", auto_offset_reset="earliest",
        consumer_timeout_ms=20000, enable_auto_commit=False)
    seen = set()
    for message in consumer:
        seen.add(message.value)
        if len(seen) == 1000:
            break
    assert len(seen) == 1000, len(seen)
    consumer.commit()
    consumer.close()
    admin.delete_topics([topic])
    assert topic not in admin.list_topics()
    # The group's offsets went with the topic: a new one of the same name is read from its beginning.
    admin.create_topics([NewTopic(topic, 3, 1)])
    producer.send(topic, value=b"again")
    producer.flush()
    consumer = KafkaConsumer(
        topic, bootstrap_servers=BOOTSTRAP, group_id=f"group-{topic}", auto_offset_reset="earliest",
        consumer_timeout_ms=20000)
    assert next(consumer).value == b"again"
    consumer.close()


def with_librdkafka():
    admin = AdminClient({"bootstrap.servers": BOOTSTRAP})
    topic = f"rd-{time.time_ns()}"
    for future in admin.create_topics([ConfluentTopic(topic, 2, 1)]).values():
        future.result()
    producer = Producer({"bootstrap.servers": BOOTSTRAP, "enable.idempotence": True})
    for number in range(20000):
        producer.produce(topic, key=b"%d" % number, value=b"x" * 100)
        producer.poll(0)
    assert producer.flush(30) == 0
    consumer = Consumer({"bootstrap.servers": BOOTSTRAP, "group.id": topic, "auto.offset.reset": "earliest"})
    consumer.subscribe([topic])
    count, deadline = 0, time.monotonic() + 30
    while count < 20000 and time.monotonic() < deadline:
        count += len(consumer.consume(1000, 0.5))
    assert count == 20000, count
    consumer.close()
    admin.delete_topics([topic])[topic].result()


with_kafka_python()
with_librdkafka()
print("all passed")
