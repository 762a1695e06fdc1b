import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.serialization.StringDeserializer;

/**
 * Prints the recalls of one account's messages.
 *
 * <pre>BOOTSTRAP_SERVERS=localhost:9092 mvn -q compile exec:java -Dexec.args="Jonh [COUNT [SECONDS]]"</pre>
 */
public class Recalls {
    public static void main(String[] args) throws Exception {
        String account = args[0];
        long left = args.length > 1 ? Long.parseLong(args[1]) : Long.MAX_VALUE;
        long seconds = args.length > 2 ? Long.parseLong(args[2]) : Long.MAX_VALUE / 1_000_000_000;
        Map<String, Object> settings = Map.of(
                "bootstrap.servers", System.getenv().getOrDefault("BOOTSTRAP_SERVERS", "localhost:9092"),
                "group.id", "recalls-java-" + account,
                "auto.offset.reset", "earliest");
        ObjectMapper json = new ObjectMapper();
        long began = System.nanoTime();
        try (var consumer = new KafkaConsumer<>(settings, new StringDeserializer(), new StringDeserializer())) {
            consumer.subscribe(List.of(System.getenv().getOrDefault("TOPIC", "im.events")));
            while (left > 0 && System.nanoTime() - began < seconds * 1_000_000_000) {
                for (ConsumerRecord<String, String> record : consumer.poll(Duration.ofMillis(500))) {
                    // The key is the subject: others need not even be parsed.
                    if (left == 0 || !account.equals(record.key())) continue;
                    JsonNode event = json.readTree(record.value());
                    if (!event.path("type").asText().equals("im.c2c.message.recalled")) continue;
                    // Delivery is at least once: whoever does more than print remembers the event's id.
                    JsonNode recall = event.path("data");
                    System.out.printf("%s %s recalled %s, %s unread%n", event.path("time").asText(),
                            recall.path("from_account").asText(), recall.path("msg_key").asText(),
                            recall.path("unread_total").asText("?"));
                    left--;
                }
            }
        }
    }
}
