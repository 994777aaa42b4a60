// One step of a kafkajs client: takes a command as JSON, prints the outcome as JSON.
"use strict";
const { Kafka, logLevel, CompressionTypes } = require("kafkajs");

const command = JSON.parse(process.argv[2]);

// Names of brokers behind one port, which only tests know.
const dns = require("dns");
const { lookup } = dns;
dns.lookup = (host, ...rest) => lookup(host.endsWith(".kordon.test") ? "127.0.0.1" : host, ...rest);
const kafka = new Kafka({
  clientId: "kafkajs",
  brokers: command.at.split(","),
  logLevel: logLevel.NOTHING,
  connectionTimeout: 5000,
  retry: { retries: command.retries ?? 3, initialRetryTime: 100 },
  ...(command.config ?? {}),
});

const name = (e) => (e.type ?? e.cause?.type ?? e.originalError?.type ?? e.name ?? "Error");

async function produce() {
  const producer = kafka.producer({ idempotent: command.idempotent ?? false, maxInFlightRequests: 1 });
  await producer.connect();
  const messages = command.values.map((value) => ({ key: command.key, value }));
  const compression = command.gzip ? CompressionTypes.GZIP : CompressionTypes.None;
  const sent = await producer.send({ topic: command.topic, acks: command.acks ?? -1, messages, compression });
  await producer.disconnect();
  return { sent: sent.length };
}

async function consume() {
  const consumer = kafka.consumer({ groupId: command.group });
  await consumer.connect();
  await consumer.subscribe({ topics: command.topics, fromBeginning: true });
  const values = [];
  let crashed;
  await new Promise((resolve) => {
    const timer = setTimeout(resolve, (command.timeout ?? 20) * 1000);
    const end = () => { clearTimeout(timer); resolve(); };
    consumer.on(consumer.events.CRASH, (e) => { crashed = name(e.payload.error); end(); });
    consumer.run({
      eachMessage: async ({ message }) => {
        values.push(message.value.toString());
        if (values.length >= command.count) end();
      },
    }).catch((e) => { crashed = name(e); end(); });
  });
  if (!crashed) await consumer.disconnect();
  return { values, crashed: crashed ?? null };
}

async function topics() {
  const admin = kafka.admin();
  await admin.connect();
  const out = { topics: (await admin.listTopics()).sort(), brokers: (await admin.describeCluster()).brokers };
  await admin.disconnect();
  return out;
}

({ produce, consume, topics })[command.op]()
  .then((ok) => ({ ok }), (e) => ({ error: name(e), message: String(e.message) }))
  .then((answer) => { process.stdout.write(JSON.stringify(answer) + "\n", () => process.exit(0)); });
