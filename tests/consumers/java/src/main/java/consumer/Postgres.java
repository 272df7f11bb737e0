package consumer;

import java.net.URI;
import java.net.URLDecoder;
import java.nio.charset.StandardCharsets;
import java.sql.BatchUpdateException;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.SQLException;
import java.util.List;
import java.util.Optional;
import java.util.Properties;
import java.util.function.Function;
import org.postgresql.PGProperty;
import org.postgresql.util.PSQLException;
import org.postgresql.util.ServerErrorMessage;

/** One connection to Postgres, and transactions on it. */
final class Postgres implements AutoCloseable {
    private static final String STATEMENT_TIMEOUT = "57014";
    private static final int TRIES_OF_A_SLOW_EVENT = 3;
    private static final List<String> HALTING = List.of("AQ010", "AQ011", "AQ012");
    /** Pass without help: connection, rollback, resources, operator, standby, locks, idle time-outs. */
    private static final List<String> PASSING = List.of("08", "40", "53", "57", "25006", "25P03", "55P03");
    /** Of an event's data, which only this event has: cardinality, data, constraint, raised by a function. */
    private static final List<String> OF_DATA = List.of("21", "22", "23", "44", "P0");

    private final String url;
    private final Properties properties = new Properties();
    private Connection connection;

    interface Work<T> {
        T run(Connection connection) throws SQLException;
    }

    /** The URL is one of libpq. The driver does not take the user and the password in it. */
    Postgres(String libpqUrl, String applicationName) {
        var uri = URI.create(libpqUrl);
        if (uri.getHost() == null) {
            throw new IllegalArgumentException("AQUEDUCT_POSTGRES__URL is not postgres://user:password@host/database");
        }
        var port = uri.getPort() < 0 ? "" : ":" + uri.getPort();
        var query = uri.getRawQuery() == null ? "" : "?" + uri.getRawQuery();
        url = "jdbc:postgresql://" + uri.getHost() + port + uri.getRawPath() + query;
        var login = Optional.ofNullable(uri.getRawUserInfo()).orElse("").split(":", 2);
        PGProperty.USER.set(properties, decoded(login[0]));
        if (login.length > 1) {
            PGProperty.PASSWORD.set(properties, decoded(login[1]));
        }
        PGProperty.APPLICATION_NAME.set(properties, applicationName);
        PGProperty.CONNECT_TIMEOUT.set(properties, 10);
        // The server ends what takes long or waits: this is for a server that no longer answers.
        PGProperty.SOCKET_TIMEOUT.set(properties, 300);
        PGProperty.TCP_KEEP_ALIVE.set(properties, true);
        // Statements are not prepared by name: a pooler in transaction mode may be between.
        PGProperty.PREPARE_THRESHOLD.set(properties, 0);
    }

    private static String decoded(String text) {
        return URLDecoder.decode(text.replace("+", "%2B"), StandardCharsets.UTF_8);
    }

    /** Throws an {@link Interruption} where one applies, also if it is not known whether the commit succeeded. */
    <T> T transact(Work<T> work) throws SQLException {
        try {
            if (connection == null || connection.isClosed()) {
                connection = DriverManager.getConnection(url, properties);
                connection.setAutoCommit(false);
            }
            T result = work.run(connection);
            connection.commit();
            return result;
        } catch (SQLException | RuntimeException error) {
            var isLost = connection != null && connection.isClosed();
            rollback(error);
            var interruption = interruption(error, isLost);
            if (interruption.isPresent()) {
                throw interruption.get();
            }
            throw error;
        }
    }

    /** Rolls back what work did if it returns nothing, or throws. */
    static <T> Optional<T> savepoint(Connection connection, Work<Optional<T>> work) throws SQLException {
        var savepoint = connection.setSavepoint();
        try {
            var result = work.run(connection);
            if (result.isEmpty()) {
                connection.rollback(savepoint);
            }
            connection.releaseSavepoint(savepoint);
            return result;
        } catch (SQLException | RuntimeException error) {
            try {
                connection.rollback(savepoint);
                connection.releaseSavepoint(savepoint);
            } catch (SQLException second) {
                error.addSuppressed(second);
            }
            throw error;
        }
    }

    /** Whether an event's data is the reason, or a defect of the read model that shows with this event. */
    static boolean isOfData(Exception error, Connection connection, int attempt) throws SQLException {
        var isSlow = isOf(List.of(STATEMENT_TIMEOUT), error) && attempt >= TRIES_OF_A_SLOW_EVENT;
        return isSlow || isOf(OF_DATA, error) || !(error instanceof SQLException || connection.isClosed());
    }

    private void rollback(Exception reason) {
        try {
            if (connection != null) {
                connection.rollback();
            }
        } catch (SQLException error) {
            reason.addSuppressed(error);
            close();
        }
    }

    /** What the error means, if it is not of the program. */
    private static Optional<Interruption> interruption(Exception error, boolean isLost) {
        if (isOf(List.of("AQ001"), error)) {
            return Optional.of(new Interruption.Rejoin(reason(error, ServerErrorMessage::getDetail), error));
        }
        if (isOf(HALTING, error)) {
            return Optional.of(new Interruption.Halted(reason(error, ServerErrorMessage::getHint), error));
        }
        if (isOf(PASSING, error) || (isLost && !(error instanceof Interruption))) {
            return Optional.of(new Interruption.Unavailable(reason(error), error));
        }
        return Optional.empty();
    }

    /** What is wrong. The driver's own text has the values, too. */
    static String reason(Exception error) {
        return reason(error, message -> "SQLSTATE " + message.getSQLState());
    }

    private static String reason(Exception error, Function<ServerErrorMessage, String> supplement) {
        var cause = error instanceof BatchUpdateException batch ? batch.getNextException() : error;
        if (cause instanceof PSQLException database && database.getServerErrorMessage() != null) {
            var message = database.getServerErrorMessage();
            var more = supplement.apply(message);
            return message.getMessage() + (more == null ? "" : "; " + more);
        }
        return String.valueOf(cause);
    }

    private static boolean isOf(List<String> codes, Exception error) {
        return error instanceof SQLException database
                && database.getSQLState() != null
                && codes.stream().anyMatch(database.getSQLState()::startsWith);
    }

    @Override
    public void close() {
        try {
            if (connection != null) {
                connection.close();
            }
        } catch (SQLException error) {
            // It is given up: the server rolls back.
        }
        connection = null;
    }
}
