import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import org.apache.avro.Schema;
import org.apache.avro.SchemaCompatibility;

/** Says of each line, a reader's schema and a writer's with a tab between, what the Java library says: + or -. */
public class Verdicts {
    public static void main(String[] arguments) throws Exception {
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            String[] pair = line.split("\t");
            Schema reader = new Schema.Parser().parse(pair[0]);
            Schema writer = new Schema.Parser().parse(pair[1]);
            SchemaCompatibility.SchemaCompatibilityType found =
                SchemaCompatibility.checkReaderWriterCompatibility(reader, writer).getType();
            System.out.print(found == SchemaCompatibility.SchemaCompatibilityType.COMPATIBLE ? "+" : "-");
        }
        System.out.println();
    }
}
