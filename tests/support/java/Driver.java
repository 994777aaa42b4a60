import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.kafka.common.errors.GroupAuthorizationException;
import org.apache.kafka.common.errors.TopicAuthorizationException;

/**
 * Stock Kafka clients under remote control: one command a line on standard input, as JSON, {"id", "op", ...}; one answer a
 * line on standard output, {"id", "ok"} or {"id", "error", "message", ...}. Commands run side by side; those of one client
 * wait for each other.
 */
public final class Driver {
    static final ObjectMapper JSON = new ObjectMapper();
    static final Map<Long, Object> HANDLES = new ConcurrentHashMap<>();
    static final AtomicLong NEXT = new AtomicLong(1);
    private static PrintStream answers;

    private Driver() {}

    public static void main(String[] args) throws Exception {
        answers = System.out;
        System.setOut(System.err); // what clients print is log
        // Logging takes the streams that there are when it begins, and for good: not those that a tool is lent.
        org.slf4j.LoggerFactory.getLogger(Driver.class).info("the driver begins");
        ExecutorService pool = Executors.newCachedThreadPool();
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            JsonNode command = JSON.readTree(line);
            pool.execute(() -> answer(command));
        }
        Runtime.getRuntime().halt(0);
    }

    private static void answer(JsonNode command) {
        ObjectNode answer = JSON.createObjectNode();
        answer.set("id", command.get("id"));
        try {
            JsonNode value = run(command);
            answer.set("ok", value == null ? JSON.nullNode() : value);
        } catch (Throwable thrown) {
            answer.setAll(describe(thrown));
        }
        synchronized (answers) {
            answers.println(answer);
            answers.flush();
        }
    }

    private static JsonNode run(JsonNode c) throws Exception {
        String op = c.get("op").asText();
        return switch (op.substring(0, op.indexOf('.'))) {
            case "producer" -> Producers.run(op, c);
            case "consumer" -> Consumers.run(op, c);
            case "admin" -> Admins.run(op, c);
            // by name: there are versions of the clients without the tools
            case "tools" -> (JsonNode) Class.forName("Tools").getDeclaredMethod("run", JsonNode.class).invoke(null, c);
            case "share" -> Shares.run(op, c);
            case "program" -> Programs.run(c);
            // by name: there are versions of the clients without a Streams of the same version
            case "streams" -> (JsonNode) Class.forName("StreamsApps")
                .getDeclaredMethod("run", String.class, JsonNode.class).invoke(null, op, c);
            default -> throw new IllegalArgumentException("unknown operation " + op);
        };
    }

    /** The cause that a caller would look at, by class name, with what it carries. */
    static ObjectNode describe(Throwable thrown) {
        Throwable cause = thrown;
        while ((cause instanceof ExecutionException || cause instanceof CompletionException
            || cause instanceof java.lang.reflect.InvocationTargetException) && cause.getCause() != null) {
            cause = cause.getCause();
        }
        ObjectNode node = JSON.createObjectNode();
        node.put("error", cause.getClass().getSimpleName());
        node.put("message", String.valueOf(cause.getMessage()));
        if (cause.getCause() != null) {
            node.put("cause", cause.getCause().getClass().getSimpleName());
        }
        if (cause instanceof TopicAuthorizationException topics) {
            ArrayNode names = node.putArray("topics");
            topics.unauthorizedTopics().stream().sorted().forEach(names::add);
        }
        if (cause instanceof GroupAuthorizationException group) {
            node.put("group", group.groupId());
        }
        return node;
    }

    static Properties config(JsonNode c) {
        Properties properties = new Properties();
        c.get("config").fields().forEachRemaining(e -> properties.put(e.getKey(), e.getValue().asText()));
        String tokens = properties.getProperty("sasl.oauthbearer.token.endpoint.url");
        if (tokens != null) {
            allow(tokens);
        }
        return properties;
    }

    /** Clients ask for tokens only where the process lets them. */
    private static synchronized void allow(String url) {
        String name = "org.apache.kafka.sasl.oauthbearer.allowed.urls";
        String before = System.getProperty(name, url);
        System.setProperty(name, before.contains(url) ? before : before + "," + url);
    }

    static JsonNode keep(Object client) {
        long handle = NEXT.getAndIncrement();
        HANDLES.put(handle, client);
        return JSON.getNodeFactory().numberNode(handle);
    }

    @SuppressWarnings("unchecked")
    static <T> T handle(JsonNode c) {
        Object client = HANDLES.get(c.get("h").asLong());
        if (client == null) {
            throw new IllegalStateException("no client " + c.get("h"));
        }
        return (T) client;
    }

    static ObjectNode metrics(JsonNode c, Map<org.apache.kafka.common.MetricName, ? extends org.apache.kafka.common.Metric> all) {
        ObjectNode out = JSON.createObjectNode();
        all.forEach((name, metric) -> {
            if (!name.tags().containsKey("node-id") && !name.tags().containsKey("topic") && metric.metricValue() instanceof Number n) {
                for (JsonNode wanted : c.get("names")) {
                    if (wanted.asText().equals(name.name())) {
                        out.put(name.name(), n.doubleValue());
                    }
                }
            }
        });
        return out;
    }
}
