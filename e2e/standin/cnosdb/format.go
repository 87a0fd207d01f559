package cnosdb

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/parquet-go/parquet-go"
)

// copying is how a COPY INTO reaches its files, and how they look.
type copying struct {
	connection map[string]string
	kind       string
	delimiter  rune
	header     bool
	infer      bool
}

func (c copying) write(columns []column, rows [][]any) ([]byte, error) {
	var out bytes.Buffer
	switch c.kind {
	case "JSON":
		for _, values := range rows {
			object := map[string]json.RawMessage{}
			for at, value := range values {
				if value != nil {
					object[columns[at].name] = jsonText(value)
				}
			}
			if err := encode(&out, object); err != nil {
				return nil, err
			}
		}
		return out.Bytes(), nil
	case "CSV":
		writer := csv.NewWriter(&out)
		writer.Comma = c.delimiter
		if c.header {
			_ = writer.Write(names(columns))
		}
		for _, values := range rows {
			record := make([]string, len(values))
			for at, value := range values {
				record[at] = csvText(value)
			}
			_ = writer.Write(record)
		}
		writer.Flush()
		return out.Bytes(), writer.Error()
	case "PARQUET":
		err := writeParquet(&out, columns, rows)
		return out.Bytes(), err
	}
	return nil, fmt.Errorf("unknown file type %s", c.kind)
}

func (c copying) read(columns []column, text []byte) ([]map[string]any, error) {
	switch c.kind {
	case "JSON":
		return readJSON(columns, text)
	case "CSV":
		return c.readCSV(columns, text)
	case "PARQUET":
		return readParquet(columns, text)
	}
	return nil, fmt.Errorf("unknown file type %s", c.kind)
}

func names(columns []column) []string {
	all := make([]string, len(columns))
	for at, c := range columns {
		all[at] = c.name
	}
	return all
}

// readCSV goes by the order of the columns, and not by the header.
func (c copying) readCSV(columns []column, text []byte) ([]map[string]any, error) {
	reader := csv.NewReader(bytes.NewReader(text))
	reader.Comma, reader.FieldsPerRecord = c.delimiter, len(columns)
	records, err := reader.ReadAll()
	if err != nil {
		return nil, err
	}
	if c.header && len(records) > 0 {
		records = records[1:]
	}
	var rows []map[string]any
	for line, record := range records {
		row := map[string]any{}
		for at, word := range record {
			if word == "" {
				continue
			}
			value, err := parseWord(columns[at], word)
			if err != nil {
				return nil, fmt.Errorf("Error while parsing value %s for column %d at line %d", word, at, line+1)
			}
			row[columns[at].name] = value
		}
		rows = append(rows, row)
	}
	return rows, nil
}

func parseWord(c column, word string) (any, error) {
	switch {
	case c.kind == "TIME":
		at, err := time.Parse("2006-01-02T15:04:05.999999999", word)
		return instant(at.Unix()*1_000_000_000 + int64(at.Nanosecond())), err
	case c.sqlType == "BIGINT":
		return strconv.ParseInt(word, 10, 64)
	case c.sqlType == "BIGINT UNSIGNED":
		return strconv.ParseUint(word, 10, 64)
	case c.sqlType == "DOUBLE":
		return strconv.ParseFloat(word, 64)
	case c.sqlType == "BOOLEAN":
		return strconv.ParseBool(word)
	}
	return word, nil
}

func readJSON(columns []column, text []byte) ([]map[string]any, error) {
	var rows []map[string]any
	for line := range bytes.Lines(text) {
		var object map[string]json.RawMessage
		if err := json.Unmarshal(line, &object); err != nil {
			return nil, err
		}
		row := map[string]any{}
		for _, c := range columns {
			raw, there := object[c.name]
			if !there || string(raw) == "null" {
				continue
			}
			word := string(raw)
			if strings.HasPrefix(word, `"`) {
				if err := json.Unmarshal(raw, &word); err != nil {
					return nil, err
				}
			}
			value, err := parseWord(c, word)
			if err != nil {
				return nil, err
			}
			row[c.name] = value
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// schema is that of a table; a group's columns are in the order of their names.
func schema(columns []column) *parquet.Schema {
	group := parquet.Group{}
	for _, c := range columns {
		var node parquet.Node
		switch {
		case c.kind == "TIME":
			group[c.name] = parquet.Timestamp(parquet.Nanosecond)
			continue
		case c.sqlType == "BIGINT":
			node = parquet.Int(64)
		case c.sqlType == "BIGINT UNSIGNED":
			node = parquet.Uint(64)
		case c.sqlType == "DOUBLE":
			node = parquet.Leaf(parquet.DoubleType)
		case c.sqlType == "BOOLEAN":
			node = parquet.Leaf(parquet.BooleanType)
		default:
			node = parquet.String()
		}
		group[c.name] = parquet.Optional(node)
	}
	return parquet.NewSchema("arrow_schema", group)
}

func writeParquet(out io.Writer, columns []column, rows [][]any) error {
	form := schema(columns)
	writer := parquet.NewWriter(out, form)
	for _, values := range rows {
		row := make(parquet.Row, len(columns))
		for at, c := range columns {
			leaf, ok := form.Lookup(c.name)
			if !ok {
				return errors.New("no such column")
			}
			row[leaf.ColumnIndex] = parquetValue(values[at]).Level(0, level(values[at], c), leaf.ColumnIndex)
		}
		if _, err := writer.WriteRows([]parquet.Row{row}); err != nil {
			return err
		}
	}
	return writer.Close()
}

// level is the definition level: a value that may be missing and is there has 1.
func level(value any, c column) int {
	if value == nil || c.kind == "TIME" {
		return 0
	}
	return 1
}

func parquetValue(value any) parquet.Value {
	switch v := value.(type) {
	case instant:
		return parquet.Int64Value(int64(v))
	case int64:
		return parquet.Int64Value(v)
	case uint64:
		return parquet.Int64Value(int64(v))
	case float64:
		return parquet.DoubleValue(v)
	case bool:
		return parquet.BooleanValue(v)
	case string:
		return parquet.ByteArrayValue([]byte(v))
	}
	return parquet.NullValue()
}

func readParquet(columns []column, text []byte) ([]map[string]any, error) {
	file, err := parquet.OpenFile(bytes.NewReader(text), int64(len(text)))
	if err != nil {
		return nil, err
	}
	var all []map[string]any
	for _, group := range file.RowGroups() {
		rows := group.Rows()
		buffer := make([]parquet.Row, 256)
		for {
			count, err := rows.ReadRows(buffer)
			for _, row := range buffer[:count] {
				all = append(all, values(file.Schema(), columns, row))
			}
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return nil, err
			}
		}
		if err := rows.Close(); err != nil {
			return nil, err
		}
	}
	return all, nil
}

func values(form *parquet.Schema, columns []column, row parquet.Row) map[string]any {
	found := map[string]any{}
	for _, c := range columns {
		leaf, ok := form.Lookup(c.name)
		if !ok {
			continue
		}
		for _, value := range row {
			if value.Column() != leaf.ColumnIndex || value.IsNull() {
				continue
			}
			switch {
			case c.kind == "TIME":
				found[c.name] = instant(value.Int64())
			case c.sqlType == "BIGINT":
				found[c.name] = value.Int64()
			case c.sqlType == "BIGINT UNSIGNED":
				found[c.name] = value.Uint64()
			case c.sqlType == "DOUBLE":
				found[c.name] = value.Double()
			case c.sqlType == "BOOLEAN":
				found[c.name] = value.Boolean()
			default:
				found[c.name] = string(value.ByteArray())
			}
		}
	}
	return found
}
