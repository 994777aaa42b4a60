/** Prints code, name and default text of each of Kafka's errors; see generate.py. */
public class Errors {
    public static void main(String[] args) throws Exception {
        java.io.PrintStream out = new java.io.PrintStream(System.out, true, "UTF-8");
        for (org.apache.kafka.common.protocol.Errors e : org.apache.kafka.common.protocol.Errors.values())
            out.println(e.code() + "\t" + e.name() + "\t" + e.message());
    }
}
