package rethinkdb

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Values are nil, bool, float64, string, []any and map[string]any, as JSON has them. Numbers are
// doubles, as the server keeps them.

func sprintf(format string, arguments ...any) string { return fmt.Sprintf(format, arguments...) }

func newID() string {
	b := make([]byte, 16)
	_, _ = rand.Read(b)
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// decode reads one JSON value.
func decode(text []byte) (any, error) {
	var value any
	err := json.Unmarshal(text, &value)
	return value, err
}

// encode writes JSON as the server does: keys in their order, integers without a point, and -0.0
// with its sign.
func encode(value any) []byte {
	var out bytes.Buffer
	write(&out, value)
	return out.Bytes()
}

func write(out *bytes.Buffer, value any) {
	switch value := value.(type) {
	case map[string]any:
		out.WriteByte('{')
		for i, key := range sortedKeys(value) {
			if i > 0 {
				out.WriteByte(',')
			}
			writeString(out, key)
			out.WriteByte(':')
			write(out, value[key])
		}
		out.WriteByte('}')
	case []any:
		out.WriteByte('[')
		for i, item := range value {
			if i > 0 {
				out.WriteByte(',')
			}
			write(out, item)
		}
		out.WriteByte(']')
	case json.RawMessage:
		out.Write(value)
	case string:
		writeString(out, value)
	case float64:
		out.WriteString(number(value))
	case int:
		out.WriteString(strconv.Itoa(value))
	case bool:
		out.WriteString(strconv.FormatBool(value))
	default:
		out.WriteString("null")
	}
}

func number(value float64) string {
	switch {
	case value == 0 && math.Signbit(value):
		return "-0.0"
	case value == math.Trunc(value) && math.Abs(value) <= 1<<53:
		return strconv.FormatInt(int64(value), 10)
	}
	return strconv.FormatFloat(value, 'g', -1, 64)
}

func writeString(out *bytes.Buffer, text string) {
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(text)
	out.Truncate(out.Len() - 1)
}

func sortedKeys(object map[string]any) []string {
	keys := make([]string, 0, len(object))
	for key := range object {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

// rank is the order of types, which is that of their names.
func rank(value any) string {
	switch value := value.(type) {
	case []any:
		return "ARRAY"
	case bool:
		return "BOOL"
	case nil:
		return "NULL"
	case float64:
		return "NUMBER"
	case string:
		return "STRING"
	case map[string]any:
		if kind, ok := value["$reql_type$"].(string); ok {
			return "PTYPE<" + kind + ">"
		}
	}
	return "OBJECT"
}

// compare is the order of values, as order_by has it.
func compare(one, other any) int {
	if a, b := rank(one), rank(other); a != b {
		return strings.Compare(a, b)
	}
	switch one := one.(type) {
	case []any:
		return slices.CompareFunc(one, other.([]any), compare)
	case bool:
		return strings.Compare(strconv.FormatBool(one), strconv.FormatBool(other.(bool)))
	case float64:
		b := other.(float64)
		if one < b {
			return -1
		} else if one > b {
			return 1
		}
	case string:
		return strings.Compare(one, other.(string))
	case map[string]any:
		b := other.(map[string]any)
		if one["$reql_type$"] == "TIME" {
			return compare(one["epoch_time"], b["epoch_time"])
		}
		return bytes.Compare(encode(one), encode(b))
	}
	return 0
}

// check refuses what the server does not store, and brings the rest into its form.
func check(value any) (any, error) {
	switch value := value.(type) {
	case []any:
		if len(value) > 100000 {
			return nil, fail(queryLogic, "Array too large for disk writes (limit 100,000 elements).")
		}
		for i := range value {
			item, err := check(value[i])
			if err != nil {
				return nil, err
			}
			value[i] = item
		}
	case map[string]any:
		for key := range value {
			if strings.Contains(key, "\x00") {
				return nil, fail(queryLogic, "Key `%s` contains a null character.", key)
			}
			item, err := check(value[key])
			if err != nil {
				return nil, err
			}
			value[key] = item
		}
		return checkPseudotype(value)
	}
	return value, nil
}

func checkPseudotype(value map[string]any) (any, error) {
	switch value["$reql_type$"] {
	case nil:
		return value, nil
	case "BINARY":
		text, ok := value["data"].(string)
		data, err := base64.StdEncoding.DecodeString(strings.NewReplacer("\r", "", "\n", "").Replace(text))
		if !ok || err != nil {
			return nil, fail(queryLogic, "Invalid binary pseudotype: lacking `data` key, or it is no base64.")
		}
		return binaryOf(data), nil
	case "TIME":
		if _, ok := value["epoch_time"].(float64); !ok {
			return nil, fail(queryLogic, "Invalid time object constructed (no field `epoch_time`): %s", encode(value))
		}
		if _, ok := value["timezone"].(string); !ok {
			return nil, fail(queryLogic, "Invalid time object constructed (no field `timezone`): %s", encode(value))
		}
		return value, nil
	case "GEOMETRY":
		return value, nil
	}
	return nil, fail(queryLogic, "Unknown $reql_type$ `%s`.", encode(value["$reql_type$"]))
}

// binaryOf is the pseudotype, with a line break after each 76 characters, as the server has it.
func binaryOf(data []byte) map[string]any {
	text := base64.StdEncoding.EncodeToString(data)
	var lines []string
	for len(text) > 76 {
		lines, text = append(lines, text[:76]), text[76:]
	}
	lines = append(lines, text)
	return map[string]any{"$reql_type$": "BINARY", "data": strings.Join(lines, "\r\n")}
}

func binaryData(value any) ([]byte, bool) {
	object, _ := value.(map[string]any)
	if object["$reql_type$"] != "BINARY" {
		return nil, false
	}
	text, _ := object["data"].(string)
	data, err := base64.StdEncoding.DecodeString(strings.NewReplacer("\r", "", "\n", "").Replace(text))
	return data, err == nil
}

// failure is an error of the server's.
type failure struct {
	code int
	text string
}

func (f *failure) Error() string { return f.text }

func fail(code int, format string, arguments ...any) error {
	return &failure{code, sprintf(format, arguments...)}
}
