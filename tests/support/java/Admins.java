import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Properties;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.stream.Collectors;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.DescribeClusterOptions;
import org.apache.kafka.clients.admin.DescribeTopicsOptions;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.KafkaFuture;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;

/** admin.*: one cached client per configuration. Results per name are {"ok"} or {"error"}, so that mixtures can be seen. */
final class Admins {
    private static final Map<String, Admin> CLIENTS = new ConcurrentHashMap<>();

    private Admins() {}

    static JsonNode run(String op, JsonNode c) throws Exception {
        String key = c.get("config").toString();
        if (op.equals("admin.close")) {
            Admin old = CLIENTS.remove(key);
            if (old != null) {
                old.close(java.time.Duration.ofSeconds(5));
            }
            return null;
        }
        Admin admin = CLIENTS.computeIfAbsent(key, k -> {
            Properties config = Driver.config(c);
            config.putIfAbsent("default.api.timeout.ms", "20000");
            config.putIfAbsent("request.timeout.ms", "15000");
            return Admin.create(config);
        });
        ObjectNode out = Driver.JSON.createObjectNode();
        switch (op) {
            case "admin.describeCluster": {
                var result = admin.describeCluster(new DescribeClusterOptions().includeAuthorizedOperations(true));
                out.put("cluster", result.clusterId().get());
                out.put("controller", result.controller().get() == null ? null : result.controller().get().idString());
                ArrayNode nodes = out.putArray("nodes");
                result.nodes().get().forEach(n -> nodes.addObject().put("id", n.id()).put("host", n.host()).put("port", n.port()));
                var operations = result.authorizedOperations().get();
                if (operations != null) {
                    ArrayNode names = out.putArray("operations");
                    operations.stream().map(Enum::name).sorted().forEach(names::add);
                }
                return out;
            }
            case "admin.listTopics": {
                ArrayNode names = Driver.JSON.createArrayNode();
                admin.listTopics().names().get().stream().sorted().forEach(names::add);
                return names;
            }
            case "admin.describeTopics":
                each(out, admin.describeTopics(names(c, "topics"), new DescribeTopicsOptions().includeAuthorizedOperations(true))
                    .topicNameValues(), t -> {
                        ObjectNode node = Driver.JSON.createObjectNode().put("id", t.topicId().toString());
                        ArrayNode partitions = node.putArray("partitions");
                        t.partitions().forEach(p -> {
                            ObjectNode one = partitions.addObject().put("partition", p.partition());
                            one.put("leader", p.leader() == null ? -1 : p.leader().id());
                            ArrayNode isr = one.putArray("isr");
                            p.isr().forEach(n -> isr.add(n.id()));
                        });
                        if (t.authorizedOperations() != null) {
                            ArrayNode operations = node.putArray("operations");
                            t.authorizedOperations().stream().map(Enum::name).sorted().forEach(operations::add);
                        }
                        return node;
                    });
                return out;
            case "admin.createTopics": {
                List<NewTopic> topics = new ArrayList<>();
                for (JsonNode t : c.get("topics")) {
                    Optional<Integer> partitions = t.has("partitions") ? Optional.of(t.get("partitions").asInt()) : Optional.empty();
                    Optional<Short> replicas = t.has("replicas") ? Optional.of((short) t.get("replicas").asInt()) : Optional.empty();
                    NewTopic topic = new NewTopic(t.get("name").asText(), partitions, replicas);
                    topic.configs(texts(t.path("configs")));
                    topics.add(topic);
                }
                each(out, admin.createTopics(topics).values(), v -> Driver.JSON.nullNode());
                return out;
            }
            case "admin.deleteTopics":
                each(out, admin.deleteTopics(names(c, "topics")).topicNameValues(), v -> Driver.JSON.nullNode());
                return out;
            case "admin.createPartitions":
                each(out, admin.createPartitions(Map.of(c.get("topic").asText(), NewPartitions.increaseTo(c.get("count").asInt()))).values(),
                    v -> Driver.JSON.nullNode());
                return out;
            case "admin.deleteRecords": {
                Map<TopicPartition, RecordsToDelete> records = new HashMap<>();
                Consumers.partitions(c).forEach(p -> records.put(p, RecordsToDelete.beforeOffset(c.get("before").asLong())));
                each(out, admin.deleteRecords(records).lowWatermarks(), v -> number(v.lowWatermark()));
                return out;
            }
            case "admin.describeConfigs": {
                List<ConfigResource> resources = new ArrayList<>();
                c.get("resources").forEach(r -> resources.add(resource(r)));
                each(out, admin.describeConfigs(resources).values(), config -> {
                    ObjectNode node = Driver.JSON.createObjectNode();
                    config.entries().forEach(e -> node.put(e.name(), e.value()));
                    return node;
                });
                return out;
            }
            case "admin.alterConfigs": {
                Map<ConfigResource, Collection<AlterConfigOp>> changes = new HashMap<>();
                List<AlterConfigOp> ops = new ArrayList<>();
                texts(c.get("set")).forEach((k, v) -> ops.add(new AlterConfigOp(new ConfigEntry(k, v), AlterConfigOp.OpType.SET)));
                changes.put(resource(c.get("resource")), ops);
                each(out, admin.incrementalAlterConfigs(changes).values(), v -> Driver.JSON.nullNode());
                return out;
            }
            case "admin.listGroups": {
                ArrayNode groups = Driver.JSON.createArrayNode();
                admin.listGroups().all().get().stream().map(g -> g.groupId()).sorted().forEach(groups::add);
                return groups;
            }
            case "admin.describeGroups":
                each(out, admin.describeConsumerGroups(names(c, "groups")).describedGroups(), g ->
                    Driver.JSON.createObjectNode().put("state", g.groupState().toString()).put("members", g.members().size())
                        .put("coordinator", g.coordinator().port()));
                return out;
            case "admin.deleteGroups":
                each(out, admin.deleteConsumerGroups(names(c, "groups")).deletedGroups(), v -> Driver.JSON.nullNode());
                return out;
            case "admin.groupOffsets": {
                Map<TopicPartition, OffsetAndMetadata> offsets =
                    admin.listConsumerGroupOffsets(c.get("group").asText()).partitionsToOffsetAndMetadata().get();
                offsets.forEach((p, o) -> out.put(p.toString(), o == null ? null : (Long) o.offset()));
                return out;
            }
            case "admin.alterGroupOffsets": {
                Map<TopicPartition, OffsetAndMetadata> offsets = new HashMap<>();
                Consumers.partitions(c).forEach(p -> offsets.put(p, new OffsetAndMetadata(c.get("offset").asLong())));
                var result = admin.alterConsumerGroupOffsets(c.get("group").asText(), offsets);
                for (TopicPartition p : offsets.keySet()) {
                    one(out, p.toString(), result.partitionResult(p), v -> Driver.JSON.nullNode());
                }
                return out;
            }
            case "admin.deleteGroupOffsets": {
                Set<TopicPartition> partitions = Set.copyOf(Consumers.partitions(c));
                var result = admin.deleteConsumerGroupOffsets(c.get("group").asText(), partitions);
                for (TopicPartition p : partitions) {
                    one(out, p.toString(), result.partitionResult(p), v -> Driver.JSON.nullNode());
                }
                return out;
            }
            case "admin.listOffsets": {
                Map<TopicPartition, OffsetSpec> specs = new HashMap<>();
                Consumers.partitions(c).forEach(p -> specs.put(p,
                    c.path("earliest").asBoolean(false) ? OffsetSpec.earliest() : OffsetSpec.latest()));
                var result = admin.listOffsets(specs);
                for (TopicPartition p : specs.keySet()) {
                    one(out, p.toString(), result.partitionResult(p), v -> number(v.offset()));
                }
                return out;
            }
            case "admin.listTransactions": {
                ArrayNode list = Driver.JSON.createArrayNode();
                admin.listTransactions().all().get().stream().map(t -> t.transactionalId()).sorted().forEach(list::add);
                return list;
            }
            case "admin.describeTransactions": {
                var result = admin.describeTransactions(names(c, "ids"));
                for (String id : names(c, "ids")) {
                    one(out, id, result.description(id), t -> {
                        ObjectNode node = Driver.JSON.createObjectNode().put("state", t.state().toString());
                        ArrayNode topics = node.putArray("topics");
                        t.topicPartitions().stream().map(TopicPartition::topic).distinct().sorted().forEach(topics::add);
                        return node;
                    });
                }
                return out;
            }
            case "admin.describeProducers": {
                var result = admin.describeProducers(Consumers.partitions(c));
                for (TopicPartition p : Consumers.partitions(c)) {
                    one(out, p.toString(), result.partitionResult(p), v -> number(v.activeProducers().size()));
                }
                return out;
            }
            case "admin.describeAcls": {
                ArrayNode list = Driver.JSON.createArrayNode();
                admin.describeAcls(org.apache.kafka.common.acl.AclBindingFilter.ANY).values().get().stream()
                    .map(Object::toString).sorted().forEach(list::add);
                return list;
            }
            case "admin.createAcls": {
                Map<org.apache.kafka.common.acl.AclBinding, KafkaFuture<Void>> results =
                    admin.createAcls(acls(c)).values();
                results.forEach((acl, future) -> one(out, acl.pattern().name(), future, v -> null));
                return out;
            }
            case "admin.deleteAcls": {
                ArrayNode list = Driver.JSON.createArrayNode();
                var filters = acls(c).stream().map(org.apache.kafka.common.acl.AclBinding::toFilter).toList();
                for (var future : admin.deleteAcls(filters).values().values()) {
                    future.get().values().forEach(r -> list.add(
                        r.exception() == null ? r.binding().pattern().name() : r.exception().getClass().getSimpleName()));
                }
                return list;
            }
            case "admin.metrics":
                return Driver.metrics(c, admin.metrics());
            default:
                throw new IllegalArgumentException("unknown operation " + op);
        }
    }

    private static JsonNode number(long value) {
        return Driver.JSON.getNodeFactory().numberNode(value);
    }

    private interface Show<V> {
        JsonNode show(V value);
    }

    private static <K, V> void each(ObjectNode out, Map<K, KafkaFuture<V>> futures, Show<V> show) {
        futures.forEach((key, future) -> one(out, key instanceof ConfigResource r ? r.name() : key.toString(), future, show));
    }

    private static <V> void one(ObjectNode out, String key, KafkaFuture<V> future, Show<V> show) {
        try {
            out.putObject(key).set("ok", show.show(future.get()));
        } catch (Exception e) {
            out.set(key, Driver.describe(e));
        }
    }

    private static ConfigResource resource(JsonNode r) {
        return new ConfigResource(ConfigResource.Type.valueOf(r.get(0).asText()), r.get(1).asText());
    }

    /** Lists of type, name, pattern, principal, host, operation, permission. */
    private static List<org.apache.kafka.common.acl.AclBinding> acls(JsonNode c) {
        List<org.apache.kafka.common.acl.AclBinding> out = new ArrayList<>();
        c.get("acls").forEach(a -> out.add(new org.apache.kafka.common.acl.AclBinding(
            new org.apache.kafka.common.resource.ResourcePattern(
                org.apache.kafka.common.resource.ResourceType.valueOf(a.get(0).asText()), a.get(1).asText(),
                org.apache.kafka.common.resource.PatternType.valueOf(a.get(2).asText())),
            new org.apache.kafka.common.acl.AccessControlEntry(a.get(3).asText(), a.get(4).asText(),
                org.apache.kafka.common.acl.AclOperation.valueOf(a.get(5).asText()),
                org.apache.kafka.common.acl.AclPermissionType.valueOf(a.get(6).asText())))));
        return out;
    }

    private static List<String> names(JsonNode c, String field) {
        List<String> out = new ArrayList<>();
        c.get(field).forEach(n -> out.add(n.asText()));
        return out;
    }

    private static Map<String, String> texts(JsonNode node) {
        Map<String, String> out = new HashMap<>();
        node.fields().forEachRemaining(e -> out.put(e.getKey(), e.getValue().asText()));
        return out;
    }
}
