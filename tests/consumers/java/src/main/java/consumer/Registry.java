package consumer;

import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.time.Duration;

/** The schema registry, with Confluent's API. */
final class Registry {
    private static final Duration TIMEOUT = Duration.ofSeconds(10);
    private static final ObjectMapper JSON = new ObjectMapper();

    private final String url;
    private final HttpClient http = HttpClient.newBuilder().connectTimeout(TIMEOUT).build();

    Registry(String url) {
        this.url = url.replaceFirst("/+$", "");
    }

    /** The text of the schema with this id. Throws {@link Interruption.Unavailable}, too. */
    String schema(int id) throws Unreadable {
        var uri = URI.create(url + "/schemas/ids/" + id);
        try {
            var response = http.send(HttpRequest.newBuilder(uri).timeout(TIMEOUT).build(), BodyHandlers.ofByteArray());
            if (response.statusCode() == 404) {
                throw new Unreadable(Problem.PAYLOAD, "the registry has no schema " + id);
            }
            var found = response.statusCode() == 200 ? JSON.readTree(response.body()) : null;
            if (found == null || !found.hasNonNull("schema")) {
                throw new IOException("status " + response.statusCode());
            }
            var type = found.path("schemaType").asText("AVRO");
            if (!type.equals("AVRO")) {
                throw new Unreadable(Problem.PAYLOAD,
                        "schema " + id + " of the registry is not of Avro but of type " + type);
            }
            return found.get("schema").textValue();
        } catch (IOException error) {
            throw new Interruption.Unavailable(uri + ": " + error, error);
        } catch (InterruptedException error) {
            throw new IllegalStateException(error);
        }
    }
}
