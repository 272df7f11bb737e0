package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"
)

const propertyPrefix = "AQUEDUCT_KAFKA__PROPERTIES__"

// kafkaProperties reads the properties that the environment sets, under the names of librdkafka. franz-go has options
// instead of properties: one that this program does not translate is an error, because ignoring it could be unsafe.
func kafkaProperties(environ []string) (map[string]string, error) {
	properties := map[string]string{}
	for _, variable := range environ {
		name, value, _ := strings.Cut(variable, "=")
		if property, isProperty := strings.CutPrefix(name, propertyPrefix); isProperty {
			properties[strings.ToLower(strings.ReplaceAll(property, "_", "."))] = value
		}
	}
	for name := range properties {
		switch name {
		case "session.timeout.ms", "security.protocol", "ssl.ca.location", "ssl.certificate.location",
			"ssl.key.location", "sasl.mechanism", "sasl.mechanisms", "sasl.username", "sasl.password":
		default:
			return nil, fmt.Errorf("%s*: this program does not know the property %q: add it to kafka.go", propertyPrefix, name)
		}
	}
	return properties, nil
}

// connectionOptions are the options of every client.
func connectionOptions(brokers string, properties map[string]string) ([]kgo.Opt, error) {
	options := []kgo.Opt{kgo.SeedBrokers(strings.Split(brokers, ",")...), kgo.WithLogger(kafkaLogger{})}
	protocol := strings.ToLower(properties["security.protocol"])
	switch protocol {
	case "", "plaintext", "ssl", "sasl_plaintext", "sasl_ssl":
	default:
		return nil, fmt.Errorf("security.protocol is %q, expected plaintext, ssl, sasl_plaintext or sasl_ssl", protocol)
	}
	if strings.HasSuffix(protocol, "ssl") {
		configuration, err := tlsConfiguration(properties)
		if err != nil {
			return nil, err
		}
		options = append(options, kgo.DialTLSConfig(configuration))
	}
	if strings.HasPrefix(protocol, "sasl") {
		mechanism, err := saslMechanism(properties)
		if err != nil {
			return nil, err
		}
		options = append(options, kgo.SASL(mechanism))
	}
	return options, nil
}

// sessionOptions are those of a member of the group.
func sessionOptions(properties map[string]string) ([]kgo.Opt, error) {
	text, isSet := properties["session.timeout.ms"]
	if !isSet {
		return nil, nil
	}
	milliseconds, err := strconv.Atoi(text)
	if err != nil {
		return nil, fmt.Errorf("session.timeout.ms is %q, expected a number", text)
	}
	timeout := time.Duration(milliseconds) * time.Millisecond
	return []kgo.Opt{kgo.SessionTimeout(timeout), kgo.HeartbeatInterval(timeout / 3)}, nil
}

func tlsConfiguration(properties map[string]string) (*tls.Config, error) {
	configuration := &tls.Config{}
	if file := properties["ssl.ca.location"]; file != "" {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		configuration.RootCAs = x509.NewCertPool()
		if !configuration.RootCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("ssl.ca.location: %s has no certificate in PEM", file)
		}
	}
	if file := properties["ssl.certificate.location"]; file != "" {
		certificate, err := tls.LoadX509KeyPair(file, properties["ssl.key.location"])
		if err != nil {
			return nil, err
		}
		configuration.Certificates = []tls.Certificate{certificate}
	}
	return configuration, nil
}

func saslMechanism(properties map[string]string) (sasl.Mechanism, error) {
	user, password := properties["sasl.username"], properties["sasl.password"]
	name := properties["sasl.mechanism"] + properties["sasl.mechanisms"]
	switch strings.ToUpper(name) {
	case "PLAIN":
		return plain.Auth{User: user, Pass: password}.AsMechanism(), nil
	case "SCRAM-SHA-256":
		return scram.Auth{User: user, Pass: password}.AsSha256Mechanism(), nil
	case "SCRAM-SHA-512":
		return scram.Auth{User: user, Pass: password}.AsSha512Mechanism(), nil
	}
	return nil, fmt.Errorf("sasl.mechanism is %q, expected PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512", name)
}

// kafkaLogger shows what the client repeats without an error, such as connections to a broker that is down.
type kafkaLogger struct{}

func (kafkaLogger) Level() kgo.LogLevel { return kgo.LogLevelWarn }

func (kafkaLogger) Log(level kgo.LogLevel, message string, details ...any) {
	severity := slog.LevelWarn
	if level == kgo.LogLevelError {
		severity = slog.LevelError
	}
	slog.Log(context.Background(), severity, "kafka: "+message, details...)
}
