// The peer in Java: source, keyed state store, two sinks, exactly_once_v2 with Kafka Streams' own defaults, or commits as often as told.
import java.util.Arrays;
import java.util.Properties;
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
    static class Gate implements Processor<byte[], byte[], byte[], byte[]> {
        private ProcessorContext<byte[], byte[]> context;
        private KeyValueStore<byte[], byte[]> last;

        public void init(ProcessorContext<byte[], byte[]> given) {
            context = given;
            last = given.getStateStore("last");
        }

        public void process(Record<byte[], byte[]> record) {
            Header source = record.headers().lastHeader("ce_source");
            byte[] version = record.headers().lastHeader("ce_id").value();
            if (!new String(source.value()).equals("/crm")) {
                context.forward(record, "held");
                return;
            }
            byte[] before = last.get(record.key());
            if (before == null || Arrays.compare(before, version) < 0) {
                last.put(record.key(), version);
                context.forward(record, "authoritative");
            }
        }
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
        topology.addProcessor("gate", Gate::new, "in");
        topology.addStateStore(Stores.keyValueStoreBuilder(Stores.persistentKeyValueStore("last"), Serdes.ByteArray(), Serdes.ByteArray()), "gate");
        topology.addSink("authoritative", System.getenv("SINK"), new ByteArraySerializer(), new ByteArraySerializer(), "gate");
        topology.addSink("held", System.getenv("HELD"), new ByteArraySerializer(), new ByteArraySerializer(), "gate");
        KafkaStreams streams = new KafkaStreams(topology, options);
        Runtime.getRuntime().addShutdownHook(new Thread(streams::close));
        streams.start();
        Thread.currentThread().join();
    }
}
