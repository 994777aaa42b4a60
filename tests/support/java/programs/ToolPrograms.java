import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.FileWriter;
import java.io.InputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.kafka.common.utils.Exit;

/** The console tools of the release, in this process: what they print for a human, line by line, in order of the text. */
final class ToolPrograms {
    private ToolPrograms() {}

    private static final class Ended extends RuntimeException {
        Ended() {
            super(null, null, false, false);
        }
    }

    static void run(Site site) throws Exception {
        List<String> rights = List.of("full", "read", "seen", "hidden");
        List<String> topics = rights.stream().map(r -> site.name(r, "t")).toList();
        site.make(1, topics);
        site.fill(topics, "a", "b", "c");
        Path config = login(site);
        String topicTool = "org.apache.kafka.tools.TopicCommand";
        String groupTool = "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand";
        String mine = ".*-" + site.scope + "-.*";
        for (String right : rights) {
            String topic = site.name(right, "t");
            // while there is one partition: which of several it takes is chance
            tool(site, config, "org.apache.kafka.tools.ConsoleProducer", "one\ntwo\n", "--topic", topic,
                "--command-property", "enable.idempotence=false");
            tool(site, config, topicTool, "", "--describe", "--topic", topic);
            tool(site, config, topicTool, "", "--alter", "--partitions", "2", "--topic", topic);
            tool(site, config, topicTool, "", "--create", "--if-not-exists", "--topic", site.name(right, "new"));
            tool(site, config, "org.apache.kafka.tools.GetOffsetShell", "", "--topic", topic);
            tool(site, config, "kafka.admin.ConfigCommand", "", "--entity-type", "topics", "--entity-name", topic, "--alter", "--add-config", "max.message.bytes=1000000");
            tool(site, config, "kafka.admin.ConfigCommand", "", "--entity-type", "topics", "--entity-name", topic, "--describe");
            tool(site, config, "org.apache.kafka.tools.consumer.ConsoleConsumer", "", "--topic", topic, "--from-beginning",
                "--partition", "0", "--max-messages", "3", "--timeout-ms", "3000");
            String group = site.name(right, "g");
            tool(site, config, groupTool, "", "--group", group, "--topic", site.name("full", "t") + ":0", "--reset-offsets", "--to-offset", "1", "--execute");
            tool(site, config, groupTool, "", "--group", group, "--describe");
            tool(site, config, groupTool, "", "--group", group, "--delete");
            tool(site, config, topicTool, "", "--delete", "--topic", site.name(right, "new"));
        }
        tool(site, config, topicTool, "", "--list", "--topic", mine);
        tool(site, config, "org.apache.kafka.tools.DeleteRecordsCommand", "", "--offset-json-file", records(topics));
        tool(site, config, "org.apache.kafka.tools.TransactionsCommand", "", "list");
        tool(site, config, "org.apache.kafka.tools.TransactionsCommand", "", "describe", "--transactional-id", site.name("full", "none"));
        tool(site, config, "org.apache.kafka.tools.ClusterTool", "", "list-endpoints");
        site.traceTopics();
    }

    /** Tools for who runs the cluster. */
    static void cluster(Site site) throws Exception {
        Path config = login(site);
        List<String> topics = List.of(site.name("full", "t"));
        site.make(1, topics);
        tool(site, config, "org.apache.kafka.tools.LogDirsCommand", "", "--describe", "--topic-list", topics.get(0));
        tool(site, config, "org.apache.kafka.tools.FeatureCommand", "", "describe");
        tool(site, config, "org.apache.kafka.tools.MetadataQuorumCommand", "", "describe", "--replication");
        tool(site, config, "org.apache.kafka.tools.LeaderElectionCommand", "", "--election-type", "preferred", "--topic", topics.get(0), "--partition", "0");
        tool(site, config, "org.apache.kafka.tools.AclCommand", "", "--list", "--topic", topics.get(0));
        tool(site, config, "kafka.admin.ConfigCommand", "", "--entity-type", "clients", "--entity-name", site.name("full", "client"),
            "--alter", "--add-config", "producer_byte_rate=100000000");
        tool(site, config, "kafka.admin.ConfigCommand", "", "--entity-type", "clients", "--entity-name", site.name("full", "client"), "--describe");
    }

    private static Path login(Site site) throws Exception {
        Path config = Files.createTempFile("kordon-tool", ".properties");
        try (var out = new FileWriter(config.toFile(), StandardCharsets.UTF_8)) {
            site.config().store(out, null);
        }
        return config;
    }

    private static String records(List<String> topics) throws Exception {
        Path file = Files.createTempFile("kordon-records", ".json");
        List<String> entries = topics.stream().map(t -> "{\"topic\":\"" + t + "\",\"partition\":0,\"offset\":1}").toList();
        Files.writeString(file, "{\"version\":1,\"partitions\":[" + String.join(",", entries) + "]}");
        return file.toString();
    }

    /** Runs the main method of a tool. Standard streams belong to the process: one tool at a time. */
    private static void tool(Site site, Path config, String type, String input, String... args) throws Exception {
        String name = type.substring(type.lastIndexOf('.') + 1);
        List<String> all = new ArrayList<>();
        boolean before = name.equals("TransactionsCommand") || name.equals("FeatureCommand") || name.equals("MetadataQuorumCommand");
        if (!before) {
            all.addAll(Arrays.asList(args));
        }
        if (name.equals("ClusterTool")) {
            all.addAll(List.of("--config", config.toString(), "--bootstrap-server", site.config().getProperty("bootstrap.servers")));
        } else {
            all.addAll(List.of("--bootstrap-server", site.config().getProperty("bootstrap.servers"),
                "--command-config", config.toString()));
        }
        if (before) {
            all.addAll(Arrays.asList(args));
        }
        ByteArrayOutputStream printed = new ByteArrayOutputStream();
        AtomicInteger code = new AtomicInteger();
        synchronized (Tools.class) {
            PrintStream out = System.out;
            PrintStream err = System.err;
            InputStream in = System.in;
            PrintStream both = new PrintStream(printed, true, StandardCharsets.UTF_8);
            Exit.setExitProcedure((status, message) -> {
                code.set(status);
                throw new Ended();
            });
            Exit.setHaltProcedure((status, message) -> {
                code.set(status);
                throw new Ended();
            });
            try {
                System.setOut(both);
                System.setErr(both);
                System.setIn(new ByteArrayInputStream(input.getBytes(StandardCharsets.UTF_8)));
                Class.forName(type).getMethod("main", String[].class).invoke(null, (Object) all.toArray(new String[0]));
            } catch (java.lang.reflect.InvocationTargetException e) {
                if (!(e.getCause() instanceof Ended)) {
                    both.println("thrown: " + Trace.describe(e));
                }
            } finally {
                System.setOut(out);
                System.setErr(err);
                System.setIn(in);
                Exit.resetExitProcedure();
                Exit.resetHaltProcedure();
            }
        }
        List<String> lines = printed.toString(StandardCharsets.UTF_8).lines().map(String::strip)
            .map(l -> masked(site, name, l)).filter(l -> !l.isEmpty()).sorted().toList();
        site.trace.add(name + " " + String.join(" ", args).replaceAll("/[^ ]*/kordon-[^ ]*", "FILE") + " -> " + code.get());
        lines.forEach(l -> site.trace.add("    " + l));
    }

    /** A line without what no two runs have in common; empty where nothing is left. */
    private static String masked(Site site, String tool, String line) {
        // frames of a stack say nothing of the cluster
        if (line.startsWith("at ") || line.startsWith("... ")) {
            return "";
        }
        String text = line.replaceAll("\\s+", " ").replaceAll("/[^ ]*/kordon-tool[^ ']*", "FILE");
        return switch (tool) {
            // transactions of other programs; the numbers of producers
            case "TransactionsCommand" -> text.matches(".*-(alice|bob|carol)-.*") && !text.contains("-" + site.scope + "-") ? "" : text.replaceAll(" \\d+ ", " # ");
            case "ClusterTool" -> text.replaceAll(" \\d{5} ", " PORT ");
            // epochs, times, sizes
            case "FeatureCommand", "MetadataQuorumCommand", "LogDirsCommand" -> text.replaceAll("\\d{2,}", "#");
            default -> text;
        };
    }
}
