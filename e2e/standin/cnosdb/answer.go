package cnosdb

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// answer is a table of values; nil is a value that is not there.
type answer struct {
	columns []string
	rows    [][]any
}

// instant is a time in nanoseconds.
type instant int64

func (i instant) text(digits int) string {
	at := time.Unix(int64(i)/1_000_000_000, int64(i)%1_000_000_000).UTC()
	text := at.Format("2006-01-02T15:04:05")
	fraction := fmt.Sprintf("%09d", at.Nanosecond())
	if digits < 0 {
		// As few groups of three as it takes.
		for digits = 9; digits > 0 && strings.HasSuffix(fraction[:digits], "000"); digits -= 3 {
		}
	}
	if digits > 0 {
		text += "." + fraction[:digits]
	}
	return text
}

// float writes as the server's JSON does.
func float(f float64) string {
	size := f
	if size < 0 {
		size = -size
	}
	if size != 0 && (size < 1e-5 || size >= 1e16) {
		return strings.NewReplacer("e+0", "e", "e+", "e", "e-0", "e-").Replace(strconv.FormatFloat(f, 'e', -1, 64))
	}
	text := strconv.FormatFloat(f, 'f', -1, 64)
	if !strings.Contains(text, ".") {
		text += ".0"
	}
	return text
}

func (a answer) send(w http.ResponseWriter, accept string) *failure {
	if accept == "" || accept == "*/*" {
		accept = "application/csv"
	}
	var out bytes.Buffer
	switch accept {
	case "application/json", "application/nd-json":
		for at, values := range a.rows {
			object := map[string]json.RawMessage{}
			for column, value := range values {
				if value != nil {
					object[a.columns[column]] = jsonText(value)
				}
			}
			if accept == "application/json" {
				out.WriteString(map[bool]string{true: "[", false: ","}[at == 0])
			}
			var one bytes.Buffer
			_ = encode(&one, object)
			out.Write(bytes.TrimRight(one.Bytes(), "\n"))
			if accept == "application/nd-json" {
				out.WriteByte('\n')
			} else if at == len(a.rows)-1 {
				out.WriteByte(']')
			}
		}
	case "application/csv":
		if len(a.rows) > 0 {
			writer := csv.NewWriter(&out)
			_ = writer.Write(a.columns)
			for _, values := range a.rows {
				record := make([]string, len(values))
				for at, value := range values {
					record[at] = csvText(value)
				}
				_ = writer.Write(record)
			}
			writer.Flush()
		}
	default:
		return fail("040005", "Invalid header: accept type not support: %s", accept)
	}
	w.Header().Set("Content-Type", accept)
	_, _ = w.Write(out.Bytes())
	return nil
}

func jsonText(value any) json.RawMessage {
	switch v := value.(type) {
	case instant:
		return json.RawMessage(`"` + v.text(-1) + `"`)
	case float64:
		return json.RawMessage(float(v))
	}
	var out bytes.Buffer
	_ = encode(&out, value)
	return bytes.TrimRight(out.Bytes(), "\n")
}

func csvText(value any) string {
	switch v := value.(type) {
	case nil:
		return ""
	case instant:
		return v.text(9)
	case float64:
		return float(v)
	}
	return fmt.Sprint(value)
}
