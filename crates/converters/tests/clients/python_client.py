"""Reads what our Avro converter wrote, with Confluent's client and with fastavro, and writes for it to read.

stdin: one JSON object a line: {"topic", "payload" (hex), "value", "name_of_field_with_bytes": ...}
stdout: one JSON object a line: {"topic", "payload" (hex), "value"}
"""
import io
import json
import sys

import fastavro
from confluent_kafka.schema_registry import SchemaRegistryClient, Schema
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext


def plain(value):
    if isinstance(value, bytes):
        return {"bytes": value.hex()}
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return str(value)


def main():
    registry = SchemaRegistryClient({"url": sys.argv[1]})
    deserialize = AvroDeserializer(registry)
    for line in sys.stdin:
        case = json.loads(line)
        payload = bytes.fromhex(case["payload"])
        context = SerializationContext(case["topic"], MessageField.VALUE)
        by_confluent = plain(deserialize(payload, context))
        schema_id = int.from_bytes(payload[1:5], "big")
        text = registry.get_schema(schema_id).schema_str
        parsed = fastavro.parse_schema(json.loads(text))
        by_fastavro = plain(fastavro.schemaless_reader(io.BytesIO(payload[5:]), parsed))
        for found in (by_confluent, by_fastavro):
            if found != case["value"]:
                sys.exit(f"{case['topic']}: expected {case['value']}, found {found}")
        # The same value back, through Confluent's serialiser, under a topic of its own.
        topic = case["topic"] + "-from-python"
        serialize = AvroSerializer(registry, text)
        value = deserialize(payload, context)
        written = serialize(value, SerializationContext(topic, MessageField.VALUE))
        print(json.dumps({"topic": topic, "payload": written.hex(), "value": case["value"]}), flush=True)
    contract(registry)


def contract(registry):
    """The calls that scripts of the field make."""
    subject = "contract/ä-value"
    schema = Schema('{"type": "record", "name": "R", "fields": [{"name": "a", "type": "int"}]}', "AVRO")
    wider = Schema(
        '{"type":"record","name":"R","fields":[{"name":"a","type":"int"},{"name":"b","type":"string","default":""}]}',
        "AVRO",
    )
    broken = Schema('{"type":"record","name":"R","fields":[{"name":"c","type":"int"}]}', "AVRO")
    first = registry.register_schema(subject, schema)
    assert registry.register_schema(subject, schema) == first
    assert subject in registry.get_subjects()
    assert registry.test_compatibility(subject, wider)
    assert not registry.test_compatibility(subject, broken)
    second = registry.register_schema(subject, wider)
    assert second != first
    try:
        registry.register_schema(subject, broken)
        sys.exit("an incompatible schema was registered")
    except Exception as error:
        assert error.http_status_code == 409, error
    assert registry.get_versions(subject) == [1, 2]
    assert registry.lookup_schema(subject, schema).version == 1
    assert registry.get_latest_version(subject).version == 2
    registry.set_compatibility(subject_name=subject, level="NONE")
    assert registry.get_compatibility(subject_name=subject) == "NONE"
    assert registry.get_compatibility() == "BACKWARD"
    registry.register_schema(subject, broken)
    assert registry.delete_version(subject, 3) == 3
    assert registry.delete_subject(subject) == [1, 2]
    assert subject not in registry.get_subjects()
    assert registry.delete_subject(subject, permanent=True) == [1, 2, 3]
    again = registry.register_schema(subject, schema)
    assert registry.get_versions(subject) == [1], again


main()
