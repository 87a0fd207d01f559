package cnosdb

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The files that the real server wrote of one table are read as that table, in each format; and what
// the stand-in writes it reads again.
func TestTheServersFilesAreRead(t *testing.T) {
	columns := []column{
		{"time", "TIME", "TIMESTAMP(NANOSECOND)", ""}, {"station", "TAG", "STRING", ""}, {"region", "TAG", "STRING", ""},
		{"visibility", "FIELD", "DOUBLE", ""}, {"temperature", "FIELD", "DOUBLE", ""}, {"n", "FIELD", "BIGINT", ""},
		{"u", "FIELD", "BIGINT UNSIGNED", ""}, {"ok", "FIELD", "BOOLEAN", ""}, {"s", "FIELD", "STRING", ""},
	}
	for _, kind := range []string{"CSV", "JSON", "PARQUET"} {
		how := copying{kind: kind, delimiter: ',', header: true}
		files, err := filepath.Glob("testdata/copy-into/" + strings.ToLower(kind) + "-*")
		if err != nil || len(files) != 2 {
			t.Fatal(files, err)
		}
		sum, rows := int64(0), 0
		for _, path := range files {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			for range 2 {
				found, err := how.read(columns, text)
				if err != nil {
					t.Fatalf("%s: %v", path, err)
				}
				var values [][]any
				for _, row := range found {
					rows++
					sum += row["n"].(int64)
					if len(row) != len(columns) || !strings.Contains(row["s"].(string), `q"uote, comma é`) {
						t.Errorf("%s: %v", path, row)
					}
					one := make([]any, len(columns))
					for at, c := range columns {
						one[at] = row[c.name]
					}
					values = append(values, one)
				}
				if text, err = how.write(columns, values); err != nil {
					t.Fatal(err)
				}
			}
		}
		if rows != 40 || sum != -2*190 {
			t.Errorf("%s: %d rows, the sum of n is %d", kind, rows, sum)
		}
	}
}
