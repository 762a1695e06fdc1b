// Prints the recalls of one account's messages.
//
//   npm install && BOOTSTRAP_SERVERS=localhost:9092 node recalls.js Jonh [COUNT [SECONDS]]
import { Kafka, logLevel } from "kafkajs";

const [account, count = Infinity, seconds] = process.argv.slice(2);
if (!account) throw new Error("usage: node recalls.js ACCOUNT [COUNT [SECONDS]]");

const kafka = new Kafka({
  brokers: (process.env.BOOTSTRAP_SERVERS ?? "localhost:9092").split(","),
  logLevel: logLevel.ERROR,
});
const consumer = kafka.consumer({ groupId: `recalls-kafkajs-${account}` });
let left = Number(count);
let stop;
const stopped = new Promise((resolve) => (stop = resolve));

await consumer.connect();
await consumer.subscribe({ topic: process.env.TOPIC ?? "im.events", fromBeginning: true });
await consumer.run({
  eachMessage: async ({ message }) => {
    // The key is the subject: others need not even be parsed.
    if (left <= 0 || message.key?.toString() !== account) return;
    const event = JSON.parse(message.value);
    if (event.type !== "im.c2c.message.recalled") return;
    // Delivery is at least once: whoever does more than print remembers event.id.
    const { from_account, msg_key, unread_total = "?" } = event.data;
    console.log(`${event.time} ${from_account} recalled ${msg_key}, ${unread_total} unread`);
    if (--left === 0) stop();
  },
});
if (seconds) setTimeout(stop, seconds * 1000).unref();
process.once("SIGINT", stop).once("SIGTERM", stop);
await stopped;
await consumer.disconnect();
