// One step of a kafkajs client: takes a command as JSON, prints the outcome as JSON.
"use strict";
const { Kafka, logLevel, CompressionTypes } = require("kafkajs");

const command = JSON.parse(process.argv[2]);

// Names of brokers behind one port, which only tests know.
const dns = require("dns");
const { lookup } = dns;
dns.lookup = (host, ...rest) => lookup(host.endsWith(".kordon.test") ? "127.0.0.1" : host, ...rest);
const connect = (command) => {
  const { sasl } = command.config ?? {};
  // A token cannot be told as kafkajs wants it.
  if (sasl?.token) sasl.oauthBearerProvider = async () => ({ value: sasl.token });
  return new Kafka({
    clientId: "kafkajs",
    brokers: command.at.split(","),
    logLevel: logLevel.NOTHING,
    connectionTimeout: 5000,
    retry: { retries: command.retries ?? 3, initialRetryTime: 100 },
    ...(command.config ?? {}),
  });
};

const name = (e) => (e.type ?? e.cause?.type ?? e.originalError?.type ?? e.name ?? "Error");

async function produce(command) {
  const producer = connect(command).producer({ idempotent: command.idempotent ?? false, maxInFlightRequests: 1 });
  await producer.connect();
  const messages = command.values.map((value) => ({ key: command.key, value }));
  const compression = command.gzip ? CompressionTypes.GZIP : CompressionTypes.None;
  const sent = await producer.send({ topic: command.topic, acks: command.acks ?? -1, messages, compression });
  await producer.disconnect();
  return { sent: sent.length };
}

async function consume(command) {
  const consumer = connect(command).consumer({ groupId: command.group });
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

async function topics(command) {
  const admin = connect(command).admin();
  await admin.connect();
  const out = { topics: (await admin.listTopics()).sort(), brokers: (await admin.describeCluster()).brokers };
  await admin.disconnect();
  return out;
}

// One record after the other, by one producer.
async function work(command) {
  const producer = connect(command).producer({ maxInFlightRequests: 1 });
  await producer.connect();
  const end = Date.now() + command.seconds * 1000;
  let sent = 0;
  for (; Date.now() < end; sent += 1) {
    await producer.send({ topic: command.topic, messages: [{ value: command.value }] });
  }
  await producer.disconnect();
  return { sent };
}

// One record there and back.
async function trip(command) {
  await produce({ ...command, values: [command.value] });
  return consume({ ...command, topics: [command.topic], count: 1 });
}

// Steps side by side.
const several = (command) => Promise.all(command.steps.map(outcome));

// What a step comes to.
const outcome = (command) => ({ produce, consume, topics, trip, work, several })[command.op](command)
  .then((ok) => ({ ok }), (e) => ({ error: name(e), message: String(e.message) }));

outcome(command)
  .then((answer) => { process.stdout.write(JSON.stringify(answer) + "\n", () => process.exit(0)); });
