"""Reads what our JSON Schema and Protobuf converters wrote, with jsonschema and with protobuf, and writes for them to read.

stdin: one JSON object a line: {"kind": "json" or "protobuf", "topic", "payload" (hex), "value"}
stdout: one JSON object a line: {"topic", "payload" (hex)}
"""
import json
import pathlib
import sys
import tempfile
import urllib.request

import jsonschema
from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory
from grpc_tools import protoc
import grpc_tools

KNOWN = {
    "confluent/meta.proto": """syntax = "proto3"; package confluent; import "google/protobuf/descriptor.proto";
        message Meta { string doc = 1; map<string, string> params = 2; repeated string tags = 3; }
        extend google.protobuf.FieldOptions { Meta field_meta = 1088; }""",
    "confluent/type/decimal.proto": """syntax = "proto3"; package confluent.type;
        message Decimal { bytes value = 1; uint32 precision = 2; int32 scale = 3; }""",
    "google/type/date.proto": """syntax = "proto3"; package google.type;
        message Date { int32 year = 1; int32 month = 2; int32 day = 3; }""",
    "google/type/timeofday.proto": """syntax = "proto3"; package google.type;
        message TimeOfDay { int32 hours = 1; int32 minutes = 2; int32 seconds = 3; int32 nanos = 4; }""",
}


def fetch(url, schema_id):
    with urllib.request.urlopen(f"{url}/schemas/ids/{schema_id}") as answer:
        return json.load(answer)


def message_class(text):
    """The first message of a file, compiled by protoc."""
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        for name, content in {**KNOWN, "schema.proto": text}.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(content)
        google = pathlib.Path(grpc_tools.__file__).parent / "_proto"
        result = folder / "set.bin"
        arguments = ["protoc", f"-I{folder}", f"-I{google}", "--include_imports"]
        if protoc.main([*arguments, f"--descriptor_set_out={result}", "schema.proto"]) != 0:
            sys.exit(f"protoc refuses {text}")
        files = descriptor_pb2.FileDescriptorSet.FromString(result.read_bytes())
    pool = descriptor_pool.DescriptorPool()
    for file in files.file:
        pool.Add(file)
    file = pool.FindFileByName("schema.proto")
    first = files.file[-1].message_type[0].name
    return message_factory.GetMessageClass(file.message_types_by_name[first])


def read_json(schema, payload):
    value = json.loads(payload)
    parsed = json.loads(schema["schema"])
    jsonschema.Draft7Validator.check_schema(parsed)
    jsonschema.validate(value, parsed, cls=jsonschema.Draft7Validator)
    return value, json.dumps(value).encode()


def read_protobuf(schema, payload):
    if payload[:1] != b"\0":
        sys.exit("not the first message")
    message = message_class(schema["schema"]).FromString(payload[1:])
    value = json_format.MessageToDict(message, preserving_proto_field_name=True)
    return value, b"\0" + message.SerializeToString()


def main():
    url = sys.argv[1]
    read = {"json": (read_json, "JSON"), "protobuf": (read_protobuf, "PROTOBUF")}
    for line in sys.stdin:
        case = json.loads(line)
        payload = bytes.fromhex(case["payload"])
        schema = fetch(url, int.from_bytes(payload[1:5], "big"))
        reader, kind = read[case["kind"]]
        if schema["schemaType"] != kind:
            sys.exit(f"{case['topic']}: a schema of type {schema['schemaType']}")
        value, written = reader(schema, payload[5:])
        if value != case["value"]:
            sys.exit(f"{case['topic']}: expected {case['value']}, found {value}")
        print(json.dumps({"topic": case["topic"], "payload": (payload[:5] + written).hex()}), flush=True)


main()
