// Plays the golden vectors. AQUEDUCT_VECTORS and AQUEDUCT_SCHEMAS__DIRECTORY name their folders.

package main

import (
	"encoding/json"
	"errors"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

type vector struct {
	Topic     string
	Partition int32
	Steps     []struct{ Batch []expectedRecord }
}

type expectedRecord struct {
	Offset, Timestamp int64
	Key, Value        []byte
	Headers           []parkedHeader
	Type              string
	Data              map[string]any
	Failed            string
	Halts             bool
	Envelope          map[string]any
}

func TestVectors(t *testing.T) {
	time.Local = time.UTC // as main
	folder := environment("AQUEDUCT_VECTORS", "../../conformance/vectors")
	registry := httptest.NewServer(http.HandlerFunc(func(response http.ResponseWriter, request *http.Request) {
		file := filepath.Join(folder, "registry", path.Base(request.URL.Path))
		answer := map[string]string{}
		schema, err := os.ReadFile(file + ".avsc")
		if err != nil {
			schema, err = os.ReadFile(file + ".proto")
			answer["schemaType"] = "PROTOBUF"
		}
		if err != nil {
			response.WriteHeader(http.StatusNotFound)
			return
		}
		answer["schema"] = string(schema)
		_ = json.NewEncoder(response).Encode(answer)
	}))
	defer registry.Close()
	decoder, err := newDecoder(registry.URL, environment("AQUEDUCT_SCHEMAS__DIRECTORY", "../../../schemas"))
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(folder, "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no vectors in %s: %v", folder, err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var vector vector
			if err := json.Unmarshal(text, &vector); err != nil {
				t.Fatal(err)
			}
			for _, step := range vector.Steps {
				for _, expected := range step.Batch {
					play(t, decoder, vector, expected)
				}
			}
		})
	}
}

func play(t *testing.T, decoder *decoder, vector vector, expected expectedRecord) {
	record := &kgo.Record{
		Topic: vector.Topic, Partition: vector.Partition, Offset: expected.Offset,
		Timestamp: time.UnixMilli(expected.Timestamp), Key: expected.Key, Value: expected.Value,
	}
	for _, header := range expected.Headers {
		record.Headers = append(record.Headers, kgo.RecordHeader{Key: header.Name, Value: header.Value})
	}
	data, err := decoder.decode(t.Context(), record)
	if halts := errors.Is(err, errHalted); halts || expected.Halts {
		if halts != expected.Halts {
			t.Errorf("offset %d: halts is %v, expected %v: %v", record.Offset, halts, expected.Halts, err)
		}
		return
	}
	failed := ""
	var broken *undecodable
	if errors.As(err, &broken) {
		failed = broken.code
	} else if err != nil {
		t.Fatalf("offset %d: %v", record.Offset, err)
	} else if known := newOf(expected.Type); reflect.TypeOf(data) != reflect.TypeOf(known) {
		t.Errorf("offset %d: read as %T, expected %T", record.Offset, data, known)
	} else {
		compareFields(t, record.Offset, reflect.ValueOf(data).Elem(), expected.Data)
	}
	fields, problem := envelope(record)
	if problem != nil {
		failed = "headers"
	}
	if failed != expected.Failed {
		t.Errorf("offset %d: failed is %q, expected %q: %v", record.Offset, failed, expected.Failed, errors.Join(err, problem))
	}
	expected.Envelope["topic"], expected.Envelope["partition"] = record.Topic, record.Partition
	expected.Envelope["offset"], expected.Envelope["timestamp"] = record.Offset, expected.Timestamp
	if !reflect.DeepEqual(fields, expected.Envelope) {
		t.Errorf("offset %d: envelope %v, expected %v", record.Offset, fields, expected.Envelope)
	}
}

func newOf(eventType string) any {
	if it, isKnown := eventTypes[eventType]; isKnown {
		return it.new()
	}
	return nil
}

// compareFields compares the fields that a struct has with those of the plain JSON.
func compareFields(t *testing.T, offset int64, read reflect.Value, expected map[string]any) {
	for i := range read.NumField() {
		name := read.Type().Field(i).Tag.Get("avro")
		switch field := read.Field(i).Interface().(type) {
		case string:
			expectField(t, offset, name, field, expected[name])
		case *string:
			if field == nil {
				expectField(t, offset, name, nil, expected[name])
			} else {
				expectField(t, offset, name, *field, expected[name])
			}
		case *big.Rat:
			expectField(t, offset, name, decimal(field), expected[name])
		case time.Time:
			layout := "2006-01-02T15:04:05.000"
			if text, _ := expected[name].(string); len(text) == len(time.DateOnly) {
				layout = time.DateOnly
			}
			expectField(t, offset, name, field.Format(layout), expected[name])
		default:
			items, _ := expected[name].([]any)
			if read.Field(i).Len() != len(items) {
				t.Errorf("offset %d: %s has %d items, expected %d", offset, name, read.Field(i).Len(), len(items))
				continue
			}
			for j, item := range items {
				compareFields(t, offset, read.Field(i).Index(j), item.(map[string]any))
			}
		}
	}
}

func expectField(t *testing.T, offset int64, name string, read, expected any) {
	if read != expected {
		t.Errorf("offset %d: %s is %v, expected %v", offset, name, read, expected)
	}
}
