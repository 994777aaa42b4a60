import java.io.*;
import java.lang.reflect.*;
import java.nio.ByteBuffer;
import java.util.*;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.message.ApiMessageType;
import org.apache.kafka.common.protocol.*;
import org.apache.kafka.common.protocol.types.Schema;
import org.apache.kafka.common.protocol.types.TaggedFields;
import org.apache.kafka.common.protocol.types.Type;
import org.apache.kafka.common.record.internal.MemoryRecords;

/**
 * Kafka's own classes as an oracle.
 *
 * Oracle read IN OUT: reads each message of IN with Kafka's classes, writes it again, and puts the result into OUT.
 * Oracle make COUNT OUT: fills COUNT messages of each API and version by reflection, after Kafka's own schemas.
 *
 * Oracle facts: prints key, name, versions, whether the last is unstable, listeners, and the header versions of each.
 *
 * Records of IN and of make: key, response, version, length, bytes (all int). Records of OUT of read: ok, length, bytes
 * (the error's text if not ok).
 */
public class Oracle {
    public static void main(String[] args) throws Exception {
        switch (args[0]) {
            case "read" -> read(args[1], args[2]);
            case "facts" -> facts();
            case "make" -> make(Integer.parseInt(args[1]), args[2]);
            default -> throw new IllegalArgumentException(args[0]);
        }
    }

    static ApiMessage message(short key, boolean response) {
        ApiMessageType type = ApiMessageType.fromApiKey(key);
        return response ? type.newResponse() : type.newRequest();
    }

    static byte[] write(ApiMessage message, short version) {
        ByteBuffer buffer = MessageUtil.toByteBufferAccessor(message, version).buffer();
        byte[] bytes = new byte[buffer.remaining()];
        buffer.get(bytes);
        return bytes;
    }

    static void read(String from, String to) throws Exception {
        try (DataInputStream in = new DataInputStream(new BufferedInputStream(new FileInputStream(from)));
             DataOutputStream out = new DataOutputStream(new BufferedOutputStream(new FileOutputStream(to)))) {
            while (true) {
                int key;
                try {
                    key = in.readInt();
                } catch (EOFException e) {
                    return;
                }
                boolean response = in.readInt() != 0;
                short version = (short) in.readInt();
                byte[] bytes = in.readNBytes(in.readInt());
                byte[] result;
                boolean ok = true;
                try {
                    ApiMessage message = message((short) key, response);
                    ByteBuffer buffer = ByteBuffer.wrap(bytes);
                    message.read(new ByteBufferAccessor(buffer), version);
                    if (buffer.hasRemaining())
                        throw new IllegalStateException(buffer.remaining() + " bytes left over");
                    result = write(message, version);
                } catch (Exception e) {
                    ok = false;
                    result = e.toString().getBytes("UTF-8");
                }
                out.writeInt(ok ? 1 : 0);
                out.writeInt(result.length);
                out.write(result);
            }
        }
    }

    static void facts() {
        for (ApiMessageType type : ApiMessageType.values()) {
            StringBuilder headers = new StringBuilder();
            for (short v = type.lowestSupportedVersion(); v <= type.highestSupportedVersion(true); v++)
                headers.append(type.requestHeaderVersion(v)).append(type.responseHeaderVersion(v)).append(' ');
            System.out.println(type.apiKey() + " " + type.name + " " + type.lowestSupportedVersion() + " "
                + type.highestSupportedVersion(true) + " " + type.latestVersionUnstable() + " "
                + type.listeners().contains(ApiMessageType.ListenerType.BROKER) + " "
                + type.listeners().contains(ApiMessageType.ListenerType.CONTROLLER) + " " + headers.toString().trim());
        }
    }

    static void make(int count, String to) throws Exception {
        try (DataOutputStream out = new DataOutputStream(new BufferedOutputStream(new FileOutputStream(to)))) {
            for (ApiMessageType type : ApiMessageType.values()) {
                for (int version = type.lowestSupportedVersion(); version <= type.highestSupportedVersion(true); version++) {
                    for (int response = 0; response < 2; response++) {
                        Schema schema = (response == 1 ? type.responseSchemas() : type.requestSchemas())[version];
                        for (int number = 0; number < count; number++) {
                            Maker maker = new Maker(number, new Random(type.apiKey() * 100_003L + version * 1009L + response * 31L + number));
                            ApiMessage message = message(type.apiKey(), response == 1);
                            maker.fill(message, schema);
                            byte[] bytes = write(message, (short) version);
                            out.writeInt(type.apiKey());
                            out.writeInt(response);
                            out.writeInt(version);
                            out.writeInt(bytes.length);
                            out.write(bytes);
                        }
                    }
                }
            }
        }
    }

    /** Fills messages; the number says how: 0 defaults, 1 nulls, 2 everything, 3 extremes, then at random. */
    record Maker(int number, Random random) {
        void fill(Object target, Schema schema) throws Exception {
            if (number == 0)
                return;
            for (var bound : schema.fields()) {
                if (bound.def.type instanceof TaggedFields tagged) {
                    for (var field : tagged.fields().values())
                        if (number < 4 || random.nextBoolean())
                            set(target, field.name, field.type);
                } else {
                    set(target, bound.def.name, bound.def.type);
                }
            }
        }

        void set(Object target, String name, Type type) throws Exception {
            StringBuilder camel = new StringBuilder("set");
            for (String word : name.split("_"))
                camel.append(Character.toUpperCase(word.charAt(0))).append(word.substring(1));
            for (Method method : target.getClass().getMethods()) {
                if (method.getName().equalsIgnoreCase(camel.toString()) && method.getParameterCount() == 1) {
                    method.invoke(target, value(method.getGenericParameterTypes()[0], type));
                    return;
                }
            }
            throw new IllegalStateException("no " + camel + " in " + target.getClass());
        }

        int elements() {
            return switch (number) {
                case 1 -> 0;
                case 2 -> 2;
                case 3 -> 1;
                default -> random.nextInt(4);
            };
        }

        Object value(java.lang.reflect.Type java, Type type) throws Exception {
            boolean isNull = type.isNullable() && (number == 1 || number > 3 && random.nextInt(4) == 0);
            Class<?> raw = (Class<?>) (java instanceof ParameterizedType p ? p.getRawType() : java);
            if (isNull)
                return null;
            if (type.isArray()) {
                Type element = type.arrayElementType().get();
                Collection<Object> list;
                java.lang.reflect.Type elementJava;
                if (raw == List.class) {
                    list = new ArrayList<>();
                    elementJava = ((ParameterizedType) java).getActualTypeArguments()[0];
                } else {
                    @SuppressWarnings("unchecked")
                    Collection<Object> collection = (Collection<Object>) raw.getConstructor().newInstance();
                    list = collection;
                    elementJava = ((ParameterizedType) raw.getGenericSuperclass()).getActualTypeArguments()[0];
                }
                int n = elements();
                for (int i = 0; i < n; i++)
                    list.add(value(elementJava, element));
                return list;
            }
            if (type instanceof Schema schema) {
                Object struct = raw.getConstructor().newInstance();
                fill(struct, schema);
                return struct;
            }
            if (raw == boolean.class || raw == Boolean.class)
                return number == 3 || random.nextBoolean();
            if (raw == byte.class || raw == Byte.class)
                return (byte) number(Byte.MIN_VALUE, Byte.MAX_VALUE);
            if (raw == short.class || raw == Short.class)
                return (short) number(Short.MIN_VALUE, Short.MAX_VALUE);
            if (raw == int.class || raw == Integer.class)
                return type == Type.UINT16 ? (int) number(0, 65535) : (int) number(Integer.MIN_VALUE, Integer.MAX_VALUE);
            if (raw == long.class || raw == Long.class)
                return type == Type.UNSIGNED_INT32 ? number(0, 4294967295L) : number(Long.MIN_VALUE, Long.MAX_VALUE);
            if (raw == double.class)
                return random.nextDouble() * 1e9;
            if (raw == Uuid.class)
                return number == 1 ? Uuid.ZERO_UUID : new Uuid(random.nextLong(), random.nextLong());
            if (raw == String.class)
                return string();
            if (raw == byte[].class)
                return bytes();
            if (raw == ByteBuffer.class)
                return ByteBuffer.wrap(bytes());
            if (raw.getSimpleName().equals("BaseRecords"))
                return MemoryRecords.readableRecords(ByteBuffer.wrap(bytes()));
            throw new IllegalStateException("no value of " + java + " for " + type);
        }

        long number(long low, long high) {
            return switch (number) {
                case 1 -> Math.max(low, 0);
                case 3 -> random.nextBoolean() ? low : high;
                default -> {
                    long any = random.nextLong() >> random.nextInt(63);
                    yield any >= low && any <= high ? any : low + Math.floorMod(any, 100);
                }
            };
        }

        String string() {
            int length = switch (number) {
                case 1 -> 0;
                case 3 -> random.nextInt(40) == 0 ? 32767 : 200;
                default -> random.nextInt(12);
            };
            StringBuilder text = new StringBuilder();
            // Two-byte characters only where 32,767 bytes are not reached.
            for (int i = 0; i < length; i++)
                text.append(length < 100 && random.nextInt(8) == 0 ? (char) ('à' + random.nextInt(20)) : (char) ('!' + random.nextInt(90)));
            return text.toString();
        }

        byte[] bytes() {
            byte[] bytes = new byte[number == 1 ? 0 : number == 3 ? 300 : random.nextInt(40)];
            random.nextBytes(bytes);
            return bytes;
        }
    }
}
