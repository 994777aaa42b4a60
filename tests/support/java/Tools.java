import com.fasterxml.jackson.databind.JsonNode;
import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import org.apache.kafka.common.utils.Exit;

/** tools.run: a command line tool of the release by its main class, in this JVM; what it prints, and its exit code. */
final class Tools {
    private Tools() {}

    private static final class Ended extends Error {
        Ended() {
            super("exit", null, false, false);
        }
    }

    // One at a time: they print to the streams of the process.
    static synchronized JsonNode run(JsonNode c) throws Exception {
        String[] args = new String[c.get("args").size()];
        for (int i = 0; i < args.length; i++) {
            args[i] = c.get("args").get(i).asText();
        }
        PrintStream out = System.out;
        PrintStream err = System.err;
        ByteArrayOutputStream printed = new ByteArrayOutputStream();
        ByteArrayOutputStream complained = new ByteArrayOutputStream();
        int[] code = {-1};
        // Where the process would end: what a tool does with the error that unwinds it instead is not seen.
        Exit.Procedure end = (status, message) -> {
            if (code[0] < 0) {
                code[0] = status;
                System.setOut(new PrintStream(PrintStream.nullOutputStream()));
                System.setErr(new PrintStream(PrintStream.nullOutputStream()));
            }
            throw new Ended();
        };
        Exit.setExitProcedure(end);
        Exit.setHaltProcedure(end);
        System.setOut(new PrintStream(printed, true, StandardCharsets.UTF_8));
        System.setErr(new PrintStream(complained, true, StandardCharsets.UTF_8));
        try {
            Class.forName(c.get("main").asText()).getMethod("main", String[].class).invoke(null, (Object) args);
        } catch (java.lang.reflect.InvocationTargetException thrown) {
            if (!(thrown.getCause() instanceof Ended)) {
                code[0] = 1;
                thrown.getCause().printStackTrace(System.err);
            }
        } finally {
            System.setOut(out);
            System.setErr(err);
            Exit.resetExitProcedure();
            Exit.resetHaltProcedure();
        }
        var answer = Driver.JSON.createObjectNode();
        answer.put("out", printed.toString(StandardCharsets.UTF_8));
        answer.put("err", complained.toString(StandardCharsets.UTF_8));
        return answer.put("code", Math.max(code[0], 0));
    }
}
