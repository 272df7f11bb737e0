package main

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/twmb/franz-go/pkg/kgo"
)

var envelopeHeaders = []string{
	"ce_source", "ce_subject", "ce_id", "ce_eventid", "ce_revision", "ce_previousrevision", "ce_time"}

// envelope is what receive wants to know of a record. The error says why a part of it cannot be read.
func envelope(record *kgo.Record) (map[string]any, error) {
	fields := map[string]any{"topic": record.Topic, "partition": record.Partition, "offset": record.Offset}
	if milliseconds := record.Timestamp.UnixMilli(); milliseconds >= 0 {
		fields["timestamp"] = milliseconds
	}
	var problems []error
	if record.Key != nil {
		key, err := asText(record.Key, "the key")
		if err == nil {
			fields["key"] = key
		}
		problems = append(problems, err)
	}
	for _, name := range envelopeHeaders {
		value, err := header(record, name)
		if value != nil {
			fields[name] = *value
		}
		problems = append(problems, err)
	}
	return fields, errors.Join(problems...)
}

// header returns a header as text; nil: the record does not have it.
func header(record *kgo.Record, name string) (*string, error) {
	for _, header := range record.Headers {
		if header.Key == name && header.Value != nil {
			text, err := asText(header.Value, "header "+name)
			if err != nil {
				return nil, err
			}
			return &text, nil
		}
	}
	return nil, nil
}

// optionalHeader returns "" if the header is missing or unreadable.
func optionalHeader(record *kgo.Record, name string) string {
	if value, err := header(record, name); err == nil && value != nil {
		return *value
	}
	return ""
}

// asText returns a text that Postgres can store.
func asText(value []byte, what string) (string, error) {
	if !utf8.Valid(value) {
		return "", fmt.Errorf("%s is not UTF-8", what)
	}
	if strings.ContainsRune(string(value), 0) {
		return "", fmt.Errorf("%s contains U+0000, which Postgres cannot store", what)
	}
	return string(value), nil
}

// storable replaces what Postgres cannot store.
func storable(text string) string {
	const replacement = string(utf8.RuneError)
	return strings.ReplaceAll(strings.ToValidUTF8(text, replacement), "\x00", replacement)
}

// Records as park wants them: encoding/json writes []byte in base64, and nil as null.
type parkedRecord struct {
	Topic     string         `json:"topic"`
	Partition int32          `json:"partition"`
	Offset    int64          `json:"offset"`
	EventType *string        `json:"event_type"`
	Key       []byte         `json:"key"`
	Value     []byte         `json:"value"`
	Headers   []parkedHeader `json:"headers"`
}

type parkedHeader struct {
	Name  string `json:"name"`
	Value []byte `json:"value"`
}

func parked(record *kgo.Record) parkedRecord {
	headers := make([]parkedHeader, len(record.Headers))
	for i, header := range record.Headers {
		headers[i] = parkedHeader{storable(header.Key), header.Value}
	}
	eventType, _ := header(record, "ce_type") // of an unreadable one the bytes are in the headers
	return parkedRecord{record.Topic, record.Partition, record.Offset, eventType, record.Key, record.Value, headers}
}
