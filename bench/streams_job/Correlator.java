import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.lang.management.ManagementFactory;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Properties;
import java.util.TreeMap;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.Stores;

/**
 * What a team would write with Kafka Streams in place of Tocsin, for bench/streams.py.
 *
 * It drops repeats, groups the alerts of a component into an incident, writes its snapshot, a
 * timeline entry and, at an opening, a notification, and escalates at three P0 or P1 of a component
 * within five minutes. State is in stores with a changelog. It has no policy, silences, dependencies,
 * nearness, timers, expiry, or commands.
 *
 * Arguments: bootstrap servers, raw topic, prefix of the topics that it writes, number of records,
 * processing guarantee, folder for its stores. Prints one JSON object.
 */
public final class Correlator {
  private static final int SHOWN = 10; // alerts of a snapshot
  private static final int COUNT = 3;
  private static final long WINDOW_MS = 300_000;
  private static final List<String> OUTPUTS =
      List.of("incidents", "timeline", "notifications", "escalations");
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final AtomicLong SEEN = new AtomicLong();
  private static final AtomicLong FIRED = new AtomicLong();
  private static final AtomicLong REPEATS = new AtomicLong();
  private static final AtomicLong ENDED = new AtomicLong();
  private static final AtomicLong OPENED = new AtomicLong();
  private static final AtomicLong ESCALATED = new AtomicLong();

  /** An alert in its store: fires or not, how often it was heard of, when last. */
  private record Known(boolean firing, long count, long lastMs) {
    static Known of(byte[] value) {
      ByteBuffer buffer = ByteBuffer.wrap(value);
      return new Known(buffer.get() == 1, buffer.getLong(), buffer.getLong());
    }

    byte[] bytes() {
      return ByteBuffer.allocate(17).put((byte) (firing ? 1 : 0)).putLong(count).putLong(lastMs)
          .array();
    }
  }

  private static final class Correlate implements Processor<byte[], byte[], byte[], byte[]> {
    private ProcessorContext<byte[], byte[]> context;
    private KeyValueStore<String, byte[]> alerts;
    private KeyValueStore<String, byte[]> incidents;
    private KeyValueStore<String, byte[]> windows;

    @Override
    public void init(ProcessorContext<byte[], byte[]> given) {
      context = given;
      alerts = given.getStateStore("alerts");
      incidents = given.getStateStore("incidents");
      windows = given.getStateStore("windows");
    }

    @Override
    public void process(Record<byte[], byte[]> record) {
      try {
        handle(JSON.readTree(record.value()), record.timestamp());
      } catch (java.io.IOException error) {
        throw new java.io.UncheckedIOException(error);
      }
      SEEN.incrementAndGet();
    }

    private void handle(JsonNode alert, long nowMs) throws java.io.IOException {
      JsonNode labels = alert.get("labels");
      String fingerprint = fingerprint(labels);
      boolean firing = Instant.parse(alert.path("endsAt").asText()).toEpochMilli() > nowMs;
      byte[] value = alerts.get(fingerprint);
      Known known = value == null ? new Known(false, 0, 0) : Known.of(value);
      alerts.put(fingerprint, new Known(firing, known.count() + 1, nowMs).bytes());
      if (firing == known.firing()) {
        REPEATS.incrementAndGet();
        return;
      }
      (firing ? FIRED : ENDED).incrementAndGet();
      String component = labels.path("component").asText();
      ObjectNode incident = incidentOf(component);
      boolean opens = !incident.has("id");
      if (opens) {
        open(incident, component, labels, nowMs);
      }
      update(incident, alert, fingerprint, firing, nowMs);
      byte[] snapshot = JSON.writeValueAsBytes(incident);
      incidents.put(component, snapshot);
      String id = incident.get("id").asText();
      send("incidents", id, snapshot, nowMs);
      String kind = opens ? "opened" : firing ? "joined" : "ended";
      send("timeline", id, entry(id, kind, labels, nowMs), nowMs);
      if (opens) {
        OPENED.incrementAndGet();
        ObjectNode message = incident.deepCopy().put("kind", kind).put("receiver", "on-call");
        send("notifications", id, JSON.writeValueAsBytes(message), nowMs);
      }
      if (firing && isUrgent(labels)) {
        countUrgent(component, id, labels, nowMs);
      }
    }

    private ObjectNode incidentOf(String component) throws java.io.IOException {
      byte[] value = incidents.get(component);
      return value == null ? JSON.createObjectNode() : (ObjectNode) JSON.readTree(value);
    }

    private void open(ObjectNode incident, String component, JsonNode labels, long nowMs) {
      incident.put("id", "INC-" + component + "-" + nowMs).put("state", "open");
      incident.put("component", component).put("title", labels.path("alertname").asText());
      incident.put("severity", labels.path("severity").asText());
      incident.put("opened_at", Instant.ofEpochMilli(nowMs).toString());
      incident.put("alerts_firing", 0).put("alerts_total", 0).putArray("alerts");
    }

    /** The counts, and the newest alerts with their labels. */
    private void update(
        ObjectNode incident, JsonNode alert, String fingerprint, boolean firing, long nowMs) {
      incident.put("alerts_firing", incident.get("alerts_firing").asInt() + (firing ? 1 : -1));
      incident.put("updated_at", Instant.ofEpochMilli(nowMs).toString());
      ArrayNode shown = (ArrayNode) incident.get("alerts");
      if (!firing) {
        for (int number = 0; number < shown.size(); number++) {
          if (shown.get(number).get("fingerprint").asText().equals(fingerprint)) {
            ((ObjectNode) shown.get(number)).put("status", "resolved");
          }
        }
        return;
      }
      incident.put("alerts_total", incident.get("alerts_total").asInt() + 1);
      ObjectNode shownAlert = JSON.createObjectNode().put("fingerprint", fingerprint);
      shownAlert.put("status", "firing").put("starts_at", alert.path("startsAt").asText());
      shownAlert.put("url", alert.path("generatorURL").asText());
      shownAlert.set("labels", alert.get("labels"));
      shownAlert.set("annotations", alert.get("annotations"));
      shown.insert(0, shownAlert);
      if (shown.size() > SHOWN) {
        shown.remove(SHOWN);
      }
    }

    private byte[] entry(String id, String kind, JsonNode labels, long nowMs)
        throws java.io.IOException {
      ObjectNode entry = JSON.createObjectNode().put("incident", id).put("kind", kind);
      entry.put("at", Instant.ofEpochMilli(nowMs).toString());
      entry.put("text", labels.path("alertname").asText());
      return JSON.writeValueAsBytes(entry);
    }

    private void countUrgent(String component, String id, JsonNode labels, long nowMs)
        throws java.io.IOException {
      byte[] value = windows.get(component);
      long[] before = value == null ? new long[0] : longs(value);
      long[] times = Arrays.stream(before).filter(time -> time > nowMs - WINDOW_MS).toArray();
      times = Arrays.copyOf(times, times.length + 1);
      times[times.length - 1] = nowMs;
      if (times.length >= COUNT) {
        ESCALATED.incrementAndGet();
        ObjectNode escalation = JSON.createObjectNode().put("incident", id).put("step", 1);
        escalation.put("rule", "several-urgent").put("to", "manager");
        escalation.set("labels", labels);
        send("escalations", id, JSON.writeValueAsBytes(escalation), nowMs);
        times = new long[0];
      }
      ByteBuffer buffer = ByteBuffer.allocate(8 * times.length);
      Arrays.stream(times).forEach(buffer::putLong);
      windows.put(component, buffer.array());
    }

    private void send(String topic, String id, byte[] value, long nowMs) {
      byte[] key = id.getBytes(StandardCharsets.UTF_8);
      context.forward(new Record<>(key, value, nowMs), topic);
    }
  }

  private static boolean isUrgent(JsonNode labels) {
    String severity = labels.path("severity").asText();
    return severity.equals("critical") || severity.equals("high");
  }

  private static long[] longs(byte[] value) {
    long[] times = new long[value.length / 8];
    ByteBuffer.wrap(value).asLongBuffer().get(times);
    return times;
  }

  /** FNV-1a of the sorted labels, as Alertmanager's. */
  private static String fingerprint(JsonNode labels) {
    Map<String, String> sorted = new TreeMap<>();
    labels.fields().forEachRemaining(label -> sorted.put(label.getKey(), label.getValue().asText()));
    long hash = 0xcbf29ce484222325L;
    for (Map.Entry<String, String> label : sorted.entrySet()) {
      hash = mix(mix(hash, label.getKey()), label.getValue());
    }
    return String.format("%016x", hash);
  }

  private static long mix(long hash, String text) {
    for (byte part : text.getBytes(StandardCharsets.UTF_8)) {
      hash = (hash ^ part & 0xff) * 0x100000001b3L;
    }
    return (hash ^ 0xff) * 0x100000001b3L;
  }

  private static Topology topology(String raw, String prefix) {
    Topology topology = new Topology();
    topology.addSource("raw", new ByteArrayDeserializer(), new ByteArrayDeserializer(), raw);
    topology.addProcessor("correlate", Correlate::new, "raw");
    for (String name : List.of("alerts", "incidents", "windows")) {
      topology.addStateStore(
          Stores.keyValueStoreBuilder(
                  Stores.persistentKeyValueStore(name), Serdes.String(), Serdes.ByteArray())
              .withLoggingEnabled(Map.of())
              .withCachingEnabled(),
          "correlate");
    }
    for (String name : OUTPUTS) {
      topology.addSink(
          name, prefix + "." + name, new ByteArraySerializer(), new ByteArraySerializer(),
          "correlate");
    }
    return topology;
  }

  public static void main(String[] arguments) throws InterruptedException {
    long total = Long.parseLong(arguments[3]);
    Properties settings = new Properties();
    settings.put(StreamsConfig.APPLICATION_ID_CONFIG, arguments[2] + "-job");
    settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, arguments[0]);
    settings.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, arguments[4]);
    settings.put(StreamsConfig.STATE_DIR_CONFIG, Path.of(arguments[5]).toString());
    settings.put(StreamsConfig.REPLICATION_FACTOR_CONFIG, 1);
    settings.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, 1000);
    settings.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, 1);
    settings.put(StreamsConfig.consumerPrefix("auto.offset.reset"), "earliest");
    settings.put(StreamsConfig.consumerPrefix("max.partition.fetch.bytes"), 2 * 1024 * 1024);
    settings.put(StreamsConfig.consumerPrefix("max.poll.records"), 5000);
    KafkaStreams streams = new KafkaStreams(topology(arguments[1], arguments[2]), settings);
    var system =
        (com.sun.management.OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();
    streams.start();
    long halfCpu = 0;
    long half = 0;
    while (SEEN.get() < total) {
      Thread.sleep(5);
      if (half == 0 && SEEN.get() > total / 2) {
        half = SEEN.get();
        halfCpu = system.getProcessCpuTime();
      }
    }
    long cpu = system.getProcessCpuTime();
    System.out.printf(
        Locale.ROOT,
        "{\"cpu_us\": %.2f, \"warm_cpu_us\": %.2f, \"new\": %d, \"repeats\": %d, \"ended\": %d,"
            + " \"opened\": %d, \"escalated\": %d}%n",
        cpu / 1e3 / total, (cpu - halfCpu) / 1e3 / (total - half), FIRED.get(), REPEATS.get(),
        ENDED.get(), OPENED.get(), ESCALATED.get());
    streams.close(Duration.ofSeconds(20));
    System.exit(0);
  }
}
