package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"unicode/utf8"

	"github.com/hamba/avro/v2"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sr"
)

// undecodable says why a record's value cannot be read.
type undecodable struct{ code, reason string }

func (u *undecodable) Error() string { return u.reason }

func invalidPayload(format string, arguments ...any) error {
	return &undecodable{"payload", fmt.Sprintf(format, arguments...)}
}

// Longer values in a broken body are refused before memory is reserved for them. Kafka takes records of 1 MB by default.
var values = avro.Config{MaxByteSliceSize: 16 << 20, MaxSliceAllocSize: 1 << 20}.Freeze()

// decoder reads values as the versions of the event types that the program is written for: Confluent's wire format, the
// schema registry and Avro.
type decoder struct {
	registry *sr.Client
	readers  map[string]avro.Schema
	writers  map[int]*writer
}

// writer is a schema of the registry.
type writer struct {
	name     string
	schema   avro.Schema
	resolved avro.Schema // reads what the writer wrote as the reader's schema; nil: there is no reader
	err      error       // why nothing that was written with it can be read
}

func newDecoder(registryURL, schemas string) (*decoder, error) {
	registry, err := sr.NewClient(sr.URLs(registryURL))
	if err != nil {
		return nil, err
	}
	readers := map[string]avro.Schema{}
	for name, eventType := range eventTypes {
		text, err := os.ReadFile(filepath.Join(schemas, eventType.schema))
		if err != nil {
			return nil, fmt.Errorf("schema of %s (AQUEDUCT_SCHEMAS__DIRECTORY): %w", name, err)
		}
		if readers[name], err = parse(string(text)); err != nil {
			return nil, fmt.Errorf("schema of %s: %w", name, err)
		}
	}
	return &decoder{registry, readers, map[int]*writer{}}, nil
}

// parse uses a cache of its own: the library's is shared, and finds types of other schemas by their names.
func parse(schema string) (avro.Schema, error) {
	return avro.ParseWithCache(schema, "", &avro.SchemaCache{})
}

// decode returns the event's data; nil: the type is ignored. The error is an *undecodable, errHalted or errUnavailable.
func (d *decoder) decode(ctx context.Context, record *kgo.Record) (any, error) {
	if record.Value == nil {
		return nil, invalidPayload("the value is null")
	}
	var header sr.ConfluentHeader
	id, body, err := header.DecodeID(record.Value)
	if err != nil {
		start := record.Value[:min(5, len(record.Value))]
		return nil, invalidPayload("the value does not begin with a zero byte and a schema id: %x", start)
	}
	writer, err := d.writer(ctx, id, record)
	if err != nil {
		return nil, err
	}
	if ignoredTypes[writer.name] {
		return nil, nil
	}
	if writer.err != nil {
		return nil, writer.err
	}
	// The library skips fields that the Go type lacks without a look at their content, and an array of 2^60 elements in
	// a broken body one by one. So the whole value is read first.
	var whole any
	if err = read(writer.schema, body, &whole); err == nil && !isText(whole) {
		err = errors.New("a string is not UTF-8")
	}
	data := eventTypes[writer.name].new()
	if err == nil {
		err = read(writer.resolved, body, data)
	}
	if err != nil {
		return nil, invalidPayload("the value cannot be read as %q, written with schema %d: %v", writer.name, id, err)
	}
	return data, nil
}

// read does not use avro.Unmarshal, which takes a value that ends too early for a complete one.
func read(schema avro.Schema, body []byte, into any) error {
	reader := avro.NewReader(nil, 0, avro.WithReaderConfig(values)).Reset(body)
	reader.ReadVal(schema, into)
	if reader.Error != nil {
		return reader.Error
	}
	if reader.Peek(); reader.Error == nil {
		return errors.New("bytes are left after it")
	}
	return nil
}

func isText(value any) bool {
	switch value := value.(type) {
	case string:
		return utf8.ValidString(value)
	case []any:
		for _, item := range value {
			if !isText(item) {
				return false
			}
		}
	case map[string]any:
		for key, item := range value {
			if !utf8.ValidString(key) || !isText(item) {
				return false
			}
		}
	}
	return true
}

func (d *decoder) writer(ctx context.Context, id int, record *kgo.Record) (*writer, error) {
	if known := d.writers[id]; known != nil {
		return known, nil
	}
	found, err := d.registry.SchemaByID(ctx, id)
	var response *sr.ResponseError
	if errors.As(err, &response) && response.StatusCode == http.StatusNotFound {
		return nil, invalidPayload("the registry has no schema %d", id)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: schema %d: %w", errUnavailable, id, err)
	}
	if found.Type != sr.TypeAvro {
		return nil, invalidPayload("schema %d of the registry is not of Avro but of type %s", id, found.Type)
	}
	d.writers[id] = d.newWriter(id, found.Schema, optionalHeader(record, "ce_type"))
	return d.writers[id], nil
}

// newWriter learns a schema; recordType is the event type that the record with it names.
func (d *decoder) newWriter(id int, text, recordType string) *writer {
	schema, err := parse(text)
	if err != nil {
		pinned := "any schema"
		if eventType, isHandled := eventTypes[recordType]; isHandled {
			pinned = eventType.schema
		}
		return &writer{err: fmt.Errorf("%w: schema %d of the registry cannot be parsed to read it as %s: %w; update the "+
			"Avro library", errHalted, id, pinned, err)}
	}
	name := string(schema.Type())
	if named, isNamed := schema.(avro.NamedSchema); isNamed {
		name = named.FullName()
	}
	reader := d.readers[name]
	if reader == nil {
		reason := fmt.Sprintf("type %q is neither handled nor ignored", name)
		return &writer{name: name, err: &undecodable{"unknown_type", reason}}
	}
	resolved, err := avro.NewSchemaCompatibility().Resolve(reader, schema)
	if err != nil {
		err = fmt.Errorf("%w: schema %d of the registry does not resolve to %s: %w; write the program for a version to "+
			"which it resolves", errHalted, id, eventTypes[name].schema, err)
	}
	return &writer{name, schema, resolved, err}
}
