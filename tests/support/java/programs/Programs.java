import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import java.util.Properties;

/** program.run: one program, as one user, on one cluster; the answer is its trace. */
final class Programs {
    private Programs() {}

    static JsonNode run(JsonNode c) throws Exception {
        Site site = new Site(c.get("user").asText(), c.get("scope").asText(), texts(c.get("client")), texts(c.get("back")));
        String name = c.get("program").asText();
        try {
            switch (name) {
                case "produce" -> DataPrograms.produce(site);
                case "consume" -> DataPrograms.consume(site);
                case "classic", "consumer" -> GroupPrograms.run(site, name);
                case "transactions" -> TransactionPrograms.run(site);
                case "topics" -> AdminPrograms.topics(site);
                case "configs" -> AdminPrograms.configs(site);
                case "offsets" -> AdminPrograms.groups(site);
                case "cluster" -> ClusterPrograms.run(site);
                case "connect" -> ClusterPrograms.connect(site);
                case "acls" -> ClusterPrograms.acls(site);
                // by name: they need more than the clients
                case "streams" -> byName("StreamsPrograms", "run", site);
                case "tools" -> byName("ToolPrograms", "run", site);
                case "operator" -> byName("ToolPrograms", "cluster", site);
                default -> throw new IllegalArgumentException("unknown program " + name);
            }
        } finally {
            site.close();
        }
        ArrayNode lines = Driver.JSON.createArrayNode();
        site.trace.lines().forEach(lines::add);
        return lines;
    }

    private static void byName(String type, String method, Site site) throws Exception {
        Class.forName(type).getDeclaredMethod(method, Site.class).invoke(null, site);
    }

    private static Properties texts(JsonNode node) {
        Properties out = new Properties();
        node.fields().forEachRemaining(e -> out.put(e.getKey(), e.getValue().asText()));
        return out;
    }
}
