// Reads what our Avro converter wrote, with @confluentinc/schemaregistry, and writes for it to read.
import { AvroDeserializer, AvroSerializer, SchemaRegistryClient, SerdeType } from "@confluentinc/schemaregistry";
import { createInterface } from "node:readline";

const registry = new SchemaRegistryClient({ baseURLs: [process.argv[2]] });
const deserializer = new AvroDeserializer(registry, SerdeType.VALUE, {});

// Unions of several named types come wrapped, bytes as buffers, and longs as numbers or big integers.
function plain(value) {
  if (value instanceof Uint8Array) return { bytes: Buffer.from(value).toString("hex") };
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value === "bigint") return Number(value);
  if (value !== null && typeof value === "object") {
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, plain(item)]));
  }
  return value;
}

function equal(a, b) {
  if (a === b) return true;
  if (a === null || b === null || typeof a !== "object" || typeof b !== "object") return false;
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((key) => equal(a[key], b[key]));
}

for await (const line of createInterface({ input: process.stdin })) {
  const test = JSON.parse(line);
  const payload = Buffer.from(test.payload, "hex");
  const value = await deserializer.deserialize(test.topic, payload);
  if (!equal(plain(value), test.value)) {
    console.error(`${test.topic}: expected ${JSON.stringify(test.value)}, found ${JSON.stringify(plain(value))}`);
    process.exit(1);
  }
  const topic = `${test.topic}-from-node`;
  const { schema } = await registry.getBySubjectAndId(`${test.topic}-value`, payload.readInt32BE(1)).then((schema) => ({ schema }));
  await registry.register(`${topic}-value`, schema);
  const serializer = new AvroSerializer(registry, SerdeType.VALUE, { useLatestVersion: true });
  const written = await serializer.serialize(topic, value);
  console.log(JSON.stringify({ topic, payload: Buffer.from(written).toString("hex"), value: test.value }));
}
