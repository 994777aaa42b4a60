import java.lang.reflect.InvocationTargetException;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ExecutionException;
import java.util.function.Predicate;
import java.util.stream.Collectors;
import org.apache.kafka.common.errors.ApiException;
import org.apache.kafka.common.errors.RetriableException;
import org.apache.kafka.common.errors.TopicAuthorizationException;
import org.apache.kafka.common.protocol.Errors;

/** What a program saw: one line for every call, with the value or the exception that came of it. */
final class Trace {
    /** How long a call that may be answered too early is asked again. */
    private static final long PATIENCE = 30_000_000_000L;

    private final List<String> lines = new ArrayList<>();
    private final Map<String, String> hidden = new TreeMap<>();

    interface Call<T> {
        T run() throws Exception;
    }

    /** From now on `text` is written as `name`: ids that a cluster draws. */
    synchronized void hide(Object text, String name) {
        hidden.put(text.toString(), "<" + name + ">");
    }

    /** Traces the one outcome of a call. */
    <T> T call(String what, Call<T> call) {
        try {
            T value = call.run();
            add(what + " -> " + show(value));
            return value;
        } catch (Throwable thrown) {
            add(what + " !! " + describe(thrown));
            return null;
        }
    }

    /** As {@link #call}, asked again while the answer is an error that passes: brokers learn of news one by one. */
    <T> T settled(String what, Call<T> call) {
        return until(what, call, value -> true);
    }

    /** As {@link #settled}, asked again while the value is not such as is expected in the end. */
    <T> T until(String what, Call<T> call, Predicate<T> wanted) {
        long end = System.nanoTime() + PATIENCE;
        while (true) {
            boolean last = System.nanoTime() > end;
            try {
                T value = call.run();
                if (last || wanted.test(value)) {
                    add(what + " -> " + show(value));
                    return value;
                }
            } catch (Throwable thrown) {
                if (last || !(cause(thrown) instanceof RetriableException)) {
                    add(what + " !! " + describe(thrown));
                    return null;
                }
            }
            rest();
        }
    }

    /** Traces the deepest cause alone: where two threads of a client race for which exception is told first. */
    void root(String what, Call<?> call) {
        try {
            add(what + " -> " + show(call.run()));
        } catch (Throwable thrown) {
            Throwable root = thrown;
            while (root.getCause() != null) {
                root = root.getCause();
            }
            add(what + " !! at the root " + describe(root));
        }
    }

    /** Traces the class of an exception and its code: where its message depends on which thread of a client hears first. */
    void kind(String what, Call<?> call) {
        try {
            add(what + " -> " + show(call.run()));
        } catch (Throwable thrown) {
            Throwable cause = cause(thrown);
            add(what + " !! " + cause.getClass().getSimpleName() + "(" + Errors.forException(cause).code() + ")");
        }
    }

    /** A line of its own. */
    synchronized void add(String line) {
        String text = line;
        for (Map.Entry<String, String> e : hidden.entrySet()) {
            text = text.replace(e.getKey(), e.getValue());
        }
        lines.add(text.replace("\n", "\\n"));
    }

    synchronized List<String> lines() {
        return List.copyOf(lines);
    }

    static void rest() {
        try {
            Thread.sleep(50);
        } catch (InterruptedException e) {
            throw new IllegalStateException(e);
        }
    }

    static Throwable cause(Throwable thrown) {
        Throwable cause = thrown;
        while ((cause instanceof ExecutionException || cause instanceof CompletionException
            || cause instanceof InvocationTargetException) && cause.getCause() != null) {
            cause = cause.getCause();
        }
        return cause;
    }

    /** Class, code and message of an exception and of its causes. */
    static String describe(Throwable thrown) {
        Throwable cause = cause(thrown);
        StringBuilder text = new StringBuilder(cause.getClass().getSimpleName());
        if (cause instanceof ApiException) {
            text.append('(').append(Errors.forException(cause).code()).append(')');
        }
        text.append(": ").append(message(cause));
        Throwable next = cause.getCause();
        if (next != null && next != cause) {
            String own = next.toString();
            // a message that only repeats its cause says nothing more
            if (own.equals(cause.getMessage())) {
                return cause.getClass().getSimpleName() + " of " + describe(next);
            }
            text.append(" <- ").append(describe(next));
        }
        return text.toString();
    }

    /** A message, without the order of a set. */
    private static String message(Throwable cause) {
        if (cause instanceof TopicAuthorizationException topics && topics.unauthorizedTopics().size() > 1) {
            return "Not authorized to access topics: " + show(topics.unauthorizedTopics());
        }
        return cause.getMessage();
    }

    /** A value, with sets and maps in order. */
    static String show(Object value) {
        if (value instanceof Map<?, ?> map) {
            TreeMap<String, String> sorted = new TreeMap<>();
            map.forEach((k, v) -> sorted.put(show(k), show(v)));
            return sorted.toString();
        }
        if (value instanceof Set<?> set) {
            return set.stream().map(Trace::show).sorted().collect(Collectors.toList()).toString();
        }
        if (value instanceof Collection<?> list) {
            return list.stream().map(Trace::show).collect(Collectors.toList()).toString();
        }
        return String.valueOf(value);
    }
}
