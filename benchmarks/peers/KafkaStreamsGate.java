// The peer in Java: source, keyed state store, two sinks, exactly_once_v2 with Kafka Streams' own defaults, or commits as often as told.
// JOB=own: the owner's newer versions go on. JOB=echo: the last two values are kept, and whoever sends one back is not held.
// JOB=merge: each source's own fields are taken into the record that is kept, which goes on whole.
import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericData;
import org.apache.avro.generic.GenericDatumReader;
import org.apache.avro.generic.GenericDatumWriter;
import org.apache.avro.generic.GenericRecord;
import org.apache.avro.io.BinaryDecoder;
import org.apache.avro.io.BinaryEncoder;
import org.apache.avro.io.DecoderFactory;
import org.apache.avro.io.EncoderFactory;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.Stores;

public class KafkaStreamsGate {
    static abstract class Kept implements Processor<byte[], byte[], byte[], byte[]> {
        ProcessorContext<byte[], byte[]> context;
        KeyValueStore<byte[], byte[]> last;

        public void init(ProcessorContext<byte[], byte[]> given) {
            context = given;
            last = given.getStateStore("last");
        }

        static String source(Record<byte[], byte[]> record) {
            return new String(record.headers().lastHeader("ce_source").value());
        }

        static byte[] version(Record<byte[], byte[]> record) {
            return record.headers().lastHeader("ce_id").value();
        }
    }

    static class Own extends Kept {
        public void process(Record<byte[], byte[]> record) {
            if (!source(record).equals("/crm")) {
                context.forward(record, "held");
                return;
            }
            byte[] before = last.get(record.key());
            byte[] version = version(record);
            if (before == null || Arrays.compare(before, version) < 0) {
                last.put(record.key(), version);
                context.forward(record, "authoritative");
            }
        }
    }

    /** Kept: length of the version, version, length of the value, value, the value before it. */
    static class Echo extends Kept {
        public void process(Record<byte[], byte[]> record) {
            byte[] stored = last.get(record.key());
            byte[] before = new byte[0], value = new byte[0], replaced = new byte[0];
            if (stored != null) {
                ByteBuffer kept = ByteBuffer.wrap(stored);
                before = new byte[kept.getInt()];
                kept.get(before);
                value = new byte[kept.getInt()];
                kept.get(value);
                replaced = new byte[kept.remaining()];
                kept.get(replaced);
            }
            if (!source(record).equals("/crm")) {
                if (!Arrays.equals(record.value(), value) && !Arrays.equals(record.value(), replaced)) {
                    context.forward(record, "held");
                }
                return;
            }
            byte[] version = version(record);
            if (Arrays.compare(before, version) < 0) {
                ByteBuffer kept = ByteBuffer.allocate(8 + version.length + record.value().length + value.length);
                kept.putInt(version.length).put(version).putInt(record.value().length).put(record.value()).put(value);
                last.put(record.key(), kept.array());
                context.forward(record, "authoritative");
            }
        }
    }

    /** Kept: the record whole, with its five bytes in front. Versions of all owners rise together here, so the last is enough. */
    static class Merge extends Kept {
        private static final int FRAME = 5;
        private static final Map<String, List<String>> FIELDS = Map.of(
            "/crm", List.of("account_id", "name", "email", "notes"), "/erp", List.of("phone", "street"), "/shop", List.of("city", "postcode"));
        private final Schema schema;
        private final GenericDatumReader<GenericRecord> reader;
        private final GenericDatumWriter<GenericRecord> writer;
        private BinaryDecoder decoder;
        private BinaryEncoder encoder;

        Merge() {
            try {
                schema = new Schema.Parser().parse(Files.readString(Path.of(System.getenv("SCHEMA"))));
            } catch (java.io.IOException error) {
                throw new IllegalStateException(error);
            }
            reader = new GenericDatumReader<>(schema);
            writer = new GenericDatumWriter<>(schema);
        }

        private GenericRecord decoded(byte[] value) throws java.io.IOException {
            decoder = DecoderFactory.get().binaryDecoder(value, FRAME, value.length - FRAME, decoder);
            return reader.read(null, decoder);
        }

        public void process(Record<byte[], byte[]> record) {
            try {
                List<String> fields = FIELDS.get(source(record));
                if (fields == null) {
                    context.forward(record, "held");
                    return;
                }
                byte[] before = last.get(record.key());
                GenericRecord given = decoded(record.value());
                GenericRecord kept = before == null ? given : decoded(before);
                for (String name : fields) {
                    kept.put(name, given.get(name));
                }
                ByteArrayOutputStream out = new ByteArrayOutputStream(512);
                out.write(record.value(), 0, FRAME);
                encoder = EncoderFactory.get().binaryEncoder(out, encoder);
                writer.write(kept, encoder);
                encoder.flush();
                byte[] merged = out.toByteArray();
                last.put(record.key(), merged);
                context.forward(record.withValue(merged), "authoritative");
            } catch (java.io.IOException error) {
                throw new IllegalStateException(error);
            }
        }
    }

    static Kept job() {
        return switch (System.getenv("JOB")) {
            case "echo" -> new Echo();
            case "merge" -> new Merge();
            default -> new Own();
        };
    }

    public static void main(String[] arguments) throws Exception {
        Properties options = new Properties();
        options.put("application.id", System.getenv("APPLICATION"));
        options.put("bootstrap.servers", System.getenv("BOOTSTRAP"));
        options.put("security.protocol", "SASL_PLAINTEXT");
        options.put("sasl.mechanism", "SCRAM-SHA-512");
        options.put("sasl.jaas.config", "org.apache.kafka.common.security.scram.ScramLoginModule required username=\"admin\" password=\""
            + System.getenv("PASSWORD") + "\";");
        options.put("auto.offset.reset", System.getenv("FROM"));
        options.put("state.dir", System.getenv("STATE"));
        options.put("processing.guarantee", "exactly_once_v2");
        options.put("replication.factor", "1");
        if (System.getenv("COMMIT_MS") != null) {
            options.put("commit.interval.ms", System.getenv("COMMIT_MS"));
        }
        Topology topology = new Topology();
        topology.addSource("in", new ByteArrayDeserializer(), new ByteArrayDeserializer(), System.getenv("SOURCE"));
        topology.addProcessor("gate", KafkaStreamsGate::job, "in");
        topology.addStateStore(Stores.keyValueStoreBuilder(Stores.persistentKeyValueStore("last"), Serdes.ByteArray(), Serdes.ByteArray()), "gate");
        topology.addSink("authoritative", System.getenv("SINK"), new ByteArraySerializer(), new ByteArraySerializer(), "gate");
        topology.addSink("held", System.getenv("HELD"), new ByteArraySerializer(), new ByteArraySerializer(), "gate");
        KafkaStreams streams = new KafkaStreams(topology, options);
        Runtime.getRuntime().addShutdownHook(new Thread(streams::close));
        streams.start();
        Thread.currentThread().join();
    }
}
